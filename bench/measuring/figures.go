package measuring

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
)

// Keep writes figures as JSON into a file, or to the standard output if file is
// empty.
func Keep(file string, figures any) error {
	text, err := json.MarshalIndent(figures, "", "  ")
	if err != nil {
		return err
	}
	text = append(text, '\n')
	if file == "" {
		_, err = os.Stdout.Write(text)
		return err
	}
	return os.WriteFile(file, text, 0o644)
}

// Read reads what [Keep] has written.
func Read(file string, figures any) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, figures); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// Show puts tables into a page, a file, where maker has its place.
func Show(file, maker, tables string) error {
	page, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	shown, err := Into(string(page), maker, tables)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(file, []byte(shown), 0o644)
}

// Into returns a page with tables in place of what is between the line of their
// maker, such as bench/scale, and that of the end.
func Into(page, maker, tables string) (string, error) {
	begin, end := "<!-- begin: made by "+maker+" -->\n", "<!-- end -->\n"
	head, rest, found := strings.Cut(page, begin)
	_, tail, ends := strings.Cut(rest, end)
	if !found || !ends {
		return "", errors.New("the page has no place for the tables of " + maker)
	}
	return head + begin + tables + end + tail, nil
}
