// Package plan finds how much capacity to buy: the fewest PTUs, and the
// cheapest mix of PTUs with standard spillover, with which a workload meets
// its service level.
//
// It decides by simulation. Every candidate is a fleet on which package whatif
// runs the workload, and the figures of package report decide whether it meets
// the service level. The fluid estimate of the work is only the starting point.
//
// Known limitations: it plans one model and one provisioned deployment; the
// meter and the queues start empty; the month is like the workload; Azure's
// own spillover is not considered.
package plan
