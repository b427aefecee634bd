// Package imports reads the logs of other gateways and of Azure as observations
// for a diagnosis: exports of
// ApiManagementGatewayLogs, ApiManagementGatewayLlmLog, AzureDiagnostics and
// Azure Monitor metrics, as CSV, JSON or JSON lines, packed or not. A file is
// recognized by its columns.
//
// A row takes this way: [source] unpacks and decodes the file, [file] finds its
// layout and its table and yields each [row], [extractor] turns the row into a
// [piece], a few numbers under the request's correlation id. A [spill] holds
// the pieces in a temporary file, divided by id. One division at a time is
// sorted, the pieces of each request are joined, and the requests are divided
// again, by time. So memory is bounded whatever the files' sizes, and
// observations come in the order of time.
//
// docs/IMPORT.md says how to export the tables, and what each column gives.
package imports
