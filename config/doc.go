// Package config reads Attaché's one file: agentgateway's YAML tree plus two
// sections in F5's words, processors and profiles.
//
// [Parse] turns text into a [Config]. The work is done in four
// steps, each in a file of its own:
//
//   - expand.go replaces variables in scalar nodes, by shellexpand's rules;
//   - decode.go walks the YAML nodes beside the Go types of file.go, so that
//     every mistake has a line and a column and all of them are reported;
//   - resolve.go turns the file's shape, old spellings included, into the one
//     model of config.go that the rest of the program reads, and f5.go does so
//     for F5's own file, which dialect.go recognises;
//   - rules.go checks what no single key can know: duplicates, references,
//     keys that exclude each other, rules that can never match.
//
// Errors are *[multierror.Error] of *[Error], in file order. The package has
// no effects beyond reading the files that the configuration names, and a
// Config is read-only once it is returned.
package config
