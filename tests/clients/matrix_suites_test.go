package clients

import (
	"flag"
	"testing"
)

var matrix = flag.Bool("matrix", false, "run the tests of the libraries that scripts/matrix.sh installs")

// TestMatrixNode runs the tests of libraries for Node.js.
func TestMatrixNode(t *testing.T) {
	matrixSuite(t, "node", "node", "--test", "--test-concurrency=4")
}

// TestMatrixJava runs the tests of openai-java.
func TestMatrixJava(t *testing.T) {
	matrixSuite(t, "java", "mvn", "--offline", "--batch-mode", "test")
}

// TestMatrixPython runs the tests of Python frameworks, in two environments because not
// all of them work with the same openai-python, and openai-python's own.
func TestMatrixPython(t *testing.T) {
	needMatrix(t)
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

// matrixSuite runs a suite with a program that scripts/matrix.sh installed.
func matrixSuite(t *testing.T, dir, program string, args ...string) {
	needMatrix(t)
	suite(t, "matrix/"+dir, ".cache/matrix/bin/"+program, args...)
}

func needMatrix(t *testing.T) {
	if !*matrix {
		t.Skip("takes minutes with its installation; run it with make matrix")
	}
}
