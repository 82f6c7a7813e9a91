//! Words of ten languages, and what they do in a question.
//!
//! One text file per language, compiled in; `all.txt` and `places.txt` hold in every language. A line is
//! `<what> [<name>]: <words>`; a phrase has underscores for its spaces. Words that stand under the same name mean
//! the same. Must not decide anything: the guards do.
//!
//! | Line | Its words |
//! |---|---|
//! | `function` | say nothing by themselves; they also tell the language |
//! | `light` | may come and go without changing what is asked |
//! | `same` | stand for one another; only for words of which nothing else depends |
//! | `negation`, `plain` | negate; and phrases that hold such a word and do not |
//! | `number`, `unit`, `abbr`, `date` | quantities; an `abbr` counts directly behind a number only |
//! | `kind`, `aux`, `ask`, `request`, `prep` | what is asked for, and what stands around the word that says so |
//! | `form` | the form of the answer |
//! | `side` | one of the values `dimension.value` that exclude each other |
//! | `swap`, `join` | between two operands whose order counts, or does not |
//! | `place` | names that are known in any case of letters |

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::LazyLock;

#[cfg(test)]
mod tests;

/// The languages whose words are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    English,
    German,
    French,
    Spanish,
    Italian,
    Portuguese,
    Dutch,
    Russian,
    Chinese,
    Japanese,
}

impl Language {
    pub(super) const ALL: [Self; 10] = [
        Self::English,
        Self::German,
        Self::French,
        Self::Spanish,
        Self::Italian,
        Self::Portuguese,
        Self::Dutch,
        Self::Russian,
        Self::Chinese,
        Self::Japanese,
    ];

    /// Those that are written in Latin letters.
    pub(super) const LATIN: [Self; 7] = [
        Self::English,
        Self::German,
        Self::French,
        Self::Spanish,
        Self::Italian,
        Self::Portuguese,
        Self::Dutch,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::German => "German",
            Self::French => "French",
            Self::Spanish => "Spanish",
            Self::Italian => "Italian",
            Self::Portuguese => "Portuguese",
            Self::Dutch => "Dutch",
            Self::Russian => "Russian",
            Self::Chinese => "Chinese",
            Self::Japanese => "Japanese",
        }
    }

    /// Its bit in an [`Entry`].
    pub(super) fn bit(self) -> u16 {
        1 << (self as u16)
    }

    fn words(self) -> &'static str {
        match self {
            Self::English => include_str!("en.txt"),
            Self::German => include_str!("de.txt"),
            Self::French => include_str!("fr.txt"),
            Self::Spanish => include_str!("es.txt"),
            Self::Italian => include_str!("it.txt"),
            Self::Portuguese => include_str!("pt.txt"),
            Self::Dutch => include_str!("nl.txt"),
            Self::Russian => include_str!("ru.txt"),
            Self::Chinese => include_str!("zh.txt"),
            Self::Japanese => include_str!("ja.txt"),
        }
    }
}

/// What a word does. Numbers of names are looked up with [`name`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    Function,
    Light,
    Same(u16),
    Negation,
    Plain,
    Number(u32),
    Unit(u16),
    Abbreviation(u16),
    Date(u16),
    Kind(u16),
    Auxiliary,
    Ask,
    Request,
    Preposition,
    Form(u16),
    /// Dimension, and the value in it.
    Side(u16, u16),
    Swap,
    Join,
    Place(u16),
    /// Phrases of up to so many words, or signs, begin with this one.
    Begins(u8),
}

/// What a word does in some languages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) languages: u16,
    pub(super) tag: Tag,
}

/// Most words, or signs of a script without spaces, of a phrase.
pub(super) const LONGEST: usize = 9;

/// What is known of a word or phrase.
pub(super) fn entries(word: &str) -> &'static [Entry] {
    LEXICON.words.get(word).map_or(&[], Vec::as_slice)
}

/// The name behind a number in a [`Tag`].
pub(super) fn name(number: u16) -> &'static str {
    LEXICON.names.get(usize::from(number)).map_or("", String::as_str)
}

static LEXICON: LazyLock<Lexicon> = LazyLock::new(|| Lexicon::read().unwrap_or_default());

#[derive(Default)]
struct Lexicon {
    words: HashMap<String, Vec<Entry>, BuildHasherDefault<Fnv>>,
    names: Vec<String>,
}

impl Lexicon {
    /// # Errors
    /// The first line that is not as it should be.
    fn read() -> Result<Self, String> {
        let mut lexicon = Self::default();
        for language in Language::ALL {
            lexicon.add(language.words(), language.bit())?;
        }
        lexicon.add(include_str!("all.txt"), u16::MAX)?;
        lexicon.add(include_str!("places.txt"), u16::MAX)?;
        Ok(lexicon)
    }

    fn add(&mut self, text: &str, languages: u16) -> Result<(), String> {
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (head, words) = line.split_once(": ").ok_or_else(|| format!("no words: {line}"))?;
            let (what, name) = head.split_once(' ').unwrap_or((head, ""));
            let tag = self.tag(what, name).ok_or_else(|| format!("no such line: {line}"))?;
            for word in words.split(' ') {
                self.put(word, languages, tag);
                self.begin(word, languages);
            }
        }
        Ok(())
    }

    /// Notes of a phrase's first word, or sign, how long the phrase is.
    fn begin(&mut self, phrase: &str, languages: u16) {
        let first_sign = phrase.chars().next().filter(|first| super::text::is_unspaced(*first));
        let mut buffer = [0; 4];
        let (first, length) = match (first_sign, phrase.split_once('_')) {
            (Some(sign), _) => (&*sign.encode_utf8(&mut buffer), phrase.chars().count()),
            (None, Some((first, _))) => (first, phrase.split('_').count()),
            (None, None) => return,
        };
        let length = u8::try_from(length).unwrap_or(u8::MAX);
        let entries = self.words.entry(first.to_owned()).or_default();
        let known = entries.iter_mut().find_map(|entry| match &mut entry.tag {
            Tag::Begins(longest) => Some((longest, &mut entry.languages)),
            _ => None,
        });
        match known {
            Some((longest, known)) => {
                *longest = length.max(*longest);
                *known |= languages;
            }
            None => entries.push(Entry { languages, tag: Tag::Begins(length) }),
        }
    }

    fn put(&mut self, word: &str, languages: u16, tag: Tag) {
        let entries = self.words.entry(word.to_owned()).or_default();
        match entries.iter_mut().find(|entry| entry.tag == tag) {
            Some(entry) => entry.languages |= languages,
            None => entries.push(Entry { languages, tag }),
        }
    }

    fn tag(&mut self, what: &str, name: &str) -> Option<Tag> {
        let plain = match what {
            "function" => Tag::Function,
            "light" => Tag::Light,
            "negation" => Tag::Negation,
            "plain" => Tag::Plain,
            "aux" => Tag::Auxiliary,
            "ask" => Tag::Ask,
            "request" => Tag::Request,
            "prep" => Tag::Preposition,
            "swap" => Tag::Swap,
            "join" => Tag::Join,
            _ => return self.named(what, name),
        };
        name.is_empty().then_some(plain)
    }

    fn named(&mut self, what: &str, name: &str) -> Option<Tag> {
        if name.is_empty() {
            return None;
        }
        Some(match what {
            "number" => Tag::Number(name.parse().ok()?),
            "side" => {
                let (dimension, _) = name.split_once('.')?;
                Tag::Side(self.number(dimension), self.number(name))
            }
            "same" => Tag::Same(self.number(name)),
            "unit" => Tag::Unit(self.number(name)),
            "abbr" => Tag::Abbreviation(self.number(name)),
            "date" => Tag::Date(self.number(name)),
            "kind" => Tag::Kind(self.number(name)),
            "form" => Tag::Form(self.number(name)),
            "place" => Tag::Place(self.number(name.trim_end_matches('2'))),
            _ => return None,
        })
    }

    fn number(&mut self, name: &str) -> u16 {
        let known = self.names.iter().position(|known| known == name);
        let place = known.unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        });
        u16::try_from(place).unwrap_or(u16::MAX)
    }
}

/// FNV-1a: the words are ours, nobody makes them collide, and short ones are most.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
