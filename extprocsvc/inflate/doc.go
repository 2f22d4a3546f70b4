// Package inflate undoes the content encodings of HTTP, RFC 9110 section 8.4,
// of a body that comes in pieces. What a piece tells is handed on before the next
// one comes, so an event that its sender has flushed is not held up.
//
// Nothing is kept but the windows of the decoders. A body that becomes longer
// than its limit and more than [MaxRatio] times as long as what came is a bomb,
// and refused; so is one that is cut off, that is not what its encoding says, and
// one that something follows. A body of several gzip members, or zstd frames, is
// their contents in a row.
//
// The decoders are those of the standard library, of klauspost/compress and of
// andybalholm/brotli. They read where they want to; here somebody writes. So each
// runs as a coroutine ([iter.Pull]) that pauses where it has read everything.
package inflate
