package workload

import (
	"bytes"
	"encoding/json"
)

// jsonText returns the text of a string value, which may share its memory;
// null is empty.
func jsonText(name string, value []byte) ([]byte, error) {
	if string(value) == "null" {
		return nil, nil
	}
	if len(value) == 0 || value[0] != '"' {
		return nil, reasonf("%s %.40q is not a string", name, value)
	}
	if bytes.IndexByte(value, '\\') < 0 {
		return value[1 : len(value)-1], nil
	}
	var s string
	if err := json.Unmarshal(value, &s); err != nil {
		return nil, badJSON(err)
	}
	return []byte(s), nil
}

// jsonTokens returns a number of tokens; null is 0.
func jsonTokens(name string, value []byte) (int, error) {
	if string(value) == "null" {
		return 0, nil
	}
	return parseTokens(name, value)
}
