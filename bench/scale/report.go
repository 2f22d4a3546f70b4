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
	Envoy   string            `json:"envoy"`
	One     []one             `json:"one_envoy"`
	Fleet   []fleet           `json:"simulated_envoys"`
}

// maker is whose place in a page the tables have.
const maker = "bench/scale"

func (r report) tables() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured on %s with %d cores of %s, %s; the load average tells what else the machine had to do.\n\n", r.Date[:10], r.Machine.Cores, r.Machine.CPU, r.Machine.Go)
	b.WriteString("| Routes | Hosts | Chains | Load | Envoy's start to the first answer | Edit to live, median | longest | First bytes | Bytes per edit | Resources per edit | Attaché: CPU per edit | memory idle | most | Envoy: CPU per edit | memory idle | most | Load average |\n")
	b.WriteString("|--:|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, o := range r.One {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | **%s** | %s | %s | %s | %.0f | %s | %s | %s | %s | %s | %s | %.1f |\n",
			thousands(o.Routes), thousands(o.Hosts), chains(o.Chains), inMS(o.Load), inMS(o.Join), inMS(o.Live.P50), inMS(o.Live.Max), inKB(o.FirstBytes), inKB(o.EditBytes), o.Resources,
			inMS(o.Attache.CPU), inMB(o.Attache.Idle), inMB(max(o.Attache.Start, o.Attache.Peak)), inMS(o.Envoy.CPU), inMB(o.Envoy.Idle), inMB(max(o.Envoy.Start, o.Envoy.Peak)), o.LoadAverage)
	}
	if len(r.Fleet) == 0 {
		return b.String()
	}
	b.WriteString("\n| Envoys | Routes | Chains | Edit to acknowledged by all, median | longest | Bytes per edit, to all | Resources per edit, to each | Attaché: CPU per edit | memory idle | most | Load average |\n")
	b.WriteString("|--:|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, f := range r.Fleet {
		fmt.Fprintf(&b, "| %d | %s | %s | **%s** | %s | %s | %.0f | %s | %s | %s | %.1f |\n",
			f.Envoys, thousands(f.Routes), chains(f.Chains), inMS(f.Acked.P50), inMS(f.Acked.Max), inKB(f.EditBytes), f.Resources,
			inMS(f.Attache.CPU), inMB(f.Attache.Idle), inMB(max(f.Attache.Start, f.Attache.Peak)), f.LoadAverage)
	}
	return b.String()
}

func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d,%03d", n/1000, n%1000)
}

func chains(each bool) string {
	if each {
		return "one each"
	}
	return "none"
}

func inMS(ms float64) string  { return fmt.Sprintf("%.0f ms", ms) }
func inMB(mb float64) string  { return fmt.Sprintf("%.0f MB", mb) }
func inKB(bytes int64) string { return fmt.Sprintf("%.1f KB", float64(bytes)/1000) }
