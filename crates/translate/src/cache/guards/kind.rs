//! What kind of answer a question wants: a person, a time, a place, a reason, a way, an amount, yes or no.
//!
//! "What" and requests without such a word may want anything: they are of no kind. A word of time or place that only
//! begins a clause ("when I run it, …") asks nothing.

use super::lexicon::{self, Language, Tag};
use super::profile::{Item, Profile};

/// What is asked for, and the word that says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) what: &'static str,
    /// The word behind it, where that says of what an amount is asked.
    pub(super) of: Option<String>,
}

impl Asked {
    pub(super) fn shown(&self) -> String {
        self.what.to_owned()
    }

    pub(super) fn agrees(&self, other: &Self) -> bool {
        let times = |asked: &Self| asked.what == "long" || asked.of.as_deref().is_some_and(is_time);
        self.what == other.what || (times(self) && times(other))
    }
}

pub(super) fn asked(profile: &Profile, language: Language) -> Option<Asked> {
    let items = &profile.items;
    for (at, item) in items.iter().enumerate() {
        let Some(what) = item.tags.iter().find_map(word) else { continue };
        if what == "what" {
            if at == 0 || begins(profile, at) {
                return None;
            }
            continue;
        }
        let counts = match language {
            Language::English => asks(profile, at, what),
            Language::Chinese | Language::Japanese => true,
            _ => begins(profile, at),
        };
        if counts {
            let of = items.get(at + 1).filter(|_| what == "many").map(|next| profile.word(next).to_owned());
            return Some(Asked { what, of });
        }
    }
    let first = items.first()?;
    let decides = language == Language::English && profile.text.asks && first.tags.has(Tag::Auxiliary);
    (decides && !first.tags.has(Tag::Swap)).then_some(Asked { what: "yes or no", of: None })
}

fn word(tag: Tag) -> Option<&'static str> {
    match tag {
        Tag::Kind(number) => Some(lexicon::name(number)),
        _ => None,
    }
}

/// At the beginning, behind a comma or a preposition, or behind a word that asks.
fn begins(profile: &Profile, at: usize) -> bool {
    let first = profile.items.get(at).and_then(|item| profile.token(item));
    let before = at.checked_sub(1).and_then(|before| profile.items.get(before));
    let leads = |item: &Item| {
        [Tag::Preposition, Tag::Ask, Tag::Request, Tag::Join].iter().any(|tag| item.tags.has(*tag))
    };
    before.is_none_or(leads) || first.is_some_and(|token| token.first || token.set_off)
}

fn asks(profile: &Profile, at: usize, what: &str) -> bool {
    let next = profile.items.get(at + 1);
    let auxiliary = next.is_some_and(|next| next.tags.has(Tag::Auxiliary) || is_elided(profile, at));
    let asked_for = at.checked_sub(1).and_then(|before| profile.items.get(before));
    let asked_for = asked_for.is_some_and(|before| before.tags.has(Tag::Ask));
    match what {
        "when" | "where" => auxiliary || asked_for || is_elided(profile, at) || next.is_none(),
        "who" => begins(profile, at) || auxiliary,
        _ => true,
    }
}

/// `who's`, `where's`.
fn is_elided(profile: &Profile, at: usize) -> bool {
    profile
        .items
        .get(at)
        .is_some_and(|item| profile.raw_of(item).ends_with('s') && profile.raw_of(item).contains(['\'', '’']))
}

fn is_time(word: &str) -> bool {
    let unit = |tag: &Tag| matches!(tag, Tag::Unit(number) if matches!(lexicon::name(*number), "second" | "minute" | "hour" | "day" | "week" | "month" | "year"));
    lexicon::entries(word).iter().any(|entry| unit(&entry.tag)) || word == "time"
}
