// Package chart draws the charts of every page: lines, areas, bars, dots and
// heat maps in SVG, with axes at round values, a legend, and a title and a
// description for those who do not see it.
//
// A chart is data: panels with axes and series. HTML holds two drawings of it,
// for wide and for narrow screens, of which the page's style (Style) shows one. Series differ in color, which a
// color-blind reader can tell apart, and in the shape of their points or the
// dashes of their lines. The package is pure: no script, no clock, no I/O.
package chart
