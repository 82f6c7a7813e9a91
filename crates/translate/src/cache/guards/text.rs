//! Words of a text, in any script, with where they stand.
//!
//! Folded for looking up, never for keeping: small letters, composed accents, ASCII for full-width forms and
//! for other scripts' digits, one apostrophe for all, nothing invisible. Scripts without spaces are told sign by sign.
//! Must not know any word.

use std::ops::Range;

#[cfg(test)]
mod tests;

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    /// In [`Text::folded`].
    folded: Range<usize>,
    /// In the text.
    raw: Range<usize>,
    pub(super) kind: Kind,
    /// Begins a sentence, a line or an item.
    pub(super) first: bool,
    /// Begins with a capital letter.
    pub(super) capital: bool,
    /// Two or more letters, all capitals.
    pub(super) capitals: bool,
    /// Ends in `n't`.
    pub(super) negated: bool,
    /// A comma or bracket stands before it.
    pub(super) set_off: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Word,
    /// Letters and digits, letters first.
    Mixed,
    Number,
    /// Letters directly behind a number: `km`, `th`.
    Suffix,
    /// One sign of a script without spaces.
    Sign,
    /// A currency, a percent sign, degrees.
    Symbol,
}

/// A text with its words.
#[derive(Debug, Clone, Default)]
pub(super) struct Text {
    folded: String,
    pub(super) tokens: Vec<Token>,
    pub(super) scripts: Scripts,
    /// It ends a sentence with a question mark somewhere.
    pub(super) asks: bool,
}

/// Letters by script.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Scripts([u32; 9]);

const NAMES: [&str; 9] =
    ["Latin", "Cyrillic", "Greek", "Hebrew", "Arabic", "Devanagari", "Hangul", "Chinese", "Japanese"];
const LATIN: usize = 0;
const CYRILLIC: usize = 1;
const HAN: usize = 7;
const KANA: usize = 8;

impl Scripts {
    /// The script of most of the text; none for a text without letters.
    pub(super) fn main(&self) -> Option<&'static str> {
        self.index().and_then(|index| NAMES.get(index)).copied()
    }

    pub(super) fn is_latin(&self) -> bool {
        self.index() == Some(LATIN)
    }

    pub(super) fn is_cyrillic(&self) -> bool {
        self.index() == Some(CYRILLIC)
    }

    pub(super) fn is_chinese(&self) -> bool {
        self.index() == Some(HAN)
    }

    pub(super) fn is_japanese(&self) -> bool {
        self.index() == Some(KANA)
    }

    fn index(&self) -> Option<usize> {
        let mut counts = self.0;
        let [.., han, kana] = &mut counts;
        // A sign says as much as some letters; and where there is kana, Chinese signs are Japanese.
        *han *= 3;
        *kana *= 3;
        if *kana > 0 {
            *kana += std::mem::take(han);
        }
        let most = counts.iter().copied().max().filter(|most| *most > 0)?;
        counts.iter().position(|count| *count == most)
    }

    fn note(&mut self, sign: char) {
        let script = match sign {
            'a'..='z' | 'A'..='Z' | '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' => LATIN,
            '\u{400}'..='\u{52f}' => CYRILLIC,
            '\u{370}'..='\u{3ff}' => 2,
            '\u{590}'..='\u{5ff}' => 3,
            '\u{600}'..='\u{6ff}' => 4,
            '\u{900}'..='\u{97f}' => 5,
            '\u{ac00}'..='\u{d7af}' => 6,
            '\u{4e00}'..='\u{9fff}' | '\u{3400}'..='\u{4dbf}' => HAN,
            '\u{3040}'..='\u{30ff}' => KANA,
            _ => return,
        };
        if let Some(count) = self.0.get_mut(script) {
            *count += 1;
        }
    }
}

impl Text {
    pub(super) fn of(raw: &str) -> Self {
        let text = Self {
            folded: String::with_capacity(raw.len()),
            tokens: Vec::with_capacity(raw.len() / 4),
            ..Self::default()
        };
        let mut reader = Reader { text, open: None, first: true, set_off: false, behind: false };
        let mut signs = raw.char_indices().peekable();
        while let Some((at, sign)) = signs.next() {
            let next = signs.peek().map(|next| fold(next.1));
            reader.sign(at, sign.len_utf8(), fold(sign), next);
        }
        reader.close();
        reader.text
    }

    pub(super) fn word(&self, token: &Token) -> &str {
        self.folded.get(token.folded.clone()).unwrap_or_default()
    }

    pub(super) fn raw<'r>(&self, token: &Token, raw: &'r str) -> &'r str {
        raw.get(token.raw.clone()).unwrap_or_default()
    }
}

fn is_letter(sign: char) -> bool {
    sign.is_alphabetic() && !is_unspaced(sign)
}

/// Scripts that put no spaces between words.
pub(super) fn is_unspaced(sign: char) -> bool {
    matches!(sign, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}')
}

struct Reader {
    text: Text,
    open: Option<Token>,
    first: bool,
    set_off: bool,
    /// The letter behind the last apostrophe is a capital.
    behind: bool,
}

impl Reader {
    fn sign(&mut self, at: usize, length: usize, sign: char, next: Option<char>) {
        let end = at + length;
        match sign {
            '\u{300}'..='\u{36f}' => self.accent(sign, end),
            // Soft hyphens, joiners, marks of byte order and direction: nobody sees them.
            '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' => {}
            _ if is_unspaced(sign) => {
                self.close();
                self.text.scripts.note(sign);
                self.begin(Kind::Sign, at);
                self.push(sign, end);
                self.close();
            }
            '0'..='9' => self.digit(at, end, sign),
            _ if sign.is_alphabetic() || sign == '_' => self.letter(at, end, sign),
            '.' | ',' | ':' | '/'
                if self.is_open(Kind::Number) && next.is_some_and(|next| next.is_ascii_digit()) =>
            {
                self.push(sign, end);
            }
            '\'' if self.is_open(Kind::Word) && next.is_some_and(is_letter) => self.push('\'', end),
            '.' if self.is_dotted(next) => self.push('.', end),
            '$' | '€' | '£' | '¥' | '₹' | '%' | '℃' | '℉' | '°' => {
                self.symbol(at, end, sign, next)
            }
            _ => self.other(sign, next),
        }
    }

    /// `U.S.`, `a.m.`: single letters with points between and behind them.
    fn is_dotted(&self, next: Option<char>) -> bool {
        let Some(open) = self.open.as_ref().filter(|open| open.kind == Kind::Word) else { return false };
        let word = self.text.word(open);
        let singles = word.split('.').all(|part| part.chars().count() == 1);
        singles && (next.is_some_and(is_letter) || word.contains('.'))
    }

    fn is_open(&self, kind: Kind) -> bool {
        self.open.as_ref().is_some_and(|open| open.kind == kind)
    }

    fn begin(&mut self, kind: Kind, at: usize) {
        let folded = self.text.folded.len();
        self.open = Some(Token {
            folded: folded..folded,
            raw: at..at,
            kind,
            first: std::mem::take(&mut self.first),
            capital: false,
            capitals: false,
            negated: false,
            set_off: std::mem::take(&mut self.set_off),
        });
    }

    fn push(&mut self, sign: char, end: usize) {
        match sign.is_ascii() {
            true => self.text.folded.push(sign.to_ascii_lowercase()),
            false => self.text.folded.extend(sign.to_lowercase()),
        }
        if let Some(open) = &mut self.open {
            open.folded.end = self.text.folded.len();
            open.raw.end = end;
        }
    }

    fn letter(&mut self, at: usize, end: usize, sign: char) {
        self.text.scripts.note(sign);
        let upper = sign.is_uppercase();
        match self.open.as_mut().map(|open| open.kind) {
            Some(Kind::Word | Kind::Mixed | Kind::Suffix) => {
                self.behind = if self.text.folded.ends_with('\'') { upper } else { self.behind };
                if let Some(open) = self.open.as_mut() {
                    let second = open.raw.end - open.raw.start == 1;
                    open.capitals = upper && open.capital && (second || open.capitals);
                }
            }
            Some(Kind::Number) => {
                self.close();
                self.begin(Kind::Suffix, at);
            }
            _ => {
                self.close();
                self.begin(Kind::Word, at);
                self.open.iter_mut().for_each(|open| open.capital = upper);
            }
        }
        self.push(sign, end);
    }

    fn digit(&mut self, at: usize, end: usize, sign: char) {
        match self.open.as_mut() {
            Some(open) if matches!(open.kind, Kind::Word | Kind::Mixed | Kind::Suffix) => {
                open.kind = Kind::Mixed
            }
            Some(open) if open.kind == Kind::Number => {}
            _ => {
                self.close();
                self.begin(Kind::Number, at);
            }
        }
        self.push(sign, end);
    }

    fn symbol(&mut self, at: usize, end: usize, sign: char, next: Option<char>) {
        self.close();
        let degrees = next.filter(|next| sign == '°' && matches!(next, 'C' | 'F' | 'c' | 'f'));
        self.begin(Kind::Symbol, at);
        self.push(sign, end);
        // The letter itself follows as a word, which says no more.
        degrees.into_iter().for_each(|scale| self.push(scale, end));
        self.close();
    }

    fn other(&mut self, sign: char, next: Option<char>) {
        self.close();
        let ends = match sign {
            '.' => next.is_none_or(char::is_whitespace),
            '!' | '?' | '\n' | ':' | ';' | '。' | '！' | '？' | '：' | '；' | '•' | '¿' | '¡' => {
                true
            }
            _ => false,
        };
        self.first |= ends;
        self.text.asks |= matches!(sign, '?' | '？');
        self.set_off |= matches!(sign, ',' | '(' | '，' | '、' | '–' | '—');
    }

    /// A combining mark: the letter before it gets it, so that both spellings are one.
    fn accent(&mut self, mark: char, end: usize) {
        let Some(open) = &mut self.open else { return };
        if let Some(composed) = self.text.folded.chars().next_back().and_then(|base| compose(base, mark)) {
            self.text.folded.pop();
            self.text.folded.push(composed);
        }
        open.folded.end = self.text.folded.len();
        open.raw.end = end;
    }

    fn close(&mut self) {
        let Some(mut token) = self.open.take() else { return };
        match token.kind {
            Kind::Number => self.plain_number(&mut token),
            Kind::Word => return self.close_word(token),
            // `20th`, `1990s`: the number says it all.
            Kind::Suffix
                if matches!(self.text.word(&token), "th" | "st" | "nd" | "rd" | "s" | "er" | "ème" | "e") =>
            {
                return;
            }
            _ => {}
        }
        self.text.tokens.push(token);
    }

    /// Written by value: no separators of thousands, a point before decimals, nothing before or behind that counts nothing.
    fn plain_number(&mut self, token: &mut Token) {
        let word = self.text.word(token);
        if !word.starts_with('0') && word.bytes().all(|byte| byte.is_ascii_digit()) {
            return;
        }
        let value = by_value(word);
        self.text.folded.truncate(token.folded.start);
        self.text.folded.push_str(&value);
        token.folded.end = self.text.folded.len();
    }

    /// Elided words are told apart (`l'eau`), what is short for a verb or a possessor is cut off (`what's`).
    fn close_word(&mut self, mut token: Token) {
        let word = self.text.word(&token);
        let Some((before, after)) = word.split_once('\'') else {
            return self.text.tokens.push(token);
        };
        if matches!(
            before,
            "l" | "d"
                | "j"
                | "m"
                | "t"
                | "s"
                | "n"
                | "c"
                | "qu"
                | "un"
                | "dell"
                | "nell"
                | "all"
                | "sull"
                | "dov"
                | "cos"
                | "com"
        ) {
            let middle = token.folded.start + before.len() + 1;
            let cut = token.raw.start + before.len();
            let rest = Token {
                folded: middle..token.folded.end,
                raw: cut..token.raw.end,
                first: false,
                capital: self.behind,
                capitals: false,
                set_off: false,
                ..token.clone()
            };
            token.folded.end = middle;
            token.capital = false;
            self.text.tokens.push(token);
            return self.text.tokens.push(rest);
        }
        token.negated = word.ends_with("n't");
        if matches!(after, "s" | "re" | "ve" | "ll" | "d" | "m") {
            token.folded.end = token.folded.start + before.len();
        }
        self.text.tokens.push(token);
    }
}

/// Full-width forms are ASCII's, digits are digits, apostrophes one.
fn fold(sign: char) -> char {
    match sign {
        '\u{ff01}'..='\u{ff5e}' => shifted(sign, 0xff01, '!'),
        '\u{2018}' | '\u{2019}' | '\u{2bc}' | '`' | '´' => '\'',
        '\u{660}'..='\u{669}' => shifted(sign, 0x660, '0'),
        '\u{6f0}'..='\u{6f9}' => shifted(sign, 0x6f0, '0'),
        '\u{966}'..='\u{96f}' => shifted(sign, 0x966, '0'),
        '\u{a0}' | '\u{3000}' => ' ',
        other => other,
    }
}

fn shifted(sign: char, from: u32, to: char) -> char {
    char::from_u32((sign as u32).wrapping_sub(from).wrapping_add(to as u32)).unwrap_or(sign)
}

/// The letters that the known languages write with marks.
fn compose(base: char, mark: char) -> Option<char> {
    const TABLE: [(char, &str, &str); 8] = [
        ('\u{300}', "aeiou", "àèìòù"),
        ('\u{301}', "aeiouyn", "áéíóúýń"),
        ('\u{302}', "aeiou", "âêîôû"),
        ('\u{303}', "aon", "ãõñ"),
        ('\u{308}', "aeiouе", "äëïöüё"),
        ('\u{327}', "cs", "çş"),
        ('\u{30c}', "cszer", "čšžěř"),
        ('\u{306}', "и", "й"),
    ];
    let (_, bases, composed) = TABLE.iter().find(|row| row.0 == mark)?;
    composed.chars().nth(bases.chars().position(|known| known == base)?)
}

fn by_value(written: &str) -> String {
    let groups = |mark: char| {
        let (whole, rest) = written.split_at(
            written.find(|sign| sign != mark && !char::is_ascii_digit(&sign)).unwrap_or(written.len()),
        );
        let mut parts = whole.split(mark);
        let head = parts.next().is_some_and(|head| (1..=3).contains(&head.len()));
        let several = whole.contains(mark);
        (head && several && parts.all(|part| part.len() == 3))
            .then(|| (whole.replace(mark, ""), rest.replace(',', ".")))
    };
    let plain = match (groups(','), groups('.')) {
        (Some((whole, rest)), _) => whole + &rest,
        (None, Some((whole, rest))) if !rest.is_empty() || written.matches('.').count() > 1 => whole + &rest,
        _ if written.matches(',').count() == 1 && !written.contains('.') => written.replace(',', "."),
        _ => written.to_owned(),
    };
    let is_decimal = plain.matches('.').count() == 1 && !plain.contains([':', '/', ',']);
    let decimals = plain.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    let short =
        if is_decimal && decimals != 3 { plain.trim_end_matches('0').trim_end_matches('.') } else { &plain };
    let start = short.trim_start_matches('0');
    if start.is_empty() || !start.starts_with(|sign: char| sign.is_ascii_digit()) {
        return format!("0{start}");
    }
    start.to_owned()
}
