// Package config reads the configuration file: one YAML document, decoded
// strictly. All errors are reported together, each with its line, column and
// how to fix it.
//
// The structs of this package are the schema. Their tags hold each option's
// name, default, bounds and description. The decoder, the effective
// configuration, docs/CONFIG.md and docs/spillway.schema.json are derived from
// them:
//
//	yaml      name of the option
//	default   value when the option is absent, written as in the file
//	required  the option must be present
//	enum      the allowed words, separated by |
//	min, max  bounds, inclusive, written as in the file
//	doc       description, for the reference
//
// A Config is not changed after Load and may be shared.
package config

//go:generate go test . -run TestReference -update
