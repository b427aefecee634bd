// Package diagnose holds the data of a diagnosis: what is known of requests
// and deployments, and the findings about them. The packages below it produce
// and consume that data, and depend on this package, not on each other:
//
//   - imports reads logs of Azure and API Management as observations.
//   - rules adds observations up and finds the causes of 408s and 429s.
//   - replay serves the same traffic again in virtual time and predicts what
//     each remedy would change.
//   - render writes a diagnosis as text or as an HTML page.
//
// docs/DIAGNOSE.md describes the causes and the JSON.
package diagnose
