package main

import (
	"fmt"
	"strings"

	"github.com/attache-dev/attache/bench/measuring"
)

// report is what was measured, as it is kept.
type report struct {
	Date    string            `json:"date"`
	Machine measuring.Machine `json:"machine"`
	Figures []figure          `json:"figures"`
}

// A load is what is measured.
type load struct {
	Series  string  `json:"series"`
	Streams int     `json:"streams"`
	Rate    int     `json:"events_per_second"` // of each stream
	Seconds float64 `json:"seconds"`           // with all streams open
	Guarded bool    `json:"guarded"`           // by data-security, which masks
	Envoy   bool    `json:"envoy"`             // through a real one
}

func (l load) String() string {
	return fmt.Sprintf("%d streams, %d events a second, guarded %v, Envoy %v", l.Streams, l.Rate, l.Guarded, l.Envoy)
}

// A figure is what a load has cost.
type figure struct {
	load
	Took        float64 `json:"took_seconds"` // until everything had come; longer than asked for where something cannot keep pace
	Errors      int     `json:"errors"`
	FirstError  string  `json:"first_error,omitempty"`
	Events      int     `json:"events"`
	Missing     int     `json:"missing"`
	Attache     usage   `json:"attache"`
	Proxy       usage   `json:"envoy_process"`
	Load        usage   `json:"load_process"`
	Delay       delay   `json:"delay_ms"`
	Goroutines  [3]int  `json:"goroutines"` // idle, with all streams open, at the end
	LoadAverage float64 `json:"load_average"`
}

// usage is the CPU time of a process, in seconds, and its resident memory, in
// bytes; that of a stream is what the process has more than when it was idle.
type usage struct {
	CPU       float64 `json:"cpu_seconds"`
	Idle      int64   `json:"idle_bytes"`
	Busy      int64   `json:"busy_bytes"`
	PerStream int64   `json:"bytes_per_stream"`
}

// delay is from the moment when an event was due to that when the last byte of it
// was there. Only events are counted behind which a guard holds nothing.
type delay struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// maker is whose place in a page the table has.
const maker = "bench/streams"

func (r report) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured on %s with %d cores of %s, %s; the load average tells what else the machine had to do.\n\n", r.Date[:10], r.Machine.Cores, r.Machine.CPU, r.Machine.Go)
	b.WriteString(heads)
	for _, f := range r.Figures {
		b.WriteString(f.row() + "\n")
	}
	return b.String()
}

const heads = "| Streams | Events a second, each | Guard | Through | Events | Lost | Errors | Seconds | Attaché: CPU | CPU per event | memory per stream | Envoy: CPU | Models and clients: CPU | Delay, median | 99 % | longest | Load average |\n" +
	"|--:|--:|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n"

func (f figure) row() string {
	guard, through, proxy := "none", "ext_proc alone", "–"
	if f.Guarded {
		guard = "masks"
	}
	if f.Envoy {
		through, proxy = "Envoy", f.cores(f.Proxy)
	}
	return fmt.Sprintf("| %s | %d | %s | %s | %s | %d | %d | %.0f | %s | %s | %.0f KB | %s | %s | %s | %s | %s | %.1f |",
		thousands(f.Streams), f.Rate, guard, through, thousands(f.Events), f.Missing, f.Errors, f.Took, f.cores(f.Attache), f.perEvent(),
		float64(f.Attache.PerStream)/1000, proxy, f.cores(f.Load), ms(f.Delay.P50), ms(f.Delay.P99), ms(f.Delay.Max), f.LoadAverage)
}

// perEvent is Attaché's CPU time for an event; a run may be too short for one.
func (f figure) perEvent() string {
	if f.Events == 0 {
		return "–"
	}
	return fmt.Sprintf("%.0f µs", f.Attache.CPU/float64(f.Events)*1e6)
}

// cores are those that were busy on average.
func (f figure) cores(u usage) string { return fmt.Sprintf("%.2f cores", u.CPU/f.Took) }

func ms(n float64) string { return fmt.Sprintf("%.1f ms", n) }

func thousands(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
