package config

import (
	"fmt"
	"regexp"
	"strings"
)

// expansions are where ${env:NAME} and ${file:/path} come from.
type expansions struct {
	env      func(string) (string, bool)
	readFile func(string) ([]byte, error)
}

// reference is a text that only says where its value is, so that it may be
// shown even in a secret's place. It is constant.
var reference = regexp.MustCompile(`^\$\{(env|file):[^{}]*\}$`)

// expand replaces every ${env:NAME} and ${file:/path} in text; $${ stands for
// ${ itself. What replaces them is not expanded again, and loses the line ends
// at its own end.
func (e expansions) expand(text string) (string, *scalarError) {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(text, "${")
		if !found {
			out.WriteString(text)
			return out.String(), nil
		}
		if literal, ok := strings.CutSuffix(before, "$"); ok {
			out.WriteString(literal + "${")
			text = rest
			continue
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			return "", &scalarError{"has a ${ without }", "write $${ for ${ itself"}
		}
		value, err := e.lookup(name)
		if err != nil {
			return "", err
		}
		out.WriteString(before + strings.TrimRight(value, "\r\n"))
		text = after
	}
}

// lookup finds what stands for ${name}.
func (e expansions) lookup(name string) (string, *scalarError) {
	source, arg, _ := strings.Cut(name, ":")
	switch source {
	case "env":
		value, ok := e.env(arg)
		if !ok {
			return "", &scalarError{
				fmt.Sprintf("refers to the environment variable %s, which is not set", arg),
				fmt.Sprintf("set %s before the start", arg),
			}
		}
		return value, nil
	case "file":
		value, err := e.readFile(arg)
		if err != nil {
			return "", &scalarError{fmt.Sprintf("refers to a file that cannot be read: %v", err), ""}
		}
		return string(value), nil
	}
	return "", &scalarError{
		fmt.Sprintf("contains ${%s}, which is neither ${env:NAME} nor ${file:/path}", name),
		fmt.Sprintf("did you mean ${env:%s}? Write $${ for ${ itself", name),
	}
}
