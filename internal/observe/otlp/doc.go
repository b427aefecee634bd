// Package otlp gives the records of requests, and the metrics beside them, to
// an OpenTelemetry collector: a trace and a log event for each request, in the
// names of the semantic conventions for generative AI, over gRPC or HTTP.
//
// Nothing here may slow a request down. Record copies the record into a bounded
// queue; one goroutine makes spans and events of what has gathered and sends
// them. While the collector is away records wait in the queue; those beyond it
// are lost and counted. Prompts and answers are not in records, so neither are
// they here.
package otlp
