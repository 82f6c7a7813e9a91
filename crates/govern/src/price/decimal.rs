//! Amounts as decimal text, in and out. Never through a float: `2.5e-06` is 2,500,000,000 femto-dollars,
//! and `5.0000000000000004e-08`, which is what arithmetic in floats left of a price, is 50,000,000.

use std::fmt::{self, Write};

/// 10⁻⁹ over 10⁻¹⁵.
pub const FEMTOS_PER_NANO: u64 = 1_000_000;
const FEMTO_PLACES: i32 = 15;
const NANO_PLACES: i32 = 9;
const MILLIONTH_PLACES: i32 = 6;
/// More digits than a table has any use for; what is behind them is below every rounding.
const MAX_DIGITS: u32 = 30;
/// Above this an exponent can only be nonsense.
const MAX_EXPONENT: i32 = 99;

/// Dollars in decimal text (`2.5e-06`, `0.04`, `15`) as femto-dollars, rounded half up at 10⁻¹⁵.
///
/// `None` for what is no such number: negative, not finite, above 18,446 dollars, or no number at all.
#[must_use]
pub fn femtos(text: &str) -> Option<u64> {
    scaled(text, FEMTO_PLACES)
}

/// Dollars in decimal text as nano-dollars, rounded half up. `None` as for [`femtos`], from 18,446,744,073 dollars on.
#[must_use]
pub fn nanos(text: &str) -> Option<u64> {
    scaled(text, NANO_PLACES)
}

/// A factor in decimal text as millionths: `1.1` is 1,100,000. `None` as for [`femtos`].
#[must_use]
pub fn millionths(text: &str) -> Option<u32> {
    scaled(text, MILLIONTH_PLACES).and_then(|value| u32::try_from(value).ok())
}

/// The number times 10^`places`, half up.
fn scaled(text: &str, places: i32) -> Option<u64> {
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    if exponent.abs() > MAX_EXPONENT {
        return None;
    }
    let number = number.strip_prefix('+').unwrap_or(number);
    // `-0.0` is what some writers make of nothing.
    let (negative, number) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let (mut digits, mut held, mut shift) = (0_u128, 0_u32, places.checked_add(exponent)?);
    for (byte, behind) in whole.bytes().map(|b| (b, false)).chain(fraction.bytes().map(|b| (b, true))) {
        let digit = char::from(byte).to_digit(10)?;
        if held < MAX_DIGITS {
            digits = digits * 10 + u128::from(digit);
            held += u32::from(digits > 0);
            shift -= i32::from(behind);
        } else {
            shift += i32::from(!behind);
        }
    }
    let value = shifted(digits, shift)?;
    (value == 0 || !negative).then_some(value)
}

fn shifted(digits: u128, shift: i32) -> Option<u64> {
    let power = 10_u128.checked_pow(shift.unsigned_abs());
    let value = match (power, shift >= 0) {
        _ if digits == 0 => 0,
        (Some(power), true) => digits.checked_mul(power)?,
        (Some(power), false) => digits.checked_add(power / 2)? / power,
        (None, true) => return None,
        // Smaller than anything that counts.
        (None, false) => 0,
    };
    u64::try_from(value).ok()
}

/// Writes femto-dollars as decimal text of dollars, as short as it is exact.
///
/// # Errors
/// The writer's.
pub fn write_femtos(femtos: u128, out: &mut impl Write) -> fmt::Result {
    write_scaled(femtos, 15, out)
}

/// Writes nano-dollars likewise.
///
/// # Errors
/// The writer's.
pub fn write_nanos(nanos: u64, out: &mut impl Write) -> fmt::Result {
    write_scaled(u128::from(nanos), 9, out)
}

fn write_scaled(value: u128, places: usize, out: &mut impl Write) -> fmt::Result {
    // Nearly all amounts: division of the wider ones takes ten times as long.
    match u64::try_from(value) {
        Ok(value) => write_short(value, places, out),
        Err(_) => write_wide(value, places, out),
    }
}

fn write_wide(value: u128, places: usize, out: &mut impl Write) -> fmt::Result {
    let unit = (0..places).fold(1_u128, |unit, _| unit * 10);
    let (whole, mut rest, mut width) = (value / unit, value % unit, places);
    if rest == 0 {
        return write!(out, "{whole}");
    }
    while rest.is_multiple_of(10) {
        rest /= 10;
        width -= 1;
    }
    write!(out, "{whole}.{rest:0width$}")
}

/// Digits from the last to the first, into a buffer that every number of 64 bits fits into.
fn write_short(mut value: u64, places: usize, out: &mut impl Write) -> fmt::Result {
    const ROOM: usize = 24;
    let mut digits = [b'0'; ROOM];
    let (mut left, mut begun) = (ROOM, false);
    let (mut end, mut seen) = (ROOM, 0);
    while value > 0 || seen <= places {
        if seen == places && begun {
            left -= 1;
            if let Some(place) = digits.get_mut(left) {
                *place = b'.';
            }
        }
        let digit = u8::try_from(value % 10).unwrap_or_default();
        value /= 10;
        left -= 1;
        if let Some(place) = digits.get_mut(left) {
            *place = b'0' + digit;
        }
        // Zeros at the end of a fraction say nothing.
        if seen < places && !begun {
            begun = digit != 0;
            end = if begun { left + 1 } else { left };
        }
        seen += 1;
    }
    let text = digits.get(left..end).and_then(|digits| std::str::from_utf8(digits).ok());
    out.write_str(text.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decimals_of_every_spelling_are_read_exactly() {
        for (text, expected) in [
            ("2.5e-06", 2_500_000_000),
            ("2.5E-6", 2_500_000_000),
            ("0.0000025", 2_500_000_000),
            ("25e-7", 2_500_000_000),
            ("0", 0),
            ("-0.0", 0),
            ("1", 1_000_000_000_000_000),
            ("+0.04", 40_000_000_000_000),
            (".5", 500_000_000_000_000),
            ("1e-15", 1),
            ("4.9e-16", 0),
            ("5e-16", 1),
            ("5.0000000000000004e-08", 50_000_000),
            ("3.0001999999999996e-07", 300_020_000),
            ("1e-99", 0),
            ("0e99", 0),
            ("18446.744073709551615", u64::MAX),
            ("0.00000250000000000000000000000000000000000000001", 2_500_000_000),
        ] {
            assert_eq!(femtos(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in [
            "",
            ".",
            "-",
            "-1e-6",
            "1,5",
            "NaN",
            "inf",
            "1e",
            "1e+",
            "0x1",
            "1.2.3",
            " 1",
            "18447",
            "1e99",
            "1e100",
            "1e-100",
            "9e9999999999",
            "one",
            "1_0",
            "٣",
        ] {
            assert_eq!(femtos(text), None, "{text}");
        }
        assert_eq!(millionths("1.1"), Some(1_100_000));
        assert_eq!(millionths("5000"), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(value: u64) {
            let mut text = String::new();
            write_femtos(value.into(), &mut text).unwrap();
            prop_assert_eq!(femtos(&text), Some(value));
        }

        #[test]
        fn short_amounts_are_written_as_wide_ones(value: u64, places in 1_usize..16, zeros in 0_u32..20) {
            let value = value / 10_u64.pow(zeros) * 10_u64.pow(zeros.min(3));
            let (mut short, mut wide) = (String::new(), String::new());
            write_short(value, places, &mut short).unwrap();
            write_wide(value.into(), places, &mut wide).unwrap();
            prop_assert_eq!(short, wide);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[-+0-9.eE]{0,40}|.*") {
            let _ = femtos(&text);
        }
    }
}
