// Package otlp sends the records of requests, and the metrics, to an
// OpenTelemetry collector: a trace and a log event for each request, with the
// names of the semantic conventions for generative AI, over gRPC or HTTP.
//
// It never delays a request. Record copies the record into a bounded queue; one
// goroutine makes spans and events of the queued records and sends them. While
// the collector is unavailable, records wait in the queue; further ones are
// dropped and counted. Records contain no prompts and no response text.
package otlp
