package config

import (
	_ "embed"
	"slices"
)

// schema is written by `make update`, from the types of the file and their
// comments.
//
//go:embed schema.json
var schema []byte

// Schema returns the JSON Schema (draft 2020-12) of the file, ours and F5's. It
// describes shapes: that a file is valid by it does not mean that it loads.
func Schema() []byte { return slices.Clone(schema) }
