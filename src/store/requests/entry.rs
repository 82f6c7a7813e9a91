//! A request as the request log keeps it: numbers and names that can be asked for, and a detail that is only shown.
//!
//! It is made of a [`Record`] and can be read back from the database; whoever shows a request shows it from here, so that
//! the list, an export and the live stream tell the same.

mod made;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use translate::ir::{Served, ServiceTier, Usage};

use crate::telemetry::record::{Outcome, Record};

/// Bits of a number below its milliseconds: see [`Record::number`].
const HASH_BITS: u32 = 21;

/// A request. Texts are empty where there is nothing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Entry<'a> {
    /// [`Record::number`], or a few more where that was taken.
    pub id: u64,
    pub names: Names<'a>,
    pub counts: Counts,
    pub detail: Detail<'a>,
}

/// What has a number in the log.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Names<'a> {
    pub provider: Cow<'a, str>,
    pub model: Cow<'a, str>,
    pub asked: Cow<'a, str>,
    pub key: Cow<'a, str>,
    /// Ids.
    pub virtual_key: Cow<'a, str>,
    pub team: Cow<'a, str>,
    pub customer: Cow<'a, str>,
    pub rule: Cow<'a, str>,
    pub object: Cow<'a, str>,
    pub dialect: Cow<'a, str>,
    pub error: Cow<'a, str>,
}

/// What can be compared. Times are microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    pub outcome: Outcome,
    pub status: u16,
    pub flags: Flags,
    /// Tried, not passed over.
    pub attempts: u16,
    pub took_us: u64,
    /// 0: there was none.
    pub first_token_us: u64,
    pub overhead_us: u64,
    /// All of them, cached ones included.
    pub input_tokens: u64,
    pub output_tokens: u64,
    /// Input tokens that the provider read from its cache.
    pub cached_tokens: u64,
    pub cost_nanos: u64,
}

/// Bits of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(pub u16);

/// What is only shown. Names are short: there is one for every request.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Detail<'a> {
    /// The request's id.
    #[serde(rename = "r")]
    pub request_id: Cow<'a, str>,
    #[serde(rename = "p", skip_serializing_if = "is_default")]
    pub path: Cow<'a, str>,
    #[serde(rename = "par", skip_serializing_if = "is_default")]
    pub parent: Cow<'a, str>,
    #[serde(rename = "s", skip_serializing_if = "is_default")]
    pub session: Cow<'a, str>,
    #[serde(rename = "up", skip_serializing_if = "is_default")]
    pub upstream_id: Cow<'a, str>,
    #[serde(rename = "mir", skip_serializing_if = "is_default")]
    pub mirror_of: Cow<'a, str>,
    #[serde(rename = "tr", skip_serializing_if = "Option::is_none")]
    pub trace: Option<Traced>,
    /// Names of virtual key, team and customer, as they were.
    #[serde(rename = "vk", skip_serializing_if = "is_default")]
    pub virtual_key_name: Cow<'a, str>,
    #[serde(rename = "tn", skip_serializing_if = "is_default")]
    pub team_name: Cow<'a, str>,
    #[serde(rename = "cn", skip_serializing_if = "is_default")]
    pub customer_name: Cow<'a, str>,
    #[serde(rename = "e", skip_serializing_if = "is_default")]
    pub message: Cow<'a, str>,
    #[serde(rename = "a", skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Tried<'a>>,
    #[serde(rename = "st", skip_serializing_if = "is_default")]
    pub strategy: Cow<'a, str>,
    /// What led to the first target: `model`, `rule`, …
    #[serde(rename = "by", skip_serializing_if = "is_default")]
    pub led_by: Cow<'a, str>,
    #[serde(rename = "c", skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<Looked<'a>>,
    /// So many more were there.
    #[serde(rename = "cm", skip_serializing_if = "is_default")]
    pub more_candidates: u32,
    #[serde(rename = "l", skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Limit<'a>>,
    /// Names and values.
    #[serde(rename = "g", skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// There were more tags, or longer ones.
    #[serde(rename = "gc", skip_serializing_if = "is_default")]
    pub tags_cut: bool,
    /// What the answer itself cost.
    #[serde(rename = "co", skip_serializing_if = "Option::is_none")]
    pub charge: Option<Charged<'a>>,
    /// Classes of tokens that are not 0, by the names of [`Usage`].
    #[serde(rename = "u", skip_serializing_if = "Vec::is_empty")]
    pub usage: Vec<(Cow<'a, str>, u64)>,
    /// How it was served, where that is not as usual: tier, in the United States, fast.
    #[serde(rename = "sv", skip_serializing_if = "is_default")]
    pub served: (Cow<'a, str>, bool, bool),
    /// Admitted, body there, planned, reserved.
    #[serde(rename = "ph", skip_serializing_if = "is_default")]
    pub phases: [u64; 4],
    #[serde(rename = "q", skip_serializing_if = "is_default")]
    pub queued_us: u64,
    /// Bytes of the bodies, of the request and of the answer.
    #[serde(rename = "b", skip_serializing_if = "is_default")]
    pub bytes: (u64, u64),
    #[serde(rename = "v", skip_serializing_if = "is_default")]
    pub revision: u64,
    /// What the cache did, where it was asked.
    #[serde(rename = "ca", skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheTold<'a>>,
    /// Names that the log had no number left for, by the numbers of their kinds.
    #[serde(rename = "n", skip_serializing_if = "Vec::is_empty")]
    pub unnumbered: Vec<(u8, Cow<'a, str>)>,
}

/// An attempt.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Tried<'a> {
    #[serde(rename = "p")]
    pub provider: Cow<'a, str>,
    #[serde(rename = "m")]
    pub model: Cow<'a, str>,
    #[serde(rename = "k", skip_serializing_if = "is_default")]
    pub key: Cow<'a, str>,
    #[serde(rename = "b", skip_serializing_if = "is_default")]
    pub backend: Cow<'a, str>,
    /// `success`, or the label of the fault.
    #[serde(rename = "o")]
    pub outcome: Cow<'a, str>,
    #[serde(rename = "s", skip_serializing_if = "is_default")]
    pub status: u16,
    #[serde(rename = "t", skip_serializing_if = "is_default")]
    pub took_ms: u64,
    #[serde(rename = "e", skip_serializing_if = "is_default")]
    pub reason: Cow<'a, str>,
    /// What it used although it did not answer: input tokens, output tokens, nano-dollars.
    #[serde(rename = "u", skip_serializing_if = "Option::is_none")]
    pub spent: Option<(u64, u64, Option<u64>)>,
    /// Absent: it was passed over.
    #[serde(rename = "ph", skip_serializing_if = "Option::is_none")]
    pub phases: Option<Steps>,
}

/// What the cache did with a request.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CacheTold<'a> {
    /// `direct`, `semantic`, `single_flight`; empty: nothing was given.
    #[serde(rename = "h", skip_serializing_if = "is_default")]
    pub hit: Cow<'a, str>,
    /// The same, of what would have been given.
    #[serde(rename = "sh", skip_serializing_if = "is_default")]
    pub shadow: Cow<'a, str>,
    #[serde(rename = "id", skip_serializing_if = "is_default")]
    pub entry: Cow<'a, str>,
    #[serde(rename = "s", skip_serializing_if = "Option::is_none")]
    pub similarity: Option<f32>,
    #[serde(rename = "t", skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f32>,
    #[serde(rename = "g", skip_serializing_if = "is_default")]
    pub guarded: Cow<'a, str>,
    /// Nano-dollars.
    #[serde(rename = "c", skip_serializing_if = "Option::is_none")]
    pub saved_nanos: Option<u64>,
    #[serde(rename = "u", skip_serializing_if = "Option::is_none")]
    pub saved_us: Option<u64>,
    #[serde(rename = "l", skip_serializing_if = "is_default")]
    pub looked_us: u64,
}

/// Steps of an attempt: microseconds since the request began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Steps {
    #[serde(rename = "b")]
    pub began_us: u64,
    /// It waited so long for a place, and was put off so long, before it began.
    #[serde(rename = "q", skip_serializing_if = "Option::is_none")]
    pub queued_us: Option<u64>,
    #[serde(rename = "d", skip_serializing_if = "Option::is_none")]
    pub delayed_us: Option<u64>,
    #[serde(rename = "r", skip_serializing_if = "is_default")]
    pub reused: bool,
    #[serde(rename = "c", skip_serializing_if = "Option::is_none")]
    pub connected_us: Option<u64>,
    #[serde(rename = "t", skip_serializing_if = "Option::is_none")]
    pub secured_us: Option<u64>,
    #[serde(rename = "s", skip_serializing_if = "Option::is_none")]
    pub sent_us: Option<u64>,
    #[serde(rename = "a", skip_serializing_if = "Option::is_none")]
    pub answered_us: Option<u64>,
    #[serde(rename = "f", skip_serializing_if = "Option::is_none")]
    pub first_token_us: Option<u64>,
    #[serde(rename = "e")]
    pub ended_us: u64,
}

/// Trace and span of the request, in hexadecimal, and whether it was sampled.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Traced(pub String, pub String, pub bool);

/// What an answer cost: where the price is from, and lines of what, how many, femto-dollars for one, nano-dollars.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Charged<'a>(pub Cow<'a, str>, pub Vec<(Cow<'a, str>, u64, u64, u64)>);

/// A target that was looked at: provider, model, key, share, verdict.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Looked<'a>(
    pub Cow<'a, str>,
    pub Cow<'a, str>,
    pub Cow<'a, str>,
    pub Option<f32>,
    pub Cow<'a, str>,
);

/// A limit: owner, what, used, at most, refused.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Limit<'a>(pub Cow<'a, str>, pub Cow<'a, str>, pub u64, pub u64, pub bool);

impl Detail<'_> {
    /// The counts by class, as they were billed.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let of =
            |name: &str| self.usage.iter().find(|(found, _)| found == name).map_or(0, |(_, count)| *count);
        let (tier, in_us, fast) = &self.served;
        Usage {
            input_uncached: of("input_uncached"),
            cache_read: of("cache_read"),
            cache_write: of("cache_write"),
            cache_write_1h: of("cache_write_1h"),
            output: of("output"),
            reasoning: of("reasoning"),
            audio_input: of("audio_input"),
            audio_output: of("audio_output"),
            audio_cached: of("audio_cached"),
            image_input: of("image_input"),
            image_output: of("image_output"),
            accepted_prediction: of("accepted_prediction"),
            rejected_prediction: of("rejected_prediction"),
            web_searches: of("web_searches"),
            rankings: of("rankings"),
            provider_cost_nanos: of("provider_cost_nanos").checked_sub(1),
            served: Served { tier: ServiceTier::named(tier), in_us: *in_us, fast: *fast },
        }
    }
}

impl Flags {
    pub const STREAM: Self = Self(1);
    pub const CACHE_HIT: Self = Self(2);
    /// The counts were estimated.
    pub const ESTIMATED: Self = Self(4);
    /// Nobody knows what all of it cost.
    pub const UNPRICED: Self = Self(8);
    /// A cost is known, be it 0.
    pub const PRICED: Self = Self(16);
    /// Tokens were counted.
    pub const USAGE: Self = Self(32);
    /// Bodies are kept.
    pub const CONTENT: Self = Self(64);
    /// A body is longer than what is kept of it.
    pub const CUT: Self = Self(128);
    pub const MIRROR: Self = Self(256);

    #[must_use]
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    #[must_use]
    pub fn with(self, other: Self, set: bool) -> Self {
        if set { Self(self.0 | other.0) } else { Self(self.0 & !other.0) }
    }
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            outcome: Outcome::Success,
            status: 0,
            flags: Flags::default(),
            attempts: 0,
            took_us: 0,
            first_token_us: 0,
            overhead_us: 0,
            input_tokens: 0,
            output_tokens: 0,
            cached_tokens: 0,
            cost_nanos: 0,
        }
    }
}

impl<'a> Entry<'a> {
    /// The record without its bodies.
    #[must_use]
    pub fn of(record: &'a Record) -> Self {
        Self {
            id: record.id,
            names: Names::of(record),
            counts: Counts::of(record),
            detail: Detail::of(record),
        }
    }

    /// Unix milliseconds of its beginning.
    #[must_use]
    pub fn started_ms(&self) -> u64 {
        started_ms(self.id)
    }
}

/// Unix milliseconds of the beginning of the request with that number.
#[must_use]
pub fn started_ms(id: u64) -> u64 {
    id >> HASH_BITS
}

/// The number below which everything began before that moment.
#[must_use]
pub fn first_of(unix_ms: u64) -> u64 {
    unix_ms.min((1 << 42) - 1) << HASH_BITS & i64::MAX.cast_unsigned()
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
