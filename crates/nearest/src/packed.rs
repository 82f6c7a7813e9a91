//! A turned vector in one byte a number, and a question that is asked of such.
//!
//! Both are scaled by their own length after rounding, so that a vector is as near to itself as can be. Against cosines of
//! the vectors themselves what comes out differs by less than 0.001 (a test says so).

use crate::rotation::Rotation;

/// Numbers whose signs are in a code.
pub const BITS: usize = 512;
/// Words of a code.
pub const WORDS: usize = BITS / 64;

/// The signs of the first numbers; where there are fewer, zeros.
pub type Code = [u64; WORDS];

/// What [`Packed::to_bytes`] begins with.
const VERSION: u8 = 1;

/// A vector as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Packed {
    pub(crate) values: Box<[i8]>,
    /// By this, their length is 1.
    pub(crate) scale: f32,
}

/// A vector that others are compared with: two bytes a number.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    pub(crate) code: Code,
    pub(crate) values: Box<[i16]>,
    pub(crate) scale: f32,
}

impl Packed {
    /// `None`: the vector is none of this turn's.
    #[must_use]
    pub fn of(vector: &[f32], rotation: &Rotation) -> Option<Self> {
        let turned = rotation.turn(vector)?;
        let step = largest(&turned) / f32::from(i8::MAX);
        // Not beyond what it is divided by.
        #[expect(clippy::cast_possible_truncation, reason = "from -127 to 127")]
        let values: Box<[i8]> = turned.iter().map(|value| (value / step).round() as i8).collect();
        let scale = scale(&values)?;
        Some(Self { values, scale })
    }

    /// Bytes that [`Packed::from_bytes`] reads, whatever becomes of this program: version, numbers.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        std::iter::once(VERSION).chain(self.values.iter().map(|value| value.cast_unsigned())).collect()
    }

    /// What was kept; `None`: it is of an unknown version, or of vectors of another width.
    #[must_use]
    pub fn from_bytes(bytes: &[u8], width: usize) -> Option<Self> {
        let (version, values) = bytes.split_first()?;
        if *version != VERSION || values.len() != width {
            return None;
        }
        let values: Box<[i8]> = values.iter().map(|byte| byte.cast_signed()).collect();
        let scale = scale(&values)?;
        Some(Self { values, scale })
    }

    /// Its numbers, a byte each.
    #[must_use]
    pub fn width(&self) -> usize {
        self.values.len()
    }

    pub(crate) fn code(&self) -> Code {
        code(self.values.iter().map(|value| *value < 0))
    }
}

impl Query {
    /// `None`: the vector is none of this turn's.
    #[must_use]
    pub fn of(vector: &[f32], rotation: &Rotation) -> Option<Self> {
        /// With it no sum of products of 8,192 numbers leaves 32 bits.
        const MOST: f32 = 2_047.0;
        let turned = rotation.turn(vector)?;
        let step = largest(&turned) / MOST;
        #[expect(clippy::cast_possible_truncation, reason = "from -2047 to 2047")]
        let values: Box<[i16]> = turned.iter().map(|value| (value / step).round() as i16).collect();
        let length = values.iter().map(|value| f64::from(*value) * f64::from(*value)).sum::<f64>().sqrt();
        #[expect(clippy::cast_possible_truncation, reason = "a few digits are enough")]
        let scale = (1.0 / length) as f32;
        // As codes of what is kept are: of rounded numbers.
        let code = code(turned.iter().map(|value| *value < 0.0));
        Some(Self { code, values, scale })
    }
}

fn largest(values: &[f32]) -> f32 {
    values.iter().fold(f32::MIN_POSITIVE, |most, value| most.max(value.abs()))
}

fn scale(values: &[i8]) -> Option<f32> {
    let squares: u32 = values.iter().map(|value| u32::from(value.unsigned_abs()).pow(2)).sum();
    #[expect(clippy::cast_precision_loss, reason = "a few digits are enough")]
    let scale = 1.0 / (squares as f32).sqrt();
    scale.is_finite().then_some(scale)
}

fn code(negative: impl Iterator<Item = bool>) -> Code {
    let mut code = Code::default();
    for (at, negative) in negative.take(BITS).enumerate() {
        if let Some(word) = code.get_mut(at / 64) {
            *word |= u64::from(negative) << (at % 64);
        }
    }
    code
}
