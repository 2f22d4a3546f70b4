package config

import (
	"net"
	"slices"
	"strconv"
	"strings"
)

// The default addresses are agentgateway's.
const (
	defaultAdminAddr     = "localhost:15000"
	defaultStatsAddr     = "0.0.0.0:15020"
	defaultReadinessAddr = "0.0.0.0:15021"
)

// lookupFamilies are the words of config.dns.lookupFamily.
var lookupFamilies = []string{"All", "Auto", "V4Preferred", "V4Only", "V6Only"}

func (r *resolver) process(f *fileConfig) {
	if f == nil {
		f = &fileConfig{}
	}
	p := &r.cfg.Process
	for _, a := range []struct {
		into                 *string
		key, file, env, deft string
	}{
		{&p.AdminAddr, "adminAddr", f.AdminAddr, "ADMIN_ADDR", defaultAdminAddr},
		{&p.StatsAddr, "statsAddr", f.StatsAddr, "STATS_ADDR", defaultStatsAddr},
		{&p.ReadinessAddr, "readinessAddr", f.ReadinessAddr, "READINESS_ADDR", defaultReadinessAddr},
	} {
		*a.into = a.deft
		if a.file != "" {
			*a.into = a.file
		}
		from := ""
		// The environment wins over the file, as in agentgateway.
		if v, ok := r.opts.LookupEnv(a.env); ok && v != "" {
			*a.into, from = v, " (from the variable "+a.env+")"
		}
		if !validAddr(*a.into) {
			r.errorf("config."+a.key, Invalid, "not an address%s; expected ip:port, localhost:port, unix:/path or off", from)
		}
	}
	p.EnableIPv6 = f.EnableIPv6 == nil || *f.EnableIPv6
	if v, ok := r.opts.LookupEnv("IPV6_ENABLED"); ok {
		p.EnableIPv6 = v == "true"
	}
	p.DNSLookupFamily = "Auto"
	if f.DNS != nil && f.DNS.LookupFamily != "" {
		p.DNSLookupFamily = f.DNS.LookupFamily
	}
	if v, ok := r.opts.LookupEnv("DNS_LOOKUP_FAMILY"); ok && v != "" {
		p.DNSLookupFamily = v
	}
	if !slices.Contains(lookupFamilies, p.DNSLookupFamily) {
		r.errorf("config.dns.lookupFamily", Invalid, "unknown lookup family; expected %s", alternatives(lookupFamilies))
		p.DNSLookupFamily = "Auto"
	}
	r.threads("config.workerThreads", string(f.WorkerThreads))
	if f.Logging != nil {
		r.logging("config.logging", f.Logging)
	}
	if f.Storage != nil {
		r.warnf("config.storage", Unsupported, "has no effect: there is no user interface here that edits the file")
	}
}

// threads reads a number of threads, or a share of the processors.
func (r *resolver) threads(path, given string) {
	from := ""
	if v, ok := r.opts.LookupEnv("WORKER_THREADS"); ok && v != "" {
		given, from = v, " (from the variable WORKER_THREADS)"
	}
	if given == "" {
		return
	}
	number, share := strings.CutSuffix(given, "%")
	n, err := strconv.ParseUint(number, 10, 16)
	switch {
	case err != nil || n == 0:
		r.errorf(path, Invalid, "not a number of threads%s; expected a whole number, or a share such as 50%%", from)
	case share:
		r.cfg.Process.WorkerPercent = int(n)
	default:
		r.cfg.Process.WorkerThreads = int(n)
	}
}

// logLevels are agentgateway's words for ours.
var logLevels = map[string]string{"error": "error", "warn": "warn", "info": "info", "debug": "debug", "trace": "debug"}

func (r *resolver) logging(path string, f *fileLogging) {
	r.cfg.Process.LogFormat = f.Format
	if len(f.Level) == 0 {
		return
	}
	level, ok := logLevels[f.Level[0]]
	if !ok || len(f.Level) > 1 {
		r.errorf(path+".level", Unsupported, "expected one of error, warn, info, debug, trace; levels for parts of the program are not supported")
	}
	r.cfg.Process.LogLevel = level
}

func validAddr(s string) bool {
	if s == "off" || strings.HasPrefix(s, "unix:/") {
		return true
	}
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}
