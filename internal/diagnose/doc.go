// Package diagnose holds the data of a diagnosis: observations of requests,
// profiles of deployments, and findings. The packages below it produce and
// consume that data; they depend on this package, not on each other:
//
//   - imports reads logs of Azure and API Management as observations.
//   - rules aggregates observations and finds the causes of 408s and 429s.
//   - replay simulates the same traffic and predicts what each remedy would
//     change.
//   - render writes a diagnosis as text or as an HTML page.
//
// docs/DIAGNOSE.md describes the causes and the JSON.
package diagnose
