package wire

import (
	"strings"
	"testing"

	spillway "github.com/spillway-ai/spillway"
)

func TestUsageScanner(t *testing.T) {
	const counts = `{"input_tokens":12,"input_tokens_details":{"text_tokens":9,"image_tokens":3},"output_tokens":40,"total_tokens":52}`
	u := spillway.Usage{Prompt: 12, Completion: 40, Known: true}
	long := strings.Repeat("A", 9000)
	for name, tt := range map[string]struct {
		text string
		want spillway.Usage
	}{
		"image":             {`{"created":1,"data":[{"b64_json":"` + long + `"}],"usage":` + counts + `}`, u},
		"first":             {`{"usage":` + counts + `,"data":[]}`, u},
		"blanks":            {"{ \"usage\" :\n " + counts + " ,\n\"data\": []}\n", u},
		"escapes":           {`{"a\"b\\":"\\\"usage\":{","usage":` + counts + `}`, u},
		"poll":              {`{"id":"r","status":"completed","output":[{"usage":{"input_tokens":1,"output_tokens":1}}],"usage":` + counts + `}`, u},
		"image stream":      {"event: image_generation.completed\ndata: {\"type\":\"image_generation.completed\",\"b64_json\":\"" + long + "\",\"usage\":" + counts + "}\n\n", u},
		"Response's stream": {"data: {\"type\":\"response.created\",\"response\":{\"usage\":null}}\n\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"r\",\"usage\":" + counts + "}}\n\n", u},
		"comment":           {": don't say \"usage\n\ndata: {\"usage\":" + counts + "}\n\n", u},
		"duration":          {`{"text":"a","usage":{"type":"duration","seconds":9}}`, spillway.Usage{}},
		"null":              {`{"usage":null}`, spillway.Usage{}},
		"elsewhere":         {`{"output":{"usage":` + counts + `},"metadata":{"response":{"usage":` + counts + `}}}`, spillway.Usage{}},
		"a value":           {`{"a":"usage","b":` + counts + `}`, spillway.Usage{}},
		"no counts":         {`{"usage":{"input_tokens":-1,"output_tokens":2}}`, spillway.Usage{Suspect: true}},
		"too long":          {`{"usage":{"x":"` + long + `","input_tokens":1,"output_tokens":2}}`, spillway.Usage{}},
		"cut off":           {`{"usage":{"input_tokens":1,"output_tokens":2`, spillway.Usage{}},
		"no JSON":           {`}}]]"usage":{`, spillway.Usage{}},
	} {
		for size := 1; size < 40; size++ {
			var s UsageScanner
			for rest := []byte(tt.text); len(rest) > 0; {
				n := min(size, len(rest))
				s.Scan(rest[:n])
				rest = rest[n:]
			}
			if s.Usage() != tt.want {
				t.Errorf("%s in pieces of %d: %+v, want %+v", name, size, s.Usage(), tt.want)
				break
			}
		}
		var s UsageScanner
		if s.Scan([]byte(tt.text)); s.Usage() != tt.want || cap(s.found) > 2*maxUsageBytes {
			t.Errorf("%s: %+v, want %+v", name, s.Usage(), tt.want)
		}
	}
}

// TestScanServiceTier finds the last service tier of a response that passes in pieces.
func TestScanServiceTier(t *testing.T) {
	for text, want := range map[string]string{
		`{"id":"r","service_tier":"priority","usage":{"input_tokens":1,"output_tokens":2}}`:                                                       "priority",
		`{"usage":{"input_tokens":1,"output_tokens":2},"service_tier" : "flex"}`:                                                                  "flex",
		`{"service_tier":"auto","service_tier":null}`:                                                                                             "auto",
		`{"service_tier":"gold"}`:                                                                                                                 "other",
		`{"service_tier":{"service_tier":"flex"}}`:                                                                                                "",
		`{"output":{"service_tier":"flex"},"text":"\"service_tier\":\"flex\"","a":"service_tier","b":"flex"}`:                                     "",
		"data: {\"response\":{\"service_tier\":\"auto\"}}\n\ndata: {\"response\":{\"id\":\"r\",\"service_tier\":\"default\",\"usage\":null}}\n\n": "default",
		`{}`: "",
	} {
		for size := 1; size < 40; size++ {
			var s UsageScanner
			for rest := []byte(text); len(rest) > 0; {
				n := min(size, len(rest))
				s.Scan(rest[:n])
				rest = rest[n:]
			}
			if s.ServiceTier() != want {
				t.Errorf("%s in pieces of %d: %q, want %q", text, size, s.ServiceTier(), want)
				break
			}
		}
	}
}
