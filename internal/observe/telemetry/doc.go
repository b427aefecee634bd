// Package telemetry outputs the records of requests as JSON lines (Writer) and
// as Prometheus metrics (Metrics).
//
// It never delays a request: Record methods do not block and do not allocate
// after warm-up, and dropped records are counted. A record contains no prompt,
// response text or secret, so neither do the lines and the labels.
package telemetry
