//! About how many tokens a text has, by what it is written in.
//!
//! A real tokenizer is exact for one family of models, weighs megabytes and takes its time to start; those who
//! are asked for an estimate serve models of many families. So: a text is cut where tokenizers cut it (words,
//! changes of case, digits, runs of signs), and each piece has a price in hundredths of a token. The prices were
//! fitted by least squares against two large vocabularies of today (o200k and Tekken); `docs/token-counts.md`
//! says on which texts and how far off they are. Must not know a model's name.

/// A word of Latin letters, and what its letters cost beyond the seventh. A capital after a small letter begins
/// a new one: `camelCase` is two.
const WORD: u64 = 100;
const LONG_WORD: u64 = 46;
const SHORT: u32 = 7;
/// A Latin letter with a mark, besides its word.
const MARKED: u64 = 125;
/// Up to three digits.
const DIGITS: u64 = 153;
/// A run of ASCII signs, and each one behind its first.
const SIGN: u64 = 86;
const MORE_SIGNS: u64 = 3;
const LINE_BREAK: u64 = 92;
/// Spaces belong to the word behind them; of long runs something is left.
const MORE_SPACES: u64 = 1;
/// A Cyrillic word, and its letters beyond the fourth.
const CYRILLIC_WORD: u64 = 136;
const LONG_CYRILLIC: u64 = 24;
const SHORT_CYRILLIC: u32 = 4;

/// What of a character decides its price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Small,
    Capital,
    Cyrillic,
    Digit,
    Sign,
    LineBreak,
    Space,
    /// Priced each by itself, in hundredths.
    Alone(u64),
}

/// Tokens of `text`, in hundredths.
pub(super) fn hundredths(text: &str) -> u64 {
    let mut sum = 0_u64;
    let mut before = Kind::Alone(0);
    // Length of the current run.
    let mut run = 0_u32;
    for character in text.chars() {
        let kind = kind(character);
        run = if continues(before, kind) { run.saturating_add(1) } else { 1 };
        let marked = if is_marked(character, kind) { MARKED } else { 0 };
        sum = sum.saturating_add(price(kind, run)).saturating_add(marked);
        before = kind;
    }
    sum
}

fn price(kind: Kind, run: u32) -> u64 {
    let first = run == 1;
    match kind {
        Kind::Small | Kind::Capital if first => WORD,
        Kind::Small | Kind::Capital if run > SHORT => LONG_WORD,
        Kind::Cyrillic if first => CYRILLIC_WORD,
        Kind::Cyrillic if run > SHORT_CYRILLIC => LONG_CYRILLIC,
        Kind::Digit if run % 3 == 1 => DIGITS,
        Kind::Sign => {
            if first {
                SIGN
            } else {
                MORE_SIGNS
            }
        }
        Kind::LineBreak if first => LINE_BREAK,
        Kind::Space if !first => MORE_SPACES,
        Kind::Alone(price) => price,
        _ => 0,
    }
}

fn continues(before: Kind, kind: Kind) -> bool {
    match (before, kind) {
        (Kind::Small, Kind::Capital) => false,
        (Kind::Small | Kind::Capital, Kind::Small | Kind::Capital) => true,
        _ => before == kind,
    }
}

fn is_marked(character: char, kind: Kind) -> bool {
    !character.is_ascii() && matches!(kind, Kind::Small | Kind::Capital)
}

fn kind(character: char) -> Kind {
    match character {
        'a'..='z' => Kind::Small,
        'A'..='Z' => Kind::Capital,
        '0'..='9' => Kind::Digit,
        '\n' | '\r' => Kind::LineBreak,
        ' ' | '\t' => Kind::Space,
        '\0'..='\u{7F}' => Kind::Sign,
        _ if character.is_whitespace() => Kind::Space,
        '\u{C0}'..='\u{24F}' | '\u{1E00}'..='\u{1EFF}' if character.is_uppercase() => Kind::Capital,
        '\u{C0}'..='\u{24F}' | '\u{1E00}'..='\u{1EFF}' if character.is_alphabetic() => Kind::Small,
        '\u{400}'..='\u{52F}' => Kind::Cyrillic,
        _ => Kind::Alone(alone(character)),
    }
}

/// Characters whose neighbours matter less.
fn alone(character: char) -> u64 {
    match character {
        // Greek
        '\u{370}'..='\u{3FF}' | '\u{1F00}'..='\u{1FFF}' => 41,
        // Hebrew, Arabic and their relatives
        '\u{590}'..='\u{8FF}' | '\u{FB1D}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFF}' => 41,
        // The scripts of India
        '\u{900}'..='\u{DFF}' => 40,
        // Thai, Lao, Tibetan, Burmese, Khmer
        '\u{E00}'..='\u{109F}' | '\u{1780}'..='\u{17FF}' => 53,
        // Signs of typesetters, East Asian ones too
        '\u{80}'..='\u{BF}' | '\u{D7}' | '\u{F7}' | '\u{2000}'..='\u{206F}' => 88,
        '\u{3000}'..='\u{303F}' | '\u{FF00}'..='\u{FFEF}' => 88,
        // Kana, Chinese characters, Hangul
        '\u{3040}'..='\u{30FF}' => 71,
        '\u{3400}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}' => 99,
        '\u{1100}'..='\u{11FF}' | '\u{AC00}'..='\u{D7FF}' => 72,
        // Arrows, boxes, symbols, emoji
        '\u{2190}'..='\u{2BFF}' | '\u{1F000}'..='\u{1FFFF}' => 163,
        _ => 100,
    }
}
