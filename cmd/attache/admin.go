package main

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/xds"
)

// statusReport is what /status answers and `attache status` prints.
type statusReport struct {
	Version string       `json:"version"`
	Ready   bool         `json:"ready"`
	Pending []string     `json:"pending,omitempty"`
	Config  configReport `json:"config"`
	// Alone tells that Envoy is configured by somebody else; XDS is empty then.
	Alone   bool          `json:"alone,omitempty"`
	XDS     xds.Status    `json:"xds"`
	ExtProc extProcReport `json:"extProc"`
	// Processors are those that depend on something outside.
	Processors []processorReport `json:"processors,omitempty"`
}

// processorReport is extprocsvc.Finding.
type processorReport struct {
	Name    string `json:"name"`
	Where   string `json:"where"`
	Checked bool   `json:"checked"`
	Error   string `json:"error,omitempty"`
	// Refused tells that the error stays until somebody edits something.
	Refused bool `json:"refused,omitempty"`
}

// extProcReport is extprocsvc.Stats; the counters begin at the start.
type extProcReport struct {
	OpenStreams    int64 `json:"openStreams"`
	StartedStreams int64 `json:"startedStreams"`
	HeldBytes      int64 `json:"heldBytes"`
	Rejections     int64 `json:"rejections"`
	Refusals       int64 `json:"refusals"`
	Errors         int64 `json:"errors"`
	StaleRefs      int64 `json:"staleRefs"`
	Crowded        int64 `json:"crowded"`
	Overloaded     int64 `json:"overloaded"`
}

type configReport struct {
	File string `json:"file"`
	// Hash and LoadedAt are those of the configuration that serves.
	Hash     string    `json:"hash"`
	LoadedAt time.Time `json:"loadedAt"`
	// Synchronized tells that the file as it stands is the one that serves.
	Synchronized bool `json:"synchronized"`
	// RefusedByEnvoy tells that the mistakes are an Envoy's; the configuration
	// that every Envoy had acknowledged before serves again, if there was one.
	RefusedByEnvoy bool `json:"refusedByEnvoy,omitempty"`
	// RollBacks counts how often that has happened since the start.
	RollBacks int        `json:"rollBacks"`
	RefusedAt *time.Time `json:"refusedAt,omitempty"`
	Mistakes  []mistake  `json:"mistakes,omitempty"`
	Warnings  []mistake  `json:"warnings,omitempty"`
}

func (s *services) status() statusReport {
	state := s.app.current()
	pending := s.pending()
	r := statusReport{
		Version: versionString(),
		Ready:   len(pending) == 0,
		Pending: pending,
		Config: configReport{
			File:         s.app.path,
			Hash:         state.Digest,
			LoadedAt:     state.LoadedAt,
			Synchronized: state.Refused == nil,
			Mistakes:     mistakesOf(config.Errors(state.Refused), severityError),

			RefusedByEnvoy: state.ByEnvoy,
			RollBacks:      state.RollBacks,
		},
		Alone: s.app.alone != nil,
		XDS:   s.app.xds.Status(),
	}
	x := s.app.extproc.Stats()
	r.ExtProc = extProcReport{x.Open, x.Started, x.Held, x.Rejections, x.Refusals, x.Errors, x.StaleRefs, x.Crowded, x.Overloaded}
	for _, f := range s.app.extproc.Findings() {
		p := processorReport{Name: f.Processor, Where: f.Where, Checked: f.Checked, Refused: f.Refused}
		if f.Err != nil {
			p.Error = f.Err.Error()
		}
		r.Processors = append(r.Processors, p)
	}
	if state.Refused != nil {
		r.Config.RefusedAt = &state.RefusedAt
	}
	if state.Config != nil {
		r.Config.Warnings = mistakesOf(state.Config.Warnings, severityWarning)
	}
	return r
}

func (s *services) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, s.status()) })
	mux.HandleFunc("GET /explain/{id}", func(w http.ResponseWriter, r *http.Request) {
		record, ok := s.app.extproc.Explain(r.PathValue("id"))
		if !ok {
			http.Error(w, "no decision of this id is remembered", http.StatusNotFound)
			return
		}
		answerJSON(w, record)
	})
	mux.HandleFunc("GET /explain", func(w http.ResponseWriter, r *http.Request) { answerJSON(w, s.app.extproc.Latest(100)) })
	return mux
}

func answerJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	_ = enc.Encode(v) // the client has gone away
}

// statsHandler serves Prometheus metrics, under agentgateway's two paths.
func (s *services) statsHandler() http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), metrics{s})
	h := promhttp.HandlerFor(r, promhttp.HandlerOpts{})
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", h)
	mux.Handle("GET /stats/prometheus", h)
	return mux
}

// metrics reads the state at each scrape.
type metrics struct{ s *services }

// metric is one row: a name, its help, its type, and where the value is.
type metric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(statusReport) float64
}

func row(name, help string, kind prometheus.ValueType, value func(statusReport) float64) metric {
	return metric{prometheus.NewDesc(name, help, nil, nil), kind, value}
}

var metricRows = []metric{
	row("attache_config_synchronized", "1 if the file as it stands is the configuration that serves, 0 if it is refused.", prometheus.GaugeValue,
		func(r statusReport) float64 { return number(r.Config.Synchronized) }),
	row("attache_config_last_success_timestamp_seconds", "When the configuration that serves was loaded.", prometheus.GaugeValue,
		func(r statusReport) float64 { return float64(r.Config.LoadedAt.UnixMilli()) / 1000 }),
	row("attache_config_mistakes", "Mistakes in the file as it stands.", prometheus.GaugeValue,
		func(r statusReport) float64 { return float64(len(r.Config.Mistakes)) }),
	row("attache_config_age_seconds", "How long the configuration that serves has been loaded.", prometheus.GaugeValue,
		func(r statusReport) float64 { return time.Since(r.Config.LoadedAt).Seconds() }),
	row("attache_config_rollbacks_total", "How often an Envoy has refused a configuration and the one before was put in force again.", prometheus.CounterValue,
		func(r statusReport) float64 { return float64(r.Config.RollBacks) }),
	row("attache_ready", "1 if /healthz/ready answers 200.", prometheus.GaugeValue,
		func(r statusReport) float64 { return number(r.Ready) }),
	row("attache_xds_nodes", "Connected Envoys.", prometheus.GaugeValue,
		func(r statusReport) float64 { return float64(len(r.XDS.Nodes)) }),
	row("attache_xds_nodes_acknowledged", "Connected Envoys that have acknowledged the whole configuration.", prometheus.GaugeValue,
		func(r statusReport) float64 {
			return nodesThat(r.XDS.Nodes, func(n xds.Node) bool { return n.Acknowledged })
		}),
	row("attache_xds_nodes_in_sync", "Connected Envoys that moreover have nothing left of earlier configurations.", prometheus.GaugeValue,
		func(r statusReport) float64 {
			return nodesThat(r.XDS.Nodes, func(n xds.Node) bool { return n.Synced })
		}),
	row("attache_xds_refused_resources", "Resources that an Envoy refuses at the moment, over all Envoys.", prometheus.GaugeValue,
		func(r statusReport) float64 {
			return float64(len(r.XDS.Refused()))
		}),
	row("attache_extproc_open_streams", "Requests that the ext_proc service has in hand.", prometheus.GaugeValue,
		func(r statusReport) float64 { return float64(r.ExtProc.OpenStreams) }),
	row("attache_extproc_streams_total", "Requests that the ext_proc service has seen.", prometheus.CounterValue,
		func(r statusReport) float64 { return float64(r.ExtProc.StartedStreams) }),
	row("attache_extproc_held_bytes", "Size of all bodies that are held for a decision.", prometheus.GaugeValue,
		func(r statusReport) float64 { return float64(r.ExtProc.HeldBytes) }),
	row("attache_extproc_rejections_total", "Requests that a processor has rejected.", prometheus.CounterValue,
		func(r statusReport) float64 { return float64(r.ExtProc.Rejections) }),
	row("attache_extproc_refusals_total", "Requests that could not be read (400, 413, 415).", prometheus.CounterValue,
		func(r statusReport) float64 { return float64(r.ExtProc.Refusals) }),
	row("attache_extproc_errors_total", "Requests that failed by a fault of the service or a processor.", prometheus.CounterValue,
		func(r statusReport) float64 { return float64(r.ExtProc.Errors) }),
	row("attache_extproc_stale_refs_total", "Requests that named a chain by a version that is not known, and got the current one.", prometheus.CounterValue,
		func(r statusReport) float64 { return float64(r.ExtProc.StaleRefs) }),
	row("attache_extproc_crowded_total", "Requests that were refused because --max-streams were in hand.", prometheus.CounterValue,
		func(r statusReport) float64 { return float64(r.ExtProc.Crowded) }),
	row("attache_extproc_overloaded_total", "Bodies that were refused with 503 because the bodies that were held left no room.", prometheus.CounterValue,
		func(r statusReport) float64 { return float64(r.ExtProc.Overloaded) }),
}

// The metrics with labels.
var (
	configInfo     = prometheus.NewDesc("attache_config_info", "1, with the hash of the configuration that serves.", []string{"hash"}, nil)
	xdsNacks       = prometheus.NewDesc("attache_xds_nacks_total", "Refusals of resources by Envoys, by the kind of resource.", []string{"kind"}, nil)
	processorCalls = prometheus.NewDesc("attache_processor_calls_total", "Calls of a processor, by what it said.", []string{"processor", "verdict"}, nil)
	processorTime  = prometheus.NewDesc("attache_processor_seconds_total", "Time that a processor took.", []string{"processor"}, nil)
	processorUp    = prometheus.NewDesc("attache_processor_up", "1 if a processor that depends on something outside can do its work, 0 if not.", []string{"processor", "where"}, nil)
)

func (m metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, row := range metricRows {
		ch <- row.desc
	}
	ch <- configInfo
	ch <- xdsNacks
	ch <- processorCalls
	ch <- processorTime
	ch <- processorUp
}

func (m metrics) Collect(ch chan<- prometheus.Metric) {
	report := m.s.status()
	for _, row := range metricRows {
		ch <- prometheus.MustNewConstMetric(row.desc, row.kind, row.value(report))
	}
	ch <- prometheus.MustNewConstMetric(configInfo, prometheus.GaugeValue, 1, report.Config.Hash)
	for kind, n := range m.s.app.xds.Nacks() {
		ch <- prometheus.MustNewConstMetric(xdsNacks, prometheus.CounterValue, float64(n), kind)
	}
	for _, c := range m.s.app.extproc.Calls() {
		for _, v := range []struct {
			verdict string
			n       int64
		}{{"passed", c.Passed}, {"rejected", c.Rejected}, {"failed", c.Failed}, {"skipped", c.Skipped}} {
			ch <- prometheus.MustNewConstMetric(processorCalls, prometheus.CounterValue, float64(v.n), c.Processor, v.verdict)
		}
		ch <- prometheus.MustNewConstMetric(processorTime, prometheus.CounterValue, c.Time.Seconds(), c.Processor)
	}
	for _, p := range report.Processors {
		if p.Checked {
			ch <- prometheus.MustNewConstMetric(processorUp, prometheus.GaugeValue, number(p.Error == ""), p.Name, p.Where)
		}
	}
}

func nodesThat(nodes []xds.Node, are func(xds.Node) bool) (n float64) {
	for _, node := range nodes {
		n += number(are(node))
	}
	return n
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
