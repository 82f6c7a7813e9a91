//! Numbers, units and dates.

use super::lexicon::{self, Tag};
use super::profile::{Item, Profile};
use super::text::Kind;
use super::{Found, set};

/// The same numbers, in the same order or with the same words beside them.
pub(super) fn numbers(one: &Profile, other: &Profile) -> Found {
    let (first, second) = (Numbers::of(one), Numbers::of(other));
    let shown = || Some((first.shown(), second.shown()));
    if first.sorted() != second.sorted() {
        return shown();
    }
    if first.0.iter().map(|number| &number.value).eq(second.0.iter().map(|number| &number.value)) {
        return None;
    }
    // In another order: none may stand where another stood.
    (first.trades(&second) || second.trades(&first)).then(shown)?
}

struct Numbers<'p>(Vec<Number<'p>>);

struct Number<'p> {
    value: String,
    before: &'p str,
    behind: &'p str,
}

impl Number<'_> {
    fn is_beside(&self, other: &Self) -> bool {
        let same = |one: &str, other: &str| !one.is_empty() && super::word::alike(one, other);
        same(self.behind, other.behind) || same(self.before, other.before)
    }
}

impl<'p> Numbers<'p> {
    fn of(profile: &'p Profile) -> Self {
        let mut numbers: Vec<Number<'p>> = Vec::new();
        let mut tens = None;
        for (at, item) in profile.items.iter().enumerate() {
            let Some(value) = value(profile, at) else { continue };
            let neighbour = |at: Option<usize>| {
                let item = at.and_then(|at| profile.items.get(at));
                let word = |item: &&Item| {
                    !item.tags.has(Tag::Function)
                        && profile.token(item).is_some_and(|token| token.kind != Kind::Number)
                };
                item.filter(word).map_or("", |item| profile.word(item))
            };
            // Twenty-one.
            let joined = tens.filter(|(before, _)| before + 1 == at).and_then(|(_, ten): (usize, u32)| {
                let digit: u32 = value.parse().ok().filter(|digit| (1..10).contains(digit))?;
                Some((ten + digit).to_string())
            });
            if let (Some(sum), Some(last)) = (joined, numbers.last_mut()) {
                last.value = sum;
                last.behind = neighbour(at.checked_add(1));
                continue;
            }
            tens = item.tags.iter().find_map(|tag| match tag {
                Tag::Number(ten) if ten % 10 == 0 && (20..100).contains(&ten) => Some((at, ten)),
                _ => None,
            });
            numbers.push(Number {
                value,
                before: neighbour(at.checked_sub(1)),
                behind: neighbour(at.checked_add(1)),
            });
        }
        Self(numbers)
    }

    /// A number has the neighbour here that another has there; or there are no words to tell by.
    fn trades(&self, others: &Self) -> bool {
        let bare = |number: &Number<'_>| number.before.is_empty() && number.behind.is_empty();
        self.0.iter().all(bare)
            || self.0.iter().any(|number| {
                let kept =
                    || others.0.iter().any(|other| other.value == number.value && number.is_beside(other));
                others.0.iter().any(|other| other.value != number.value && number.is_beside(other)) && !kept()
            })
    }

    fn sorted(&self) -> Vec<&str> {
        set(self.0.iter().map(|number| number.value.as_str()).collect())
    }

    fn shown(&self) -> String {
        let values: Vec<&str> = self.0.iter().map(|number| number.value.as_str()).collect();
        values.join(" ")
    }
}

/// The value of an item that is a number: digits, a word, or Roman.
pub(super) fn value(profile: &Profile, at: usize) -> Option<String> {
    let item = profile.items.get(at)?;
    let token = profile.token(item)?;
    match token.kind {
        Kind::Number => return Some(profile.word(item).to_owned()),
        Kind::Mixed => return version(profile.word(item)),
        _ => {}
    }
    if item.tags.has(Tag::Plain) {
        return None;
    }
    let word = item.tags.iter().find_map(|tag| match tag {
        Tag::Number(number) => Some(number.to_string()),
        _ => None,
    });
    word.or_else(|| one(profile, at)).or_else(|| ordinal(profile, at)).or_else(|| roman(profile, at))
}

/// In a name (`World War One`) and behind tens; elsewhere it counts nothing.
fn one(profile: &Profile, at: usize) -> Option<String> {
    let item = profile.items.get(at).filter(|item| profile.word(item) == "one")?;
    let before = at.checked_sub(1).and_then(|before| profile.items.get(before));
    let tens = |tag: Tag| matches!(tag, Tag::Number(ten) if ten % 10 == 0 && (20..100).contains(&ten));
    let behind_tens = before.is_some_and(|before| before.tags.iter().any(tens));
    let named = profile.token(item).is_some_and(|token| token.capital && !token.first);
    (behind_tens || named).then(|| "1".to_owned())
}

/// `v2` is 2; other words with digits are names.
fn version(word: &str) -> Option<String> {
    let digits = word.strip_prefix('v')?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.to_owned())
}

/// "The second" is a place in an order, "a second" a time.
fn ordinal(profile: &Profile, at: usize) -> Option<String> {
    let item = profile.items.get(at)?;
    if profile.word(item) != "second" {
        return None;
    }
    let before = at.checked_sub(1).and_then(|before| profile.items.get(before));
    let counted = before.is_none_or(|before| {
        !matches!(profile.word(before), "a" | "per" | "each" | "every" | "one" | "split")
    });
    let number =
        before.is_some_and(|before| profile.token(before).is_some_and(|token| token.kind == Kind::Number));
    (counted && !number).then(|| "2".to_owned())
}

/// Two signs or more in capitals, or one behind a name: `World War I`.
fn roman(profile: &Profile, at: usize) -> Option<String> {
    let item = profile.items.get(at)?;
    let raw = profile.raw_of(item);
    if raw.is_empty() || !raw.bytes().all(|byte| matches!(byte, b'I' | b'V' | b'X')) {
        return None;
    }
    let before = at.checked_sub(1).and_then(|before| profile.items.get(before)?.into());
    let named = before
        .and_then(|before: &Item| profile.token(before))
        .is_some_and(|token| token.capital && !token.first);
    if raw.len() == 1 && !named {
        return None;
    }
    let worth = |byte: u8| match byte {
        b'I' => 1,
        b'V' => 5,
        _ => 10_u32,
    };
    let mut sum = 0;
    let mut highest = 0;
    for byte in raw.bytes().rev() {
        let own = worth(byte);
        sum = if own < highest { sum - i64::from(own) } else { sum + i64::from(own) };
        highest = highest.max(own);
    }
    Some(sum.to_string())
}

/// Each has a unit that the other has not. One that says no unit leaves it open.
pub(super) fn units(one: &Profile, other: &Profile) -> Found {
    let (first, second) = (units_of(one), units_of(other));
    let lacks = |from: &[&'static str], to: &[&'static str]| from.iter().any(|unit| !to.contains(unit));
    (lacks(&first, &second) && lacks(&second, &first)).then(|| (first.join(" "), second.join(" ")))
}

fn units_of(profile: &Profile) -> Vec<&'static str> {
    let mut units = Vec::new();
    for (at, item) in profile.items.iter().enumerate() {
        let counted = || {
            let before = at.checked_sub(1).and_then(|before| profile.items.get(before));
            let suffix = profile.token(item).is_some_and(|token| token.kind == Kind::Suffix);
            let named =
                before.is_some_and(|before| before.tags.iter().any(|tag| matches!(tag, Tag::Number(_))));
            suffix
                || named
                || before
                    .and_then(|before| profile.token(before))
                    .is_some_and(|token| token.kind == Kind::Number)
        };
        for tag in item.tags.iter() {
            match tag {
                Tag::Unit(number) if !item.tags.has(Tag::Plain) => units.push(lexicon::name(number)),
                Tag::Abbreviation(number) if counted() => units.push(lexicon::name(number)),
                _ => {}
            }
        }
    }
    set(units)
}

/// Other months, weekdays or days, or none.
pub(super) fn dates(one: &Profile, other: &Profile) -> Found {
    let dates = |profile: &Profile| {
        set(profile.all(|tag| match tag {
            Tag::Date(number) => Some(lexicon::name(number)),
            _ => None,
        }))
    };
    let (first, second) = (dates(one), dates(other));
    (first != second).then(|| (first.join(" "), second.join(" ")))
}
