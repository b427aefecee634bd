// Package azuresim emulates Azure OpenAI: it serves a modeled fleet over HTTP
// with Azure's paths, headers, error bodies, stream chunks and timing.
//
// It is an http.Handler. Markers in the last user message (or prompt, or input)
// control one response:
//
//	[[tokens=600]]   the visible output is 600 tokens long
//	[[tool]]         call the first offered tool; [[tool=a,b]] calls these
//	[[refusal]]      the response is a refusal
//	[[filter]]       the content filter rejects the prompt (400)
//
// The sentence "Write about 150 words (200 tokens)" in any message, or else the
// header x-azuresim-output-tokens, has the effect of [[tokens=…]] where that is
// absent. Without any of them, the output length is drawn from the deployment's
// distribution. The header x-azuresim-seed, a number, fixes the speed and length
// of one response regardless of earlier requests. Tools are also called when
// tool_choice requires it, and when the last user message mentions a tool's name.
//
// Every four bytes of a response's text are a token, and prompt tokens are
// estimated as a quarter of the prompt's bytes. Streams release text in chunks
// of several tokens, as fleet.Deployment.ChunkTokens says.
package azuresim
