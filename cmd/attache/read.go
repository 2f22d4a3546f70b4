package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/attache-dev/attache/config"
)

// readFile reads no more of a file than config would take.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f)
}

// readRegular is readFile for what is read while others wait, and is there to be
// read again. A pipe may keep its reader for ever, and gives a text only once.
func readRegular(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // nor may opening it wait
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, &fs.PathError{Op: "read", Path: path, Err: syscall.EISDIR}
	case !info.Mode().IsRegular():
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("not a regular file, which can be read again at each edit")}
	}
	content, err := readAll(f)
	if err == nil && len(content) > config.MaxFileBytes {
		err = &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("it has more than %d bytes", config.MaxFileBytes)}
	}
	return content, err
}

func readAll(f *os.File) ([]byte, error) {
	var text bytes.Buffer
	if info, err := f.Stat(); err == nil { // what grows is copied again and again
		text.Grow(int(min(info.Size(), config.MaxFileBytes)) + bytes.MinRead)
	}
	_, err := text.ReadFrom(io.LimitReader(f, config.MaxFileBytes+1))
	return text.Bytes(), err
}

// reason is an error of the file system without the path, which the message
// has already.
func reason(err error) string {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err.Error()
	}
	return err.Error()
}
