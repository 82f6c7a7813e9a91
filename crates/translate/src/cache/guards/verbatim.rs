//! What must stand in both texts to the letter.

use super::Found;
use super::profile::Profile;

/// Code of one that the other does not have, in backticks or not; operators in another order.
pub(super) fn code(one: &Profile, other: &Profile) -> Found {
    let missing = |from: &Profile, to: &Profile| {
        let here = |piece: &&super::code::Piece| match piece.any_case {
            true => holds(&to.raw.to_lowercase(), &piece.text),
            false => holds(&to.raw, &piece.text),
        };
        from.code.pieces.iter().find(|piece| !here(piece)).map(|piece| piece.text.clone())
    };
    if one.code == other.code {
        return None;
    }
    let (first, second) = (missing(one, other), missing(other, one));
    if first.is_some() || second.is_some() {
        return Some((first.unwrap_or_default(), second.unwrap_or_default()));
    }
    let (first, second) = (&one.code.operators, &other.code.operators);
    (first != second).then(|| (first.clone(), second.clone()))
}

/// A quotation that the other text does not have, quoted or not.
pub(super) fn quotes(one: &Profile, other: &Profile) -> Found {
    let missing =
        |from: &Profile, to: &Profile| from.code.quotes.iter().find(|quote| !holds(&to.raw, quote)).cloned();
    let (first, second) = (missing(one, other), missing(other, one));
    (first.is_some() || second.is_some()).then(|| (first.unwrap_or_default(), second.unwrap_or_default()))
}

/// `piece` stands in `text`, and not as a part of something longer.
fn holds(text: &str, piece: &str) -> bool {
    let part = |sign: Option<char>| sign.is_some_and(|sign| sign.is_alphanumeric() || sign == '_');
    let (begins, ends) = (part(piece.chars().next()), part(piece.chars().next_back()));
    text.match_indices(piece).any(|(at, found)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let behind = text.get(at + found.len()..).and_then(|behind| behind.chars().next());
        let inside = begins && part(before) || ends && part(behind);
        !inside
    })
}
