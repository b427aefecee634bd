// Package wire implements the dialects of Azure OpenAI and OpenAI. It parses
// paths, headers and request bodies (path.go, headers.go, ask.go), patches
// requests without changing other bytes (patch.go), reads streams and counts
// their tokens (stream.go), assembles a stream into one response (assemble.go),
// ends a stream early with a valid end (cut.go), and formats errors (errors.go).
//
// It is pure: no connections, no clock, no log. Only immutable values are safe
// for concurrent use.
package wire
