package inflate_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"go.uber.org/goleak"

	"github.com/attache-dev/attache/extprocsvc/inflate"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// A writer is an encoder that can flush.
type writer interface {
	io.WriteCloser
	Flush() error
}

// must is for encoders with settings that are right.
func must[W writer](w W, err error) writer {
	if err != nil {
		panic(err)
	}
	return w
}

// encoders are the other side, by what they are called in tests.
var encoders = map[string]struct {
	coding string
	open   func(io.Writer) writer
}{
	"gzip":          {"gzip", func(w io.Writer) writer { return gzip.NewWriter(w) }},
	"x-gzip":        {"x-gzip", func(w io.Writer) writer { return gzip.NewWriter(w) }},
	"zlib":          {"deflate", func(w io.Writer) writer { return zlib.NewWriter(w) }},
	"bare deflate":  {"deflate", func(w io.Writer) writer { return must(flate.NewWriter(w, 6)) }},
	"stored":        {"deflate", func(w io.Writer) writer { return must(flate.NewWriter(w, flate.NoCompression)) }},
	"br":            {"br", func(w io.Writer) writer { return brotli.NewWriterLevel(w, 4) }},
	"zstd":          {"zstd", func(w io.Writer) writer { return must(zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))) }},
	"zstd, one use": {"zstd", func(w io.Writer) writer { return must(zstd.NewWriter(w, zstd.WithSingleSegment(true))) }},
}

// encode makes a body of texts, flushed behind each.
func encode(t testing.TB, name string, texts ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := encoders[name].open(&b)
	for _, text := range texts {
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// decode reads pieces.
func decode(list []string, limit int64, pieces ...[]byte) (string, error) {
	d := inflate.New(list, limit)
	defer d.Stop()
	var out bytes.Buffer
	take := func(b []byte) error { out.Write(b); return nil }
	for _, p := range pieces {
		if err := d.Write(p, take); err != nil {
			return out.String(), err
		}
	}
	err := d.Close(take)
	return out.String(), err
}

// cut cuts a body at random.
func cut(rng *rand.Rand, body []byte) (pieces [][]byte) {
	for len(body) > 0 {
		n := 1 + rng.IntN(min(len(body), 1+rng.IntN(200)))
		pieces = append(pieces, body[:n])
		body = body[n:]
	}
	return pieces
}

func texts(n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprintf("data: {\"n\":%d,\"delta\":\"word %d, \"}\n\n", i, i*i))
	}
	return list
}

func TestEveryCut(t *testing.T) {
	for name, e := range encoders {
		for _, all := range [][]string{{"x"}, texts(4), {strings.Repeat("a", 20_000), "b"}} {
			want := strings.Join(all, "")
			body := encode(t, name, all...)
			for at := range len(body) + 1 {
				if got, err := decode([]string{e.coding}, 1<<20, body[:at], body[at:]); got != want || err != nil {
					t.Fatalf("%s cut at %d: %d bytes, %v", name, at, len(got), err)
				}
			}
		}
	}
}

// What has been flushed is there before anything else comes.
func TestFlushedIsThereAtOnce(t *testing.T) {
	for name, e := range encoders {
		if name == "zstd, one use" {
			continue // it is for bodies whose size is known
		}
		var b bytes.Buffer
		w := e.open(&b)
		d := inflate.New([]string{e.coding}, 1<<20)
		for i, text := range texts(500) {
			if _, err := io.WriteString(w, text); err != nil {
				t.Fatal(err)
			}
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
			var got []byte
			if err := d.Write(b.Bytes(), func(p []byte) error { got = append(got, p...); return nil }); err != nil || string(got) != text {
				t.Fatalf("%s: text %d: got %q, %v", name, i, got, err)
			}
			b.Reset()
		}
		w.Close()
		d.Stop()
		d.Stop()
	}
}

func TestSeveralCodings(t *testing.T) {
	want := strings.Join(texts(50), "")
	for _, c := range []struct {
		values []string
		layers []string
	}{
		{nil, nil},
		{[]string{"identity"}, nil},
		{[]string{" GZip ,, Identity"}, []string{"gzip"}},
		{[]string{"gzip, br"}, []string{"gzip", "br"}},
		{[]string{"br", "deflate"}, []string{"br", "zlib"}},
		{[]string{"zstd,zstd"}, []string{"zstd", "zstd"}},
	} {
		list, ok := inflate.Codings(c.values...)
		body := []byte(want)
		for _, l := range c.layers {
			body = encode(t, l, string(body))
		}
		if !ok || len(list) != len(c.layers) {
			t.Fatalf("%q: %q, %v", c.values, list, ok)
		}
		for range 20 {
			rng := rand.New(rand.NewPCG(1, 2))
			if got, err := decode(list, 1, cut(rng, body)...); got != want || err != nil {
				t.Fatalf("%q: %d bytes, %v", c.values, len(got), err)
			}
		}
	}
	for _, values := range [][]string{{"compress"}, {"gzip, aws-chunked"}, {"gzip", "br, gzip"}, {"dcb"}, {"gzip;q=1"}} {
		if list, ok := inflate.Codings(values...); ok {
			t.Errorf("%q: got %q", values, list)
		}
	}
}

func TestMembers(t *testing.T) {
	for _, name := range []string{"gzip", "zstd"} {
		body := append(encode(t, name, "one, "), encode(t, name, "two")...)
		for at := range body {
			if got, err := decode([]string{name}, 1, body[:at], body[at:]); got != "one, two" || err != nil {
				t.Fatalf("%s cut at %d: %q, %v", name, at, got, err)
			}
		}
	}
}

// What is cut off, what follows the end, and what is not of the encoding are
// errors, wherever they are cut; what has come before is what was said.
func TestCorrupt(t *testing.T) {
	want := strings.Join(texts(4), "")
	for name, e := range encoders {
		body := encode(t, name, texts(4)...)
		for n := 1; n < len(body); n++ {
			got, err := decode([]string{e.coding}, 1<<20, body[:n])
			switch {
			case e.coding == "zstd" && n < 4 && err == nil && got == "":
				continue // less than its magic number
			case err == nil, !strings.HasPrefix(want, got):
				t.Fatalf("%s, %d of %d bytes: %q, %v", name, n, len(body), got, err)
			}
		}
		for _, tail := range []string{"data: 123-45-6789\n\n", "\x00\x00\x00\x00\x00\x00\x00\x00"} {
			long := append(bytes.Clone(body), tail...)
			for at := range long {
				got, err := decode([]string{e.coding}, 1<<20, long[:at], long[at:])
				var bad *inflate.Corrupt
				if got != want || !errors.As(err, &bad) || strings.Contains(err.Error(), "123-45") {
					t.Fatalf("%s cut at %d: %q, %v", name, at, got, err)
				}
			}
		}
		for _, other := range []string{want, "{}", "\x1f\x8b\x08", "\x28\xb5\x2f\xfd\x00"} {
			if got, err := decode([]string{e.coding}, 1<<20, []byte(other)); err == nil {
				t.Errorf("%s of %q: got %q", name, other, got)
			}
		}
		if got, err := decode([]string{e.coding}, 1<<20); got != "" || err != nil {
			t.Errorf("%s of nothing: %q, %v", name, got, err)
		}
	}
}

// A body is bounded by what came of it, in each of its layers, and what is taken
// at a time is small.
func TestBombs(t *testing.T) {
	const limit = 64 << 10
	zeros := strings.Repeat("\x00", 8<<20)
	for name, e := range encoders {
		if name == "stored" {
			continue
		}
		body := encode(t, name, zeros)
		list := []string{e.coding}
		for range 2 {
			d := inflate.New(list, limit)
			total := 0
			take := func(b []byte) error {
				if total += len(b); len(b) > 64<<10 {
					t.Fatalf("%s: %d bytes at a time", name, len(b))
				}
				return nil
			}
			err := d.Write(body, take)
			if !errors.Is(err, inflate.ErrTooLarge) || total > limit+inflate.MaxRatio*len(body)+64<<10 {
				t.Errorf("%q: %d bytes of %d, %v", list, total, len(body), err)
			}
			d.Stop()
			body, list = encode(t, name, string(body)), append(list, e.coding)
		}
	}
	// Nothing comes of it, but work.
	empty := encode(t, "gzip", strings.Repeat(string(encode(t, "gzip")), 50_000))
	if _, err := decode([]string{"gzip", "gzip"}, limit, empty); !errors.Is(err, inflate.ErrTooLarge) {
		t.Errorf("many empty members: %v", err)
	}
	// What is only well compressed is no bomb.
	text := strings.Join(texts(5_000), "")
	for name, e := range encoders {
		if got, err := decode([]string{e.coding}, 1, encode(t, name, text)); got != text || err != nil {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}

func TestTakeEndsIt(t *testing.T) {
	enough := errors.New("enough")
	d := inflate.New([]string{"gzip"}, 1<<20)
	defer d.Stop()
	if err := d.Write(encode(t, "gzip", texts(10)...), func([]byte) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
}

// However long a stream is, what is remembered of it is bounded.
func TestHeld(t *testing.T) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	d := inflate.New([]string{"gzip"}, 1<<20)
	defer d.Stop()
	for i, text := range texts(5_000) {
		io.WriteString(w, text)
		w.Flush()
		if err := d.Write(b.Bytes(), func([]byte) error { return nil }); err != nil {
			t.Fatal(err)
		}
		b.Reset()
		if held := d.Held(); held > 64<<10 || i > 1000 && held == 0 {
			t.Fatalf("%d bytes after %d events", held, i)
		}
	}
}

// FuzzDecode: whatever comes, in whatever pieces, is decoded alike, and nothing
// hangs, panics or becomes too much.
func FuzzDecode(f *testing.F) {
	for name := range encoders {
		f.Add(encode(f, name, texts(3)...), "gzip, br", uint64(1))
		f.Add(encode(f, name, texts(3)...), encoders[name].coding, uint64(2))
	}
	f.Fuzz(func(t *testing.T, body []byte, header string, seed uint64) {
		list, ok := inflate.Codings(header)
		if !ok || len(body) > 1<<16 {
			return
		}
		const limit = 1 << 16
		whole, err := decode(list, limit, body)
		if len(list) > 0 && len(whole) > limit+inflate.MaxRatio*len(body)+32<<10 {
			t.Fatalf("%d bytes of %d", len(whole), len(body))
		}
		got, errPieces := decode(list, limit, cut(rand.New(rand.NewPCG(seed, 0)), body)...)
		switch {
		case errors.Is(err, inflate.ErrTooLarge) || errors.Is(errPieces, inflate.ErrTooLarge):
			// Each piece has a limit of its own.
		case (err == nil) != (errPieces == nil), err == nil && got != whole:
			t.Fatalf("whole: %d bytes, %v; in pieces: %d bytes, %v", len(whole), err, len(got), errPieces)
		}
	})
}

// BenchmarkEvent is the cost of an event in streams of different lengths: it must
// not grow. "none" is the same without an encoding.
func BenchmarkEvent(b *testing.B) {
	for _, name := range []string{"none", "gzip", "zlib", "br", "zstd"} {
		for _, n := range []int{100, 1000, 10_000} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				var stream [][]byte
				var list []string
				all := texts(n)
				if name == "none" {
					for _, text := range all {
						stream = append(stream, []byte(text))
					}
				} else {
					list = []string{encoders[name].coding}
					var buf bytes.Buffer
					w := encoders[name].open(&buf)
					for _, text := range all {
						io.WriteString(w, text)
						w.Flush()
						stream = append(stream, bytes.Clone(buf.Bytes()))
						buf.Reset()
					}
				}
				b.ReportAllocs()
				for b.Loop() {
					d := inflate.New(list, 1<<20)
					total := 0
					for _, piece := range stream {
						if err := d.Write(piece, func(p []byte) error { total += len(p); return nil }); err != nil {
							b.Fatal(err)
						}
					}
					d.Stop()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/event")
			})
		}
	}
}
