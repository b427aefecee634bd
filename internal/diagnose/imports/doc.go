// Package imports reads what others' gateways and Azure itself log of LLM
// requests, as observations for a diagnosis: exports of
// ApiManagementGatewayLogs, ApiManagementGatewayLlmLog, AzureDiagnostics and
// Azure Monitor metrics, as CSV, JSON or JSON lines, packed or not. A file is
// recognised by its columns.
//
// The way of a row: it is read ([source]), its values are found by the names of
// their columns ([row]), and what they say becomes a [piece], a few numbers
// under the request's correlation id. Pieces are written to a temporary file,
// divided by id; one division at a time is sorted and those of one request are
// joined; what comes of it is divided again, by time. So memory is bounded
// whatever the files' sizes, and observations come in the order of time.
//
// docs/IMPORT.md says how to export the tables, and what each column gives.
package imports
