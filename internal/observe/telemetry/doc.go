// Package telemetry takes the records that requests leave and gives them to
// the operator: as JSON lines (Writer) and as Prometheus metrics (Metrics).
//
// Nothing here may slow a request down: Record methods do not block, do not
// allocate after warm-up, and what cannot be kept is counted. A record holds no
// prompt, answer or secret, so neither do the lines and the labels.
package telemetry
