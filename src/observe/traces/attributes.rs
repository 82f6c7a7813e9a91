//! Attributes of spans, as they are sent.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};

/// Longest text of an attribute, in bytes: collectors refuse exports of a few megabytes.
const LONGEST: usize = 128 * 1024;

/// A list of attributes.
#[derive(Debug, Default)]
pub struct Attributes(pub Vec<KeyValue>);

impl Attributes {
    fn put(&mut self, name: impl Into<String>, value: Value) {
        self.0.push(KeyValue {
            key: name.into(),
            value: Some(AnyValue { value: Some(value) }),
            key_strindex: 0,
        });
    }

    pub fn text(&mut self, name: impl Into<String>, text: &str) {
        self.put(name, Value::StringValue(cut(text)));
    }

    /// Unless there is none, or it says nothing.
    pub fn text_if(&mut self, name: impl Into<String>, text: Option<&str>) {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            self.text(name, text);
        }
    }

    pub fn texts(&mut self, name: impl Into<String>, texts: &[&str]) {
        let values =
            texts.iter().map(|text| AnyValue { value: Some(Value::StringValue(cut(text))) }).collect();
        self.put(name, Value::ArrayValue(ArrayValue { values }));
    }

    pub fn count(&mut self, name: impl Into<String>, count: u64) {
        self.put(name, Value::IntValue(i64::try_from(count).unwrap_or(i64::MAX)));
    }

    pub fn count_if(&mut self, name: impl Into<String>, count: Option<u64>) {
        if let Some(count) = count {
            self.count(name, count);
        }
    }

    /// Unless there were none.
    pub fn some(&mut self, name: impl Into<String>, count: u64) {
        if count > 0 {
            self.count(name, count);
        }
    }

    pub fn number(&mut self, name: impl Into<String>, number: f64) {
        self.put(name, Value::DoubleValue(number));
    }

    pub fn flag(&mut self, name: impl Into<String>, flag: bool) {
        self.put(name, Value::BoolValue(flag));
    }
}

/// Nano-dollars as dollars: for charts, the exact amount is in the log.
#[expect(clippy::cast_precision_loss, reason = "collectors take floats")]
#[must_use]
pub fn dollars(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

/// Microseconds as seconds.
#[expect(clippy::cast_precision_loss, reason = "a request takes less than a century")]
#[must_use]
pub fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

fn cut(text: &str) -> String {
    if text.len() <= LONGEST {
        return text.to_owned();
    }
    let end = (0..=LONGEST).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}…", text.get(..end).unwrap_or_default())
}
