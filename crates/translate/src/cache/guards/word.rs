//! Two questions of the same words but one.
//!
//! Nearness by meaning is nowhere less worth than here: of "how long do I boil an egg" and "how long do I boil a potato"
//! all words but one are the same. Where all that is said is the same, in the same order, but for one word between the
//! same neighbours, that word must be known to stand for the other; and none may be put in between. Questions
//! that are put in another way have other neighbours, and are none of this guard's.

use super::Found;
use super::lexicon::Tag;
use super::profile::{Item, Profile};
use super::text::Kind;

/// More words than this say a thing in more than one way.
const MOST: usize = 40;
/// Most words of both that stand for each other.
const MOST_REPLACED: usize = 3;
/// Most words that are put in between.
const MOST_ADDED: usize = 2;
/// Little words before an added one that belong to it: `for the`.
const LEADING: usize = 2;
const ARTICLES: [&str; 33] = [
    "a", "an", "as", "das", "de", "dem", "den", "der", "die", "een", "ein", "eine", "einen", "el", "gli",
    "het", "i", "il", "l'", "la", "las", "le", "les", "lo", "los", "o", "os", "the", "um", "uma", "un",
    "una", "une",
];

/// One word stands for another, or for two.
pub(super) fn replaced(one: &Profile, other: &Profile) -> Found {
    let (first, second) = between(one, other)?;
    if first.is_empty() || second.is_empty() || first.len() + second.len() > MOST_REPLACED {
        return None;
    }
    let (left, right) = (Span::of(one, &first)?, Span::of(other, &second)?);
    let before = is_alike(one, before(one, left.from), other, before(other, right.from));
    let behind = is_alike(one, behind(one, left.last), other, behind(other, right.last));
    (before && behind).then_some((left.words, right.words))
}

/// Words that stand side by side.
struct Span<'p> {
    from: usize,
    last: &'p Item,
    words: String,
}

impl<'p> Span<'p> {
    fn of(profile: &'p Profile, items: &[&'p Item]) -> Option<Self> {
        let (first, last) = items.first().zip(items.last())?;
        let words: Vec<&str> = items.iter().map(|item| profile.word(item)).collect();
        let close = last.at < first.at + items.len();
        close.then(|| Self { from: first.at, last, words: words.join(" ") })
    }
}

/// One word or two more, between two that stand side by side in the other.
pub(super) fn added(one: &Profile, other: &Profile) -> Found {
    let (first, second) = between(one, other)?;
    match (first.as_slice(), second.as_slice()) {
        ([], added) => put_in(other, added, one).map(|words| (String::new(), words)),
        (added, []) => put_in(one, added, other).map(|words| (words, String::new())),
        _ => None,
    }
}

/// The added words, if what stands around them stands side by side in the shorter text.
fn put_in(longer: &Profile, added: &[&Item], shorter: &Profile) -> Option<String> {
    let (first, last) = added.first().zip(added.last()).filter(|_| added.len() <= MOST_ADDED)?;
    let right = behind(longer, last);
    let mut left = before(longer, first.at);
    for _ in 0..=LEADING {
        if is_gap(longer, (left, right), shorter) {
            let words: Vec<&str> = added.iter().map(|item| longer.word(item)).collect();
            return Some(words.join(" "));
        }
        let little = left.filter(|item| item.tags.has(Tag::Function))?;
        left = before(longer, little.at);
    }
    None
}

/// The two stand side by side in `shorter`.
fn is_gap(longer: &Profile, (left, right): (Option<&Item>, Option<&Item>), shorter: &Profile) -> bool {
    let matches = |at: usize| {
        let (before, behind) = (
            before(shorter, at),
            shorter.items.iter().find(|item| item.at >= at && !is_article(shorter, item)),
        );
        is_alike(longer, left, shorter, before) && is_alike(longer, right, shorter, behind)
    };
    shorter.items.iter().map(|item| item.at).chain([usize::MAX]).any(matches)
}

/// What is left of both where their content words begin and end alike.
fn between<'p>(one: &'p Profile, other: &'p Profile) -> Option<(Vec<&'p Item>, Vec<&'p Item>)> {
    let (mut first, mut second) = (contents(one), contents(other));
    if first.is_empty() || second.is_empty() || first.len() > MOST || second.len() > MOST {
        return None;
    }
    let pairs = first.iter().zip(&second);
    let head = pairs.take_while(|(left, right)| stands_for(one, left, other, right)).count();
    first.drain(..head);
    second.drain(..head);
    while let (Some(left), Some(right)) = (first.last(), second.last())
        && stands_for(one, left, other, right)
    {
        first.pop();
        second.pop();
    }
    Some((first, second))
}

fn stands_for(from: &Profile, item: &Item, to: &Profile, other: &Item) -> bool {
    let (word, found) = (from.word(item), to.word(other));
    let shares = |tag: Tag| matches!(tag, Tag::Same(_) | Tag::Side(..)) && other.tags.has(tag);
    word == found || item.tags.iter().any(shares) || alike(word, found)
}

fn contents(profile: &Profile) -> Vec<&Item> {
    profile.items.iter().filter(|item| is_content(profile, item)).collect()
}

/// Words that say what a question is about, and that no other guard looks at.
fn is_content(profile: &Profile, item: &Item) -> bool {
    let spoken = profile.token(item).is_some_and(|token| token.kind == Kind::Word);
    let other = |tag: Tag| {
        !matches!(
            tag,
            Tag::Same(_)
                | Tag::Side(..)
                | Tag::Begins(_)
                | Tag::Preposition
                | Tag::Ask
                | Tag::Join
                | Tag::Abbreviation(_)
        )
    };
    spoken && profile.word(item).chars().count() > 1 && !item.tags.iter().any(other)
}

fn is_article(profile: &Profile, item: &Item) -> bool {
    ARTICLES.binary_search(&profile.word(item)).is_ok()
}

/// The item before the token of that number, articles aside.
fn before(profile: &Profile, at: usize) -> Option<&Item> {
    profile.items.iter().rev().find(|item| item.at < at && !is_article(profile, item))
}

fn behind<'p>(profile: &'p Profile, item: &Item) -> Option<&'p Item> {
    profile.items.iter().find(|next| next.at > item.at && !is_article(profile, next))
}

fn is_alike(one: &Profile, left: Option<&Item>, other: &Profile, right: Option<&Item>) -> bool {
    match (left, right) {
        (None, None) => true,
        (Some(left), Some(right)) => stands_for(one, left, other, right),
        _ => false,
    }
}

/// The content words of one that stand in the other in no form, as they are folded.
pub(super) fn only_in<'p>(one: &'p Profile, other: &Profile) -> Vec<&'p str> {
    let in_a_form = |word: &str| {
        other.text.tokens.iter().any(|token| token.kind == Kind::Word && alike(other.text.word(token), word))
    };
    let is_there = |word: &str| other.has_word(word) || in_a_form(word);
    let words = one.items.iter().filter(|item| {
        let spoken = one.token(item).is_some_and(|token| token.kind == Kind::Word);
        spoken && !item.tags.has(Tag::Function)
    });
    words.map(|item| one.word(item)).filter(|word| !is_there(word)).collect()
}

/// Forms of one word, as far as beginnings tell: `convert`, `converting`.
pub(super) fn alike(one: &str, other: &str) -> bool {
    if one == other {
        return true;
    }
    // Most words differ here.
    if one.as_bytes().first() != other.as_bytes().first() {
        return false;
    }
    let common = one.chars().zip(other.chars()).take_while(|(left, right)| left == right).count();
    if common < 3 {
        return false;
    }
    let (left, right) = (one.chars().count(), other.chars().count());
    let (short, long) = (left.min(right), left.max(right));
    let endings = common >= 4 && long - common <= 3 && short - common <= 2;
    let plural = common == 3 && short == 3 && long == 4 && (one.ends_with('s') != other.ends_with('s'));
    endings || plural
}
