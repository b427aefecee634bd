package models

import "testing"

func TestReasons(t *testing.T) {
	for model, want := range map[string]bool{
		"o1": true, "o1-preview": true, "o3-mini-2025-01-31": true, "o4-mini": true, "O3": true, "o3-deep-research": true, "o10": true,
		"gpt-5": true, "gpt-5-2025-08-07": true, "gpt-5-mini": true, "gpt-5.1-codex-max": true, "gpt-5.4-mini": true, "gpt-6-sol": true, "GPT-5.5": true,
		"openai/gpt-5": true, "codex-mini-latest": true, "gpt-10": true,
		"gpt-5-chat": false, "gpt-5-chat-latest": false, "gpt-5.2-chat": false,
		"gpt-4o": false, "gpt-4.5-preview": false, "gpt-4.1-nano": false, "gpt-35-turbo": false, "gpt-3.5-turbo": false, "gpt-4-0613": false,
		"gpt-oss-120b": false, "gpt-image-1": false, "gpt-realtime": false, "gpt-5000": false, "gpt-5x": false, "o": false, "omni-moderation-latest": false,
		"o0": false, "o200k": false, "gpt-": false, "": false, "deepseek-r1": false, "/": false,
	} {
		if got := Reasons(model); got != want {
			t.Errorf("Reasons(%q) = %v, want %v", model, got, want)
		}
	}
}
