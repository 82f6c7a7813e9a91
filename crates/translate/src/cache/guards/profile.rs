//! What the guards look at, read out of a text once.
//!
//! Of a stored question this is made when it is found, or kept beside it: it costs a few microseconds. Must not compare.

use super::code::Code;
use super::kind;
use super::lexicon::{self, Entry, LONGEST, Language, Tag};
use super::text::{Kind, Text, Token, is_unspaced};

/// Words that headlines write small.
const LITTLE: [&str; 9] = ["and", "but", "for", "from", "into", "nor", "over", "the", "with"];

/// A question as the guards see it.
#[derive(Debug, Clone)]
pub struct Profile {
    pub(super) raw: String,
    pub(super) text: Text,
    pub(super) language: Option<Language>,
    pub(super) items: Vec<Item>,
    /// Its tokens by their folded words, each word once.
    sorted: Vec<u32>,
    pub(super) code: Code,
    pub(super) kind: Option<kind::Asked>,
}

/// A word or a phrase, with what is known of it in the text's language.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// The first of its tokens, and how many there are.
    pub(super) at: usize,
    pub(super) count: usize,
    pub(super) tags: Tags,
}

/// Entries that hold in the text's language.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tags {
    entries: &'static [Entry],
    languages: u16,
}

impl Tags {
    pub(super) fn iter(self) -> impl Iterator<Item = Tag> {
        let holds = move |entry: &&Entry| entry.languages & self.languages != 0;
        self.entries.iter().filter(holds).map(|entry| entry.tag)
    }

    pub(super) fn has(self, tag: Tag) -> bool {
        self.iter().any(|own| own == tag)
    }
}

impl Profile {
    /// Reads `text`.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let raw = text.to_owned();
        let text = Text::of(&raw);
        let known: Vec<&'static [Entry]> = text.tokens.iter().map(|token| known(&text, token)).collect();
        let votes = votes(&text, &known);
        let (guess, languages) = guess(&text, &votes);
        let mut profile = Self {
            code: Code::of(&raw),
            sorted: sorted(&text),
            items: items(&text, &known, languages),
            language: Some(guess).filter(|_| is_sure(&text, &votes)),
            kind: None,
            text,
            raw,
        };
        profile.kind = kind::asked(&profile, guess);
        profile
    }

    /// The folded word stands in it, as it is.
    pub(super) fn has_word(&self, word: &str) -> bool {
        let found = |number: &u32| {
            let token = usize::try_from(*number).ok().and_then(|number| self.text.tokens.get(number));
            token.map_or("", |token| self.text.word(token)).cmp(word)
        };
        self.sorted.binary_search_by(found).is_ok()
    }

    pub(super) fn token(&self, item: &Item) -> Option<&Token> {
        self.text.tokens.get(item.at)
    }

    /// The folded word of an item; of a phrase its first.
    pub(super) fn word(&self, item: &Item) -> &str {
        self.token(item).map_or("", |token| self.text.word(token))
    }

    /// An item as it stands in the text.
    pub(super) fn raw_of(&self, item: &Item) -> &str {
        self.token(item).map_or("", |token| self.text.raw(token, &self.raw))
    }

    /// What `wanted` makes of each tag, in the order of the text.
    pub(super) fn all<T>(&self, mut wanted: impl FnMut(Tag) -> Option<T>) -> Vec<T> {
        self.items.iter().flat_map(|item| item.tags.iter()).filter_map(&mut wanted).collect()
    }

    /// All its words but little ones begin with a capital: a headline, or somebody shouts. Capitals tell no names then.
    pub(super) fn is_title(&self) -> bool {
        let words = || self.text.tokens.iter().filter(|token| token.kind == Kind::Word);
        let little = |token: &Token| {
            let word = self.text.word(token);
            word.chars().count() < 3 || LITTLE.contains(&word)
        };
        words().count() > 3 && words().all(|token| token.capital || little(token))
    }
}

fn sorted(text: &Text) -> Vec<u32> {
    let mut numbered: Vec<(&str, u32)> = text.tokens.iter().map(|token| text.word(token)).zip(0..).collect();
    numbered.sort_unstable();
    numbered.dedup_by_key(|word| word.0);
    numbered.into_iter().map(|word| word.1).collect()
}

fn known(text: &Text, token: &Token) -> &'static [Entry] {
    let word = text.word(token);
    // In capitals it is no pronoun.
    lexicon::entries(if token.capitals && word == "us" { "usa" } else { word })
}

/// Function words by language, in the order of [`Language::ALL`].
fn votes(text: &Text, known: &[&'static [Entry]]) -> [u32; 10] {
    let mut votes = [0; 10];
    for (_, entries) in text.tokens.iter().zip(known).filter(|(token, _)| token.kind == Kind::Word) {
        for entry in entries.iter().filter(|entry| entry.tag == Tag::Function) {
            for (vote, language) in votes.iter_mut().zip(Language::ALL) {
                *vote += u32::from(entry.languages & language.bit() != 0);
            }
        }
    }
    votes
}

/// The likeliest language, and the bits of all that are as likely: of a few words one cannot tell.
fn guess(text: &Text, votes: &[u32; 10]) -> (Language, u16) {
    let only = |language: Language| (language, language.bit());
    if text.scripts.is_chinese() {
        return only(Language::Chinese);
    }
    if text.scripts.is_japanese() {
        return only(Language::Japanese);
    }
    if text.scripts.is_cyrillic() {
        return only(Language::Russian);
    }
    let most = Language::LATIN.iter().map(|language| vote(votes, *language)).max().unwrap_or(0);
    let best = || Language::LATIN.into_iter().filter(|language| vote(votes, *language) == most);
    (best().next().unwrap_or(Language::English), best().fold(0, |bits, language| bits | language.bit()))
}

fn vote(votes: &[u32; 10], language: Language) -> u32 {
    votes.get(language as usize).copied().unwrap_or(0)
}

/// The best is well before the second, so that it may be held against another's.
fn is_sure(text: &Text, votes: &[u32; 10]) -> bool {
    if !text.scripts.is_latin() {
        return true;
    }
    let mut sorted = *votes;
    sorted.sort_unstable_by(|one, other| other.cmp(one));
    let [best, second, ..] = sorted;
    best >= 2 && best > second + second / 3
}

/// The text as words and phrases: the longest phrase that is known stands for its words.
fn items(text: &Text, known: &[&'static [Entry]], languages: u16) -> Vec<Item> {
    let mut items = Vec::with_capacity(text.tokens.len());
    let mut joined = String::new();
    let mut at = 0;
    while let Some(entries) = known.get(at) {
        let tags = Tags { entries, languages };
        let longest = tags.iter().find_map(|tag| match tag {
            Tag::Begins(longest) => Some(usize::from(longest)),
            _ => None,
        });
        let phrase = longest.and_then(|longest| phrase(text, (at, longest), languages, &mut joined));
        let (count, tags) = phrase.unwrap_or((1, tags));
        items.push(Item { at, count, tags });
        at += count;
    }
    items
}

/// The longest known phrase of at most so many tokens.
fn phrase(
    text: &Text,
    (at, longest): (usize, usize),
    languages: u16,
    joined: &mut String,
) -> Option<(usize, Tags)> {
    let mut ends = [0_usize; LONGEST];
    joined.clear();
    let mut count = 0;
    for (number, token) in text.tokens.iter().skip(at).take(longest.min(LONGEST)).enumerate() {
        let word = text.word(token);
        if number > 0 && token.first {
            break;
        }
        if number > 0 && !word.starts_with(is_unspaced) {
            joined.push('_');
        }
        joined.push_str(word);
        ends.iter_mut().skip(number).take(1).for_each(|end| *end = joined.len());
        count = number + 1;
    }
    (2..=count).rev().find_map(|length| {
        let end = ends.get(length - 1)?;
        let tags = Tags { entries: lexicon::entries(joined.get(..*end)?), languages };
        tags.iter().any(|tag| !matches!(tag, Tag::Begins(_))).then_some((length, tags))
    })
}
