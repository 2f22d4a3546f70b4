package config

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestSchemaReference holds docs/reference.md to the types of the file. It is
// named so that -run TestSchema -update rewrites both.
func TestSchemaReference(t *testing.T) {
	generated(t, "../docs/reference.md", newReference(readComments(t)).page())
}

const referenceIntro = `# Reference

<!-- Written by make update from the comments in config/file*.go; edit them. -->

Every key of [the file](file.md), which explains them with examples; this page is
for looking things up. ` + "`attache schema`" + ` prints the same for editors: see
[operation.md](operation.md#in-an-editor).

Keys in **bold** are required. A value of any type may be a
[variable](file.md#variables). Durations are 100ms, 10s or 1h30m. *Envoy* tells what
a key becomes, *Differs* what is not as in agentgateway. Keys of agentgateway that
are not supported yet are an error that says so; each section lists them at its
end.
`

const referenceF5 = `
The keys of an aigw.yaml; see [f5.md](f5.md). profiles and processors are those of
our own file, and Attaché's own keys in them work there too.
`

// reference writes the page: one section for each mapping, at the shortest path
// that leads to it.
type reference struct {
	comments comments
	sections []*section
	byType   map[reflect.Type]*section
}

// section is one mapping and the table of its keys.
type section struct {
	typ reflect.Type
	// path leads there from the top of the file; f5 tells of which file.
	path []string
	f5   bool
	// title is the end of the path, as far as it tells the section from others.
	title string
	// below are the sections of its keys, also the other ones in which it stands
	// at some key.
	below, also []*section
}

func newReference(c comments) *reference {
	r := &reference{comments: c, byType: map[reflect.Type]*section{}}
	r.collect(&section{typ: reflect.TypeFor[file](), title: "The file"})
	r.collect(&section{typ: reflect.TypeFor[f5File](), title: "F5's own file", f5: true})
	for _, s := range r.sections {
		for n := 1; s.title == ""; n++ {
			if n == len(s.path) || !slices.ContainsFunc(r.sections, func(o *section) bool { return o != s && o.f5 == s.f5 && slug(s.end(n)) == slug(o.end(n)) }) {
				s.title = s.end(n)
			}
		}
		if s.f5 && len(s.path) > 0 {
			s.title = "F5's " + s.title
		}
	}
	return r
}

// end is the last n steps of the path.
func (s *section) end(n int) string { return strings.Join(s.path[max(len(s.path)-n, 0):], ".") }

// collect adds a file and what is below it, level by level.
func (r *reference) collect(root *section) {
	r.byType[root.typ] = root
	for level := []*section{root}; len(level) > 0; level = level[1:] {
		s := level[0]
		r.sections = append(r.sections, s)
		for _, k := range r.comments.keysOf(s.typ) {
			for _, m := range mappings(k.typ, k.name) {
				if m.named {
					continue
				}
				known := r.byType[m.typ]
				if known == nil {
					known = &section{typ: m.typ, path: append(slices.Clone(s.path), m.step), f5: s.f5}
					r.byType[m.typ] = known
					s.below, level = append(s.below, known), append(level, known)
				} else if !slices.Contains(append(known.also, known), s) && !slices.Contains(s.below, known) {
					known.also = append(known.also, s)
				}
			}
		}
	}
}

func (r *reference) page() string {
	var b strings.Builder
	b.WriteString(referenceIntro)
	for _, s := range r.sections {
		if len(s.path) == 0 {
			r.section(&b, s)
		}
	}
	return b.String()
}

func (r *reference) section(b *strings.Builder, s *section) {
	switch {
	case len(s.path) > 1 || s.f5 && len(s.path) > 0:
		fmt.Fprintf(b, "\n### %s\n", s.title)
	default:
		fmt.Fprintf(b, "\n## %s\n", s.title)
	}
	if len(s.path) > 0 {
		r.place(b, s)
	} else if s.f5 {
		b.WriteString(referenceF5)
	}
	r.table(b, s)
	r.unsupported(b, s)
	for _, below := range s.below {
		r.section(b, below)
	}
}

// place tells where a section stands and what it is.
func (r *reference) place(b *strings.Builder, s *section) {
	if s.end(len(s.path)) != s.title || len(s.also) > 0 {
		fmt.Fprintf(b, "\n`%s`", s.end(len(s.path)))
		for i, a := range s.also {
			b.WriteString([]string{"; also in ", ", "}[min(i, 1)] + a.link(a.title))
		}
		b.WriteString("\n")
	}
	if text := r.comments.summary(s.typ); text != "" {
		b.WriteString("\n" + prose(text) + "\n")
	}
}

func (r *reference) table(b *strings.Builder, s *section) {
	keys := r.comments.keysOf(s.typ)
	if len(keys) > 0 {
		b.WriteString("\n| Key | Type | Default | |\n|---|---|---|---|\n")
	}
	for _, k := range keys {
		name := code(k.name)
		if k.required {
			name = "**" + name + "**"
		}
		for _, old := range k.old {
			name += "<br>once " + code(old)
		}
		text := prose(k.text)
		for _, part := range []struct{ label, text string }{{"Envoy", k.envoy}, {"Differs", k.differs}} {
			if part.text != "" {
				text += "<br>*" + part.label + ":* " + prose(part.text)
			}
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", name, r.typeOf(k), k.defaultText(), text)
	}
}

// unsupported lists the keys that are refused by name, those with an answer of
// their own with it.
func (r *reference) unsupported(b *strings.Builder, s *section) {
	answers := shapeOf(s.typ).notYet
	var notYet, refused []string
	for _, name := range words(answers) {
		if answer, ok := refusedKeys[name]; ok && answer == answers[name] {
			refused = append(refused, code(name)+": "+prose(answer))
		} else {
			notYet = append(notYet, code(name))
		}
	}
	if len(notYet) > 0 {
		fmt.Fprintf(b, "\n<sub>Not supported yet: %s.</sub>\n", strings.Join(notYet, ", "))
	}
	if len(refused) > 0 {
		fmt.Fprintf(b, "\n<sub>Refused: %s.</sub>\n", strings.Join(refused, ". "))
	}
}

// typeOf names the type of a key, with a link if it is a section.
func (r *reference) typeOf(k key) string {
	t := k.typ
	if forms, ok := toldOrGuessed(t); ok {
		var all []string
		for _, f := range forms {
			all = append(all, r.formOf(f))
		}
		return strings.Join(all, " or ")
	}
	elem := func() string { k.typ = t.Elem(); return r.typeOf(k) }
	switch t.Kind() {
	case reflect.Pointer:
		return elem()
	case reflect.Slice:
		return "list of " + plural(elem())
	case reflect.Map:
		return "map of " + plural(elem())
	case reflect.Struct:
		return r.byType[t].link("mapping")
	case reflect.String:
		if len(k.words) == 0 {
			return "string"
		}
		text := codes(k.words)
		if len(k.wordsNotYet) > 0 {
			text += "<br><sub>not yet: " + codes(k.wordsNotYet) + "</sub>"
		}
		return text
	case reflect.Bool:
		return "true or false"
	case reflect.Interface:
		return "anything"
	case reflect.Float32, reflect.Float64:
		return "number"
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		return fmt.Sprintf("whole number, at most %d", uint64(1)<<t.Bits()-1)
	default:
		return "whole number"
	}
}

func plural(name string) string {
	return strings.NewReplacer("string", "strings", "[mapping]", "[mappings]").Replace(name)
}

// defaultText is the default; a value is set as code, a description is not.
func (k key) defaultText() string {
	text := strings.TrimSuffix(k.deflt, ".")
	if slices.Contains(append(k.words, "true", "false", "0", "1"), text) {
		return code(text)
	}
	return prose(text)
}

func (r *reference) formOf(f form) string {
	switch {
	case f.name != "":
		return f.name
	case len(f.words) > 0:
		return codes(f.words)
	case f.isMapping():
		return r.byType[reflect.TypeOf(f.like)].link("mapping")
	}
	return r.typeOf(key{typ: reflect.TypeOf(f.like)})
}

func (s *section) link(text string) string { return "[" + text + "](#" + slug(s.title) + ")" }

// slug is the anchor that GitHub gives to a heading.
func slug(title string) string {
	kept := regexp.MustCompile(`[^a-z0-9 _-]`).ReplaceAllString(strings.ToLower(title), "")
	return strings.ReplaceAll(kept, " ", "-")
}

func code(s string) string { return "`" + s + "`" }

func codes(words []string) string {
	all := make([]string, len(words))
	for i, w := range words {
		all[i] = code(w)
	}
	return strings.Join(all, ", ")
}

// spelt is what a word of a comment is set as code for: a variable, a flag, a
// path, an address, a duration, a name with a capital or an underscore inside,
// and what has dots, slashes or brackets between letters.
var spelt = regexp.MustCompile(`^(` + strings.Join([]string{
	`\$\w+`, `--[a-z-]+`, `/\S*`, `\*\.\S+`, `\[\S+\]:?\S*`, `[\w.]*:\S+`, `\d+(\.\d+){3}`, `\d+(ms|s|m|h)`,
	`[a-z]{2,}\w*[A-Z]\w*`, `\w+_\w+`, `x-[a-z-]+`,
	`[\w.\[\]<>/|-]*([\[<|]|[a-z]\.[a-z]|[a-z0-9]/[a-z])[\w.\[\]<>/|-]*`,
}, "|") + `)$`)

// prose is the text of a comment as Markdown.
func prose(text string) string {
	fields := strings.Fields(text)
	for i, word := range fields {
		bare := strings.TrimRight(word, ".,;:")
		if bare = strings.TrimSuffix(bare, "'s"); spelt.MatchString(bare) {
			fields[i] = code(strings.ReplaceAll(bare, "|", `\|`)) + word[len(bare):]
		} else {
			fields[i] = markdownEscapes.Replace(word)
		}
	}
	return strings.Join(fields, " ")
}

var markdownEscapes = strings.NewReplacer("|", `\|`, "*", `\*`, "<", "&lt;", "[", `\[`)

// TestSchemaReferenceAnchors: every link of the page leads to one heading.
func TestSchemaReferenceAnchors(t *testing.T) {
	page := newReference(readComments(t)).page()
	headings := map[string]int{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(page, -1) {
		headings[slug(m[1])]++
	}
	links := regexp.MustCompile(`\]\(#([^)]*)\)`).FindAllStringSubmatch(page, -1)
	for _, m := range links {
		if headings[m[1]] != 1 {
			t.Errorf("#%s is the anchor of %d headings", m[1], headings[m[1]])
		}
	}
	if len(links) < 20 {
		t.Errorf("only %d links were found", len(links))
	}
}
