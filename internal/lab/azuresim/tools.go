package azuresim

import (
	"encoding/json"
	"strings"
)

// tool is a function that the client offers.
type tool struct {
	name       string
	parameters json.RawMessage
}

// toolChoice is the decoded tool_choice.
type toolChoice struct {
	none, required bool
	name           string // the one to call; "" when free
}

// wireTool is a tool as the APIs send it: chat nests the function, Responses
// does not.
type wireTool struct {
	Type     string `json:"type"`
	Function *struct {
		Name       string          `json:"name"`
		Parameters json.RawMessage `json:"parameters"`
	} `json:"function"`
	Name       string          `json:"name"`
	Parameters json.RawMessage `json:"parameters"`
}

// functions returns the tools that are functions.
func functions(wire []wireTool) []tool {
	var all []tool
	for i := range wire {
		switch w := &wire[i]; {
		case w.Function != nil:
			all = append(all, tool{w.Function.Name, w.Function.Parameters})
		case w.Type == "function" && w.Name != "":
			all = append(all, tool{w.Name, w.Parameters})
		}
	}
	return all
}

// parseToolChoice reads either API's tool_choice; what it does not know is
// "auto".
func parseToolChoice(raw json.RawMessage) toolChoice {
	var word string
	if json.Unmarshal(raw, &word) == nil {
		return toolChoice{none: word == "none", required: word == "required"}
	}
	var named struct {
		Name     string `json:"name"`
		Function struct {
			Name string `json:"name"`
		} `json:"function"`
	}
	if json.Unmarshal(raw, &named) != nil {
		return toolChoice{}
	}
	if named.Name == "" {
		named.Name = named.Function.Name
	}
	return toolChoice{required: named.Name != "", name: named.Name}
}

// calledTools decides which tools the response calls: those that a [[tool=…]]
// directive or tool_choice names, those that the last user message mentions,
// or the first one when a call is required. After a tool's result it calls
// none, unless a call is required.
func (g *generation) calledTools() []tool {
	if len(g.tools) == 0 || g.choice.none || g.prompt.answered && !g.choice.required {
		return nil
	}
	names, directed := g.prompt.directive("tool")
	var called []tool
	for _, t := range g.tools {
		switch {
		case g.choice.name != "":
			if t.name == g.choice.name {
				return []tool{t}
			}
		case names != "":
			if listed(names, t.name) {
				called = append(called, t)
			}
		case t.name != "" && strings.Contains(g.prompt.last, t.name):
			called = append(called, t)
		}
	}
	if len(called) == 0 && (directed || g.choice.required) {
		called = g.tools[:1]
	}
	if !g.parallel && len(called) > 1 {
		called = called[:1]
	}
	return called
}

// listed reports whether name is an element of a comma-separated list.
func listed(list, name string) bool {
	for e := range strings.SplitSeq(list, ",") {
		if strings.TrimSpace(e) == name {
			return true
		}
	}
	return false
}
