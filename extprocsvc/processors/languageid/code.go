package languageid

import "bytes"

// A trait is a piece of text that is more common in code than elsewhere, and
// how much it says: 1 is enough.
type trait struct {
	text   string
	weight float64
}

var (
	// begins are how lines of code begin. They count if the line has one of
	// the characters of codeMarks, too.
	begins = []trait{
		{"def ", 1}, {"class ", 0.5}, {"import ", 0.5}, {"from ", 0.3}, {"#include", 1}, {"#define ", 1}, {"public ", 0.5}, {"private ", 0.5},
		{"static ", 0.5}, {"void ", 0.7}, {"int ", 0.7}, {"func ", 1}, {"function ", 0.7}, {"fn ", 1}, {"let ", 0.4}, {"const ", 0.7}, {"var ", 0.7},
		{"return ", 0.4}, {"if (", 0.6}, {"for (", 0.6}, {"while (", 0.6}, {"switch (", 0.7}, {"try {", 1}, {"print(", 0.8}, {"package ", 0.4},
		{"SELECT ", 0.7}, {"INSERT INTO ", 1}, {"UPDATE ", 0.6}, {"DELETE FROM ", 1}, {"CREATE TABLE ", 1}, {"<?php", 1}, {"<!DOCTYPE", 1}, {"<html", 1},
		{"<div", 0.7}, {"#!/", 1}, {"$ ", 0.3}, {"git ", 0.4}, {"docker ", 0.5}, {"sudo ", 0.6}, {"curl ", 0.6}, {"@", 0.2}, {"echo ", 0.4}, {"fi", 0.2},
		{"struct ", 0.6}, {"type ", 0.3}, {"using ", 0.3}, {"namespace ", 0.7}, {"module.exports", 1}, {"if [ ", 0.8}, {"elif ", 0.7}, {"else:", 0.7}, {"for i in ", 0.5},
	}
	// inside are what lines of code have in them.
	inside = []trait{
		{"```", 1}, {"();", 1}, {");", 0.7}, {"=>", 0.5}, {"==", 0.5}, {"!=", 0.4}, {"&&", 0.4}, {"||", 0.3}, {"::", 0.4}, {"->", 0.3}, {"++", 0.3}, {"+=", 0.5}, {":=", 0.6},
		{"</", 0.6}, {"/>", 0.5}, {"){", 0.7}, {") {", 0.7}, {"];", 0.6}, {"};", 0.6}, {"\": ", 0.3}, {"\":", 0.2}, {"{\"", 0.4}, {"['", 0.4}, {"[\"", 0.3}, {"${", 0.4}, {"('", 0.3}, {"(\"", 0.2},
		{" = ", 0.15}, {" --", 0.2}, {"function(", 0.7}, {"console.log", 1}, {"System.out", 1}, {"printf(", 1}, {"Println(", 1}, {"self.", 0.5}, {" FROM ", 0.3}, {" WHERE ", 0.4}, {"px;", 0.7}, {" -d ", 0.2}, {" -p ", 0.2},
	}
)

// codeMarks are characters that code has in nearly every line.
const codeMarks = "(){}[];=<>:\"'&|$-"

// endings are how lines of code end.
const (
	endings = ";{}"
	ending  = 0.35
)

// isCode tells whether a text has code in it.
func isCode(text []byte) bool {
	score := 0.0
	for line := range bytes.SplitSeq(text, []byte("\n")) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if bytes.ContainsAny(line, codeMarks) {
			for _, b := range begins {
				if len(line) > len(b.text) && string(line[:len(b.text)]) == b.text {
					score += b.weight
				}
			}
		}
		if bytes.IndexByte([]byte(endings), line[len(line)-1]) >= 0 && len(line) > 1 {
			score += ending
		}
		for _, t := range inside {
			if bytes.Contains(line, []byte(t.text)) {
				score += t.weight
			}
		}
		if score >= 1 {
			return true
		}
	}
	return false
}
