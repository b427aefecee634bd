package clients

import (
	"flag"
	"testing"
)

var matrix = flag.Bool("matrix", false, "run the tests of the libraries that scripts/matrix.sh installs")

// TestMatrixPython runs the tests of Python frameworks, in two environments because not
// all of them work with the same openai-python, and openai-python's own.
func TestMatrixPython(t *testing.T) {
	if !*matrix {
		t.Skip("takes minutes; run it with make matrix")
	}
	startSecure(t)
	for _, run := range []struct{ dir, environment, command string }{
		{"openai3", "openai3", "-mpytest"},
		{"openai2", "openai2", "-mpytest"},
		{"own", "openai3", "run.py"},
	} {
		t.Run(run.dir, func(t *testing.T) {
			suite(t, "matrix/python/"+run.dir, ".cache/matrix/python/"+run.environment+"/bin/python", run.command)
		})
	}
}
