//! Questions that are put together of parts, and what a filter says of a row.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::entry::{Flags, first_of};
use super::names::{Dictionary, NameKind};
use super::row::column;
use super::write::tag_hash;
use crate::store::StoreError;
use crate::store::sql::{Composed, Row, Sql, Work};
use crate::telemetry::record::Outcome;

/// Which requests. Nothing in it: all of them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Filter {
    /// Unix milliseconds: begun from then on, and before then.
    pub from_ms: Option<u64>,
    pub to_ms: Option<u64>,
    /// One of these names, for each kind that is there.
    pub names: BTreeMap<NameKind, Vec<String>>,
    /// One of these; empty: any.
    pub outcomes: Vec<Outcome>,
    pub statuses: Vec<u16>,
    /// These bits are set, these are not.
    pub flags: Flags,
    pub no_flags: Flags,
    /// At least and at most.
    pub took_us: Span,
    /// Input and output together.
    pub tokens: Span,
    pub cost_nanos: Span,
    /// Nobody knows what (all of) it cost.
    pub missing_cost: bool,
    /// All of these.
    pub tags: Vec<(String, String)>,
    pub session: Option<String>,
    pub parent: Option<String>,
    pub trace: Option<String>,
    /// Words that all are in a body; empty: any.
    pub text: String,
    /// It asks for what no request can be.
    pub nothing: bool,
}

/// From, to; both may be open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    pub min: Option<u64>,
    pub max: Option<u64>,
}

impl Span {
    #[must_use]
    pub fn is_open(self) -> bool {
        self == Self::default()
    }
}

impl Filter {
    /// It asks for nothing but a time.
    #[must_use]
    pub fn is_of_time(&self) -> bool {
        let Self { from_ms, to_ms, .. } = *self;
        *self == Self { from_ms, to_ms, ..Self::default() }
    }

    /// The numbers that rows of its time have: from, and before.
    #[must_use]
    pub fn ids(&self) -> (u64, u64) {
        let first = self.from_ms.map_or(0, first_of);
        (first, self.to_ms.map_or(i64::MAX.cast_unsigned(), first_of))
    }

    /// What zones know of, by their columns' names.
    pub(super) fn spans(&self) -> [(&'static str, Span); 3] {
        [("took", self.took_us), ("tokens", self.tokens), ("cost", self.cost_nanos)]
    }

    /// Hashes of all tags that it asks for.
    pub(super) fn tag_hashes(&self) -> Vec<u64> {
        use super::write::{PARENT, SESSION, TRACE};
        let special = [(SESSION, &self.session), (PARENT, &self.parent), (TRACE, &self.trace)];
        let special = special.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
        let tags = self.tags.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        tags.chain(special).map(|(name, value)| tag_hash(name, value)).collect()
    }
}

/// A filter whose names are numbers.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    pub filter: Filter,
    pub names: Vec<(&'static str, Vec<u32>)>,
    pub tags: Vec<u64>,
    /// Only rows behind a place in an order that is not of time.
    pub behind: Option<Behind>,
}

/// A value and a row's number that rows must be behind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Behind {
    pub expression: &'static str,
    pub value: u64,
    pub id: u64,
    /// The largest are the first.
    pub descending: bool,
}

impl Terms {
    /// `None`: no row can have what is asked for, its name is not in the log.
    pub(super) fn of(filter: &Filter, dictionary: &Dictionary) -> Option<Self> {
        let mut names = Vec::new();
        if filter.nothing {
            return None;
        }
        for (kind, wanted) in &filter.names {
            let numbers: Vec<u32> = wanted.iter().filter_map(|name| dictionary.number(*kind, name)).collect();
            if numbers.is_empty() {
                return None;
            }
            names.push((column(*kind)?, numbers));
        }
        Some(Self { filter: filter.clone(), names, tags: filter.tag_hashes(), behind: None })
    }

    /// Appends what must hold of a row, each part with ` AND ` in front.
    pub(super) fn write(&self, ask: &mut Ask) {
        let filter = &self.filter;
        for (column, numbers) in &self.names {
            ask.one_of(column, numbers.iter().map(|number| i64::from(*number)));
        }
        if !filter.outcomes.is_empty() {
            ask.one_of("outcome", filter.outcomes.iter().map(|outcome| *outcome as i64));
        }
        if !filter.statuses.is_empty() {
            ask.one_of("status", filter.statuses.iter().map(|status| i64::from(*status)));
        }
        for (flags, wanted) in [(filter.flags, filter.flags.0), (filter.no_flags, 0)] {
            if flags.0 != 0 {
                ask.push(" AND (flags & ").bind(flags.0).push(") = ").bind(wanted);
            }
        }
        ask.within("took", filter.took_us);
        ask.within("(input_tokens + output_tokens)", filter.tokens);
        ask.within("cost", filter.cost_nanos);
        if filter.missing_cost {
            ask.push(" AND (flags & ").bind(Flags::PRICED.0 | Flags::UNPRICED.0).push(") <> ");
            ask.bind(Flags::PRICED.0);
        }
        for tag in &self.tags {
            ask.push(" AND EXISTS (SELECT 1 FROM bifrost_request_tags t WHERE t.tag = ").bind(*tag);
            ask.push(" AND t.id = bifrost_requests.id)");
        }
        if let Some(Behind { expression, value, id, descending }) = self.behind {
            ask.push(" AND (").push(expression).push(", id) ").push(if descending { "< (" } else { "> (" });
            ask.bind(value).push(", ").bind(id).push(")");
        }
    }
}

/// A question in the making.
#[derive(Debug, Default)]
pub(super) struct Ask {
    text: String,
    values: Vec<Value>,
}

#[derive(Debug)]
pub(super) enum Value {
    Int(i64),
    Text(String),
}

impl Ask {
    pub(super) fn new(text: &str) -> Self {
        Self { text: text.to_owned(), values: Vec::new() }
    }

    /// Words of ours.
    pub(super) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// A value, where it stands.
    pub(super) fn bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.values.push(value.into());
        // Writing into a String cannot fail.
        let _ = write!(self.text, "${}", self.values.len());
        self
    }

    fn one_of(&mut self, column: &str, values: impl Iterator<Item = i64>) {
        self.push(" AND ").push(column).push(" IN (");
        for (at, value) in values.enumerate() {
            self.push(if at == 0 { "" } else { ", " }).bind(Value::Int(value));
        }
        self.push(")");
    }

    fn within(&mut self, what: &str, span: Span) {
        for (bound, sign) in [(span.min, " >= "), (span.max, " <= ")] {
            if let Some(bound) = bound {
                self.push(" AND ").push(what).push(sign).bind(bound);
            }
        }
    }

    pub(super) async fn rows(self, work: &mut Work) -> Result<Vec<Row>, StoreError> {
        let values: Vec<Sql<'_>> = self
            .values
            .iter()
            .map(|value| match value {
                Value::Int(number) => Sql::Int(*number),
                Value::Text(text) => Sql::Text(text),
            })
            .collect();
        work.rows(Composed(self.text), &values).await
    }

    pub(super) async fn row(self, work: &mut Work) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(work).await?.into_iter().next())
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Int(number.into())
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Self::Int(number.into())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.replace('\0', "\u{fffd}"))
    }
}
