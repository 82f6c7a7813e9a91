//! Vectors and their encodings. Numbers stay as the provider wrote them; only between floats and the base64
//! of their bytes is anything converted.

use serde::ser::{Serialize, Serializer};
use serde_json::Value;

use crate::base64;

/// How a vector's numbers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Float,
    /// Base64 of little-endian 32 bit floats.
    Base64,
    Int8,
    Uint8,
    /// Eight numbers per signed byte.
    Binary,
    /// Eight numbers per unsigned byte.
    Ubinary,
}

impl Encoding {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Float => "float",
            Self::Base64 => "base64",
            Self::Int8 => "int8",
            Self::Uint8 => "uint8",
            Self::Binary => "binary",
            Self::Ubinary => "ubinary",
        }
    }

    pub(super) fn parse(word: &str) -> Option<Self> {
        [Self::Float, Self::Base64, Self::Int8, Self::Uint8, Self::Binary, Self::Ubinary]
            .into_iter()
            .find(|encoding| encoding.as_str() == word)
    }
}

/// The numbers of one vector, or their base64.
#[derive(Debug, Clone, PartialEq)]
pub enum Vector {
    /// As written: 64 bits keep every digit.
    Floats(Vec<f64>),
    /// Out of base64: 32 bits are what there was.
    Singles(Vec<f32>),
    Integers(Vec<i64>),
    Base64(String),
}

impl Vector {
    /// Reads what stands in an answer as `encoding`; `None` when it is not that.
    pub(super) fn read(encoding: Encoding, value: Value) -> Option<Self> {
        match (encoding, value) {
            (Encoding::Base64, Value::String(text)) => Some(Self::Base64(text)),
            (Encoding::Float, Value::Array(list)) => {
                list.iter().map(Value::as_f64).collect::<Option<_>>().map(Self::Floats)
            }
            (Encoding::Float | Encoding::Base64, _) => None,
            (_, Value::Array(list)) => {
                list.iter().map(Value::as_i64).collect::<Option<_>>().map(Self::Integers)
            }
            _ => None,
        }
    }

    /// The same numbers as floats; `None` for quantised ones and broken base64.
    pub(super) fn floats(&self) -> Option<Self> {
        match self {
            Self::Floats(_) | Self::Singles(_) => Some(self.clone()),
            Self::Base64(text) => {
                let bytes = base64::decode(text)?;
                let (words, rest) = bytes.as_chunks::<4>();
                rest.is_empty()
                    .then(|| Self::Singles(words.iter().map(|word| f32::from_le_bytes(*word)).collect()))
            }
            Self::Integers(_) => None,
        }
    }

    /// The same numbers as base64; `None` for quantised ones.
    pub(super) fn base64(&self) -> Option<Self> {
        let pack = |bytes: Vec<u8>| Some(Self::Base64(base64::encode(&bytes)));
        match self {
            Self::Base64(_) => Some(self.clone()),
            Self::Floats(list) => {
                pack(list.iter().flat_map(|number| (*number as f32).to_le_bytes()).collect())
            }
            Self::Singles(list) => pack(list.iter().flat_map(|number| number.to_le_bytes()).collect()),
            Self::Integers(_) => None,
        }
    }
}

impl Serialize for Vector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Floats(list) => list.serialize(serializer),
            Self::Singles(list) => list.serialize(serializer),
            Self::Integers(list) => list.serialize(serializer),
            Self::Base64(text) => text.serialize(serializer),
        }
    }
}

impl super::Embedding {
    pub(super) fn one(encoding: Encoding, vector: Vector) -> Self {
        Self { vectors: vec![(encoding, vector)] }
    }

    /// The vector in this encoding: as it came, or converted.
    pub(super) fn in_encoding(&self, wanted: Encoding) -> Option<Vector> {
        let as_it_came = self.vectors.iter().find(|(encoding, _)| *encoding == wanted);
        as_it_came.map(|(_, vector)| vector.clone()).or_else(|| {
            self.vectors.iter().find_map(|(_, vector)| match wanted {
                Encoding::Float => vector.floats(),
                Encoding::Base64 => vector.base64(),
                _ => None,
            })
        })
    }
}
