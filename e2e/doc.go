// Package e2e holds scripts that run attache with a real Envoy. They are also
// the tutorial: each file of testdata is one story, told in the order in which
// a user would live it. See e2e_test.go for the commands that they use beside
// testscript's own.
package e2e
