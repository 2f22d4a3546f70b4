package config

import "maps"

// refusedKeys are keys with an answer of their own: what to write in their
// place. Those of F5's early-access releases name what version 1.0 has for
// them.
var refusedKeys = map[string]string{
	"mode":         "an early-access key that 1.0 has dropped; take it out",
	"adminServer":  "an early-access key that 1.0 has dropped; take it out: the file is watched, and the admin address is a matter of $ADMIN_ADDR",
	"apiKeyEnv":    "an early-access key; write secrets: [{source: EnvVar, targets: {apiKey: NAME}}]",
	"schema":       "an early-access key of the executor http, which 1.0 has dropped; take it out",
	"logging":      "not supported: F5 has not published the keys of this block; take it out, and use --log-level and --log-format",
	"outputStages": "F5's documentation says this once by mistake; write responseStages",
	"params":       "params stand beside config, not in it; move them out",
	"selector":     "F5 has no selectors on steps; put the step into a stage of its own, and give that the selector",
}

// earlySchemas are the early-access values of routes[].schema.
var earlySchemas = map[string]string{
	"openai":    "an early-access value; write v1/chat_completions",
	"anthropic": "an early-access value that 1.0 has dropped; clients speak OpenAI's API there: write v1/chat_completions",
	"raw":       "an early-access value that 1.0 has dropped; write v1/chat_completions",
	"http":      "an early-access value that 1.0 has dropped; write v1/chat_completions",
}

// earlyProcessors are the early-access values of processors[].type.
var earlyProcessors = map[string]string{
	"prompt-enforcement":        "an early-access processor; write system-prompt",
	"pii-redactor":              "an early-access processor; write data-security",
	"watermark":                 "an early-access processor that 1.0 has dropped; take it out",
	"thirtywords":               "an early-access processor that 1.0 has dropped; take it out",
	"prohibited-phrases-detect": "an early-access processor that 1.0 has dropped; take it out",
}

// earlyParams are the early-access names of the rights.
var earlyParams = map[string]string{"allow_rewrite": "modify", "allow_rejection": "reject"}

// earlyParams reports the old names of the rights. An external processor may
// have params of any name, so there it is a warning.
func (r *resolver) earlyParams(processorType string, params Raw) {
	for _, key := range params.Keys() {
		path := params.Path() + "." + key
		switch now := earlyParams[key]; {
		case now == "":
		case processorType == "external":
			r.warnf(path, Unsupported, "the early-access name of %s; it is passed on as it stands, and grants nothing", now)
		default:
			r.errorf(path, Unsupported, "an early-access name; write %s", now)
		}
	}
}

// executors are the values of services[].executor: empty for those that we
// speak, or why we do not.
var executors = map[string]string{
	"openai":    "",
	"ollama":    "",
	"custom":    "",
	"anthropic": "valid F5 AI Gateway executor, not supported yet; expected openai, ollama or custom",
	"http":      "an early-access executor that 1.0 has dropped; write openai, with the endpoint of an API that speaks OpenAI's",
	"azure":     "azure is a type of F5's, with the executor openai, and is not supported yet",
}

// spokenExecutors are the executors that work, for messages.
func spokenExecutors() []string {
	spoken := maps.Clone(executors)
	maps.DeleteFunc(spoken, func(_, why string) bool { return why != "" })
	return words(spoken)
}
