package sensitive

import (
	"bytes"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// digits appends the digits of a text.
func digits(dst, text []byte) []byte {
	for _, c := range text {
		if '0' <= c && c <= '9' {
			dst = append(dst, c)
		}
	}
	return dst
}

// luhn is the checksum of ISO/IEC 7812-1, annex B.
func luhn(digits []byte) bool {
	sum := 0
	for i := range digits {
		d := int(digits[len(digits)-1-i] - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

// groups are the lengths of the runs of digits, and same tells whether what
// separates them is always the same.
func groups(dst []int, text []byte) (lengths []int, same bool) {
	same = true
	var separator []byte
	for i := 0; i < len(text); {
		from := i
		for i < len(text) && '0' <= text[i] && text[i] <= '9' {
			i++
		}
		dst = append(dst, i-from)
		from = i
		for i < len(text) && (text[i] < '0' || text[i] > '9') {
			i++
		}
		if i < len(text) {
			if separator != nil && !bytes.Equal(separator, text[from:i]) {
				same = false
			}
			separator = text[from:i]
		}
	}
	return dst, same
}

// cardNumber checks the number of a payment card: its range, its length, its
// checksum, and that it is written in the groups in which cards show it.
func cardNumber(text []byte) bool {
	var room [20]byte
	d := digits(room[:0], text)
	if !cardRange(d) || bytes.Count(d, d[:1]) == len(d) || !luhn(d) {
		return false
	}
	var lengths [20]int
	g, same := groups(lengths[:0], text)
	if len(g) == 1 {
		return true
	}
	if !same {
		return false
	}
	if len(g) == 3 && g[0] == 4 && g[1] == 6 {
		return true // American Express, Diners Club
	}
	if len(g) == len(d) {
		return true // spelled out
	}
	for _, n := range g[:len(g)-1] {
		if n != 4 {
			return false
		}
	}
	return g[len(g)-1] <= 4
}

// cardRange tells whether a card of one of the big networks can have the number:
// the ranges are those that the networks publish.
func cardRange(d []byte) bool {
	if len(d) < 12 {
		return false
	}
	prefix := func(n int) (p int) {
		for _, c := range d[:n] {
			p = p*10 + int(c-'0')
		}
		return p
	}
	in := func(n, from, to int) bool { return from <= prefix(n) && prefix(n) <= to }
	n := len(d)
	switch {
	case in(1, 4, 4): // Visa
		return n == 13 || n == 16 || n == 19
	case in(2, 51, 55), in(4, 2221, 2720): // Mastercard
		return n == 16
	case in(2, 34, 34), in(2, 37, 37): // American Express
		return n == 15
	case in(2, 36, 36), in(2, 38, 39), in(3, 300, 305): // Diners Club
		return 14 <= n && n <= 19
	case in(4, 6011, 6011), in(3, 644, 649), in(2, 65, 65): // Discover
		return 16 <= n && n <= 19
	case in(4, 3528, 3589): // JCB
		return 16 <= n && n <= 19
	case in(2, 62, 62), in(2, 81, 81): // UnionPay
		return 16 <= n && n <= 19
	case in(4, 2200, 2204): // Mir
		return 16 <= n && n <= 19
	case in(4, 5018, 5018), in(4, 5020, 5020), in(4, 5038, 5038), in(4, 5893, 5893), in(4, 6304, 6304), in(4, 6759, 6763): // Maestro
		return 12 <= n && n <= 19
	}
	return false
}

// socialSecurityNumber checks a number of the United States: the parts that were
// never given are those of the Social Security Administration,
// https://www.ssa.gov/employer/randomizationfaqs.html.
func socialSecurityNumber(text []byte) bool {
	area := string(text[:3])
	return text[3] == text[6] && area != "000" && area != "666" && area[0] != '9' &&
		string(text[4:6]) != "00" && string(text[7:]) != "0000"
}

// socialInsuranceNumber checks a number of Canada.
func socialInsuranceNumber(text []byte) bool {
	var room [12]byte
	d := digits(room[:0], text)
	return len(d) == 9 && luhn(d) && (len(text) == 9 || text[3] == text[7]) && bytes.Count(d, d[:1]) != 9
}

// ibanLengths are those of the registry of ISO 13616.
var ibanLengths = map[string]int{
	"AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27, "BR": 29, "BY": 28,
	"CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
	"FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HN": 28, "HR": 21, "HU": 28,
	"IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20,
	"LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28,
	"NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24,
	"SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "SO": 23, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26,
	"UA": 29, "VA": 22, "VG": 24, "XK": 20, "YE": 30,
}

// accountNumber checks an IBAN: the length of its country, and the checksum of
// ISO 7064, mod 97-10.
func accountNumber(text []byte) bool {
	var room [40]byte
	m := room[:0]
	for _, c := range text {
		switch {
		case c == ' ' || c == '-':
			continue
		case 'a' <= c && c <= 'z':
			c -= 'a' - 'A'
		}
		if len(m) == cap(m) {
			return false
		}
		m = append(m, c)
	}
	if len(m) < 5 || ibanLengths[string(m[:2])] != len(m) {
		return false
	}
	rest := 0
	for i := range m {
		c := m[(i+4)%len(m)]
		if c >= 'A' {
			rest = (rest*100 + int(c-'A') + 10) % 97
		} else {
			rest = (rest*10 + int(c-'0')) % 97
		}
	}
	return rest == 1
}

// countryCodes are those of ITU-T E.164 with two digits; others have three, but
// for 1 and 7.
var countryCodes = strings.Fields(`20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58
	60 61 62 63 64 65 66 81 82 84 86 90 91 92 93 94 95 98`)

// longCodes are the first two digits of those with three.
var longCodes = strings.Fields("21 22 23 24 25 26 29 35 37 38 42 50 59 67 68 69 80 85 87 88 96 97 99")

// internationalNumber checks a phone number that begins with + or 00 and the
// code of a country.
func internationalNumber(text []byte) bool {
	var room [48]byte
	d := digits(room[:0], text)
	if text[0] != '+' {
		d = d[2:]
	}
	if len(d) < 8 || len(d) > 15 || bytes.Count(d, d[:1]) == len(d) {
		return false
	}
	switch code := string(d[:2]); {
	case d[0] == '1':
		return len(d) == 11 && d[1] >= '2'
	case d[0] == '7':
		return len(d) == 11
	case slices.Contains(countryCodes, code):
		return true
	default:
		return slices.Contains(longCodes, code)
	}
}

// fileEndings are what is behind the last dot of names of files that look like
// addresses, such as icon@2x.png.
var fileEndings = strings.Fields("png jpg jpeg gif svg webp ico bmp tiff pdf js ts jsx tsx css scss html htm json yaml yml xml md txt go py java rb sh log")

// emailDomain refuses names of files.
func emailDomain(text []byte) bool {
	text = bytes.TrimSuffix(text, []byte("_")) // of Markdown
	dot := bytes.LastIndexByte(text, '.')
	return !slices.Contains(fileEndings, strings.ToLower(string(text[dot+1:]))) || bytes.Count(text[bytes.IndexByte(text, '@'):], []byte(".")) > 1
}

// ipv6 checks an address. Very short ones look like names of C++.
func ipv6(text []byte) bool {
	a, err := netip.ParseAddr(string(text))
	return err == nil && (bytes.Count(text, []byte(":")) > 3 || bytes.IndexByte(text, ':') == 4) && !a.IsLoopback() && bytes.ContainsAny(text, "0123456789")
}

// numbering is what is in front of dotted numbers that are no addresses: words for
// versions and chapters, comparisons of versions, names of products and libraries, and
// more numbers.
var numbering = regexp.MustCompile(`(?i)(?:(?:\bv(?:er\.?|\.)?|version)[ :=("']{0,3}` +
	`|\b(?:section|sec\.?|chapter|clause|article|paragraph|appendix|figure|kapitel|abschnitt|artikel|oid|revision|rev\.?|firmware|driver)[ :]{1,2}` +
	`|§ ?|[<>~]= ?|~> ?|\^|\.so\.|\b(?-i:[A-Z])[a-z]{1,20}/|\d\.)$`)

// dottedNumber tells that a match is no IPv4 address: it has more or fewer numbers,
// larger ones or ones with leading zeros, or something around it says what it is.
func dottedNumber(before, match []byte) bool {
	a, err := netip.ParseAddr(string(match))
	return err != nil || !a.Is4() || match[0] == '0' || numbering.Match(before)
}

// Words that tell of what street addresses look like.
var (
	// vague are types of streets that mean something else as well.
	vague = words("Drive Way Court Place Circle Loop Highway")
	// counted are words behind a number that is a count.
	counted = words(`a an the no in of to my your our best top other more way lane mb gb tb gigabyte terabyte inch
		second seconds minute minutes hour hours day days week weeks month months year years mile miles step steps times`)
	// houses are words before the number of a house, in capitals too, and never those
	// before a number that is not one.
	houses = words("at to from on near by is and or address home office house visit ship mail")
	never  = words("the a an this these those that all any every each took for until since during in")
)

func words(list string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(list) {
		set[w] = true
	}
	return set
}

// noStreet tells that a match is no address: no city or apartment follows, and the
// number is a year or a count, or, where a street of that type may be something else,
// belongs to the word in front of it, as in Windows 11 Network Drive.
func noStreet(before, match []byte) bool {
	parts := strings.Fields(string(match))
	if len(parts) < 3 || bytes.ContainsAny(match, ",#\n") {
		return false
	}
	number, kind, lead := parts[0], parts[len(parts)-1], leading(before)
	word := strings.ToLower(lead)
	year := len(number) == 4 && (number[:2] == "19" || number[:2] == "20")
	return counted[strings.ToLower(parts[1])] || year && never[word] ||
		vague[kind] && (never[word] || word != lead && !houses[word])
}

// leading is the word that ends a text with a space, or nothing.
func leading(text []byte) string {
	text, ok := bytes.CutSuffix(text, []byte(" "))
	from, _ := lastRun(text, isAlnum)
	if !ok || from == len(text) || !isLetter(text[from]) {
		return ""
	}
	return string(text[from:])
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// passportNumber asks for at least four digits.
func passportNumber(text []byte) bool {
	var room [16]byte
	return len(digits(room[:0], text)) >= 4
}

// mixed asks for what random keys have, and names in programs have not.
func mixed(text []byte) bool {
	return bytes.ContainsAny(text, "0123456789") && bytes.ContainsFunc(text, isUpper) && bytes.ContainsFunc(text, func(r rune) bool { return 'a' <= r && r <= 'z' })
}

func isUpper(r rune) bool { return 'A' <= r && r <= 'Z' }

// The functions below find cores.

// lastRun is the core that ends the match and has only characters of a kind.
func lastRun(match []byte, is func(c byte) bool) (from, to int) {
	from = len(match)
	for from > 0 && is(match[from-1]) {
		from--
	}
	return from, len(match)
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isAlnum(c byte) bool { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'z' }

func lastDigits(match []byte) (from, to int) { return lastRun(match, isDigit) }
func lastWord(match []byte) (from, to int)   { return lastRun(match, isAlnum) }

// lastSecret is what looks like base64 at the end.
func lastSecret(match []byte) (from, to int) {
	return lastRun(match, func(c byte) bool { return isAlnum(c) || c == '/' || c == '+' })
}

// behindEquals is what is behind the first = that is not at the end.
func behindEquals(match []byte) (from, to int) {
	if i := bytes.IndexByte(bytes.TrimRight(match, "="), '='); i >= 0 {
		from = i + 1
	}
	return from, len(match)
}

// userInfo is the name and the password in a URL.
func userInfo(match []byte) (from, to int) {
	if i := bytes.Index(match, []byte("://")); i >= 0 {
		from = i + len("://")
	}
	return from, len(bytes.TrimSuffix(match, []byte("@")))
}
