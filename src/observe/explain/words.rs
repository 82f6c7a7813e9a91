//! Numbers and names as people read them.

use govern::price::write_femtos;

use crate::account::charge::Charge;

/// Microseconds: `350 µs`, `12.3 ms`, `1.23 s`.
#[must_use]
pub fn span(us: u64) -> String {
    // For people: three digits are enough.
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let (ms, seconds) = (us as f64 / 1e3, us as f64 / 1e6);
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..100_000 => format!("{ms:.1} ms"),
        100_000..1_000_000 => format!("{ms:.0} ms"),
        1_000_000..100_000_000 => format!("{seconds:.2} s"),
        _ => format!("{seconds:.0} s"),
    }
}

/// Nano-dollars, to the last.
#[must_use]
pub fn dollars(nanos: u64) -> String {
    format!("${}", Charge::dollars(nanos))
}

/// The price of one, in femto-dollars.
#[must_use]
pub fn unit(femtos: u64) -> String {
    let mut out = "$".to_owned();
    // Writing into a String cannot fail.
    let _ = write_femtos(femtos.into(), &mut out);
    out
}

/// `openai/gpt-4o with the key main`, without what is empty.
#[must_use]
pub fn target(provider: &str, model: &str, key: &str) -> String {
    let name = match (provider, model) {
        ("", _) => "nobody".to_owned(),
        (provider, "") => provider.to_owned(),
        (provider, model) => format!("{provider}/{model}"),
    };
    if key.is_empty() { name } else { format!("{name} with the key {key}") }
}

/// `1 attempt`, `2 attempts`.
#[must_use]
pub fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_three_digits_and_their_unit() {
        let told = [0, 999, 1_000, 12_345, 123_456, 1_234_567, 99_999_999, 123_456_789].map(span);
        assert_eq!(told, ["0 µs", "999 µs", "1.0 ms", "12.3 ms", "123 ms", "1.23 s", "100.00 s", "123 s"]);
    }
}
