// Package diagnose says why there are 408s and 429s: it reads what requests
// left behind, once and in bounded memory, and answers with ranked findings as
// data, each with its evidence, what it is not, and a remedy.
//
// A Collector takes observations, one for every try of a client, and adds them
// up by minute and deployment, by caller, and over all. Rules then read the
// sums; each stands in a file of its own with its thresholds. docs/DIAGNOSE.md
// describes them and the JSON.
//
// It is pure: no clock, no files. Nothing in it is safe for concurrent use.
//
// Known limitations: what a deployment can do is inferred unless it is told; a
// gateway that refuses by itself hides the upstream refusals that it avoids.
package diagnose
