//go:build race

package e2e

// buildFlags: when the tests look for races, so do the programs they start.
var buildFlags = []string{"-race"}
