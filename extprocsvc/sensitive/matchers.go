package sensitive

import (
	"slices"
	"strings"

	"github.com/attache-dev/attache/extprocsvc/pattern"
)

// A Matcher is a kind of sensitive data that can be asked for by name.
type Matcher struct {
	// Name is the word for it, in lower case with _.
	Name string
	// Aliases are other words: those of F5's data-security and agentgateway's
	// builtins.
	Aliases []string
	// Label is what a mask writes.
	Label string
	// Group is "pii" or "secrets".
	Group string

	forms []form
}

// A form is one way in which something is written.
type form struct {
	expr  string
	valid func([]byte) bool
	// core tells which part of a match counts. It may be called with the end of
	// a match alone, of which the rest is hidden already. Nil for all of it.
	core func([]byte) (from, to int)
	max  int // MaxMatch
	// unless tells that a match is something else, by what is in front of it: the
	// last of lookBehind bytes, or less at the beginning of the text. Nil for
	// never.
	unless func(before, match []byte) bool
}

// lookBehind is how many bytes in front of a match may be asked about.
const lookBehind = 32

// apart tells that the matches cover more than they hide.
func (f *form) apart() bool { return f.core != nil || f.unless != nil }

// The groups.
const (
	PII     = "pii"
	Secrets = "secrets"
)

// maxSecret bounds, in bytes, what is held of secrets without a length.
const maxSecret = 4096

// Parts of expressions.
const (
	streetType = `(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Place|Pl|Terrace|Way|Parkway|Pkwy|Circle|Cir|Highway|Hwy|Loop)`
	unit       = `(?:,? (?i:Apt|Apartment|Suite|Ste|Unit)\.? ?[A-Za-z0-9\-]{1,8}|,? #[A-Za-z0-9\-]{1,8})?`
	city       = `(?:, |,?\r?\n)[A-Za-z][A-Za-z .\-]{1,30}, `
	state      = `(?:A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|P[AR]|RI|S[CD]|T[NX]|UT|V[AT]|W[AIVY])`
	zip        = `\d{5}(?:-\d{4})?`
)

// Matchers are all of them, in the order in which those of one span win.
var Matchers = []*Matcher{
	pii("email", "EMAIL_ADDRESS", "ls_regex:Email").
		checked(`[\pL\pN_][\pL\pN._%+'\-]{0,63}@(?:[A-Za-z0-9][A-Za-z0-9\-]{0,62}\.){1,6}[A-Za-z]{2,24}(?:\b|_)`, emailDomain),
	pii("phone", "PHONE_NUMBER", "int_phone", "phoneNumber", "phone_number").
		checked(`\B\+\d{1,3}(?:[ .\-/]?(?:\(\d{1,4}\)|\d{1,5})){1,6}\b`, internationalNumber).
		checked(`\b00[1-9]\d{0,2}[ .\-/](?:\(?\d{1,5}\)?[ .\-/]?){1,5}\d\b`, internationalNumber).
		plain(`(?:\b1[ .\-])?(?:\([2-9]\d\d\) ?|\b[1-9]\d\d[ .\-])\d{3}[ .\-]\d{4}\b`),
	pii("ssn", "SSN").
		checked(`\b\d{3}[\- ]\d\d[\- ]\d{4}\b`, socialSecurityNumber).
		within(`(?i)\b(?:ssn|social security(?: number| no\.?)?)(?:[:#=\s]| is){1,4}\d{9}\b`, lastDigits),
	pii("credit_card", "CREDIT_CARD", "creditCard").
		checked(`\b\d(?:[ \-.\x{a0}]?\d){11,18}\b`, cardNumber),
	pii("ca_sin", "CA_SIN", "caSin").
		checked(`\b[0-79]\d\d[\- ]\d{3}[\- ]\d{3}\b`, socialInsuranceNumber).
		checkedWithin(`\b(?:SIN|(?i:social insurance (?:number|no\.?)))(?:[:#=\s]| is){1,4}[0-79]\d{8}\b`, socialInsuranceNumber, lastDigits),
	pii("iban", "IBAN").
		checked(`(?i)\b[A-Z]{2}\d\d(?:[ \-]?[A-Z0-9]{4}){2,7}(?:[ \-]?[A-Z0-9]{1,3})?\b`, accountNumber),
	pii("ipv4", "IP_ADDRESS").
		unless(`(?i)\b\d{1,3}(?:\.\d{1,3}){3,7}(?:-(?:alpha|beta|rc|dev|snapshot|release|preview)|\.(?:jar|whl|gem|deb|rpm|apk|dll|exe|msi|nupkg)|\b)`, dottedNumber),
	pii("ipv6", "IP_ADDRESS").
		checked(`(?i)\b[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){7}\b`, ipv6).
		checked(`(?i)\b[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,6}::[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,6}\b`, ipv6),
	pii("passport", "PASSPORT").
		checkedWithin(`(?i)\b(?:passport|reisepass|passeport|pasaporte|passaporto|paspoort)(?:nummer|-nr\.?)?(?: (?:number|no\.?|nr\.?|num\.?|id|n°|numéro|número|numero))?(?:[:#=\s]| is| ist| est| es){1,4}[A-Z0-9]{6,9}\b`, passportNumber, lastWord),
	pii("us_address", "US_ADDRESS").
		unless(`\b\d{1,6} (?:[NSEW]\.? |North |South |East |West )?(?:(?:[A-Z][A-Za-z'.\-]{0,20}|\d{1,3}(?:st|nd|rd|th)) ){1,4}`+
			streetType+`\b\.?`+unit+`(?:`+city+`[A-Z]{2}(?: `+zip+`)?)?`, noStreet).
		plain(`\b\d{1,6} (?:[A-Z0-9][A-Za-z0-9'.\-]{0,20} ){0,4}[A-Z][A-Za-z'.\-]{0,20}` + unit + city + state + ` ` + zip + `\b`).
		plain(`(?i)\b\d{1,6} (?:[a-z0-9'.\-]{1,20} ){1,4}` + streetType + `\.?` + unit + city + state + ` ` + zip + `\b`).
		plain(`(?i:\bP\.? ?O\.? ?Box) \d{1,6}\b(?:` + city + `[A-Z]{2}(?: ` + zip + `)?)?`),

	secret("private_key", "PRIVATE_KEY").
		long(`-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----(?:\s|\\[nr])*(?:[A-Z][A-Za-z\-]{2,15}: ?[^\r\n]{0,80}(?:\s|\\[nr])+){0,4}[A-Za-z0-9+/=]{16}[A-Za-z0-9+/=\s\\]*(?:-----END (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----)?`),
	secret("jwt", "JWT").
		long(`\beyJ[A-Za-z0-9_\-]{8,}\.eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{10,}`),
	secret("aws_access_key", "AWS_ACCESS_KEY").
		plain(`\b(?:AKIA|ASIA|AROA|AIDA|ABIA|ACCA)[A-Z0-9]{16}\b`),
	secret("aws_secret_key", "AWS_SECRET_KEY").
		within(`(?i)secret_?(?:access)?_?key["']?\s{0,3}[:=]{1,2}\s{0,3}["']?[a-z0-9/+]{40}\b`, lastSecret),
	secret("anthropic_key", "ANTHROPIC_KEY").
		plain(`\bsk-ant-[a-z0-9]{3,12}-[A-Za-z0-9_\-]{20,200}`),
	secret("openrouter_key", "OPENROUTER_KEY").
		plain(`\bsk-or-v1-[0-9a-f]{64}\b`),
	secret("openai_key", "OPENAI_KEY").
		checked(`\bsk-(?:proj-|svcacct-|admin-|None-)?[A-Za-z0-9_\-]{20,200}`, mixed),
	secret("google_key", "GOOGLE_KEY").
		plain(`\bAIza[A-Za-z0-9_\-]{35}`).
		plain(`\bya29\.[A-Za-z0-9_\-]{20,800}`).
		plain(`\bGOCSPX-[A-Za-z0-9_\-]{28}`),
	secret("github_token", "GITHUB_TOKEN").
		plain(`\bgh[pousr]_[A-Za-z0-9]{36,255}\b`).
		plain(`\bgithub_pat_[A-Za-z0-9_]{22,255}\b`),
	secret("gitlab_token", "GITLAB_TOKEN").
		plain(`\bgl(?:pat|oas|dt|rt|cbt|ptt|ft|imt|agent|soat)-[A-Za-z0-9_\-]{20,64}`),
	secret("slack_token", "SLACK_TOKEN").
		plain(`\bxox[abeoprs]-\d[A-Za-z0-9\-]{9,250}`).
		plain(`\bxapp-\d-[A-Z0-9]{8,16}-\d{8,16}-[a-f0-9]{32,80}`).
		plain(`\bhooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/_]{20,120}`),
	secret("stripe_key", "STRIPE_KEY").
		plain(`\b[sr]k_(?:live|test)_[A-Za-z0-9]{10,128}\b`).
		plain(`\bwhsec_[A-Za-z0-9+/]{32,64}`),
	secret("npm_token", "NPM_TOKEN").plain(`\bnpm_[A-Za-z0-9]{36}\b`),
	secret("pypi_token", "PYPI_TOKEN").plain(`\bpypi-AgE[A-Za-z0-9_\-]{50,250}`),
	secret("huggingface_token", "HUGGINGFACE_TOKEN").plain(`\bhf_[A-Za-z]{34,40}\b`),
	secret("groq_key", "GROQ_KEY").plain(`\bgsk_[A-Za-z0-9]{48,56}\b`),
	secret("xai_key", "XAI_KEY").plain(`\bxai-[A-Za-z0-9]{70,90}\b`),
	secret("perplexity_key", "PERPLEXITY_KEY").plain(`\bpplx-[A-Za-z0-9]{40,64}\b`),
	secret("replicate_token", "REPLICATE_TOKEN").plain(`\br8_[A-Za-z0-9]{37}\b`),
	secret("azure_key", "AZURE_KEY").
		within(`(?i)\b(?:AccountKey|SharedAccessKey)=[a-z0-9+/]{43,86}={1,2}`, behindEquals).
		within(`(?i)[?&;]sig=[a-z0-9%+/]{43,80}`, behindEquals).
		plain(`[A-Za-z0-9_~.\-]{3}\dQ~[A-Za-z0-9_~.\-]{31,34}`),
	secret("sendgrid_key", "SENDGRID_KEY").plain(`\bSG\.[A-Za-z0-9_\-]{22}\.[A-Za-z0-9_\-]{43}`),
	secret("twilio_key", "TWILIO_KEY").plain(`\bSK[0-9a-f]{32}\b`),
	secret("digitalocean_token", "DIGITALOCEAN_TOKEN").plain(`\bdo[opr]_v1_[a-f0-9]{64}\b`),
	secret("shopify_token", "SHOPIFY_TOKEN").plain(`\bshp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}\b`),
	secret("databricks_token", "DATABRICKS_TOKEN").plain(`\bdapi[0-9a-f]{32}(?:-\d)?\b`),
	secret("docker_token", "DOCKER_TOKEN").plain(`\bdckr_pat_[A-Za-z0-9_\-]{27}`),
	secret("vault_token", "VAULT_TOKEN").plain(`\bhv[sb]\.[A-Za-z0-9_\-]{90,250}`),
	secret("telegram_token", "TELEGRAM_TOKEN").plain(`\b\d{8,10}:AA[A-Za-z0-9_\-]{33}`),
	secret("url_password", "URL_PASSWORD").
		within(`\b[a-z][a-z0-9+.\-]{1,15}://[^\s/:@"'<>]{0,64}:[^\s/@"'<>]{1,100}@`, userInfo),
}

func pii(name, label string, aliases ...string) *Matcher {
	return &Matcher{Name: name, Aliases: aliases, Label: "<" + label + ">", Group: PII}
}

func secret(name, label string) *Matcher {
	return &Matcher{Name: name, Label: "<" + label + ">", Group: Secrets}
}

// plain adds a form whose matches all count.
func (m *Matcher) plain(expr string) *Matcher { return m.add(form{expr: expr}) }

// checked adds a form whose matches count if they are valid. The expression
// prefers longer matches to shorter ones.
func (m *Matcher) checked(expr string, valid func([]byte) bool) *Matcher {
	return m.add(form{expr: expr, valid: valid})
}

// within adds a form with a context.
func (m *Matcher) within(expr string, core func([]byte) (int, int)) *Matcher {
	return m.add(form{expr: expr, core: core})
}

// checkedWithin adds a form with a context whose core has to be valid.
func (m *Matcher) checkedWithin(expr string, valid func([]byte) bool, core func([]byte) (int, int)) *Matcher {
	return m.add(form{expr: expr, core: core, valid: func(match []byte) bool {
		from, to := core(match)
		return valid(match[from:to])
	}})
}

// unless adds a form whose matches count if they are not something else.
func (m *Matcher) unless(expr string, other func(before, match []byte) bool) *Matcher {
	return m.add(form{expr: expr, unless: other})
}

// long adds a form without a length.
func (m *Matcher) long(expr string) *Matcher { return m.add(form{expr: expr, max: maxSecret}) }

func (m *Matcher) add(f form) *Matcher {
	m.forms = append(m.forms, f)
	return m
}

// Lookup returns the matchers that a name stands for: one, or those of a group;
// nil for an unknown name. Case makes no difference.
func Lookup(name string) (found []*Matcher) {
	for _, m := range Matchers {
		same := func(n string) bool { return strings.EqualFold(n, name) }
		if same(m.Name) || same(m.Group) || slices.ContainsFunc(m.Aliases, same) {
			found = append(found, m)
		}
	}
	return found
}

// Names are the names of all matchers and groups.
func Names() (list []string) {
	list = []string{PII, Secrets}
	for _, m := range Matchers {
		list = append(list, m.Name)
	}
	return list
}

// patterns are the forms for package pattern.
func (f *form) pattern(name string) pattern.Pattern {
	return pattern.Pattern{Name: name, Expr: f.expr, Valid: f.valid, MaxMatch: f.max}
}
