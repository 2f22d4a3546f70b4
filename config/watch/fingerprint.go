package watch

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// fingerprint is what a file held when it was last looked at.
type fingerprint struct {
	content string      // a SHA-256 of the first maxBytes, or the word that says why there is none; "" before the first look
	info    fs.FileInfo // of the file that was read; nil if none was
	read    time.Time   // when reading began
}

const (
	missing    = "missing"
	unreadable = "unreadable"
	irregular  = "not a regular file" // a pipe must not be read: its reader is somebody else
)

// settledAfter is how old a file must be when it is read, for its size and time
// to tell it from a later version. A younger one may be written again within
// one tick of the filesystem's clock.
const settledAfter = 2 * time.Second

// maxBytes is how much of a file is read. Nobody needs more, and a file can claim a
// length that takes hours.
const maxBytes = 32 << 20

// look returns the fingerprint of the file at path. It reads the file only if
// its size, time or inode are not those of last; with reread always.
func look(path string, last fingerprint, reread bool) fingerprint {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fingerprint{content: missing}
	case err != nil:
		return fingerprint{content: unreadable}
	case !info.Mode().IsRegular():
		return fingerprint{content: irregular}
	case !reread && last.stillOf(info):
		return last
	}

	file, err := os.Open(path)
	if err != nil {
		return fingerprint{content: unreadable}
	}
	defer file.Close()
	now := time.Now()
	sum := sha256.New()
	if _, err := io.Copy(sum, io.LimitReader(file, maxBytes)); err != nil {
		return fingerprint{content: unreadable}
	}
	if info.Size() > maxBytes {
		fmt.Fprint(sum, info.Size(), info.ModTime())
	}
	return fingerprint{content: hex.EncodeToString(sum.Sum(nil)), info: info, read: now}
}

// stillOf reports whether a file with the given information certainly has the
// content that f was made from.
func (f fingerprint) stillOf(info fs.FileInfo) bool {
	return f.info != nil &&
		os.SameFile(f.info, info) &&
		f.info.Size() == info.Size() &&
		f.info.ModTime().Equal(info.ModTime()) &&
		f.read.Sub(info.ModTime()) > settledAfter
}
