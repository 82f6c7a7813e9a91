//! When two questions must not share an answer, however near their embeddings are.
//!
//! Embeddings place "10 mg" beside "100 mg" and "is safe" beside "is not safe". Each guard looks for one kind of
//! difference that such a nearness hides, by words alone: it never says that two questions are the same, only that
//! they are not. What is refused costs a call; what is let through wrongly costs an answer to another question. So a
//! guard that is not sure refuses, where questions that mean the same are seldom put so. How often each is right is
//! measured over `tests/cache/pairs.json`.
//!
//! Ten languages are known by their words ([`lexicon`]); what needs none (numbers, code, quotations, scripts, names in
//! capitals) holds in all. Must not know embeddings, similarities or thresholds.

mod code;
mod direction;
mod entity;
mod kind;
mod lexicon;
mod profile;
mod quantity;
mod text;
mod verbatim;
mod word;

#[cfg(test)]
mod tests;

pub use profile::Profile;

use lexicon::Tag;

/// One kind of difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Guard {
    /// Another language, or another script.
    Language,
    /// Code, identifiers, paths, addresses, formulas that are not in both.
    Code,
    /// A quotation that is not in both.
    Quote,
    /// Other numbers, versions or ordinals, or the same in another order.
    Numbers,
    /// Other units or currencies.
    Units,
    /// Another month, weekday or day.
    Dates,
    /// One negates, the other does not.
    Negation,
    /// Opposites (before and after, buy and sell), or operands that changed places.
    Direction,
    /// A name that is not in both.
    Entity,
    /// Another kind of answer: when, not how.
    Kind,
    /// Another form of answer: a table, a summary, a translation.
    Form,
    /// All words are the same but one, which stands for another and is not known to mean the same.
    Word,
    /// All words are the same, and one more narrows the question.
    Qualifier,
}

impl Guard {
    /// All of them, in the order in which they look.
    pub const ALL: [Self; 13] = [
        Self::Language,
        Self::Code,
        Self::Quote,
        Self::Numbers,
        Self::Units,
        Self::Dates,
        Self::Negation,
        Self::Direction,
        Self::Entity,
        Self::Kind,
        Self::Form,
        Self::Word,
        Self::Qualifier,
    ];

    /// Its name in settings, metrics and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Language => "language",
            Self::Code => "code",
            Self::Quote => "quote",
            Self::Numbers => "numbers",
            Self::Units => "units",
            Self::Dates => "dates",
            Self::Negation => "negation",
            Self::Direction => "direction",
            Self::Entity => "entity",
            Self::Kind => "kind",
            Self::Form => "form",
            Self::Word => "word",
            Self::Qualifier => "qualifier",
        }
    }

    /// The guard of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|guard| guard.name() == name)
    }
}

/// Which guards look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guards(u16);

impl Default for Guards {
    fn default() -> Self {
        Self::ALL
    }
}

impl Guards {
    /// Every guard.
    pub const ALL: Self = Self(u16::MAX);
    /// None: nearness alone decides.
    pub const NONE: Self = Self(0);

    /// Without this one.
    #[must_use]
    pub fn without(self, guard: Guard) -> Self {
        Self(self.0 & !(1 << guard as u16))
    }

    /// With this one.
    #[must_use]
    pub fn with(self, guard: Guard) -> Self {
        Self(self.0 | 1 << guard as u16)
    }

    /// This one looks.
    #[must_use]
    pub fn has(self, guard: Guard) -> bool {
        self.0 & (1 << guard as u16) != 0
    }

    /// The first difference between two questions that forbids them one answer. Which is which does not matter.
    #[must_use]
    pub fn differ(self, one: &Profile, other: &Profile) -> Option<Difference> {
        if one.raw == other.raw {
            return None;
        }
        Guard::ALL.into_iter().filter(|guard| self.has(*guard)).find_map(|guard| {
            let (one, other) = guard.look(one, other)?;
            Some(Difference { guard, one, other })
        })
    }
}

/// Why two questions must not share an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Which guard found it.
    pub guard: Guard,
    /// What the first question has there; empty where it has nothing.
    pub one: String,
    /// What the second has.
    pub other: String,
}

/// All guards over two texts.
#[must_use]
pub fn differ(one: &str, other: &str) -> Option<Difference> {
    Guards::ALL.differ(&Profile::of(one), &Profile::of(other))
}

/// What the two have, where it differs.
type Found = Option<(String, String)>;

impl Guard {
    fn look(self, one: &Profile, other: &Profile) -> Found {
        match self {
            Self::Language => language(one, other),
            Self::Code => verbatim::code(one, other),
            Self::Quote => verbatim::quotes(one, other),
            Self::Numbers => quantity::numbers(one, other),
            Self::Units => quantity::units(one, other),
            Self::Dates => quantity::dates(one, other),
            Self::Negation => negation(one, other),
            // Words are paired from the first question on: from the second on, others may be.
            Self::Direction => {
                let turned = || direction::look(other, one).map(|(second, first)| (first, second));
                direction::look(one, other).or_else(turned)
            }
            Self::Entity => entity::look(one, other),
            Self::Kind => kinds(one, other),
            Self::Form => forms(one, other),
            Self::Word => word::replaced(one, other),
            Self::Qualifier => word::added(one, other),
        }
    }
}

fn language(one: &Profile, other: &Profile) -> Found {
    if let (Some(first), Some(second)) = (one.text.scripts.main(), other.text.scripts.main())
        && first != second
    {
        return Some((first.to_owned(), second.to_owned()));
    }
    let (first, second) = (one.language?, other.language?);
    (first != second).then(|| (first.name().to_owned(), second.name().to_owned()))
}

fn negation(one: &Profile, other: &Profile) -> Found {
    let (first, second) = (negations(one), negations(other));
    (first.is_empty() != second.is_empty()).then(|| (first.join(" "), second.join(" ")))
}

/// The words that negate.
fn negations(profile: &Profile) -> Vec<&str> {
    let negates = |item: &&profile::Item| {
        let known = item.tags.has(Tag::Negation) && !item.tags.has(Tag::Plain);
        known || profile.token(item).is_some_and(|token| token.negated && !item.tags.has(Tag::Plain))
    };
    profile.items.iter().filter(negates).map(|item| profile.word(item)).collect()
}

fn kinds(one: &Profile, other: &Profile) -> Found {
    let (first, second) = (one.kind.as_ref()?, other.kind.as_ref()?);
    (!first.agrees(second)).then(|| (first.shown(), second.shown()))
}

fn forms(one: &Profile, other: &Profile) -> Found {
    let forms = |profile: &Profile| {
        set(profile.all(|tag| match tag {
            Tag::Form(number) => Some(lexicon::name(number)),
            _ => None,
        }))
    };
    let (first, second) = (forms(one), forms(other));
    (first != second).then(|| (first.join(" "), second.join(" ")))
}

fn set<T: Ord>(mut items: Vec<T>) -> Vec<T> {
    items.sort_unstable();
    items.dedup();
    items
}
