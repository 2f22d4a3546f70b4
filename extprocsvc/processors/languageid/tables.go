package languageid

import "strings"

// A profile is what we know of a language that shares its script with others:
// the words that are most frequent in it, question words and the verbs that
// prompts begin with, and the letters that it uses beyond a to z, or beyond
// those of Russian.
type profile struct {
	code    string
	letters string
	words   string
}

// latin and cyrillic are the languages of these scripts.
var latin = []profile{
	{"en", "", `the be to of and a in that have i it for not on with he as you do at this but his by from they we say her she or an will my one all would there
		their what so up out if about who get which go me when make can like time no just him know take people into your good some could them see other than then now
		look only come its over think also back after use two how our work first well way even new want because any these give day most us is are was were has had
		does did been please write explain tell help why where should between more very i'd i'm don't what's summarise summarize`},
	{"de", "äöüß", `der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an werden aus er hat dass sie nach wird bei einer um am sind noch
		wie einem über einen so zum war haben nur oder aber vor zur bis mehr durch man sein wurde sei ich du wir ihr mir mich dir dich mein meine dein deine kann kannst
		können möchte bitte was wer wo warum wann welche welcher gibt wenn unter zwischen schreibe erkläre erklären nenne hilf sehr keine kein diesen diese dieser dieses vom etwas hier da gegen`},
	{"fr", "àâæçéèêëîïôœùûüÿ", `le la les de des du un une et à en que qui dans pour pas sur plus par je il elle nous vous ils on avec ce cette ces son sa ses mon ma mes ton ta tes notre
		votre est sont était être avoir ont ai as fait faire peut peux comme mais ou où donc ne se au aux si tout tous quel quelle quelles comment pourquoi quand quoi
		entre sans sous leur leurs y lui moi toi bien très aussi même deux écris explique expliquer donne merci bonjour plaît d l c j n qu s'il certains encore voudrais`},
	{"es", "áéíñóúü¿¡", `el la los las de del un una unos y a en que es no se lo le les por con para su sus como más pero al me mi mis tu tus te ya o este esta esto son fue ser ha hay
		yo él ella nosotros ustedes muy sin sobre entre cuando donde dónde cómo qué cuál cuáles quién por porque si sí también puede puedes tiene tengo hacer dos todo
		todos hasta desde nos uno algunas algunos escribe explica explicar dame gracias hola favor quiero necesito era están está mejor cinco`},
	{"it", "àèéìòù", `il lo la gli le di del della dei delle dello degli un una uno e a in che è non si per con su sul sulla come più ma al alla alle ai mi mio mia ti tuo tua ci o
		questo questa questi sono era essere ha ho hanno io lui lei noi voi loro molto senza tra fra quando dove perché cosa quale quali chi se anche può puoi
		da dal dalla nel nella nei due tutto tutti fino ne scrivi spiega spiegare dammi grazie ciao favore vorrei fare qual alcuni hai cinque quanto`},
	{"pt", "ãâáàçéêíóôõú", `o a os as de do da dos das um uma e em no na nos nas que é não se por com para seu sua seus suas como mais mas ao aos à me meu minha meus te ou este esta isto isso
		são foi ser há tem tenho eu ele ela nós vocês você muito sem sobre entre quando onde porque qual quais quem também pode podes fazer dois tudo todos até
		desde pelo pela escreva escreve explique explicar obrigado olá favor quero preciso estão está melhor algumas uns dê cinco lhe`},
	{"nl", "ëïéèöü", `de het een en van in te dat die op is zijn voor met niet aan er als om ook dan maar bij uit nog door over ze hij naar kan heeft hebben hebt worden wordt was deze
		dit zo ik je jij jou mij me mijn jouw u uw wij we ons hun wat wie waar waarom hoe wanneer welke of tussen geen meer zal moet kun kunt kunnen graag
		schrijf uitleggen geef bedankt hallo alsjeblieft wil sommige tot tegen onder zonder heel goed nodig samen vat veel daar hier`},
	{"sv", "åäöé", `och i att det som en på är av för med till den har de inte om ett han men var jag sig från vi så kan när år under också efter eller nu ut sin där vid mot ska skulle
		kommer få vara hade alla andra mycket här då sedan över bara in blir upp även vad vem varför hur vilken vilka mellan ingen min mitt mina din ditt du ni mig dig
		skriv förklara ge tack hej snälla vill måste behöver vissa denna detta hon oss något några utan`},
	{"da", "æøåé", `og i at det som en på er af for med til den har de ikke om et han men var jeg sig fra vi så kan når også efter eller nu ud sin hvor ved mod skal ville kommer få være havde
		alle andre meget her da over kun bliver op hvad hvem hvorfor hvordan hvilken hvilke mellem ingen min mit mine din dit du mig dig skriv forklar forklare giv tak
		hej venligst vil må nogle denne dette hun os noget uden blev bare af brug lige selv sådan jer hvis`},
	{"no", "æøåéò", `og i at det som en på er av for med til den har de ikke om et han men var jeg seg fra vi så kan når også etter eller nå ut sin hvor ved mot skal ville kommer få være hadde
		alle andre mye her da over bare blir opp hva hvem hvorfor hvordan hvilken hvilke mellom ingen min mitt mine din ditt du meg deg skriv forklar forklare gi takk
		hei vennligst vil må noen denne dette hun oss noe uten ble kun hvis dere selv slik etter ei trenger`},
	{"fi", "äöå", `ja on ei se että hän oli mutta ole minä sinä kun niin myös joka jos kuin mitä mikä miten miksi missä milloin kuka tämä tuo ne me te he sen sitä tai ovat olen olet olla
		voi voit voiko vain jo nyt sitten koko kaikki kanssa ennen jälkeen mukaan minun sinun hänen minua minulle sinulle kirjoita selitä anna kiitos hei ole hyvä haluan
		pitää täytyy paljon hyvin kuinka ettei eivät en siitä siinä tästä tässä välillä`},
	{"pl", "ąćęłńóśźż", `i w na z do się nie to że jest o jak za po ale od co przez tak dla przy są czy tylko było lub już być może był jego jej ich tym ten ta te tego który która które go mnie mi
		ja ty on ona my wy oni mój moja moje twój twoja jaki jaka jakie kto gdzie kiedy dlaczego ile więc bardzo można mogę możesz proszę napisz wyjaśnij wyjaśnić podaj
		dziękuję cześć między bez pod nad oraz gdy jeśli także jeszcze a we ze mam ma trzy dwa niektóre jest`},
	{"cs", "áčďéěíňóřšťúůýž", `a v se na je že z s do o to i ale jako za by po pro tak jsou od k u co jeho jak jen ze si nebo který která které už byl bylo být může ten ta tento tato toto při
		já ty on ona my vy oni můj moje tvůj jaký jaká jaké kdo kde kdy proč kolik velmi mohu můžeš prosím napiš vysvětli vysvětlit dej děkuji ahoj mezi bez pod nad
		když pokud také ještě mi mě mám má tří dva některé jsem jsi není ne aby tedy až`},
	{"hu", "áéíóöőúüű", `a az és hogy nem is egy van ez meg csak de már mint ha volt még el ki be fel le mi ki ki mit miért hogyan hol mikor melyik én te ő mi ti ők ezt azt ebben abban kell lehet
		vagy között nagyon sem minden után előtt alatt szerint lesz lenne tud tudsz tudom kérlek írj írd magyarázd adj add köszönöm szia jó szeretnék kérem össze nekem neked
		amely aki ami ezek azok mert akkor itt ott több három öt`},
	{"ro", "ăâîșşțţ", `și de în la a cu pe nu că o un este se din pentru mai sunt ce au care fi am ai are prin ca dar sau după fost lui ei el ea eu tu noi voi al ale lor său sa acest această
		acestea aceste cum unde când cine cât de câte între fără foarte tot toate poate poți pot mi îmi te îți mea meu mele ta tău scrie explică explici dă mulțumesc bună
		te rog vreau trebuie despre unei unor dintre până doar dacă atunci să ne trei`},
	{"tr", "çğıöşüâ", `bir ve bu için da de ile ne mi mı çok daha gibi o ben sen biz siz onlar ama var yok olan olarak değil en kadar sonra her şey şu ki ya veya nasıl neden niçin nerede
		nedir kim hangi zaman benim senin bana sana onu beni seni olduğu oldu olur eder ederim eden yaz açıkla ver lütfen teşekkürler merhaba istiyorum gerek arasında
		arasındaki hakkında üzerinde kendi bütün tüm iki üç beş diye ise göre önce musun mısın`},
	{"id", "", `yang dan di dari untuk dengan pada ini itu tidak akan adalah dalam ke oleh sebagai juga saya kamu anda dia kami kita mereka ada bisa dapat telah sudah atau tetapi lebih
		karena seperti apa siapa bagaimana mengapa kenapa kapan dimana mana berapa antara tentang sangat tolong tulis tuliskan jelaskan beri berikan terima kasih halo ingin
		perlu harus jika maka saat cara bagi agar hanya semua banyak beberapa bisakah menjelaskan`},
	{"vi", "àáảãạăằắẳẵặâầấẩẫậđèéẻẽẹêềếểễệìíỉĩịòóỏõọôồốổỗộơờớởỡợùúủũụưừứửữựỳýỷỹỵ", `và của là có không cho được trong một những các với người này đã để khi tôi bạn anh chị em nó họ chúng ta
		gì nào sao thế đâu ai bao nhiêu hãy viết giải thích cảm ơn xin chào muốn cần phải giữa về từ đến vào ra lên như thì mà hay hoặc rất nhiều đang sẽ`},
	{"ca", "àçéèíïóòúü·l", `el la els les de del dels un una i a en que és no es per amb com més però al als em meu meva et teu va ser han ha hi jo ell ella nosaltres molt sense sobre entre quan on
		què qui quin quina perquè si també pot pots tinc fer dos tot tots fins des aquest aquesta això escriu explica explicar dona gràcies hola sisplau vull necessito són està amb lo ho`},
	{"hr", "čćđšž", `i u je na se da za su od s a o ne kao iz to ili ali što koji koja koje biti bio bilo sam si smo ste nije može li po do tako samo još već ja ti on ona mi vi oni moj moja
		tvoj kako gdje kada zašto tko koliko vrlo mogu možeš molim napiši objasni daj hvala bok između bez pod nad ako također mi me imam ima tri dva neki nešto ovaj ova ovo kad`},
}

var cyrillic = []profile{
	{"ru", "ёыэъ", `и в не на я что он с как это по но к из у за от так же для вы ты мы она они бы был была было быть если или его её их мне меня мой моя мои твой только уже когда где кто
		почему зачем какой какая какие сколько может можешь можно между очень без под над до про при чём чем о об этот эта эту эти тебя нужно нужна есть нет напиши объясни
		объяснить дай расскажи пожалуйста спасибо привет хочу надо во со`},
	{"uk", "іїєґ", `і в не на я що він з як це по але до із у за від так же для ви ти ми вона вони б був була було бути якщо або його її їх мені мене мій моя мої твій тільки вже коли де хто
		чому навіщо який яка які скільки може можеш можна між дуже без під над про при чим та цей ця цю ці тебе треба потрібно потрібна є немає напиши поясни пояснити
		дай розкажи будь ласка дякую привіт хочу й зі`},
	{"bg", "ъ", `и в не на аз че той с как това по но към от у за така да ви ти ние тя те би беше бъде е са съм си ще го я им ми ме мой моя моите твой само вече когато къде кой
		защо какъв каква какво колко може можеш между много без под над до при чрез този тази тези теб трябва има няма напиши обясни дай разкажи моля благодаря здравей искам се или ли`},
	{"sr", "јљњђћџ", `и у је на се да за су од с а о не као из то или али што који која које бити био било сам си смо сте није може ли по до тако само још већ ја ти он она ми ви они мој моја
		твој како где када зашто ко колико врло могу можеш молим напиши објасни дај хвала здраво између без под над ако такође ме имам има три два неки нешто овај ова ово`},
	{"be", "ўі", `і ў у не на я што ён з як гэта па але да за ад так жа для вы ты мы яна яны бы быў была было быць калі або яго яе іх мне мяне мой мая толькі ужо дзе хто чаму які якая
		якія колькі можа можна паміж вельмі без пад над пра пры гэты гэтая трэба ёсць няма напішы растлумач дай калі ласка дзякуй прывітанне хачу`},
}

// Letters of these alphabets are shared: a language is told by the letters
// that the others lack, and by words.
var (
	arabic = []profile{
		{"ar", "ةىأإؤئ", `في من على إلى عن ما هو هي أن هذا هذه كيف لماذا أين متى مع لا كان التي الذي أو ثم بعد قبل بين`},
		{"fa", "پچژگیک", `در از به که این را با است آن برای یک تا چگونه چرا کجا چه می و هم یا بر شود بنویس درباره لطفا`},
		{"ur", "ٹڈڑںےہھیکگپچ", `کے کی کا میں ہے سے کو اور یہ وہ ایک پر نے کیا کیسے کیوں کہاں ہیں تک بارے لیے تھا`},
	}
	devanagari = []profile{
		{"hi", "", `है के में की से का को और एक यह पर कि हैं तक कैसे क्यों क्या कहाँ नहीं लिए ने भी लिखो बताओ मुझे आप मैं हो था`},
		{"mr", "ळ", `आहे आणि या एक तो ते मी काय कसे का कुठे नाही साठी मध्ये वर हे ही च्या आहेत मला तुम्ही लिहा सांगा`},
		{"ne", "", `छ र को मा एक यो त्यो म के कसरी किन कहाँ छैन लागि ले हो छन् मलाई तपाईं लेख भन गर्न`},
	}
)

// An alphabet is a set of letters, and the languages that are written in it.
type alphabet struct {
	name      string
	languages []profile
	// all holds the languages.
	all set
}

// alphabets are those that we know.
var alphabets = []*alphabet{
	{name: "latin", languages: latin}, {name: "cyrillic", languages: cyrillic},
	{name: "arabic", languages: arabic}, {name: "devanagari", languages: devanagari},
	one("han", "zh"), one("kana", "ja"), one("hangul", "ko"), one("greek", "el"), one("hebrew", "he"), one("thai", "th"),
	one("armenian", "hy"), one("georgian", "ka"), one("bengali", "bn"), one("gurmukhi", "pa"), one("gujarati", "gu"),
	one("tamil", "ta"), one("telugu", "te"), one("kannada", "kn"), one("malayalam", "ml"), one("sinhala", "si"),
	one("lao", "lo"), one("myanmar", "my"), one("ethiopic", "am"), one("khmer", "km"),
}

// one is an alphabet of one language, as far as we tell.
func one(name, code string) *alphabet {
	return &alphabet{name: name, languages: []profile{{code: code}}}
}

// ranges tell the alphabet of a letter; they are sorted.
var ranges = []struct {
	from, to rune
	alphabet string
}{
	{0x0041, 0x024f, "latin"}, {0x0370, 0x03ff, "greek"}, {0x0400, 0x052f, "cyrillic"}, {0x0531, 0x058f, "armenian"},
	{0x0591, 0x05f4, "hebrew"}, {0x0600, 0x06ff, "arabic"}, {0x0900, 0x097f, "devanagari"}, {0x0980, 0x09ff, "bengali"},
	{0x0a00, 0x0a7f, "gurmukhi"}, {0x0a80, 0x0aff, "gujarati"}, {0x0b80, 0x0bff, "tamil"}, {0x0c00, 0x0c7f, "telugu"},
	{0x0c80, 0x0cff, "kannada"}, {0x0d00, 0x0d7f, "malayalam"}, {0x0d80, 0x0dff, "sinhala"}, {0x0e00, 0x0e7f, "thai"},
	{0x0e80, 0x0eff, "lao"}, {0x1000, 0x109f, "myanmar"}, {0x10a0, 0x10ff, "georgian"}, {0x1100, 0x11ff, "hangul"},
	{0x1200, 0x137f, "ethiopic"}, {0x1780, 0x17ff, "khmer"}, {0x1e00, 0x1eff, "latin"}, {0x1f00, 0x1fff, "greek"},
	{0x3040, 0x30ff, "kana"}, {0x3130, 0x318f, "hangul"}, {0x3400, 0x9fff, "han"}, {0xac00, 0xd7af, "hangul"},
	{0x20000, 0x3ffff, "han"},
}

// alphabetOf returns the alphabet of a letter, or -1.
func alphabetOf(r rune) int {
	low, high := 0, len(ranges)
	for low < high {
		if i := (low + high) / 2; ranges[i].to < r {
			low = i + 1
		} else {
			high = i
		}
	}
	if low == len(ranges) || r < ranges[low].from {
		return -1
	}
	return inRange[low]
}

// A set holds one bit for each language.
type set uint64

var (
	// codes are the codes of the languages by their number.
	codes []string
	// inRange are the alphabets of ranges, han and kana two of them.
	inRange   []int
	han, kana int
	// wordSets and letterSets tell which languages have a word or a letter.
	wordSets   = map[string]set{}
	letterSets = map[rune]set{}
)

func init() {
	number := map[string]int{}
	for i, a := range alphabets {
		number[a.name] = i
		for _, p := range a.languages {
			bit := set(1) << len(codes)
			codes = append(codes, p.code)
			a.all |= bit
			for w := range strings.FieldsSeq(p.words) {
				for part := range strings.SplitSeq(w, "'") {
					wordSets[part] |= bit
				}
			}
			for _, r := range p.letters {
				letterSets[r] |= bit
			}
		}
	}
	han, kana = number["han"], number["kana"]
	for _, r := range ranges {
		inRange = append(inRange, number[r.alphabet])
	}
}
