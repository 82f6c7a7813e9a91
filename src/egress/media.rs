//! What a file is, by its first bytes.
//!
//! A `Content-Type` is a claim; providers look at the bytes and refuse what does not fit. Must not
//! decode anything: a few signatures are enough to tell a picture from an error page.

/// What a part of a prompt expects behind its URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    Image,
    Document,
    Audio,
    Video,
    Any,
}

/// The media type of `bytes`: by signature, else the declared one when it is text and the bytes are.
#[must_use]
pub fn media_type(bytes: &[u8], declared: Option<&str>) -> Option<String> {
    if let Some(found) = signature(bytes) {
        return Some(found.to_owned());
    }
    let declared = declared?.split(';').next()?.trim().to_ascii_lowercase();
    let textual = declared.starts_with("text/")
        || matches!(declared.as_str(), "application/json" | "application/xml" | "application/rtf");
    (textual && is_text(bytes)).then_some(declared)
}

impl Wanted {
    /// Whether a file of that type fits.
    #[must_use]
    pub fn accepts(self, media_type: &str) -> bool {
        let family = media_type.split('/').next().unwrap_or_default();
        match self {
            Self::Image => family == "image",
            Self::Document => matches!(family, "application" | "text"),
            Self::Audio => family == "audio",
            Self::Video => family == "video",
            Self::Any => true,
        }
    }
}

fn signature(bytes: &[u8]) -> Option<&'static str> {
    let fixed: [(&[u8], &str); 14] = [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a", "image/gif"),
        (b"BM", "image/bmp"),
        (b"II*\0", "image/tiff"),
        (b"MM\0*", "image/tiff"),
        (b"%PDF-", "application/pdf"),
        (b"ID3", "audio/mpeg"),
        (b"\xff\xfb", "audio/mpeg"),
        (b"fLaC", "audio/flac"),
        (b"OggS", "audio/ogg"),
        (b"\x1a\x45\xdf\xa3", "video/webm"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/msword"),
    ];
    let found = fixed.iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, name)| *name);
    found.or_else(|| riff(bytes)).or_else(|| iso_media(bytes)).or_else(|| office(bytes))
}

fn riff(bytes: &[u8]) -> Option<&'static str> {
    match (bytes.get(..4)?, bytes.get(8..12)?) {
        (b"RIFF", b"WEBP") => Some("image/webp"),
        (b"RIFF", b"WAVE") => Some("audio/wav"),
        _ => None,
    }
}

fn iso_media(bytes: &[u8]) -> Option<&'static str> {
    if bytes.get(4..8)? != b"ftyp" {
        return None;
    }
    Some(match bytes.get(8..12)? {
        b"avif" | b"avis" => "image/avif",
        b"heic" | b"heix" | b"mif1" => "image/heic",
        b"M4A " => "audio/mp4",
        b"qt  " => "video/quicktime",
        _ => "video/mp4",
    })
}

/// Office files are zip archives whose first entries name their kind.
fn office(bytes: &[u8]) -> Option<&'static str> {
    if !bytes.starts_with(b"PK\x03\x04") {
        return None;
    }
    let names = [
        (&b"word/"[..], "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        (&b"xl/"[..], "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        (&b"ppt/"[..], "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    ];
    let found = names.iter().find(|(name, _)| bytes.windows(name.len()).any(|window| window == *name));
    found.map(|(_, name)| *name)
}

fn is_text(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| !text.contains('\0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_beat_the_declared_type() {
        let cases: [(&[u8], Option<&str>, Option<&str>); 13] = [
            (b"\x89PNG\r\n\x1a\n....", Some("image/jpeg"), Some("image/png")),
            (b"\xff\xd8\xff\xe0", None, Some("image/jpeg")),
            (b"GIF89a", Some("application/octet-stream"), Some("image/gif")),
            (b"RIFF\0\0\0\0WEBPVP8 ", None, Some("image/webp")),
            (b"RIFF\0\0\0\0WAVEfmt ", None, Some("audio/wav")),
            (b"%PDF-1.7", Some("text/html"), Some("application/pdf")),
            (b"\0\0\0\x18ftypavif", None, Some("image/avif")),
            (b"<html>", Some("image/png"), None),
            (b"<html>", None, None),
            (b"a,b\n1,2", Some("Text/CSV; charset=utf-8"), Some("text/csv")),
            (b"a\0b", Some("text/plain"), None),
            (b"\xfe\xff", Some("text/plain"), None),
            (b"", Some("image/png"), None),
        ];
        for (bytes, declared, expected) in cases {
            assert_eq!(media_type(bytes, declared).as_deref(), expected, "{bytes:?}");
        }
    }

    #[test]
    fn an_error_page_is_no_image() {
        assert!(Wanted::Image.accepts("image/png") && !Wanted::Image.accepts("text/html"));
        assert!(Wanted::Document.accepts("application/pdf") && !Wanted::Document.accepts("image/png"));
        assert!(Wanted::Any.accepts("audio/wav"));
    }
}
