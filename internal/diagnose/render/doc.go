// Package render writes a diagnosis for people: as text for a terminal, and as
// one HTML page with charts that needs no other file and no script. Both say
// the same; the JSON is the diagnosis itself.
package render
