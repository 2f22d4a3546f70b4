package promptinjection

import (
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/attache-dev/attache/extprocsvc/words"
)

// class is a set of meanings that a word can have. Rules are sequences of
// them, so that a rule holds in every language that has words of its classes.
type class uint64

const (
	override  class = 1 << iota // ignore, forget
	overrideJ                   // the same in languages that put the verb last
	void                        // no longer valid
	prior                       // previous, above
	instr                       // instructions, rules
	core                        // instructions and prompts, not rules
	prompt                      // prompt, message: instructions only with something beside them
	text                        // text, words: what can be repeated
	your                        // your
	every                       // all, everything
	you                         // you
	told                        // told, given, received
	system                      // system, hidden, internal
	reveal                      // show, print, repeat
	verbatim                    // word for word
	what                        // what
	act                         // act, pretend
	model                       // ai, assistant, model
	persona                     // dan, jailbroken, unrestricted
	lacks                       // without, no
	limits                      // restrictions, filters
	disable                     // turn off
	safety                      // safety, filter
	modes                       // developer, god
	mode                        // mode
	now                         // now
	from                        // from now on, in one word or its first
	fresh                       // new, real
	task                        // task, role
	follow                      // follow, obey
	not                         // not, never, stop
	tell                        // tell, mention
	user                        // user
	send                        // send, post, forward
	secret                      // key, password, history
	goods                       // data, files
	hide                        // hide
	address                     // http, webhook
	tool                        // call, execute
	harm                        // delete, transfer
	boss                        // developer, administrator
	am                          // I am
	refuse                      // refuse, apologise
	bound                       // bound, restricted
	longer                      // longer, freed
	begin                       // begin
	answer                      // answer
	note                        // note, attention
	who                         // if, when: begins a condition
	role                        // role
	to                          // to, before a verb
	third                       // they, users: somebody else does it
	how                         // how
	do                          // do, anything: of "do anything now"
	confirm                     // asking, confirmation
	stay                        // stay in character
	character                   // character
)

// vocabulary is the words of each class, as a person would write them. Words
// in scripts without spaces may have several characters.
var vocabulary = []struct {
	class class
	words string
}{
	{override, `ignore ignoring disregard disregarding forget override overriding bypass neglect discard dismiss skip drop overlook abandon circumvent
		ignoriere ignorieren ignorier vergiss vergesst missachte missachten ignorez ignorer oublie oubliez oublier ignora ignorad ignoren olvida olvide olviden
		dimentica dimenticate ignorate esqueca esquecer desconsidere descarta descarte 忽略 无视 無視 忘记 忘掉 忽视 игнорируй игнорируйте забудь забудьте`},
	{overrideJ, `ignorieren ignoriere vergessen missachten 無視し 無視して 忘れ 忘れて 破棄し 무시 잊어 잊고`},
	{void, `void cancelled canceled revoked superseded obsolete outdated suspended lifted replaced null invalid aufgehoben ungultig annulees anuladas annullate`},
	{prior, `previous previously prior above earlier preceding foregoing former initial initially original originally before received
		vorherigen vorherige vorigen bisherigen bisherige bisher obigen obige fruheren vorangegangenen ursprunglichen anfanglichen
		anterior anteriores previas previos previa iniciales iniciais precedentes precedente precedenti precedents anterieures dessus initiales iniziali
		之前 以上 上面 上述 先前 前面 初始 以前 これまで 上記 前の 最初の 이전 위의 앞의 предыдущие предыдущих прежние`},
	{instr, `instruction instructions instrs directive directives directions guideline guidelines rule rules command commands order orders policy policies prompt prompts
		constraints restrictions programming training guardrails consignes regles anweisung anweisungen regeln vorgaben richtlinien befehle instrucciones reglas ordenes directrices
		istruzioni regole direttive instrucoes regras diretrizes orientacoes systemprompt
		指令 指示 规则 規則 提示 设定 命令 ルール プロンプト 지시 명령 규칙 지침 инструкции инструкций правила`},
	{core, `instruction instructions directive directives guideline guidelines prompt prompts systemprompt anweisung anweisungen instrucciones istruzioni instrucoes consignes
		指令 指示 提示词 提示 プロンプト 지시 지침 инструкции инструкций`},
	{prompt, `prompt prompts systemprompt message configuration preamble setup context 提示词 提示 プロンプト 프롬프트 промпт`},
	{text, `text words everything lines sentence sentences contents content line`},
	{your, `your ur its deine deinen dein deiner ihre ihren tu tus su sus tes vos votre ton tuo tue tuoi vostre seu seus sua suas 你的 您的 あなたの 너의 당신의 твои твой`},
	{every, `all any every everything anything alle alles todas todo todos toutes tous tout tutte tutto tutti tudo 所有 一切 全部 すべて 全て 모든 все всё`},
	{you, `you u du dir tu te usted vous voce 你 您 あなた 너 당신 ты тебе`},
	{told, `told gave given received instructed learned taught trained programmed said gesagt dicho dit detto dito 收到`},
	{system, `system hidden internal secret confidential developer developers systemprompt sistema systeme sistem interne internen versteckten ocultas oculto ocultos cachees internas internos initial original
		初始 隐藏 内部 系统 システム 最初の 시스템 숨겨진 системный системные скрытые`},
	{reveal, `reveal show print display output repeat tell disclose leak expose share dump list recite echo write spell give summarise summarize translate copy paste describe
		zeige zeig nenne verrate wiederhole drucke gib muestra muestrame revela revele repite repita dime imprime imprima montre montrez affiche affichez repete repetez donne
		mostra mostrami mostrate rivela ripeti stampa dimmi mostre exiba escreva 显示 输出 告诉 透露 泄露 打印 重复 展示 教えて 表示し 出力し 見せて 開示し 公開し 보여 알려 출력 공개 покажи выведи раскрой`},
	{verbatim, `verbatim exactly exact entire full complete completely unmodified wort mot palabra parola integra 逐字 一字一句 そのまま`},
	{what, `what whats was qual cual quel quelles 什么 何`},
	{act, `act acting pretend roleplay behave simulate impersonate imagine become respond be agis actua finge verhalte spiele agisci fingi aja finja actue
		扮演 假装 振る舞 ふりを 演じ`},
	{model, `ai assistant model chatbot chatgpt gpt llm bot ki ia robot 人工智能 助手 モデル アシスタント`},
	{persona, `dan jailbroken jailbreak unrestricted uncensored unfiltered amoral immoral lawless evilbot unlimited rogue uneingeschrankte`},
	{lacks, `without no zero free never ohne keine keinen sin sans senza sem aucune aucun nessuna nenhuma ningun ninguna 没有 不受 無制限 のない なしで 없는 없이 без`},
	{limits, `restriction restrictions restricted limit limits limitation limitations filter filters rules guidelines censorship ethics ethical morals moral boundaries constraints refusals warnings policy policies
		einschrankungen einschrankung filtern grenzen restricciones filtros filtro restrictions limite limites filtre filtres restrizioni limiti filtri restricoes limitacoes
		限制 约束 过滤 审查 制限 フィルター 제한 ограничений цензуры`},
	{disable, `disable disabled deactivate off remove removed unlock bypass lift lifted deaktiviere desactiva desactive disattiva desative 关闭 解除 無効に`},
	{safety, `safety filter filters guardrails moderation censorship safeguards protections restrictions limitations checks ethics 安全`},
	{modes, `developer dev god debug sudo admin maintenance root jailbreak dan unrestricted`},
	{mode, `mode modus modo`},
	{now, `now 现在 今 지금 jetzt ahora maintenant ora agora sofort`},
	{from, `from ab desormais partir 从现在 今から 지금부터`},
	{fresh, `new real actual updated true neue neuen nuevas nouvelles nuove novas 新的 新しい 새로운`},
	{task, `task role instructions instruction objective mission goal persona orders rules`},
	{follow, `follow following obey comply adhere respect respecte respectez heed sigas seguir befolge befolgen suivez suis seguire 遵守 遵循 听从 従わ`},
	{not, `not don never stop cannot nicht niemals nunca jamais ne plus pas non mai nao 不要 别 不再 请勿`},
	{tell, `tell telling mention mentioning inform informing notify notifying reveal revealing alert alerting show disclose say`},
	{user, `user users human owner anyone customer`},
	{send, `send post forward upload exfiltrate transmit email mail submit append leak pass`},
	{secret, `key keys password passwords credentials credential secret secrets env cookies history conversation contacts inbox variables tokens`},
	{goods, `contents files data mails emails records`},
	{hide, `hide conceal`},
	{address, `http https webhook url ftp address`},
	{tool, `call invoke execute run use`},
	{harm, `delete drop rm wipe transfer purchase buy destroy`},
	{boss, `developer developers creator administrator admin supervisor operator owner engineer programmer openai anthropic entwickler desarrollador developpeur sviluppatore desenvolvedor`},
	{am, `am m bin soy suis sono sou`},
	{refuse, `refuse refuses refusal refusals decline apologize apologise warn`},
	{bound, `bound restricted limited constrained subject`},
	{longer, `longer freed free liberated unshackled anymore`},
	{begin, `begin start starting beginning prefix`},
	{answer, `answer answers response responses reply replies`},
	{note, `note attention important notice message dear hello hey`},
	{who, `if when whenever`},
	{role, `role`},
	{to, `to`},
	{third, `they users people attackers attacker hackers someone models chatbots bots he she it i we`},
	{how, `how why whether wie warum comment pourquoi como porque come 如何 怎么 为什么`},
	{do, `do`},
	{confirm, `confirm confirmation confirming asking ask permission`},
	{stay, `stay remain`},
	{character, `character`},
}

// A move is what a word does for a rule: it may be its step.
type move struct{ rule, step int16 }

// An entry is a word of the vocabulary.
type entry struct {
	word  string
	class class
	// encoded tells that this is the word in ROT13 or backwards.
	encoded, backwards bool
	runes              int32
	// moves are in descending order of steps, so that one word is never two
	// steps of one passage.
	moves []move
}

const (
	// minEncoded is the length from which words are also known in ROT13 and
	// backwards; shorter ones would be other words too often.
	minEncoded = 5
	// minSpelled and maxSpelled are the lengths of the words that are looked
	// for in text whose letters stand apart.
	minSpelled, maxSpelled = 5, 14
	// maxRunes is the length of the longest word in a script without spaces.
	maxRunes = 6
)

// lexicon is the vocabulary by folded word. It does not change.
var lexicon = compile()

func compile() map[string]*entry {
	lex := map[string]*entry{}
	var s words.Scanner
	for _, v := range vocabulary {
		for w := range strings.FieldsSeq(v.words) {
			var folded string
			s.Reset([]byte(w))
			for s.Next() {
				folded += string(s.Text)
			}
			if lex[folded] == nil {
				lex[folded] = &entry{word: folded, runes: int32(utf8.RuneCountInString(folded))}
			}
			lex[folded].class |= v.class
		}
	}
	for _, w := range slices.Sorted(maps.Keys(lex)) {
		e := lex[w]
		e.moves = moves(e.class)
		if len(w) < minEncoded || w[0] >= utf8.RuneSelf || e.encoded {
			continue
		}
		for _, other := range []entry{{word: rot13(w), moves: e.moves}, {word: reversed(w), backwards: true}} {
			if other.encoded = true; lex[other.word] == nil {
				lex[other.word] = &other
			}
		}
	}
	return lex
}

// moves lists the steps that a word of a class can be.
func moves(c class) (m []move) {
	for r := range rules {
		for i := range slices.Backward(rules[r].steps) {
			if rules[r].steps[i].class&c != 0 {
				m = append(m, move{int16(r), int16(i)})
			}
		}
	}
	return m
}

func rot13(w string) string {
	b := []byte(w)
	for i, c := range b {
		if 'a' <= c && c <= 'z' {
			b[i] = 'a' + (c-'a'+13)%26
		}
	}
	return string(b)
}

func reversed(w string) string {
	r := []rune(w)
	slices.Reverse(r)
	return string(r)
}

// leet holds what digits stand for in words that are written with them; 1 is
// tried as both i and l.
var leet = [10]byte{'o', 'i', 'z', 'e', 'a', 's', 'g', 't', 'b', 'g'}

// spelled appends a word with its digits as letters.
func spelled(dst, word []byte, one byte) []byte {
	for _, c := range word {
		switch {
		case c == '1':
			c = one
		case '0' <= c && c <= '9':
			c = leet[c-'0']
		}
		dst = append(dst, c)
	}
	return dst
}

// marker is a piece of text that chat templates and the like use to tell who
// speaks, in lower case. It stands outside of words or begins there.
type marker struct {
	literal string
	weight  float64
}

// markers are sorted by their first byte; see markersOf.
var markers = []marker{
	{"<|im_start|>", 0.9}, {"<|im_end|>", 0.9}, {"<|endoftext|>", 0.9}, {"<|eot_id|>", 0.9}, {"<|start_header_id|>", 0.9},
	{"<|system|>", 0.9}, {"<|assistant|>", 0.9}, {"<|user|>", 0.8}, {"<start_of_turn>", 0.9}, {"<end_of_turn>", 0.9},
	{"<<sys>>", 0.9}, {"<</sys>>", 0.9}, {"<system>", 0.7}, {"</system>", 0.7}, {"</user_input>", 0.7}, {"</user>", 0.6},
	{"</document>", 0.4}, {"</context>", 0.5}, {"<instructions>", 0.5},
	{"[inst]", 0.9}, {"[/inst]", 0.9}, {"[system](#", 0.9}, {"[system]", 0.5}, {"[jailbreak]", 0.95}, {"[🔓jailbreak]", 0.9},
	{"### system", 0.7}, {"###system", 0.7}, {"### instruction", 0.3},
	{"![](http", 0.3}, {"?data={", 0.5}, {"?q={", 0.3},
}

// markersOf holds the markers by their first byte.
var markersOf = func() (by [256][]marker) {
	for _, m := range markers {
		by[m.literal[0]] = append(by[m.literal[0]], m)
	}
	return by
}()

// at tells whether the marker stands at the beginning of b.
func (m marker) at(b []byte) bool {
	if len(b) < len(m.literal) {
		return false
	}
	for i := range len(m.literal) {
		c := b[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != m.literal[i] {
			return false
		}
	}
	return true
}

// turns are the words that name a speaker at the beginning of a line.
var turns = map[string]float64{"system": 0.6, "assistant": 0.25, "human": 0.25}

// printable tells whether b reads as text: it is what to expect behind an
// encoding that hides words, and not behind a picture or a key.
func printable(b []byte) bool {
	good, spaces := 0, 0
	for _, c := range b {
		if c == ' ' || c == '\n' {
			spaces++
		}
		if c >= ' ' && c < 0x7f || c == '\n' || c == '\t' || c >= 0xc2 && c < 0xf5 || c >= 0x80 && c < 0xc0 {
			good++
		}
	}
	return utf8.Valid(b) && good*20 >= len(b)*19 && spaces > 0
}
