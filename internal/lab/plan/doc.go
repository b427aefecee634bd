// Package plan answers how much capacity to buy: the fewest PTUs, and the
// cheapest mix of PTUs with standard spillover, with which a workload meets
// its service level.
//
// It decides by simulation. Every candidate is a fleet that package whatif
// runs the workload on, and the figures of package report decide whether it
// holds. The fluid estimate of the work says only where to begin.
//
// Known limitations: it plans one model and one provisioned deployment; the
// meter and the queues begin empty; the month is like the workload; Azure's
// own spillover is not among the alternatives.
package plan
