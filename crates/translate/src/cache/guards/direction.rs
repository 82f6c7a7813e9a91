//! Opposites, and operands that changed places.

use super::entity::{names, place};
use super::lexicon::{self, Tag};
use super::profile::{Item, Profile};
use super::word::{self, alike};
use super::{Found, set};

/// Words on either side of a preposition that are its operands.
const REACH: usize = 4;
/// Beginnings of words that turn what follows into its opposite.
const TURNS: [&str; 9] = ["un", "in", "im", "il", "ir", "dis", "non", "anti", "mis"];
/// Beginnings that are each other's opposites before the same rest.
const OPPOSED: [(&str, &str); 24] = [
    ("en", "de"),
    ("en", "dis"),
    ("in", "de"),
    ("in", "ex"),
    ("in", "out"),
    ("im", "ex"),
    ("up", "down"),
    ("over", "under"),
    ("pre", "post"),
    ("hyper", "hypo"),
    ("macro", "micro"),
    ("maxi", "mini"),
    ("inter", "intra"),
    ("ein", "aus"),
    ("an", "ab"),
    ("auf", "ab"),
    ("auf", "zu"),
    ("hin", "her"),
    ("vor", "nach"),
    ("ver", "ent"),
    ("aug", "dim"),
    ("ab", "zu"),
    ("в", "вы"),
    ("при", "у"),
];

pub(super) fn look(one: &Profile, other: &Profile) -> Found {
    sides(one, other)
        .or_else(|| opposed(one, other))
        .or_else(|| swapped(one, other))
        .or_else(|| reordered(one, other))
}

/// Values of one dimension that exclude each other.
fn sides(one: &Profile, other: &Profile) -> Found {
    let sides = |profile: &Profile| {
        set(profile.all(|tag| match tag {
            Tag::Side(dimension, value) => Some((dimension, value)),
            _ => None,
        }))
    };
    let (first, second) = (sides(one), sides(other));
    let of = |sides: &[(u16, u16)], dimension: u16| -> Vec<u16> {
        sides.iter().filter(|side| side.0 == dimension).map(|side| side.1).collect()
    };
    first.iter().find_map(|(dimension, _)| {
        let (left, right) = (of(&first, *dimension), of(&second, *dimension));
        (!right.is_empty() && left != right).then(|| (shown(&left), shown(&right)))
    })
}

fn shown(values: &[u16]) -> String {
    let names: Vec<&str> = values.iter().map(|value| lexicon::name(*value)).collect();
    names.join(" ")
}

/// Words that only one of them has, and of which one is made the other's opposite by its beginning.
fn opposed(one: &Profile, other: &Profile) -> Found {
    let (first, second) = (word::only_in(one, other), word::only_in(other, one));
    first.iter().find_map(|left| {
        let right = second.iter().find(|right| is_opposed(left, right) || is_opposed(right, left))?;
        Some(((*left).to_owned(), (*right).to_owned()))
    })
}

fn is_opposed(one: &str, other: &str) -> bool {
    let long = |rest: &str| rest.chars().count() >= 3;
    let turned = |turn: &&str| {
        one.strip_prefix(*turn)
            .is_some_and(|rest| long(rest) && alike(rest, other) && rest.len() + 3 > other.len())
    };
    let paired = |(left, right): &(&str, &str)| {
        let rests = one.strip_prefix(left).zip(other.strip_prefix(right));
        rests.is_some_and(|(first, second)| long(first) && first == second)
    };
    TURNS.iter().any(turned) || OPPOSED.iter().any(paired)
}

/// Around the same preposition stand the same operands, the other way round.
fn swapped(one: &Profile, other: &Profile) -> Found {
    let (first, second) = (pivots(one), pivots(other));
    first.iter().find_map(|pivot| {
        let turned = |candidate: &&Pivot<'_>| candidate.word == pivot.word && candidate.is_turned(pivot);
        second.iter().find(turned).map(|found| (pivot.shown(), found.shown()))
    })
}

struct Pivot<'p> {
    word: &'p str,
    left: Vec<&'p str>,
    right: Vec<&'p str>,
}

impl Pivot<'_> {
    fn is_turned(&self, other: &Self) -> bool {
        let moved = |from: &[&str], to: &[&str], not: &[&str]| {
            from.iter().any(|word| to.contains(word) && !not.contains(word))
        };
        moved(&self.left, &other.right, &other.left) && moved(&self.right, &other.left, &other.right)
    }

    fn shown(&self) -> String {
        format!("{} {} {}", self.left.join(" "), self.word, self.right.join(" "))
    }
}

fn pivots(profile: &Profile) -> Vec<Pivot<'_>> {
    let items = &profile.items;
    let pivot = |(at, item): (usize, &'_ Item)| Pivot {
        word: same_word(profile.word(item)),
        left: operands(profile, items.iter().take(at).rev()),
        right: operands(profile, items.iter().skip(at + 1)),
    };
    items.iter().enumerate().filter(|(_, item)| item.tags.has(Tag::Swap)).map(pivot).collect()
}

/// The next few words, up to another preposition.
fn operands<'p>(profile: &'p Profile, items: impl Iterator<Item = &'p Item>) -> Vec<&'p str> {
    let until = |item: &&Item| !item.tags.has(Tag::Swap);
    items.take(REACH).take_while(until).filter_map(|item| operand(profile, item)).collect()
}

fn same_word(word: &str) -> &str {
    match word {
        "versus" => "vs",
        "into" => "to",
        other => other,
    }
}

/// What a preposition may stand between: by its name where it has one.
fn operand<'p>(profile: &'p Profile, item: &'p Item) -> Option<&'p str> {
    if item.tags.has(Tag::Function) {
        return None;
    }
    let named = item.tags.iter().find_map(|tag| match tag {
        Tag::Place(number) | Tag::Unit(number) | Tag::Abbreviation(number) | Tag::Date(number) => {
            Some(lexicon::name(number))
        }
        _ => None,
    });
    named.or_else(|| Some(profile.word(item)))
}

/// The same words all, and two names in another order, without an "and" between them.
fn reordered(one: &Profile, other: &Profile) -> Found {
    let (first, second) = (named(one), named(other));
    if first.len() < 2
        || first.len() != second.len()
        || first == second
        || set(first.clone()) != set(second.clone())
    {
        return None;
    }
    let mut roles = (roles(one), roles(other));
    roles.0.sort_unstable();
    roles.1.sort_unstable();
    let free = are_joined(one)
        || are_joined(other)
        || (roles.0 == roles.1 && roles.0.iter().all(|role| !role.1.is_empty()));
    let same = word::only_in(one, other).is_empty() && word::only_in(other, one).is_empty();
    let unspaced = one.text.scripts.is_chinese() || one.text.scripts.is_japanese();
    (!free && (same || unspaced)).then(|| (first.join(" "), second.join(" ")))
}

fn named(profile: &Profile) -> Vec<&str> {
    roles(profile).into_iter().map(|role| role.0).collect()
}

/// Each name with the preposition directly before it, or nothing.
fn roles(profile: &Profile) -> Vec<(&str, &str)> {
    let written: Vec<usize> = names(profile).iter().map(|item| item.at).collect();
    let role = |(at, item): (usize, &'_ Item)| {
        let name = item
            .tags
            .iter()
            .find_map(place)
            .or_else(|| written.contains(&item.at).then_some(profile.word(item)))?;
        let before = at.checked_sub(1).and_then(|before| profile.items.get(before));
        let before = before.filter(|before| before.tags.has(Tag::Swap));
        Some((name, before.map_or("", |before| profile.word(before))))
    };
    profile.items.iter().enumerate().filter_map(role).collect()
}

/// Two names with a comma or an "and" between them, and nothing else.
fn are_joined(profile: &Profile) -> bool {
    let written: Vec<usize> = names(profile).iter().map(|item| item.at).collect();
    let is_name =
        |item: &Item| written.contains(&item.at) || item.tags.iter().any(|tag| place(tag).is_some());
    let joins = |item: &Item| item.tags.has(Tag::Join);
    let set_off = |item: &Item| profile.token(item).is_some_and(|token| token.set_off);
    profile
        .items
        .windows(2)
        .any(|pair| matches!(pair, [one, other] if is_name(one) && is_name(other) && set_off(other)))
        || profile
            .items
            .windows(3)
            .any(|run| matches!(run, [one, middle, other] if is_name(one) && joins(middle) && is_name(other)))
}
