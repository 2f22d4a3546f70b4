package config

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
)

// chatCompletions is the path of OpenAI's API.
const chatCompletions = "/v1/chat/completions"

// f5Service is an entry of services as a backend.
func (r *resolver) f5Service(path string, f *f5Service) *Backend {
	b := &Backend{
		Path: path, Name: f.Name, Weight: 1,
		AI: &AI{Name: f.Name, Provider: "openAI", Model: f.Type, APIs: completionsAt(chatCompletions)},
	}
	why, known := executors[f.Executor]
	switch {
	case f.Executor == "": // reported as missing
	case !known:
		r.errorf(path+".executor", Invalid, "unknown executor; %s", suggest(f.Executor, words(executors), spokenExecutors()))
	case why != "":
		r.errorf(path+".executor", Unsupported, "%s", why)
	case f.Executor == "custom":
		r.warnf(path+".executor", Unsupported, "read as openai; the propagation of headers that custom stands for is not done")
	}
	if f.Type == "azure" {
		r.errorf(path+".type", Unsupported, "%s", executors["azure"])
	}
	encrypted := r.f5Endpoint(path+".config.endpoint", f, b)
	r.f5TLS(path+".config", &f.Config, encrypted, b)
	for i := range f.Config.Secrets {
		r.f5Secret(fmt.Sprintf("%s.config.secrets[%d]", path, i), &f.Config.Secrets[i], b)
	}
	return b
}

// f5Endpoint reads the address and the path of a service, and tells whether it
// is spoken to by TLS.
func (r *resolver) f5Endpoint(path string, f *f5Service, b *Backend) (encrypted bool) {
	if f.Config.Endpoint == "" {
		b.Target = providers["openAI"].target
		if why, known := executors[f.Executor]; known && why == "" && f.Executor != "openai" {
			r.missingf(path, "expected the URL of the service; only openai has a default")
		}
		return true
	}
	u, err := url.Parse(f.Config.Endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		r.errorf(path, Invalid, "not an endpoint; expected http:// or https://, a host, perhaps a port, and a path without a query")
		return false
	}
	encrypted = u.Scheme == "https"
	port := u.Port()
	if port == "" {
		port = map[bool]string{false: "80", true: "443"}[encrypted]
	}
	r.target(path, net.JoinHostPort(u.Hostname(), port), &b.Target)
	switch apiPath := u.EscapedPath(); {
	case f.Executor == "ollama" && slices.Contains([]string{"", "/api/chat"}, strings.TrimRight(apiPath, "/")):
		r.warnf(path, Unsupported, "Ollama is spoken to by its OpenAI API, at %s of the same host", chatCompletions)
	case f.Executor == "ollama" && strings.HasPrefix(apiPath, "/api/"):
		r.errorf(path, Unsupported, "Ollama is spoken to by its OpenAI API; expected /api/chat, which becomes %s, or that path itself", chatCompletions)
	case strings.Trim(apiPath, "/") != "":
		b.AI.APIs = completionsAt(apiPath)
	}
	return encrypted
}

// f5TLSKeys are F5's words, as far as they are known: reference/f5-processors.md
// §10.1.
var f5TLSKeys = clientTLSKeys{"caPath", "clientCertPath", "clientKeyPath", "tlsMinVersion"}

func (r *resolver) f5TLS(path string, f *f5ServiceConfig, encrypted bool, b *Backend) {
	given := &fileBackendTLS{Root: f.CAPath, Cert: f.ClientCert, Key: f.ClientKey, MinVersion: f.TLSMinVersion}
	switch {
	case encrypted && given.MinVersion == "":
		given.MinVersion = "v1.3" // F5's default
	case !encrypted && given.Root+given.Cert+given.Key+given.MinVersion != "" && f.Endpoint != "":
		for _, k := range []struct{ key, value string }{
			{f5TLSKeys.root, given.Root}, {f5TLSKeys.cert, given.Cert}, {f5TLSKeys.key, given.Key}, {f5TLSKeys.minVersion, given.MinVersion},
		} {
			if k.value != "" {
				r.warnf(path+"."+k.key, Unreachable, "without effect: the endpoint is not https")
			}
		}
		return
	}
	if encrypted {
		b.TLS = r.clientTLS(path, f5TLSKeys, given)
	}
}

// f5Secret fills the one slot that there is.
func (r *resolver) f5Secret(path string, f *f5Secret, b *Backend) {
	for _, slot := range words(f.Targets) {
		if slot != "apiKey" {
			r.errorf(path+".targets."+slot, Unsupported, "unknown slot; the only one is apiKey")
		}
	}
	target, given := f.Targets["apiKey"]
	targetPath := path + ".targets.apiKey"
	switch {
	case !given:
		if len(f.Targets) == 0 {
			r.missingf(path+".targets", "expected apiKey")
		}
	case b.Credential != nil:
		r.errorf(targetPath, Conflict, "a second secret for apiKey")
	case f.Source == "EnvVar":
		if f.Meta != (f5SecretMeta{}) {
			r.errorf(path+".meta", Invalid, "meta is for files; an EnvVar has none")
		}
		if name, ok := soleVariable("${" + target + "}"); !ok || name != target {
			r.errorf(targetPath, Invalid, "expected the name of a variable")
			return
		}
		value, ok := r.opts.lookup(target)
		if !ok {
			r.errorf(targetPath, Reference, "the variable %s is not set", target)
			return
		}
		b.Credential, b.CredentialAt = r.checked(targetPath, NewCredential("env:"+target, strings.TrimSpace(value))), bearer
	case f.Source == "File":
		if target == "" {
			r.missingf(targetPath, "expected the name of a file")
			return
		}
		b.Credential, b.CredentialAt = r.credentialFile(targetPath, targetPath, filepath.Join(f.Meta.Path, target)), bearer
	case f.Source != "":
		r.errorf(path+".source", Unsupported, "unknown source; expected EnvVar or File")
	}
}
