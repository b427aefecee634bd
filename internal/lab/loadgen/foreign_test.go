package loadgen

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/spillway-ai/spillway/internal/lab/azuresim"
	"github.com/spillway-ai/spillway/internal/lab/workload"
)

// object is a JSON object as another gateway decodes it.
type object = map[string]any

// foreign is another gateway: it decodes the request, changes it, encodes it anew and
// drops every header that it does not know. It uses the standard library alone.
func foreign(upstream http.Handler, change func(object)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var doc object
		if err := json.NewDecoder(r.Body).Decode(&doc); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		change(doc)
		upstream.ServeHTTP(w, onward(r, r.URL.RequestURI(), doc))
	})
}

// onward is the request that the other gateway sends.
func onward(r *http.Request, path string, doc object) *http.Request {
	body, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		panic(err)
	}
	out := httptest.NewRequestWithContext(r.Context(), r.Method, path, bytes.NewReader(body))
	out.Header.Set("Content-Type", "application/json")
	out.Header.Set("Api-Key", r.Header.Get("Api-Key"))
	return out
}

// asResponses is another gateway that sends chat completions as Responses.
func asResponses(upstream http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var chat struct {
			Model    string
			Messages []struct{ Role, Content string }
			Stream   bool
		}
		if err := json.NewDecoder(r.Body).Decode(&chat); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		var input []object
		for _, m := range chat.Messages {
			input = append(input, object{"type": "message", "role": m.Role, "content": []object{{"type": "input_text", "text": m.Content}}})
		}
		got := httptest.NewRecorder()
		upstream.ServeHTTP(got, onward(r, "/openai/v1/responses", object{"model": chat.Model, "input": input, "instructions": "Be brief."}))
		var answer struct {
			Usage struct {
				Input  int `json:"input_tokens"`
				Output int `json:"output_tokens"`
			}
		}
		if err := json.Unmarshal(got.Body.Bytes(), &answer); err != nil || got.Code != http.StatusOK {
			http.Error(w, got.Body.String(), http.StatusBadGateway)
			return
		}
		usage := fmt.Sprintf(`"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}`,
			answer.Usage.Input, answer.Usage.Output, answer.Usage.Input+answer.Usage.Output)
		if chat.Stream {
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprintf(w, "%s%sdata: {\"choices\":[],%s}\n\n%s", chunk, chunkStop, usage, chunkDone)
			return
		}
		fmt.Fprintf(w, `{"choices":[{"index":0,"message":{"role":"assistant","content":"a"},"finish_reason":"stop"}],%s}`, usage)
	})
}

// The emulator gives responses of the requested lengths through gateways that forward
// nothing but what the APIs have.
func TestLengthsThroughOtherGateways(t *testing.T) {
	message := func(role string, content any) object { return object{"role": role, "content": content} }
	messages := func(doc object) []any { return doc["messages"].([]any) }
	for name, gateway := range map[string]func(http.Handler) http.Handler{
		"none": func(h http.Handler) http.Handler { return h },
		"unknown headers dropped, JSON encoded anew": func(h http.Handler) http.Handler {
			return foreign(h, func(object) {})
		},
		"system message first": func(h http.Handler) http.Handler {
			return foreign(h, func(doc object) {
				doc["messages"] = slices.Insert(messages(doc), 0, any(message("system", "Answer in 20 words (or 30 tokens).")))
			})
		},
		"user message last": func(h http.Handler) http.Handler {
			return foreign(h, func(doc object) { doc["messages"] = append(messages(doc), message("user", "Answer in English.")) })
		},
		"order of messages reversed": func(h http.Handler) http.Handler {
			return foreign(h, func(doc object) {
				all := append(messages(doc), message("assistant", "Yes."), message("user", "Go on."))
				slices.Reverse(all)
				doc["messages"] = all
			})
		},
		"user message made a system message": func(h http.Handler) http.Handler {
			return foreign(h, func(doc object) {
				doc["messages"] = []any{message("system", messages(doc)[0].(object)["content"]), message("user", "Begin.")}
			})
		},
		"content as parts": func(h http.Handler) http.Handler {
			return foreign(h, func(doc object) {
				text := messages(doc)[0].(object)["content"].(string)
				half := strings.LastIndex(text, "(")
				doc["messages"] = []any{message("user", []object{{"type": "text", "text": text[:half]}, {"type": "text", "text": text[half:]}})}
			})
		},
		"text in a template, spaces changed": func(h http.Handler) http.Handler {
			return foreign(h, func(doc object) {
				text := messages(doc)[0].(object)["content"].(string)
				doc["messages"] = []any{message("user", "<prompt>\n"+strings.Join(strings.Fields(text), "\n")+"\n</prompt>\nThank you.")}
			})
		},
		"chat as Responses": asResponses,
	} {
		t.Run(name, func(t *testing.T) {
			sim, err := azuresim.New(azuresim.Config{Deployments: azuresim.DefaultFleet(), Keys: []string{"azure"}, Seed: 1})
			if err != nil {
				t.Fatal(err)
			}
			report, err := runVirtual(t, gateway(sim), Options{Model: "ptu-eastus", Key: "azure"}, &calls{
				workload.Call{PromptTokens: 100, OutputTokens: 40},
				workload.Call{PromptTokens: 2000, OutputTokens: 611, Stream: true},
				workload.Call{PromptTokens: 3, OutputTokens: 7},
				workload.Call{PromptTokens: 300, OutputTokens: 1, Stream: true},
			})
			if err != nil {
				t.Fatal(err)
			}
			if report.Outcomes["complete"] != 4 || report.CompletionTokens != 40+611+7+1 {
				t.Errorf("outcomes %v, %d tokens out, want %d; %+v", report.Outcomes, report.CompletionTokens, 40+611+7+1, report.Messages)
			}
			if name == "none" && report.PromptTokens != 100+2000+300+15 {
				t.Errorf("%d tokens in", report.PromptTokens)
			}
		})
	}
}
