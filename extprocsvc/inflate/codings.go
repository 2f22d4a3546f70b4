package inflate

import (
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// MaxCodings is how many encodings a body may have on top of each other.
const MaxCodings = 2

// A coding is one that can be undone.
type coding struct {
	// window is the most that its decoder remembers, in bytes: no more than it
	// has given or, with upFront, room for all of it from the beginning.
	window  int64
	upFront bool
	open    func(*source) (io.Reader, error)
}

// codings are those of the IANA's HTTP Content Coding Registry that browsers and
// models' servers use, and the old name of gzip.
var codings = map[string]coding{
	"gzip":    {64 << 10, false, openGzip},
	"x-gzip":  {64 << 10, false, openGzip},
	"deflate": {64 << 10, false, openDeflate},
	"br":      {16 << 20, false, func(s *source) (io.Reader, error) { return brotli.NewReader(s), nil }},
	"zstd":    {maxZstdWindow, true, openZstd},
}

// maxZstdWindow is what RFC 9659 allows.
const maxZstdWindow = 8 << 20

func openGzip(s *source) (io.Reader, error) { return gzip.NewReader(s) }

// openDeflate reads zlib, RFC 1950, which is what deflate means, and the bare
// deflate, RFC 1951, that some servers send by that name, as browsers do.
func openDeflate(s *source) (io.Reader, error) {
	var head [2]byte
	if _, err := io.ReadFull(s, head[:]); err != nil {
		return nil, err
	}
	s.unread(head[:])
	if head[0]&0xf == 8 && (int(head[0])<<8|int(head[1]))%31 == 0 {
		return zlib.NewReader(s)
	}
	return flate.NewReader(s), nil
}

func openZstd(s *source) (io.Reader, error) {
	// One at a time is without goroutines, and block by block.
	d, err := zstd.NewReader(s, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxZstdWindow))
	if err != nil {
		return nil, err
	}
	return d, nil
}

// Codings reads the values of the header content-encoding, of which there may be
// several. The list is in the order in which they were applied, without
// identity. ok is false if one is not known, or if there are more than
// [MaxCodings].
func Codings(values ...string) (list []string, ok bool) {
	for _, v := range values {
		for name := range strings.SplitSeq(v, ",") {
			name = strings.ToLower(strings.Trim(name, " \t"))
			if name == "" || name == "identity" {
				continue
			}
			if _, known := codings[name]; !known || len(list) == MaxCodings {
				return nil, false
			}
			list = append(list, name)
		}
	}
	return list, true
}
