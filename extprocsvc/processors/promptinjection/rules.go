package promptinjection

// signal is a kind of evidence. Of the rules of one signal the heaviest that
// holds counts; see README.md.
type signal uint8

const (
	overriding   signal = iota // earlier instructions are to be ignored
	newOrders                  // others take their place
	leaking                    // the system prompt is to be shown
	wordForWord                // in full
	personas                   // the model is to be somebody without rules
	unlimited                  // without restrictions
	modeSwitch                 // developer mode
	unsafe                     // protections are to be switched off
	submission                 // the model must not refuse
	takeover                   // from now on
	delimiters                 // turns of a conversation, tokens of chat templates
	concealment                // the user must not know
	exfiltration               // data are to be sent away
	tools                      // tools are to do harm
	authority                  // the speaker claims to be the developer
	addressed                  // a document speaks to the model
	hidden                     // invisible characters
	templates                  // several of them
	disguised                  // words of a rule were encoded or misspelled
	signals                    // how many there are
)

// A rule is a sequence of words. It holds when a word of each step's class
// comes at most gap words behind that of the step before.
type rule struct {
	signal signal
	weight float64
	// asked tells that the rule begins with a verb, and counts less where
	// nobody asks the model for it: "never ignore", "how do users ignore".
	asked bool
	steps []step
}

type step struct {
	class class
	gap   int
}

// rules are the heuristics. Their weights say how sure each is by itself; they
// combine as independent evidence does.
var rules = []rule{
	{overriding, 0.97, true, []step{{override, 0}, {prior, 4}, {instr, 5}}},
	{overriding, 0.97, true, []step{{override, 0}, {instr, 5}, {prior, 3}}},
	{overriding, 0.97, true, []step{{override, 0}, {your, 3}, {instr, 3}}},
	{overriding, 0.97, true, []step{{override, 0}, {system, 4}, {instr, 2}}},
	{overriding, 0.97, true, []step{{override, 0}, {every, 2}, {you, 5}, {told, 4}}},
	{overriding, 0.97, true, []step{{override, 0}, {instr, 4}, {you, 3}, {told, 4}}},
	{overriding, 0.96, true, []step{{override, 0}, {every, 1}, {prior, 2}}},
	{overriding, 0.97, true, []step{{override, 0}, {what, 1}, {boss, 2}, {told, 1}}},
	{overriding, 0.75, true, []step{{override, 0}, {every, 1}, {instr, 2}}},
	{overriding, 0.5, true, []step{{override, 0}, {instr, 3}}},
	{overriding, 0.97, false, []step{{lacks, 0}, {note, 1}, {instr, 4}, {prior, 3}}},
	{overriding, 0.97, false, []step{{lacks, 0}, {note, 1}, {prior, 4}, {instr, 3}}},
	{overriding, 0.97, false, []step{{prior, 0}, {instr, 4}, {overrideJ, 5}}},
	{overriding, 0.8, false, []step{{instr, 0}, {overrideJ, 4}}},
	{overriding, 0.9, false, []step{{prior, 0}, {instr, 2}, {void, 4}}},
	{overriding, 0.9, false, []step{{instr, 0}, {prior, 2}, {void, 3}}},
	{overriding, 0.9, false, []step{{instr, 0}, {system, 4}, {void, 5}}},
	{overriding, 0.96, false, []step{{not | lacks, 0}, {follow, 3}, {prior, 5}, {instr, 2}}},
	{overriding, 0.96, false, []step{{not | lacks, 0}, {follow, 3}, {instr, 4}, {prior, 4}}},
	{overriding, 0.96, false, []step{{not | lacks, 0}, {follow, 3}, {your, 3}, {instr, 3}}},
	{overriding, 0.6, false, []step{{void, 0}, {every, 1}, {prior, 1}, {instr, 1}}},

	{newOrders, 0.5, false, []step{{your, 0}, {fresh, 1}, {task, 2}}},
	{newOrders, 0.35, false, []step{{fresh, 0}, {instr, 1}}},

	{leaking, 0.97, false, []step{{reveal, 0}, {your, 4}, {system, 3}, {instr | prompt, 3}}},
	{leaking, 0.97, false, []step{{reveal, 0}, {your, 4}, {prompt, 3}, {system, 3}}},
	{leaking, 0.97, false, []step{{reveal, 0}, {your, 4}, {prior, 3}, {instr | prompt, 3}}},
	{leaking, 0.97, false, []step{{reveal, 0}, {your, 4}, {instr, 2}, {prior | system, 3}}},
	{leaking, 0.95, false, []step{{reveal, 0}, {your, 4}, {core, 2}}},
	{leaking, 0.6, false, []step{{reveal, 0}, {your, 4}, {instr | prompt, 2}}},
	{leaking, 0.97, false, []step{{your, 0}, {system, 2}, {instr | prompt, 2}, {reveal, 5}}},
	{leaking, 0.97, false, []step{{prior, 0}, {instr, 4}, {verbatim, 5}, {reveal, 4}}},
	{leaking, 0.97, false, []step{{verbatim, 0}, {reveal, 4}, {your, 4}, {system | prior, 3}, {instr, 4}}},
	{leaking, 0.95, false, []step{{what, 0}, {your, 3}, {system, 2}, {instr | prompt, 2}}},
	{leaking, 0.85, false, []step{{what, 0}, {your, 3}, {core, 2}}},
	{leaking, 0.5, false, []step{{what, 0}, {your, 3}, {instr, 2}}},
	{leaking, 0.95, false, []step{{text, 0}, {your, 3}, {system, 2}, {instr | prompt, 2}}},
	{leaking, 0.96, false, []step{{reveal | what, 0}, {core, 6}, {you, 3}, {told, 4}}},
	{leaking, 0.7, false, []step{{reveal | what, 0}, {instr, 6}, {you, 3}, {told, 4}}},
	{leaking, 0.8, false, []step{{core, 0}, {boss, 4}, {told, 2}}},
	{leaking, 0.9, false, []step{{reveal, 0}, {text, 4}, {prior, 2}}},
	{leaking, 0.6, true, []step{{reveal, 0}, {system, 4}, {instr, 2}}},
	{leaking, 0.9, false, []step{{reveal, 0}, {boss, 3}, {prompt, 1}}},

	{wordForWord, 0.5, false, []step{{reveal, 0}, {instr | text | prior | prompt, 6}, {verbatim, 8}}},
	{wordForWord, 0.4, false, []step{{reveal, 0}, {verbatim, 3}, {instr | prompt, 6}}},

	{personas, 0.97, false, []step{{do, 0}, {every, 1}, {now, 1}}},
	{personas, 0.9, false, []step{{act, 0}, {persona, 5}}},
	{personas, 0.85, false, []step{{you, 0}, {now, 3}, {persona, 3}}},
	{personas, 0.6, false, []step{{you, 0}, {persona, 4}}},
	{submission, 0.5, false, []step{{persona, 0}, {model, 3}}},
	{personas, 0.3, false, []step{{stay, 0}, {character, 2}}},

	{unlimited, 0.95, false, []step{{act, 0}, {model, 5}, {lacks, 3}, {limits, 4}}},
	{unlimited, 0.95, false, []step{{you, 0}, {now, 3}, {lacks, 6}, {limits, 4}}},
	{unlimited, 0.9, false, []step{{you, 0}, {model, 6}, {lacks, 5}, {limits, 4}}},
	{unlimited, 0.95, false, []step{{you, 0}, {limits, 6}, {lacks, 3}, {model, 3}}},
	{unlimited, 0.7, false, []step{{model, 0}, {lacks, 3}, {limits, 4}}},
	{unlimited, 0.9, false, []step{{you, 0}, {not, 3}, {bound, 2}}},
	{unlimited, 0.95, false, []step{{you, 0}, {longer, 3}, {bound | limits, 5}}},
	{unlimited, 0.9, false, []step{{persona, 0}, {lacks, 3}, {limits, 3}}},
	{unlimited, 0.5, false, []step{{not | longer, 0}, {bound, 2}, {instr | limits, 5}}},
	{unlimited, 0.5, false, []step{{lacks, 0}, {limits, 1}, {lacks, 1}, {limits, 1}}},
	{unlimited, 0.5, false, []step{{answer | act, 0}, {lacks, 3}, {limits, 3}}},

	{modeSwitch, 0.9, false, []step{{you | act, 0}, {modes, 6}, {mode, 1}}},
	{modeSwitch, 0.5, true, []step{{modes, 0}, {mode, 1}}},

	{unsafe, 0.95, true, []step{{disable, 0}, {your, 3}, {safety, 4}}},
	{unsafe, 0.9, true, []step{{disable, 0}, {every, 2}, {safety, 2}}},
	{unsafe, 0.7, true, []step{{disable, 0}, {safety, 4}}},
	{unsafe, 0.8, false, []step{{every, 0}, {safety, 2}, {void | disable, 3}}},

	{submission, 0.6, false, []step{{not, 0}, {refuse, 2}}},
	{submission, 0.4, false, []step{{every, 0}, {answer, 1}, {lacks, 3}}},

	{takeover, 0.4, false, []step{{from, 0}, {now, 1}, {you, 3}}},
	{takeover, 0.3, false, []step{{you, 0}, {now, 2}}},

	{delimiters, 0.5, false, []step{{role, 0}, {system, 1}}},
	{delimiters, 0.9, false, []step{{user, 0}, {text | prompt, 2}, {begin, 2}, {system, 1}}},

	{concealment, 0.75, false, []step{{not | lacks, 0}, {tell, 3}, {user, 4}}},
	{concealment, 0.6, false, []step{{hide, 0}, {user, 5}}},
	{concealment, 0.3, false, []step{{not | lacks, 0}, {confirm, 3}}},

	{exfiltration, 0.9, true, []step{{send, 0}, {secret, 6}, {address, 6}}},
	{exfiltration, 0.4, true, []step{{send, 0}, {goods, 6}, {address, 6}}},
	{exfiltration, 0.5, false, []step{{secret, 0}, {send, 4}, {address, 6}}},
	{exfiltration, 0.4, false, []step{{secret, 0}, {send, 6}, {address, 8}}},

	{tools, 0.5, true, []step{{tool, 0}, {harm, 3}}},

	{authority, 0.6, false, []step{{am, 0}, {your, 1}, {boss, 1}}},
	{authority, 0.3, false, []step{{am, 0}, {boss, 3}}},
	{authority, 0.4, false, []step{{boss, 0}, {override, 1}}},

	{addressed, 0.6, false, []step{{who, 0}, {you, 1}, {model, 4}}},
	{addressed, 0.6, false, []step{{note, 0}, {model, 3}}},
}

// width is how many words a step is wide at most: characters of scripts
// without spaces count half.
const width = 2
