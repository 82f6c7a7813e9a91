//! Token counts of this wire, into disjoint buckets and back. One function for whole answers, streams and
//! observers.
//!
//! Two counts come: `billed_units` is what is paid for, `tokens` is what the model saw, the maker's
//! templates included. Usage is what is paid for. `cached_tokens` are a part of `tokens`; only where both
//! counts agree are they known to be a part of what is billed.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::ir::Usage;
use crate::wire::told::says_nothing;
use crate::wire::tree::Object;

/// The buckets of a `usage` object; `None` when it counts nothing.
pub(super) fn read(raw: &RawValue) -> Option<Usage> {
    serde_json::from_str::<Counts>(raw.get()).ok()?.sorted()
}

/// The same of a value, with what is left of it: members that no bucket holds.
pub(super) fn take(value: Value) -> (Option<Usage>, Map<String, Value>) {
    let counts = Counts::deserialize(&value).ok();
    let usage = counts.as_ref().and_then(Counts::sorted);
    let Value::Object(mut map) = value else { return (None, Map::new()) };
    let Some(counts) = counts.filter(|_| usage.is_some()) else { return (None, map) };
    map.shift_remove("tokens");
    if counts.cached() == 0 || counts.cached_is_billed() {
        map.shift_remove("cached_tokens");
    }
    if let Some(Value::Object(billed)) = map.get_mut("billed_units") {
        billed.retain(|name, count| !BILLED.contains(&name.as_str()) && !says_nothing(count));
    }
    map.retain(|_, value| !says_nothing(value));
    (usage, map)
}

/// The `usage` object: both counts are the same here.
pub(super) fn write(usage: &Usage) -> Object<'static> {
    let counts =
        || Object::new().with("input_tokens", usage.input_total()).with("output_tokens", usage.output);
    let mut billed = counts();
    if usage.web_searches > 0 {
        billed.put("search_units", usage.web_searches);
    }
    Object::new()
        .with("billed_units", billed)
        .with("tokens", counts())
        .with("cached_tokens", usage.cache_read)
}

const BILLED: [&str; 3] = ["input_tokens", "output_tokens", "search_units"];

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Counts {
    billed_units: Option<Units>,
    tokens: Option<Units>,
    cached_tokens: Count,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Units {
    input_tokens: Count,
    output_tokens: Count,
    search_units: Count,
}

impl Units {
    fn counts(&self) -> (u64, u64) {
        (self.input_tokens.0.unwrap_or(0), self.output_tokens.0.unwrap_or(0))
    }

    fn says_something(&self) -> bool {
        self.input_tokens.0.is_some() || self.output_tokens.0.is_some()
    }
}

impl Counts {
    fn billed(&self) -> Option<&Units> {
        self.billed_units.as_ref().filter(|units| units.says_something())
    }

    fn cached(&self) -> u64 {
        self.cached_tokens.0.unwrap_or(0)
    }

    fn cached_is_billed(&self) -> bool {
        let all = self.tokens.as_ref().map(Units::counts);
        self.billed().is_none_or(|billed| Some(billed.counts()) == all)
    }

    fn sorted(&self) -> Option<Usage> {
        let units = self.billed().or(self.tokens.as_ref().filter(|units| units.says_something()))?;
        let (input, output) = units.counts();
        let cache_read = if self.cached_is_billed() { self.cached().min(input) } else { 0 };
        Some(Usage {
            input_uncached: input.saturating_sub(cache_read),
            cache_read,
            output,
            web_searches: units.search_units.0.unwrap_or(0),
            ..Usage::default()
        })
    }
}

/// A count, which the wire spells as a float; absent when it is no number of 0 or more.
#[derive(Debug, Default, Clone, Copy)]
struct Count(Option<u64>);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CountVisitor)
    }
}

struct CountVisitor;

impl<'de> Visitor<'de> for CountVisitor {
    type Value = Count;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a number")
    }
    fn visit_u64<E>(self, number: u64) -> Result<Count, E> {
        Ok(Count(Some(number)))
    }
    fn visit_i64<E>(self, number: i64) -> Result<Count, E> {
        Ok(Count(u64::try_from(number).ok()))
    }
    fn visit_f64<E>(self, number: f64) -> Result<Count, E> {
        // A cast saturates; what is no number counts as 0 and is filtered here.
        Ok(Count((number >= 0.0).then_some(number as u64)))
    }
    fn visit_unit<E>(self) -> Result<Count, E> {
        Ok(Count(None))
    }
    fn visit_bool<E>(self, _: bool) -> Result<Count, E> {
        Ok(Count(None))
    }
    fn visit_str<E>(self, _: &str) -> Result<Count, E> {
        Ok(Count(None))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Count, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Count(None))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Count, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Count(None))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn counted(value: Value) -> (u64, u64, u64) {
        let raw = serde_json::value::to_raw_value(&value).unwrap();
        let usage = read(&raw).unwrap();
        assert_eq!(take(value).0, Some(usage));
        (usage.input_uncached, usage.cache_read, usage.output)
    }

    #[test]
    fn what_is_billed_counts() {
        let usage = json!({"billed_units": {"input_tokens": 23.0, "output_tokens": 41},
            "tokens": {"input_tokens": 906, "output_tokens": 77}, "cached_tokens": 176});
        assert_eq!(counted(usage.clone()), (23, 0, 41));
        assert_eq!(Value::Object(take(usage).1), json!({"cached_tokens": 176}));
    }

    #[test]
    fn without_a_bill_the_tokens_count() {
        let usage = json!({"tokens": {"input_tokens": 10, "output_tokens": 4}, "cached_tokens": 6});
        assert_eq!(counted(usage), (4, 6, 4));
    }

    #[test]
    fn what_is_written_reads_back() {
        let usage =
            Usage { input_uncached: 5, cache_read: 3, output: 7, web_searches: 2, ..Usage::default() };
        let value = serde_json::to_value(write(&usage)).unwrap();
        assert_eq!(take(value), (Some(usage), Map::new()));
    }

    #[test]
    fn what_counts_nothing_is_no_usage() {
        for value in [json!({}), json!({"billed_units": null}), json!([1]), json!("x"), json!({"tokens": 3})]
        {
            let raw = serde_json::value::to_raw_value(&value).unwrap();
            assert_eq!(read(&raw), None, "{value}");
        }
        let odd = json!({"billed_units": {"input_tokens": -1, "output_tokens": "x", "classifications": 2}});
        assert_eq!(take(odd.clone()), (None, odd.as_object().unwrap().clone()));
    }
}
