// Package processors registers every processor that comes with Attaché. Import
// it for its effect, before [extprocsvc.Build] is called.
package processors

import (
	_ "github.com/attache-dev/attache/extprocsvc/processors/external"     // F5's external processors
	_ "github.com/attache-dev/attache/extprocsvc/processors/reject"       // F5's internal reject
	_ "github.com/attache-dev/attache/extprocsvc/processors/systemprompt" // F5's system-prompt
)
