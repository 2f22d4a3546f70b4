// Package measuring is what the programs below bench have in common: processes
// whose CPU and memory are measured, the machine that the figures come from, and
// where figures are kept. It needs Linux.
package measuring
