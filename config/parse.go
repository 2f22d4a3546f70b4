package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Options are what reading a file may depend on beside its text. The zero
// value reads the process environment and the file system.
type Options struct {
	// LookupEnv finds a variable. Default [os.LookupEnv].
	LookupEnv func(name string) (value string, ok bool)
	// ReadFile reads a file that the configuration names. Default
	// [os.ReadFile].
	ReadFile func(path string) ([]byte, error)
	// Now is the time at which certificates should be valid. Default
	// [time.Now].
	Now func() time.Time
	// AllowUnsetEnv reads variables that are not set as the word "unset", so
	// that a file can be checked where its secrets are not known.
	AllowUnsetEnv bool
	// Previous is a configuration that was read before, from a text that may differ
	// in little; nil if there is none. It changes nothing but how long reading
	// takes, as long as variables have the same values.
	Previous *Config
	// Check looks at what this package cannot judge, such as params, and
	// returns a list of *[Error] or nil. It is called for files with mistakes
	// as well, so that everything is told at once; what it says about mistaken
	// places is dropped. Default: no check.
	Check func(*Config) error
}

func (o Options) withDefaults() Options {
	if o.LookupEnv == nil {
		o.LookupEnv = os.LookupEnv
	}
	if o.ReadFile == nil {
		o.ReadFile = os.ReadFile
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// lookup is LookupEnv as the expansion sees it.
func (o Options) lookup(name string) (string, bool) {
	value, ok := o.LookupEnv(name)
	if !ok && o.AllowUnsetEnv {
		return "unset", true
	}
	return value, ok
}

// Parse reads a configuration. Name is used in errors only. The error is nil
// or a *[multierror.Error] of *[Error] with every mistake in file order.
func Parse(name string, src []byte, opts Options) (*Config, error) {
	opts = opts.withDefaults()
	var errs []*Error
	t, ok := opts.patchedTree(name, src)
	if !ok {
		if t, errs = parseTree(name, src, opts.lookup); t == nil {
			return nil, Join(errs)
		}
	}
	cfg, more := resolveTree(name, t, opts, errs)
	errs = append(errs, more...)
	if opts.Check != nil && cfg != nil {
		errs = append(errs, elsewhere(Errors(opts.Check(cfg)), errs)...)
	}
	if err := Join(firstPerPlace(errs)); err != nil {
		return nil, err
	}
	return cfg, nil
}

// elsewhere keeps the errors that are not at, above or below the places of the
// known ones: they may only follow from them.
func elsewhere(errs, known []*Error) []*Error {
	within := func(a, b string) bool {
		return a == b || strings.HasPrefix(a, b) && (a[len(b)] == '.' || a[len(b)] == '[')
	}
	return slices.DeleteFunc(errs, func(e *Error) bool {
		return slices.ContainsFunc(known, func(k *Error) bool {
			return k.Path != "" && (within(e.Path, k.Path) || within(k.Path, e.Path))
		})
	})
}

// resolveTree decodes the tree in its dialect and makes the model of it. earlier
// are the mistakes of the tree.
func resolveTree(name string, t *tree, opts Options, earlier []*Error) (*Config, []*Error) {
	root, r := t.root, newResolver(name, t, opts)
	d := &decoder{file: name}
	r.refused(earlier)
	if sign := f5Sign(root); sign == "" {
		var f file
		d.decode(root, &f)
		r.refused(d.list)
		r.resolve(&f)
	} else {
		if mixed := mixture(name, root, sign); len(mixed) > 0 {
			return nil, mixed
		}
		var f f5File
		d.decode(root, &f)
		r.refused(d.list)
		r.resolveF5(&f)
	}
	r.cfg.Warnings = append(r.cfg.Warnings, d.deprecated...)
	r.cfg.renames = d.renames
	slices.SortStableFunc(r.cfg.Warnings, func(a, b *Error) int { return a.Line - b.Line })
	slices.Sort(r.cfg.Named)
	r.cfg.Named = slices.Compact(r.cfg.Named)
	return r.cfg, append(d.list, r.list...)
}

// parentPath cuts the last key off a path.
func parentPath(path string) string { return path[:max(strings.LastIndexByte(path, '.'), 0)] }

// firstPerPlace keeps one error per place: a value of the wrong type need not
// also be called missing or out of range.
func firstPerPlace(errs []*Error) []*Error {
	type place struct {
		line, column int
		path         string
	}
	seen := map[place]bool{}
	return slices.DeleteFunc(errs, func(e *Error) bool {
		p := place{e.Line, e.Column, e.Path}
		if seen[p] {
			return true
		}
		seen[p] = true
		return false
	})
}

// ReadFile reads a file that a part of the configuration with a schema of its
// own names, relative to the working directory, and adds it to Named. It is
// for those who build from a configuration that nobody shares yet.
func (c *Config) ReadFile(name string) ([]byte, error) {
	abs, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	if i, found := slices.BinarySearch(c.Named, abs); !found {
		c.Named = slices.Insert(c.Named, i, abs)
	}
	return c.readFile(abs)
}

// Errorf returns an error at a path, or at the nearest place above it that the
// file has.
func (c *Config) Errorf(path string, kind Kind, format string, args ...any) *Error {
	e := c.at(path)
	e.Kind, e.Msg = kind, fmt.Sprintf(format, args...)
	return &e
}

// at is an error at a path that says nothing yet.
func (c *Config) at(path string) Error {
	e := Error{File: c.File, Line: 1, Column: 1, Path: path}
	if c.tree != nil {
		n := c.tree.root.at(path)
		e.Line, e.Column = int(n.line), int(n.column)
	}
	return e
}

// Place is "file:line:col: path" of a path in the file.
func (c *Config) Place(path string) string {
	e := c.at(path)
	return e.Place()
}

// Where is "path (line n)", for messages about another place of the same file.
func (c *Config) Where(path string) string {
	return fmt.Sprintf("%s (line %d)", path, c.at(path).Line)
}
