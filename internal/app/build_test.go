package app

import (
	"errors"
	"reflect"
	"testing"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/config"
	"github.com/spillway-ai/spillway/internal/proxy/gateway"
)

// TestBuildAccess gives callers the lists of their class, or their own.
func TestBuildAccess(t *testing.T) {
	const text = `
deployments: [{name: a, endpoint: "http://a", model: m}]
pools: [{name: m, tiers: [[a]]}]
classes:
  - {name: usual}
  - {name: narrow, operations: [chat, files], pools: [m]}
callers:
  - {name: usual, key: k1, class: usual}
  - {name: narrow, key: k2, class: narrow}
  - {name: own, key: k3, class: narrow, operations: ["*"], pools: ["*"]}
  - {name: half, key: k4, class: narrow, operations: [embeddings]}
anonymous: narrow
`
	none := func(string) (string, bool) { return "", false }
	cfg, err := config.Parse("c.yaml", []byte(text), none, func(string) ([]byte, error) { return nil, errors.New("no files") })
	if err != nil {
		t.Fatal(err)
	}
	built, err := build(cfg)
	if err != nil {
		t.Fatal(err)
	}
	narrow := gateway.Access{Operations: []string{"chat", "files"}, Pools: []string{"m"}}
	want := []gateway.Access{
		{Operations: spillway.DefaultOperations()},
		narrow,
		{Operations: []string{"*"}},
		{Operations: []string{"embeddings"}, Pools: []string{"m"}},
	}
	for i, c := range built.Callers {
		if !reflect.DeepEqual(c.Access, want[i]) {
			t.Errorf("%s: got %+v, want %+v", c.Name, c.Access, want[i])
		}
	}
	if !reflect.DeepEqual(built.AnonymousAccess, narrow) {
		t.Errorf("anonymous: got %+v, want %+v", built.AnonymousAccess, narrow)
	}
}
