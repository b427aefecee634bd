// Package examples embeds the configurations of this directory that the program
// itself uses.
package examples

import "embed"

// Incident is the reference incident: its fleet, and a configuration for each
// policy that is compared on it.
//
//go:embed incident/*.yaml
var Incident embed.FS
