package gateway

import (
	"slices"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// Access is what a caller may do. The zero Access allows the default operations
// in every pool.
type Access struct {
	// Operations are names of spillway.Operations, or OperationAll; nil means
	// spillway.DefaultOperations.
	Operations []string
	// Pools are names of pools; nil means all.
	Pools []string
}

// permissions is an Access for look-ups. It is immutable.
type permissions struct {
	operations map[string]bool // nil allows all
	pools      map[string]bool // by name; nil allows all
}

// permissions returns a for look-ups.
func (a Access) permissions() *permissions {
	p := &permissions{}
	operations := a.Operations
	if operations == nil {
		operations = spillway.DefaultOperations()
	}
	if !slices.Contains(operations, spillway.OperationAll) {
		p.operations = set(operations)
	}
	if a.Pools != nil {
		p.pools = set(a.Pools)
	}
	return p
}

// set makes a set of names.
func set(names []string) map[string]bool {
	s := make(map[string]bool, len(names))
	for _, name := range names {
		s[name] = true
	}
	return s
}

// check returns the refusal of a request with that path and method, or nil.
func (p *permissions) check(path *wire.Path, method string) *wire.Error {
	name := path.Permission(method)
	if p.operations == nil || p.operations[name] {
		return nil
	}
	return new(wire.NotAllowed(path.Family, name))
}

// usable returns the pool, or nil where the caller may not use it: then nothing
// says that it exists.
func (p *permissions) usable(of *pool) *pool {
	if of == nil || p.pools == nil || p.pools[of.name] {
		return of
	}
	return nil
}
