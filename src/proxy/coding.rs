//! Answers that come compressed although `identity` was asked for.
//!
//! Only what the filters must understand is inflated; a passthrough keeps its bytes and their header.

use std::io::Write;

use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::{HeaderMap, header};

/// One piece may become as long as this: more is no answer but an attack.
const LIMIT: usize = 32 * 1024 * 1024;
/// Looked at in between.
const STEP: usize = 4 * 1024;

/// Undoes the coding of one answer, piece by piece.
pub enum Inflater {
    Gzip(MultiGzDecoder<Vec<u8>>),
    /// Of which kind, its first byte tells.
    Deflate,
    Zlib(ZlibDecoder<Vec<u8>>),
    Bare(DeflateDecoder<Vec<u8>>),
    Unknown(String),
}

impl Inflater {
    /// What the answer's head calls for; `None` when its body is plain.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Box<Self>> {
        let coding = headers.get(header::CONTENT_ENCODING)?;
        let coding = String::from_utf8_lossy(coding.as_bytes()).trim().to_ascii_lowercase();
        Some(Box::new(match coding.as_str() {
            "" | "identity" => return None,
            "gzip" | "x-gzip" => Self::Gzip(MultiGzDecoder::new(Vec::new())),
            "deflate" => Self::Deflate,
            _ => Self::Unknown(coding),
        }))
    }

    /// The plain bytes of the next piece, as far as they can be known.
    ///
    /// # Errors
    /// The coding is none of ours, the piece is broken, or too much comes out of it. A sentence for the caller.
    pub fn inflate(&mut self, piece: &[u8]) -> Result<Vec<u8>, String> {
        if let (Self::Deflate, Some(first)) = (&*self, piece.first()) {
            // The name was given to both forms; the low half of the first byte names the method in one.
            *self = match first & 0x0f {
                8 => Self::Zlib(ZlibDecoder::new(Vec::new())),
                _ => Self::Bare(DeflateDecoder::new(Vec::new())),
            };
        }
        match self {
            Self::Gzip(decoder) => run(decoder, piece, MultiGzDecoder::get_mut),
            Self::Zlib(decoder) => run(decoder, piece, ZlibDecoder::get_mut),
            Self::Bare(decoder) => run(decoder, piece, DeflateDecoder::get_mut),
            Self::Deflate => Ok(Vec::new()),
            Self::Unknown(coding) => {
                Err(format!("the provider's answer is in the coding `{coding}`, which was not asked for"))
            }
        }
    }
}

fn run<D: Write>(decoder: &mut D, piece: &[u8], out: fn(&mut D) -> &mut Vec<u8>) -> Result<Vec<u8>, String> {
    for step in piece.chunks(STEP) {
        let written = decoder.write_all(step).and_then(|()| decoder.flush());
        written.map_err(|error| format!("the provider's compressed answer is broken: {error}"))?;
        if out(decoder).len() > LIMIT {
            return Err("the provider's compressed answer is longer than the gateway can hold".to_owned());
        }
    }
    Ok(std::mem::take(out(decoder)))
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use http::HeaderValue;

    use super::*;

    fn of(coding: &'static str) -> Option<Box<Inflater>> {
        let headers = HeaderMap::from_iter([(header::CONTENT_ENCODING, HeaderValue::from_static(coding))]);
        Inflater::of(&headers)
    }

    fn text() -> Vec<u8> {
        (0..20_000).map(|n: u32| format!("{n} ")).collect::<String>().into_bytes()
    }

    #[test]
    fn compressed_answers_come_out_whole_however_they_are_cut() {
        let (mut gzip, mut zlib, mut bare) = (
            GzEncoder::new(Vec::new(), Compression::fast()),
            ZlibEncoder::new(Vec::new(), Compression::fast()),
            DeflateEncoder::new(Vec::new(), Compression::fast()),
        );
        for encoder in [&mut gzip as &mut dyn Write, &mut zlib, &mut bare] {
            encoder.write_all(&text()).unwrap();
        }
        let packed = [("gzip", gzip.finish()), ("deflate", zlib.finish()), ("deflate", bare.finish())];
        for (coding, packed) in packed {
            let packed = packed.unwrap();
            for size in [1, 7, 1000, packed.len()] {
                let mut inflater = of(coding).unwrap();
                let plain: Vec<u8> =
                    packed.chunks(size).flat_map(|piece| inflater.inflate(piece).unwrap()).collect();
                assert!(plain == text(), "{coding} in pieces of {size}");
            }
        }
    }

    #[test]
    fn an_event_that_was_flushed_is_not_kept_back() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let mut inflater = of("GZIP").unwrap();
        for event in ["data: 1\n\n", "data: 2\n\n"] {
            encoder.write_all(event.as_bytes()).unwrap();
            encoder.flush().unwrap();
            let packed = std::mem::take(encoder.get_mut());
            assert_eq!(inflater.inflate(&packed).unwrap(), event.as_bytes());
        }
    }

    #[test]
    fn what_cannot_be_inflated_is_an_error_and_a_bomb_is_one_too() {
        assert!(of("br").unwrap().inflate(b"x").unwrap_err().contains("`br`"));
        assert!(of("gzip").unwrap().inflate(b"not gzip at all, really").is_err());
        assert!(of("identity").is_none() && Inflater::of(&HeaderMap::new()).is_none());
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        (0..40).for_each(|_| encoder.write_all(&vec![0; 1024 * 1024]).unwrap());
        let bomb = encoder.finish().unwrap();
        assert!(bomb.len() < 64 * 1024);
        assert!(of("gzip").unwrap().inflate(&bomb).unwrap_err().contains("longer"));
    }
}
