//! Base64 (RFC 4648) as providers and their SDKs spell it: in the standard or in the URL alphabet, with or
//! without padding and line breaks. What is written has the standard alphabet and its padding, which all read.

use ::base64::Engine;
use ::base64::alphabet;
use ::base64::engine::general_purpose::STANDARD;
use ::base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Reads what encoders of every habit wrote.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The text of these bytes.
pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// The bytes of this text; `None` when it is no base64.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    if text.bytes().any(|byte| matches!(byte, b'-' | b'_') || byte.is_ascii_whitespace()) {
        let standard = |byte: u8| match byte {
            b'-' => b'+',
            b'_' => b'/',
            other => other,
        };
        let letters = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).map(standard);
        return LENIENT.decode(letters.collect::<Vec<u8>>()).ok();
    }
    LENIENT.decode(text).ok()
}

/// True for text as [`encode`] writes it: strict readers take it as it stands.
pub(crate) fn is_standard(text: &str) -> bool {
    STANDARD.decode(text).is_ok()
}

/// The text in the standard alphabet; nothing else of it is changed.
pub(crate) fn standard(text: String) -> String {
    if text.bytes().any(|byte| matches!(byte, b'-' | b'_')) {
        return text.replace('-', "+").replace('_', "/");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_the_rfc_hold() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode(bytes), text);
            assert!(is_standard(text));
            assert_eq!(decode(text).unwrap(), bytes.as_bytes());
            assert_eq!(decode(text.trim_end_matches('=')).unwrap(), bytes.as_bytes());
        }
    }

    #[test]
    fn all_bytes_come_back_and_what_is_none_is_refused() {
        let bytes: Vec<u8> = (0..=255).collect();
        let text = encode(&bytes);
        assert_eq!(decode(&text).unwrap(), bytes);
        let url = text.replace('+', "-").replace('/', "_");
        assert_eq!(decode(&url).unwrap(), bytes);
        assert_eq!(decode(&format!("{}\r\n{}", &url[..10], &url[10..])).unwrap(), bytes);
        assert!(!is_standard(&url));
        assert_eq!(standard(url), text);
        for text in ["A", "AA=A", "A*==", "é", "AAAAA"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
