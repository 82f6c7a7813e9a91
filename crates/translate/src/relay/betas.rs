//! Anthropic's betas in a request: found where callers name them, put where the service takes them.
//!
//! Callers name them in a header, in `anthropic_beta` (also inside `extra_params`), or as Bedrock's Converse has
//! it. What a service takes is [`Betas`]' to say.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use super::edit::{Edits, quoted};
use super::members::Members;
use crate::loss::Losses;
use crate::provider::{BetaFate, BetaPlace, Betas};

const NAME: &str = "anthropic_beta";
const MODEL_FIELDS: &str = "additionalModelRequestFields";
const PARENTS: [&str; 2] = [MODEL_FIELDS, "extra_params"];
/// Refused names that a loss tells one by one.
const TOLD: usize = 8;

/// The names in a body and in the values of the header, each once, in the order they were met.
#[must_use]
pub fn betas_asked<'h>(
    body: &[u8],
    members: &Members,
    header: impl Iterator<Item = &'h str>,
) -> Vec<Box<str>> {
    let mut found: Vec<String> = header.flat_map(separate).collect();
    if memchr::memmem::find(body, NAME.as_bytes()).is_some() {
        found.extend(members.value(body, NAME).map(names).unwrap_or_default());
        for parent in PARENTS {
            let Some(inner) = members.value(body, parent) else { continue };
            let value = Members::scan(inner).ok().and_then(|members| members.value(inner, NAME).map(names));
            found.extend(value.unwrap_or_default());
        }
    }
    let mut seen = HashSet::with_capacity(found.len());
    found.retain(|name| seen.insert(name.clone()));
    found.into_iter().map(String::into_boxed_str).collect()
}

/// Who is to take the betas.
#[derive(Debug, Clone, Copy)]
pub struct BetaHost<'a> {
    pub betas: Betas,
    /// Beginnings of names that are taken or refused whatever [`Betas`] knows; the longest that fits counts.
    pub overrides: &'a BTreeMap<String, bool>,
    /// The model as its name tells of it.
    pub model: &'a str,
}

impl BetaHost<'_> {
    fn fate<'n>(&self, name: &'n str) -> BetaFate<'n> {
        let fitting = self.overrides.iter().filter(|(beginning, _)| name.starts_with(beginning.as_str()));
        match fitting.max_by_key(|(beginning, _)| beginning.len()) {
            Some((_, true)) => BetaFate::Sent(name),
            Some((_, false)) => BetaFate::Refused,
            None => self.betas.fate(name, self.model),
        }
    }
}

/// A request whose betas stand in their place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placed {
    /// The body, when it had to be edited.
    pub body: Option<Vec<u8>>,
    /// The value of the header `anthropic-beta`.
    pub header: Option<String>,
}

/// Puts the betas `asked` into a finished request body, or beside it. What the service refuses is
/// left out and reported; what an encoder reported as lost is taken back when it is carried here.
#[must_use]
pub fn place_betas(body: &[u8], asked: &[Box<str>], to: &BetaHost<'_>, losses: &mut Losses) -> Placed {
    let in_body = || memchr::memmem::find(body, NAME.as_bytes()).is_some();
    if to.betas.place == BetaPlace::Nowhere || (asked.is_empty() && !in_body()) {
        return Placed::default();
    }
    let claude = to.model.to_ascii_lowercase().contains("claude");
    if to.betas.place == BetaPlace::ModelFields && !claude {
        return Placed { body: without(body, losses), header: None };
    }
    losses.withdraw(NAME);
    losses.withdraw(&format!("{MODEL_FIELDS}.{NAME}"));
    let sent = taken(asked, to, losses);
    match to.betas.place {
        BetaPlace::Nowhere => Placed::default(),
        BetaPlace::Header => {
            let body = if in_body() { edited(body, NAME, &[]) } else { None };
            Placed { body, header: (!sent.is_empty()).then(|| sent.join(",")) }
        }
        BetaPlace::Body => Placed { body: edited(body, NAME, &sent), header: None },
        BetaPlace::ModelFields => Placed { body: in_model_fields(body, &sent), header: None },
    }
}

fn taken<'a>(asked: &'a [Box<str>], to: &BetaHost<'_>, losses: &mut Losses) -> Vec<&'a str> {
    let mut sent: Vec<&str> = Vec::with_capacity(asked.len());
    let mut refused: Vec<&str> = Vec::new();
    for name in asked {
        let is_name = name.bytes().all(|byte| byte.is_ascii_graphic());
        match to.fate(name) {
            BetaFate::Sent(there) if is_name => {
                if !sent.contains(&there) {
                    sent.push(there);
                }
            }
            BetaFate::Needless => {}
            BetaFate::Sent(_) | BetaFate::Refused => refused.push(name),
        }
    }
    if !refused.is_empty() {
        let told: Vec<&str> = refused.iter().take(TOLD).copied().collect();
        let more = if refused.len() > TOLD { " and others" } else { "" };
        losses.report(NAME, format!("the provider does not take {}{more}", told.join(", ")));
    }
    sent
}

/// The list as a member of its parent; `None` when it stands there already.
fn edited(object: &[u8], name: &str, sent: &[&str]) -> Option<Vec<u8>> {
    let members = Members::scan(object).ok()?;
    let mut edits = Edits::new(object, &members);
    match (edits.find(name), sent) {
        (None, []) => return None,
        (Some(at), []) => edits.remove(at),
        (Some(at), sent) if is_list(edits.value(at), sent) => return None,
        (Some(at), sent) => edits.replace_value(at, list(sent).into_bytes()),
        (None, sent) => edits.add(name, list(sent)),
    }
    Some(edits.apply().into_owned())
}

/// Converse's place. At the top level it refuses the member.
fn in_model_fields(body: &[u8], sent: &[&str]) -> Option<Vec<u8>> {
    let members = Members::scan(body).ok()?;
    let mut edits = Edits::new(body, &members);
    let top = edits.find(NAME);
    top.into_iter().for_each(|at| edits.remove(at));
    let mut changed = top.is_some();
    match edits.find(MODEL_FIELDS) {
        Some(at) => {
            if let Some(fields) = edited(edits.value(at), NAME, sent) {
                edits.replace_value(at, fields);
                changed = true;
            }
        }
        None if !sent.is_empty() => {
            edits.add(MODEL_FIELDS, format!("{{{}:{}}}", quoted(NAME), list(sent)));
            changed = true;
        }
        None => {}
    }
    changed.then(|| edits.apply().into_owned())
}

/// A model that knows no betas refuses the member that was lent to it.
fn without(body: &[u8], losses: &mut Losses) -> Option<Vec<u8>> {
    let edited = edited(body, NAME, &[])?;
    losses.report(NAME, "the model knows no betas");
    Some(edited)
}

fn list(names: &[&str]) -> String {
    Value::from(names.to_vec()).to_string()
}

fn is_list(json: &[u8], sent: &[&str]) -> bool {
    serde_json::from_slice::<Vec<String>>(json).is_ok_and(|known| known == sent)
}

/// The names in a JSON value: a list of texts, or a text with commas.
fn names(json: &[u8]) -> Vec<String> {
    match serde_json::from_slice::<Value>(json) {
        Ok(Value::String(text)) => separate(&text).collect(),
        Ok(Value::Array(list)) => list.iter().filter_map(Value::as_str).flat_map(separate).collect(),
        _ => Vec::new(),
    }
}

fn separate(text: &str) -> impl Iterator<Item = String> {
    text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests;
