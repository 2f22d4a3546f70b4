package main

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/attache-dev/attache/config"
)

func TestMistakesOf(t *testing.T) {
	got, err := json.Marshal(append(
		mistakesOf([]*config.Error{{File: "a.yaml", Line: math.MaxInt, Kind: config.Invalid, Msg: "and more"}}, severityError),
		mistakesOf([]*config.Error{{File: "a.yaml", Line: 1, Column: 2, Path: "b", Kind: config.Deprecated, Msg: "old"}}, severityWarning)...,
	))
	const want = `[{"file":"a.yaml","kind":"invalid","severity":"error","message":"and more"},` +
		`{"file":"a.yaml","line":1,"column":2,"path":"b","kind":"deprecated","severity":"warning","message":"old"}]`
	if err != nil || string(got) != want {
		t.Errorf("%v\n%s", err, got)
	}
}
