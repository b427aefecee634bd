package app

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// FindProgram returns the path of one of the programs that come with spillway
// and that target of the Makefile builds: beside this program, or in PATH.
func FindProgram(name, target string) (string, error) {
	if own, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(own), name)
		if info, err := os.Stat(beside); err == nil && info.Mode().IsRegular() {
			return beside, nil
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%s is not in the directory of spillway or in PATH; build it with %s, or copy it there", name, target)
	}
	return path, nil
}
