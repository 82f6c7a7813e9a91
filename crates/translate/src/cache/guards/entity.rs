//! Names: capitalised words inside of sentences, words with digits, countries and other places in any spelling.
//!
//! A name must stand in both texts, in whatever case and as far as its language inflects it, or be what the other's
//! abbreviation stands for. German writes every noun with a capital: there only known names count.

use super::lexicon::{self, Language, Tag};
use super::profile::{Item, Profile};
use super::text::Kind;
use super::word::alike;
use super::{Found, quantity, set};

pub(super) fn look(one: &Profile, other: &Profile) -> Found {
    let (first, second) = (places(one), places(other));
    if first != second {
        return Some((first.join(" "), second.join(" ")));
    }
    let missing = |from: &Profile, to: &Profile| {
        let covered = spelled_out(from, to);
        let here = |item: &&Item| covered.contains(&item.at) || has(to, from, item);
        names(from).into_iter().find(|item| !here(item)).map(|item| from.raw_of(item).to_owned())
    };
    let (first, second) = (missing(one, other), missing(other, one));
    (first.is_some() || second.is_some()).then(|| (first.unwrap_or_default(), second.unwrap_or_default()))
}

/// Known names, however they are spelled.
pub(super) fn places(profile: &Profile) -> Vec<&'static str> {
    set(profile.all(place))
}

pub(super) fn place(tag: Tag) -> Option<&'static str> {
    match tag {
        Tag::Place(number) => Some(lexicon::name(number)),
        _ => None,
    }
}

/// The items that are names by how they are written.
pub(super) fn names(profile: &Profile) -> Vec<&Item> {
    let german = profile.language == Some(Language::German);
    let title = profile.is_title();
    let known = |tag: Tag| {
        matches!(
            tag,
            Tag::Place(_)
                | Tag::Function
                | Tag::Negation
                | Tag::Date(_)
                | Tag::Unit(_)
                | Tag::Form(_)
                | Tag::Kind(_)
                | Tag::Auxiliary
                | Tag::Request
        )
    };
    let is_name = |(at, item): &(usize, &Item)| {
        let Some(token) = profile.token(item) else { return false };
        match token.kind {
            Kind::Mixed => quantity::value(profile, *at).is_none(),
            Kind::Word if item.tags.iter().any(known) => false,
            // `II` is a number, as `v2` is.
            Kind::Word if token.capitals => {
                !title && profile.word(item).len() > 1 && quantity::value(profile, *at).is_none()
            }
            Kind::Word => token.capital && !token.first && !german && !title && item.count == 1,
            _ => false,
        }
    };
    profile.items.iter().enumerate().filter(is_name).map(|(_, item)| item).collect()
}

/// `to` has the name of `from`.
fn has(to: &Profile, from: &Profile, name: &Item) -> bool {
    let word = from.word(name);
    let exact = from.token(name).is_some_and(|token| token.kind == Kind::Mixed || token.capitals);
    let in_a_form = || to.text.tokens.iter().any(|token| alike(to.text.word(token), word));
    to.has_word(word) || (!exact && in_a_form()) || is_abbreviated(from, name, to)
}

/// The name is an abbreviation of words that stand in the other text in a row.
fn is_abbreviated(from: &Profile, name: &Item, to: &Profile) -> bool {
    let capitals = from.token(name).is_some_and(|token| token.capitals);
    capitals && spelled(to, from.word(name)).is_some()
}

/// The words in `from` that an abbreviation in `to` stands for.
fn spelled_out(from: &Profile, to: &Profile) -> Vec<usize> {
    let capitals = |item: &&Item| to.token(item).is_some_and(|token| token.capitals);
    let short = to.items.iter().filter(capitals).map(|item| to.word(item));
    short.filter_map(|word| spelled(from, word)).flatten().collect()
}

/// Where the words stand whose first letters are `short`; little words between them do not count.
fn spelled(profile: &Profile, short: &str) -> Option<Vec<usize>> {
    let wanted = short.chars().filter(|sign| sign.is_alphabetic()).count();
    if !(2..=6).contains(&wanted) {
        return None;
    }
    let tokens = &profile.text.tokens;
    (0..tokens.len()).find_map(|start| {
        let mut letters = short.chars().filter(|sign| sign.is_alphabetic()).peekable();
        let mut found = Vec::new();
        for (at, token) in tokens.iter().enumerate().skip(start) {
            let word = profile.text.word(token);
            if word.chars().next() == letters.peek().copied() && word.chars().count() > 2 {
                letters.next();
                found.push(at);
            } else if found.is_empty()
                || !lexicon::entries(word).iter().any(|entry| entry.tag == Tag::Function)
            {
                return None;
            }
            if letters.peek().is_none() {
                return Some(found);
            }
        }
        None
    })
}
