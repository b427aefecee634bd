package wire

import (
	"fmt"
	"testing"

	spillway "github.com/spillway-ai/spillway"
)

// TestResponseServiceTier reads the service tier of responses, streamed or not: the last one that
// is named.
func TestResponseServiceTier(t *testing.T) {
	for name, tt := range map[string]struct {
		api    spillway.API
		stream string // "" for none
		whole  string // "" for none
		want   string
	}{
		"chat":        {spillway.APIChat, `data: {"choices":[{"index":0,"delta":{"content":"a"}}],"service_tier":"priority"}`, `{"choices":[],"service_tier":"priority"}`, "priority"},
		"completions": {spillway.APICompletions, `data: {"choices":[{"index":0,"text":"a"}],"service_tier":"flex"}`, `{"service_tier":"flex","choices":[]}`, "flex"},
		"responses":   {spillway.APIResponses, `data: {"type":"response.completed","response":{"id":"r","status":"completed","output":[],"service_tier":"default"}}`, `{"status":"completed","service_tier":"default"}`, "default"},
		"the last": {
			spillway.APIChat, `data: {"choices":[],"service_tier":"auto"}` + "\n\n" + `data: {"choices":[{"index":0,"delta":{"content":"a"}}],"service_tier":"default"}` +
				"\n\n" + `data: {"choices":[],"service_tier":null}`, "", "default",
		},
		"the last response": {
			spillway.APIResponses, `data: {"type":"response.created","response":{"id":"r","service_tier":"auto"}}` + "\n\n" +
				`data: {"type":"response.completed","response":{"id":"r","status":"completed","output":[],"service_tier":"priority"}}`, "", "priority",
		},
		"only begun":   {spillway.APIResponses, `data: {"type":"response.created","response":{"id":"r","service_tier":"flex"}}`, "", "flex"},
		"null":         {spillway.APIChat, `data: {"choices":[],"service_tier":null}`, `{"choices":[],"service_tier":null}`, ""},
		"none":         {spillway.APIChat, `data: {"choices":[]}`, `{"choices":[]}`, ""},
		"unknown":      {spillway.APIChat, `data: {"choices":[],"service_tier":"gold"}`, `{"choices":[],"service_tier":"gold"}`, "other"},
		"no string":    {spillway.APIChat, `data: {"choices":[],"service_tier":{"a":"flex"}}`, `{"choices":[],"service_tier":7}`, ""},
		"in the text":  {spillway.APIChat, `data: {"choices":[{"index":0,"delta":{"content":"\"service_tier\":\"flex\""}}]}`, `{"choices":[{"message":{"content":"\"service_tier\":\"flex\"","service_tier":"flex"}}]}`, ""},
		"other values": {spillway.APIChat, "", `{"choices":[],"service_tier":"on_demand"}`, "on_demand"},
	} {
		if tt.stream != "" {
			s := newStream(tt.api)
			for _, ev := range eventsOf(t, []byte(tt.stream+"\n\n"), len(tt.stream)+2) {
				if _, err := s.Observe(ev); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			}
			if got := s.ServiceTier(); got != tt.want {
				t.Errorf("%s: the stream names %q, want %q", name, got, tt.want)
			}
			s.Reset(tt.api)
			if got := s.ServiceTier(); got != "" {
				t.Errorf("%s: the next stream names %q", name, got)
			}
		}
		if tt.whole != "" {
			if sum, ok := Summarize(tt.api, []byte(tt.whole)); !ok || sum.ServiceTier != tt.want {
				t.Errorf("%s: the response names %q, %v; want %q", name, sum.ServiceTier, ok, tt.want)
			}
		}
	}
}

// TestResponseServiceTierOfRepeats keeps the tier of chunks that are not read one by one, and
// notices a chunk that names another.
func TestResponseServiceTierOfRepeats(t *testing.T) {
	s := newStream(spillway.APIChat)
	for i, tier := range []string{"priority", "priority", "priority", "default", "default"} {
		raw := fmt.Sprintf("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"%d\"}}],\"service_tier\":\"%s\"}\n\n", i, tier)
		if _, ok := s.Repeats([]byte(raw)); !ok {
			if _, err := s.Observe(eventsOf(t, []byte(raw), len(raw))[0]); err != nil {
				t.Fatal(err)
			}
		}
		if got := s.ServiceTier(); got != tier {
			t.Errorf("chunk %d: %q, want %q", i, got, tier)
		}
	}
}

// TestCacheWrites reads the tokens written to the prompt cache, under each of their names.
func TestCacheWrites(t *testing.T) {
	for usage, want := range map[string]spillway.Usage{
		`{"prompt_tokens":9,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":3,"cache_write_tokens":4}}`:         {Prompt: 9, Cached: 3, CacheWrite: 4, Completion: 2, Known: true},
		`{"prompt_tokens":9,"completion_tokens":2,"prompt_tokens_details":{"cache_creation_tokens":4,"cached_tokens":3}}`:      {Prompt: 9, Cached: 3, CacheWrite: 4, Completion: 2, Known: true},
		`{"input_tokens":9,"output_tokens":2,"input_tokens_details":{"cache_write_tokens":4,"cached_tokens":0}}`:               {Prompt: 9, CacheWrite: 4, Completion: 2, Known: true},
		`{"input_tokens":9,"output_tokens":2,"cache_creation_input_tokens":4,"cache_read_input_tokens":0}`:                     {Prompt: 9, CacheWrite: 4, Completion: 2, Known: true},
		`{"prompt_tokens":9,"completion_tokens":2,"cache_creation_input_tokens":4,"prompt_tokens_details":{"audio_tokens":0}}`: {Prompt: 9, CacheWrite: 4, Completion: 2, Known: true},
		`{"prompt_tokens":9,"completion_tokens":2,"prompt_tokens_details":{"cache_write_tokens":null}}`:                        {Prompt: 9, Completion: 2, Known: true},
		`{"prompt_tokens":9,"completion_tokens":2,"prompt_tokens_details":{"cache_write_tokens":"4"}}`:                         {Suspect: true},
		`{"prompt_tokens":9,"completion_tokens":2,"prompt_tokens_details":{"cache_write_tokens":-4}}`:                          {Suspect: true},
		`{"prompt_tokens":9,"completion_tokens":2,"cache_creation_input_tokens":[]}`:                                           {Suspect: true},
	} {
		if sum, ok := Summarize(spillway.APIChat, []byte(`{"usage":`+usage+`}`)); !ok || sum.Usage != want {
			t.Errorf("%s: %+v, %v; want %+v", usage, sum.Usage, ok, want)
		}
	}
}
