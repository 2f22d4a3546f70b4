package words

import "unicode/utf8"

// isAccent tells whether r is one of the marks that are put on Latin, Greek
// and Cyrillic letters. Marks of other scripts are vowels and the like.
func isAccent(r rune) bool { return 0x300 <= r && r <= 0x36f }

// isHidden tells whether r shows nothing: Unicode's default ignorable code
// points without the tag characters, DerivedCoreProperties.txt.
func isHidden(r rune) bool {
	switch {
	case r < 0x200b:
		return r == 0xad || r == 0x61c || r == 0x34f || 0x115f <= r && r <= 0x1160 || 0x17b4 <= r && r <= 0x17b5 || 0x180b <= r && r <= 0x180f
	case r <= 0x200f, 0x202a <= r && r <= 0x202e, 0x2060 <= r && r <= 0x206f:
		return true
	}
	return 0xfe00 <= r && r <= 0xfe0f || r == 0xfeff || r == 0x3164 || r == 0xffa0 || 0x1bca0 <= r && r <= 0x1bca3 ||
		0x1d173 <= r && r <= 0x1d17a || r == 0xe0001 || r == 0xe007f || 0xe0100 <= r && r <= 0xe01ef
}

// isTag tells whether b is a tag character that stands for one of ASCII.
func isTag(b []byte) bool {
	r, _ := utf8.DecodeRune(b)
	return 0xe0020 <= r && r < 0xe007f
}

// isUnspaced tells whether r belongs to a script whose words are not divided
// by spaces, or to Hangul. Half-width kana are not among them: they stand for
// others.
func isUnspaced(r rune) bool {
	switch {
	case r < 0xe00:
		return false
	case r < 0xf00, // Thai, Lao
		0x1000 <= r && r < 0x10a0,                               // Myanmar
		0x1100 <= r && r < 0x1200 && r != 0x115f && r != 0x1160, // jamo, without fillers
		0x1780 <= r && r < 0x17b4, 0x17b6 <= r && r < 0x1800,    // Khmer
		0x3005 <= r && r <= 0x3007,
		0x3041 <= r && r <= 0x318f && r != 0x3164, // kana, Bopomofo, Hangul
		0x31a0 <= r && r < 0x31c0, 0x31f0 <= r && r < 0x3200,
		0x3400 <= r && r < 0x4dc0, 0x4e00 <= r && r < 0xa000, // Han
		0xac00 <= r && r < 0xd7b0, // Hangul
		0x20000 <= r && r < 0x40000:
		return true
	}
	return false
}

// boxed returns the letter of the enclosed letters that have no decomposition:
// negative circled and squared ones and regional indicators. It is 0 for
// others.
func boxed(r rune) rune {
	for _, from := range [...]rune{0x1f150, 0x1f170, 0x1f1e6} {
		if from <= r && r < from+26 {
			return r - from + 'a'
		}
	}
	return 0
}

// plain holds the Latin letters that have no decomposition and that are read
// as others, small capitals among them.
var plain = func() map[rune][]byte {
	m := map[rune][]byte{}
	for from, to := range map[string]string{
		"ß": "ss", "ẞ": "ss", "æ": "ae", "Æ": "ae", "œ": "oe", "Œ": "oe", "þ": "th", "Þ": "th",
	} {
		r, _ := utf8.DecodeRuneInString(from)
		m[r] = []byte(to)
	}
	from := []rune("øØłŁđĐðÐħĦŧŦɡɑɩɪɴʀʙʜʟʏᴀᴄᴅᴇꜰɢᴊᴋᴍᴏᴘꜱᴛᴜᴠᴡᴢ")
	for i, l := range "oollddddhhttgaiinrbhlyacdefgjkmopstuvwz" {
		m[from[i]] = []byte(string(l))
	}
	return m
}()

// lookalikes holds the Cyrillic and Greek letters, in lower case, that look
// like a Latin letter in one of their cases. Facts: Unicode's confusables.txt.
var lookalikes = func() map[rune]byte {
	m := map[rune]byte{}
	from := []rune("аеорсухіјѕԁһԛԝѵқвмнктгьӏєзαονρικτυεγωχβμηζ")
	for i, l := range []byte("aeopcyxijsdhqwvkbmhktrblezaovpiktueywxbunz") {
		m[from[i]] = l
	}
	return m
}()
