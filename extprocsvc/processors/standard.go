// Package processors registers every processor that comes with Attaché. Import
// it for its effect, before [extprocsvc.Build] is called.
package processors

import (
	_ "github.com/attache-dev/attache/extprocsvc/processors/datasecurity"     // F5's data-security
	_ "github.com/attache-dev/attache/extprocsvc/processors/external"         // F5's external processors
	_ "github.com/attache-dev/attache/extprocsvc/processors/jsonschema"       // ours: JSON Schema
	_ "github.com/attache-dev/attache/extprocsvc/processors/languageid"       // F5's language-id
	_ "github.com/attache-dev/attache/extprocsvc/processors/promptinjection"  // F5's prompt-injection
	_ "github.com/attache-dev/attache/extprocsvc/processors/reject"           // F5's internal reject
	_ "github.com/attache-dev/attache/extprocsvc/processors/repetitiondetect" // F5's repetition-detect
	_ "github.com/attache-dev/attache/extprocsvc/processors/systemprompt"     // F5's system-prompt
	_ "github.com/attache-dev/attache/extprocsvc/processors/topicdetect"      // F5's topic-detect
)
