// Package pattern finds the matches of a set of regular expressions.
package pattern
