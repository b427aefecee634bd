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

// matrixSuite runs a suite with a program that scripts/matrix.sh installed.
func matrixSuite(t *testing.T, dir, program string, args ...string) {
	if !*matrix {
		t.Skip("takes minutes with its installation; run it with make matrix")
	}
	suite(t, "matrix/"+dir, ".cache/matrix/bin/"+program, args...)
}
