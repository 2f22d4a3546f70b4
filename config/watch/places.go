package watch

import (
	"os"
	"path/filepath"
	"strings"
)

// maxLinks is how many symlinks one path may lead through, as in Linux.
const maxLinks = 40

// places returns the directory entries that decide what path leads to: each
// symlink on the way, and the file itself or, if a directory is missing, the
// first one that is. Their directories are the ones to watch. The entries are
// absolute and free of symlinks but for the last element.
func places(path string) []string {
	if !filepath.IsAbs(path) {
		cwd, err := os.Getwd()
		if err != nil {
			return nil
		}
		// Not filepath.Join: it would drop "link/..", which is not nothing.
		path = cwd + string(filepath.Separator) + path
	}

	var found []string
	at, rest := root(path)
	for links := 0; len(rest) > 0; {
		element := rest[0]
		rest = rest[1:]
		switch element {
		case "", ".":
			continue
		case "..":
			at = filepath.Dir(at)
			continue
		}

		entry := filepath.Join(at, element)
		info, err := os.Lstat(entry)
		if err != nil {
			return append(found, entry)
		}
		if info.Mode()&os.ModeSymlink == 0 {
			if at = entry; len(rest) == 0 {
				found = append(found, entry)
			}
			continue
		}

		found = append(found, entry)
		target, err := os.Readlink(entry)
		if links++; err != nil || links > maxLinks {
			return found
		}
		tail := strings.Split(target, string(filepath.Separator))
		if filepath.IsAbs(target) {
			at, tail = root(target)
		}
		rest = append(tail, rest...)
	}
	return found
}

// root splits an absolute path into its root and the elements below it.
func root(path string) (string, []string) {
	volume := filepath.VolumeName(path)
	separator := string(filepath.Separator)
	return volume + separator, strings.Split(path[len(volume):], separator)
}
