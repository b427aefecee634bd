// Package config reads the configuration file: one YAML document, decoded
// strictly, with every error told at once with its line, column and cure.
//
// The structs of this package are the schema. Their tags hold each option's
// name, default, bounds and description, and from them alone come the decoder,
// the effective configuration, docs/CONFIG.md and docs/spillway.schema.json:
//
//	yaml      name of the option
//	default   value when the option is absent, written as in the file
//	required  the option must be given
//	enum      the words it may hold, separated by |
//	min, max  bounds, inclusive, written as in the file
//	doc       what it does, for the reference
//
// A Config is not changed after Load and may be shared.
package config

//go:generate go test . -run TestReference -update
