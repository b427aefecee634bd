package wire

import (
	"bytes"
	"strings"
)

// memberSince is the first api-version of Azure that knows a member of a chat request,
// where that is later than DefaultAPIVersion; "" for the others. By the directories of
// azure-rest-api-specs below specification/cognitiveservices/data-plane/AzureOpenAI, as
// of November 2026.
func memberSince(name string) string {
	switch name {
	case "reasoning_effort", "store", "metadata":
		return "2024-12-01-preview"
	case "prediction", "modalities", "audio":
		return "2025-01-01-preview"
	}
	return ""
}

// onlyV1 reports whether Azure has an operation on its v1 paths alone, which every
// resource serves beside the classic ones. By Microsoft's v1 reference of 2026; that
// the classic paths never got these is assumed.
func onlyV1(operation string) bool {
	first, _, _ := strings.Cut(operation, "/")
	return first == "conversations" || first == "containers"
}

// EnabledSince returns the api-version from which on Azure takes a request, when an
// error's body says so: "… is enabled only for api versions 2024-12-01-preview and
// later"; "" when it does not. model reports that the model needs it, whatever the
// request has. Reports of the words: semantic-kernel#12268, aider#4029.
func EnabledSince(body []byte) (version string, model bool) {
	const words = "is enabled only for api versions "
	before, after, found := bytes.Cut(body, []byte(words))
	if !found {
		return "", false
	}
	word, _, _ := bytes.Cut(after, []byte(" "))
	version = strings.TrimRight(string(word), `."'`)
	if !isDated(version) || len(version) > len(ResponsesAPIVersion) {
		return "", false
	}
	start := bytes.LastIndexAny(before, `".`) + 1
	return version, bytes.HasPrefix(bytes.TrimSpace(before[start:]), []byte("Model "))
}
