// Package pythontest gives tests packages of Python's, as a requirements file
// pins them.
package pythontest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// Command returns a command that runs python3 with the packages of a requirements
// file, which has the hash of each. They are installed from PyPI at the first use,
// into .venv/ at the root of the repository, and stay there until the file changes.
func Command(requirements string, args ...string) (*exec.Cmd, error) {
	dir, err := packages(requirements)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("python3", append([]string{"-B"}, args...)...)
	cmd.Env = append(os.Environ(), "PYTHONPATH="+dir)
	return cmd, nil
}

// packages returns the folder with the packages.
func packages(requirements string) (string, error) {
	wanted, err := os.ReadFile(requirements)
	if err != nil {
		return "", err
	}
	version, err := exec.Command("python3", "-c", "import sys, platform; print(sys.implementation.cache_tag, platform.machine())").Output()
	if err != nil {
		return "", fmt.Errorf("python3: %w", err)
	}
	sum := sha256.Sum256(append(wanted, version...))
	_, here, _, _ := runtime.Caller(0)
	root := filepath.Join(filepath.Dir(here), "..", "..", ".venv")
	dir := filepath.Join(root, hex.EncodeToString(sum[:8]))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return "", err
	}
	// Whoever is first puts it in place; others find it there.
	temp, err := os.MkdirTemp(root, "new-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temp)
	python := "python3"
	if exec.Command(python, "-m", "pip", "--version").Run() != nil {
		if out, err := exec.Command(python, "-m", "venv", filepath.Join(temp, "venv")).CombinedOutput(); err != nil {
			return "", fmt.Errorf("python3 has neither pip nor venv: %w\n%s", err, out)
		}
		python = filepath.Join(temp, "venv", "bin", "python")
	}
	target := filepath.Join(temp, "packages")
	pip := exec.Command(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input",
		"--require-hashes", "--only-binary", ":all:", "--target", target, "-r", requirements)
	if out, err := pip.CombinedOutput(); err != nil {
		return "", fmt.Errorf("pip: %w\n%s", err, out)
	}
	if err := os.Rename(target, dir); err != nil {
		if _, there := os.Stat(dir); there != nil {
			return "", err
		}
	}
	return dir, nil
}
