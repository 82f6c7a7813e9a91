//! A request as its row of whole numbers, and back.

use std::borrow::Cow;

use super::entry::{Counts, Detail, Entry, Flags, Names};
use super::names::{Dictionary, NameKind, OTHER};
use crate::store::StoreError;
use crate::store::sql::{Row, Sql};
use crate::telemetry::record::Outcome;

/// How many columns a row has.
pub(super) const WIDTH: usize = 23;

/// The columns in their order.
pub(super) const COLUMNS: &str = "id, provider, model, asked, provider_key, virtual_key, team, customer, rule, \
    object, dialect, error, outcome, status, flags, attempts, took, first_token, overhead, input_tokens, \
    output_tokens, cached_tokens, cost";

/// The same as Postgres is to answer them: all of one type.
pub(super) const COLUMNS_POSTGRES: &str = "id, provider::bigint, model::bigint, asked::bigint, \
    provider_key::bigint, virtual_key::bigint, team::bigint, customer::bigint, rule::bigint, object::bigint, \
    dialect::bigint, error::bigint, outcome::bigint, status::bigint, flags::bigint, attempts::bigint, took, \
    first_token, overhead, input_tokens, output_tokens, cached_tokens, cost";

/// The values of an entry, and the names that have no number with the numbers of their kinds.
pub(super) fn values<'a>(
    entry: &'a Entry<'_>,
    dictionary: &Dictionary,
) -> ([Sql<'static>; WIDTH], Vec<(u8, Cow<'a, str>)>) {
    let mut unnumbered = Vec::new();
    let named = entry.names.each().map(|(kind, name)| {
        let number = dictionary.number(kind, name).unwrap_or_else(|| {
            unnumbered.push((kind as u8, Cow::Borrowed(name)));
            dictionary.number(kind, OTHER).unwrap_or(0)
        });
        Sql::Int(number.into())
    });
    let [provider, model, asked, key, virtual_key, team, customer, rule, object, dialect, error] = named;
    let counts = &entry.counts;
    let row = [
        entry.id.into(),
        provider,
        model,
        asked,
        key,
        virtual_key,
        team,
        customer,
        rule,
        object,
        dialect,
        error,
        Sql::Int(counts.outcome as i64),
        Sql::Int(counts.status.into()),
        Sql::Int(counts.flags.0.into()),
        Sql::Int(counts.attempts.min(i16::MAX.cast_unsigned()).into()),
        most(counts.took_us),
        most(counts.first_token_us),
        most(counts.overhead_us),
        most(counts.input_tokens),
        most(counts.output_tokens),
        most(counts.cached_tokens),
        most(counts.cost_nanos),
    ];
    (row, unnumbered)
}

/// What can be summed up over thousands of rows without leaving a database's numbers.
pub(super) fn most(count: u64) -> Sql<'static> {
    count.min(1 << 50).into()
}

/// A row as it was read, whose names are still numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbered {
    pub id: u64,
    pub names: [u32; 11],
    pub counts: Counts,
}

pub(super) fn read(row: &Row) -> Result<Numbered, StoreError> {
    let mut names = [0; 11];
    for (at, name) in (1..).zip(&mut names) {
        *name = narrow(row.number(at)?)?;
    }
    let counts = Counts {
        outcome: outcome(row.number(12)?)?,
        status: narrow(row.number(13)?)?,
        flags: Flags(narrow(row.number(14)?)?),
        attempts: narrow(row.number(15)?)?,
        took_us: row.number(16)?,
        first_token_us: row.number(17)?,
        overhead_us: row.number(18)?,
        input_tokens: row.number(19)?,
        output_tokens: row.number(20)?,
        cached_tokens: row.number(21)?,
        cost_nanos: row.number(22)?,
    };
    Ok(Numbered { id: row.number(0)?, names, counts })
}

impl Numbered {
    /// A name in it is not known here (yet).
    pub(super) fn is_strange(&self, dictionary: &Dictionary) -> bool {
        self.names.iter().any(|number| dictionary.name(*number).is_none())
    }

    /// With its names, and its detail as it was stored.
    pub(super) fn entry(&self, dictionary: &Dictionary, detail: Detail<'static>) -> Entry<'static> {
        let mut named = self.names.map(|number| {
            let name = dictionary.name(number).map_or_else(String::new, |name| name.to_string());
            Cow::<'static, str>::Owned(name)
        });
        for (kind, name) in &detail.unnumbered {
            if let Some(slot) = usize::from(*kind).checked_sub(1).and_then(|at| named.get_mut(at)) {
                slot.clone_from(name);
            }
        }
        let [provider, model, asked, key, virtual_key, team, customer, rule, object, dialect, error] = named;
        let names =
            Names { provider, model, asked, key, virtual_key, team, customer, rule, object, dialect, error };
        Entry { id: self.id, names, counts: self.counts, detail }
    }
}

/// The kinds of names in the order of their columns: those of [`Names::each`].
pub(super) fn column(kind: NameKind) -> Option<&'static str> {
    Some(match kind {
        NameKind::Provider => "provider",
        NameKind::Model => "model",
        NameKind::Asked => "asked",
        NameKind::Key => "provider_key",
        NameKind::VirtualKey => "virtual_key",
        NameKind::Team => "team",
        NameKind::Customer => "customer",
        NameKind::Rule => "rule",
        NameKind::Object => "object",
        NameKind::Dialect => "dialect",
        NameKind::Error => "error",
        NameKind::Tag => return None,
    })
}

fn outcome(number: u64) -> Result<Outcome, StoreError> {
    Outcome::ALL
        .into_iter()
        .find(|outcome| *outcome as u64 == number)
        .ok_or_else(|| StoreError::Unreadable(format!("a request has outcome {number}")))
}

fn narrow<T: TryFrom<u64>>(number: u64) -> Result<T, StoreError> {
    T::try_from(number).map_err(|_| StoreError::Unreadable(format!("{number} is too large for its column")))
}
