// Package imports reads logs of Azure and of other gateways as observations for
// a diagnosis: exports of ApiManagementGatewayLogs, ApiManagementGatewayLlmLog,
// AzureDiagnostics and Azure Monitor metrics, as CSV, JSON or JSON lines,
// compressed or not. A file is recognized by its columns.
//
// The steps of an import: [source] decompresses and decodes a file; [file]
// detects its layout and table and yields each [row]; [extractor] turns a row
// into a [piece], a few numbers under the request's correlation id; [spill]
// writes the pieces to a temporary file, partitioned by id. Then one partition
// at a time is sorted, the pieces of each request are joined, and the requests
// are partitioned again, by time. So memory is bounded for files of any size,
// and observations are ordered by time.
//
// docs/IMPORT.md describes how to export the tables, and what each column gives.
package imports
