// Package chart draws the charts of every page as SVG: lines, areas, bars, dots
// and heat maps, with axes at round values, a legend, and a title and a
// description for screen readers.
//
// A chart is data: panels with axes and series. HTML contains two drawings of
// it, for wide and for narrow screens; the page's style (Style) shows one of
// them. Series differ in color, in the shape of their points, and in the dashes
// of their lines, so that color-blind readers can distinguish them. The package
// is pure: no script, no clock, no I/O.
package chart
