// Package azuresim serves a modelled fleet over HTTP in the shapes of Azure
// OpenAI: paths, headers, error bodies, stream chunks and their pace.
//
// It is an http.Handler. Behaviour that depends on a request can be steered by
// words in the last user message (or prompt, or input):
//
//	[[tokens=600]]   the visible answer is 600 tokens long
//	[[tool]]         call the first offered tool; [[tool=a,b]] calls these
//	[[refusal]]      the answer is a refusal
//	[[filter]]       the prompt is rejected by the content filter (400)
//
// The header x-azuresim-output-tokens does what [[tokens=…]] does. Without a
// word the length of an answer is drawn from the deployment's distribution.
// The header x-azuresim-seed, a number, fixes the speed and length of one answer
// whatever came before it. Tools are also called when tool_choice demands it, and when the last user
// message mentions a tool's name.
//
// Every four bytes of an answer's text are a token, and prompt tokens are
// estimated as a quarter of the prompt's bytes. Streams release text in chunks
// of several tokens, as fleet.Deployment.ChunkTokens says.
package azuresim
