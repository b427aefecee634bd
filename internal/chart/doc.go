// Package chart draws the charts of every page: lines, areas, bars, dots and
// heat maps in SVG, with axes at round values, a legend, and a title and a
// description for those who do not see it.
//
// A chart is data: panels with axes and series. SVG draws it at one width, as
// text of a constant size; HTML holds two drawings, of which the page's style
// (Style) shows the one that suits the screen. Series differ in color, which a
// color-blind reader can tell apart, and in the shape of their points or the
// dashes of their lines. The package is pure: no script, no clock, no I/O.
package chart
