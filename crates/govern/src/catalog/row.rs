//! One model of a table: its prices in LiteLLM's field names, and what else is read of it.
//!
//! Unknown fields are stepped over, because those tables grow. A price that cannot be one is kept as the
//! row's fault, for the table's reader to name with its model.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Mode;
use crate::price::{Class, Field, Price, Rate, Uplift, femtos, field, millionths};

/// A row as it is written.
#[derive(Debug, Default)]
pub(super) struct Row<'a> {
    /// `litellm_provider`: who serves it, in a table of all providers.
    pub(super) provider: Option<Cow<'a, str>>,
    pub(super) mode: Mode,
    pub(super) context: Option<u32>,
    pub(super) max_output: Option<u32>,
    pub(super) timed: bool,
    pub(super) partial: bool,
    pub(super) aliases: Vec<Cow<'a, str>>,
    /// The field and the value that is no price.
    pub(super) fault: Option<(String, String)>,
    rates: Vec<Rate>,
    uplifts: Vec<(Uplift, u32)>,
}

impl Row<'_> {
    /// The same, borrowing nothing.
    pub(super) fn into_owned(self) -> Row<'static> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        Row {
            provider: self.provider.map(own),
            aliases: self.aliases.into_iter().map(own).collect(),
            mode: self.mode,
            context: self.context,
            max_output: self.max_output,
            timed: self.timed,
            partial: self.partial,
            fault: self.fault,
            rates: self.rates,
            uplifts: self.uplifts,
        }
    }

    /// `None` without any price.
    pub(super) fn price(&self) -> Option<Price> {
        let price = Price::new(self.rates.iter().filter(|rate| !self.is_said_twice(rate)).copied())?;
        Some(self.uplifts.iter().fold(price, |price, &(uplift, factor)| price.uplifted(uplift, factor)))
    }

    /// Some tables give reasoning the price of the output, in some services and not in others. Without it the
    /// output's counts, which is there for all of them.
    fn is_said_twice(&self, rate: &Rate) -> bool {
        let output = Rate { class: Class::Output, ..*rate };
        rate.class == Class::Reasoning && self.rates.contains(&output)
    }

    fn blame(&mut self, name: &str, value: &str) {
        if self.fault.is_none() {
            let line = value.split_whitespace().collect::<Vec<_>>().join(" ");
            self.fault = Some((name.to_owned(), line.chars().take(60).collect()));
        }
    }

    fn price_field(&mut self, name: &str, value: &str, above: u32) {
        let text = unquoted(value);
        let known = match field(name) {
            Some(Field::Rate(class, service, threshold)) => femtos(text).map(|femtos| {
                self.rates.push(Rate { class, service, above: threshold.max(above), femtos });
            }),
            Some(Field::Uplift(uplift)) => millionths(text).map(|factor| self.uplifts.push((uplift, factor))),
            None => {
                self.partial |=
                    name.contains("cost_per_") && !name.contains("_dbu_") && femtos(text) != Some(0);
                return;
            }
        };
        if known.is_none() && value != "null" {
            self.blame(name, value);
        }
    }

    fn other_field(&mut self, name: &str, value: &RawValue) {
        match name {
            "search_context_cost_per_query" => self.inner(value, Self::search),
            // Of this object only the factors are of use: a text in it is no fault.
            "provider_specific_entry" => self.inner(value, Self::factors),
            "tiered_pricing" => self.tiers(name, value.get()),
            "off_peak_pricing" => self.timed = true,
            "timed" => self.timed = value.get() == "true",
            "partial" => self.partial = value.get() == "true",
            "max_input_tokens" => self.context = whole(value.get()),
            "max_output_tokens" => self.max_output = whole(value.get()),
            "mode" => self.mode = Mode::named(unquoted(value.get())),
            _ => self.price_field(name, value.get(), 0),
        }
    }

    fn inner(&mut self, value: &RawValue, each: fn(&mut Self, &str, &str)) {
        if let Ok(members) = serde_json::from_str::<Members<'_>>(value.get()) {
            members.0.iter().for_each(|(name, value)| each(self, name, value.get()));
        }
    }

    fn search(&mut self, name: &str, value: &str) {
        self.price_field(name, value, 0);
    }

    fn factors(&mut self, name: &str, value: &str) {
        let uplift = match name {
            "us" => Uplift::InferenceUs,
            "fast" => Uplift::Fast,
            _ => return,
        };
        match millionths(value) {
            Some(factor) => self.uplifts.push((uplift, factor)),
            None => self.blame(name, value),
        }
    }

    /// Ranges of input tokens, each with prices of its own: all tokens of a request have those of the range
    /// its input falls into.
    fn tiers(&mut self, name: &str, value: &str) {
        let Ok(tiers) = serde_json::from_str::<Vec<Members<'_>>>(value) else {
            return self.blame(name, value);
        };
        for Members(members) in &tiers {
            let range = members.iter().find(|(name, _)| name == "range").map(|(_, value)| value.get());
            // Some are by something else: results of a search.
            let Some(range) = range else {
                self.partial = true;
                continue;
            };
            let first = range.trim_start_matches(['[', ' ', '\n', '\t', '\r']).split([',', ']']).next();
            match first.and_then(|first| whole(first.trim())) {
                Some(above) => members
                    .iter()
                    .filter(|(name, _)| name != "range")
                    .for_each(|(name, value)| self.price_field(name, value.get(), above)),
                None => self.blame(name, value),
            }
        }
    }
}

impl Mode {
    pub(super) fn named(word: &str) -> Self {
        match word {
            "chat" | "responses" => Self::Chat,
            "embedding" => Self::Embedding,
            _ => Self::Other,
        }
    }
}

fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(value)
}

/// A number of tokens; some writers make floats of them (`32000.0`).
fn whole(text: &str) -> Option<u32> {
    let text = unquoted(text);
    let text = text
        .split_once('.')
        .map_or(text, |(whole, zeros)| if zeros.bytes().all(|zero| zero == b'0') { whole } else { text });
    text.parse().ok()
}

/// The members of an object, unread.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((Text(name), value)) = map.next_entry()? {
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        from.deserialize_map(Each)
    }
}

/// A string, borrowed where it has no escapes.
#[derive(serde::Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Row<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Row<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of prices")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Row<'de>, A::Error> {
                let mut row = Row::default();
                while let Some(Text(name)) = map.next_key()? {
                    match &*name {
                        "litellm_provider" => row.provider = Some(map.next_value::<Text<'de>>()?.0),
                        "aliases" => {
                            let aliases: Vec<Text<'de>> = map.next_value()?;
                            row.aliases = aliases.into_iter().map(|Text(alias)| alias).collect();
                        }
                        name => {
                            let value: &'de RawValue = map.next_value()?;
                            row.other_field(name, value);
                        }
                    }
                }
                Ok(row)
            }
        }
        from.deserialize_map(Fields)
    }
}
