//! Checks the AWS signature of a caller.
//!
//! A caller whose SDK signs has an access key and a secret of ours, as it would have of AWS's. The
//! signature is made again from the request as it arrived and compared. Pure: the time and the lookup
//! of secrets are arguments. Only signatures in the header are read, as SDKs send them; signed URLs
//! are refused.

use std::time::{Duration, SystemTime};

use aws_smithy_types::date_time::{DateTime, Format};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode, utf8_percent_encode};
use subtle::ConstantTimeEq;

use super::Secret;
use super::sigv4::PathForm;

/// A request as it arrived, before anything was changed.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    pub method: &'a str,
    /// As the caller sent it, with a prefix under which the dialect is served.
    pub path_and_query: &'a str,
    /// All headers, names in any case; `host` among them, over HTTP/2 also `:authority`.
    pub headers: &'a [(&'a str, &'a str)],
    /// SHA-256 of the body, as lower-case hexadecimal digits: see `body_sha256`.
    pub body_sha256: &'a str,
    /// `PathForm::USUAL` for all services but S3.
    pub path_form: PathForm,
    pub now: SystemTime,
}

/// Whose signature it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AccessKey(pub String);

/// Why a signature is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    #[error("the request is not signed")]
    NotSigned,
    #[error("the signature is malformed: {0}")]
    Malformed(&'static str),
    #[error("the access key is not known")]
    UnknownKey,
    #[error("the signature was made more than five minutes away from now")]
    Time,
    #[error("the signed header {0} is not in the request")]
    MissingHeader(String),
    #[error("the body is not the one that was signed")]
    Body,
    #[error("the signature does not match the request")]
    Mismatch,
}

/// A caller's clock may be wrong by this much, as with AWS.
const SKEW: Duration = Duration::from_secs(300);
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// What names the host over HTTP/2.
pub const AUTHORITY: &str = ":authority";

/// Who signed `request`, when the signature fits it and the secret that `lookup` has for the key.
///
/// # Errors
/// The first thing that is wrong.
pub fn verify(request: &Incoming<'_>, lookup: impl Fn(&str) -> Option<Secret>) -> Result<AccessKey, Reason> {
    let claim = Claim::read(single(request.headers, "authorization").ok_or(Reason::NotSigned)?)?;
    check_time(request, &claim)?;
    let headers = signed_headers(request, &claim)?;
    same_body(request)?;
    let secret = lookup(claim.access_key).ok_or(Reason::UnknownKey)?;
    let expected = signature(request, &claim, &headers, &secret)?;
    if !bool::from(expected.as_bytes().ct_eq(claim.signature.as_bytes())) {
        return Err(Reason::Mismatch);
    }
    Ok(AccessKey(claim.access_key.to_owned()))
}

/// The digest that `Incoming` takes.
#[must_use]
pub fn body_sha256(body: &[u8]) -> String {
    hex(ring::digest::digest(&ring::digest::SHA256, body).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The access key an `Authorization` header names, unchecked: to find the caller before the body is read.
#[must_use]
pub fn claimed_key(authorization: &str) -> Option<&str> {
    Claim::read(authorization).ok().map(|claim| claim.access_key)
}

/// What the `Authorization` header says.
struct Claim<'a> {
    access_key: &'a str,
    date: &'a str,
    region: &'a str,
    service: &'a str,
    signed: &'a str,
    signature: &'a str,
}

impl<'a> Claim<'a> {
    fn read(header: &'a str) -> Result<Self, Reason> {
        let fields = header.trim_start().strip_prefix(ALGORITHM).ok_or(Reason::NotSigned)?;
        let (mut credential, mut signed, mut signature) = (None, None, None);
        for field in fields.split(',') {
            let (name, value) =
                field.trim().split_once('=').ok_or(Reason::Malformed("a field has no `=`"))?;
            let place = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed,
                "Signature" => &mut signature,
                _ => return Err(Reason::Malformed("an unknown field")),
            };
            if place.replace(value).is_some() {
                return Err(Reason::Malformed("a field appears twice"));
            }
        }
        let (Some(credential), Some(signed), Some(signature)) = (credential, signed, signature) else {
            return Err(Reason::Malformed("Credential, SignedHeaders or Signature is missing"));
        };
        // From the right: access keys of ours may hold slashes.
        let mut parts = credential.rsplitn(5, '/');
        let mut part = || parts.next().filter(|part| !part.is_empty());
        let (end, service, region, date, key) = (part(), part(), part(), part(), part());
        match (end, service, region, date, key) {
            (Some("aws4_request"), Some(service), Some(region), Some(date), Some(access_key)) => {
                Ok(Self { access_key, date, region, service, signed, signature })
            }
            _ => Err(Reason::Malformed("the credential has not five parts")),
        }
    }
}

fn check_time(request: &Incoming<'_>, claim: &Claim<'_>) -> Result<(), Reason> {
    let text =
        single(request.headers, "x-amz-date").ok_or(Reason::Malformed("no single x-amz-date header"))?;
    let time = basic_time(text).ok_or(Reason::Malformed("x-amz-date is no basic ISO 8601 time"))?;
    if !text.starts_with(claim.date) || claim.date.len() != 8 {
        return Err(Reason::Malformed("the credential's date is not that of x-amz-date"));
    }
    let apart = request.now.duration_since(time).unwrap_or_else(|early| early.duration());
    if apart > SKEW { Err(Reason::Time) } else { Ok(()) }
}

/// `YYYYMMDDTHHMMSSZ`.
fn basic_time(text: &str) -> Option<SystemTime> {
    let digits = text.len() == 16 && text.is_ascii();
    let part = |range| if digits { text.get(range) } else { None };
    if part(8..9)? != "T" || part(15..16)? != "Z" {
        return None;
    }
    let (year, month, day) = (part(0..4)?, part(4..6)?, part(6..8)?);
    let (hour, minute, second) = (part(9..11)?, part(11..13)?, part(13..15)?);
    let extended = format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z");
    DateTime::from_str(&extended, Format::DateTime).ok()?.try_into().ok()
}

/// The headers the signature covers, as often as they appear. The host and every `x-amz-` header must
/// be among them: an unsigned one could have been added on the way.
fn signed_headers<'a>(request: &Incoming<'a>, claim: &Claim<'_>) -> Result<Vec<(&'a str, &'a str)>, Reason> {
    let names: Vec<&str> = claim.signed.split(';').collect();
    let covered = |name: &str| names.iter().any(|signed| signed.eq_ignore_ascii_case(name));
    let amazon = |name: &str| name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("x-amz-"));
    if !covered("host") && !covered(AUTHORITY) {
        return Err(Reason::Malformed("the host is not signed"));
    }
    if request.headers.iter().any(|(name, _)| amazon(name) && !covered(name)) {
        return Err(Reason::Malformed("an x-amz- header is not signed"));
    }
    let absent = names.iter().find(|name| !request.headers.iter().any(|(h, _)| h.eq_ignore_ascii_case(name)));
    if let Some(name) = absent {
        return Err(Reason::MissingHeader((*name).chars().take(64).collect()));
    }
    Ok(request.headers.iter().copied().filter(|(name, _)| covered(name)).collect())
}

/// A hash that the caller sent must be the body's: an unsigned or chunk-signed body is not accepted.
fn same_body(request: &Incoming<'_>) -> Result<(), Reason> {
    let sent = request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("x-amz-content-sha256"));
    for (_, hash) in sent {
        if *hash != request.body_sha256 {
            return Err(Reason::Body);
        }
    }
    Ok(())
}

/// The signature that the secret's owner would have made. Done here and not by AWS's own signer, which cannot
/// sign what an AWS SDK signs over HTTP/2: the header `:authority`.
fn signature(
    request: &Incoming<'_>,
    claim: &Claim<'_>,
    headers: &[(&str, &str)],
    secret: &Secret,
) -> Result<String, Reason> {
    let (path, query) = request.path_and_query.split_once('?').unwrap_or((request.path_and_query, ""));
    if !path.starts_with('/') {
        return Err(Reason::Malformed("the path"));
    }
    let mut canonical =
        format!("{}\n{}\n{}\n", request.method, path_of(path, request.path_form), query_of(query));
    for name in claim.signed.split(';') {
        canonical.push_str(name);
        canonical.push(':');
        canonical.push_str(&values_of(headers, name));
        canonical.push('\n');
    }
    canonical.push_str(&format!("\n{}\n{}", claim.signed, request.body_sha256));
    let scope = format!("{}/{}/{}/aws4_request", claim.date, claim.region, claim.service);
    let time = single(request.headers, "x-amz-date").unwrap_or_default();
    let text = format!("{ALGORITHM}\n{time}\n{scope}\n{}", body_sha256(canonical.as_bytes()));
    let mut key = hmac(format!("AWS4{}", secret.expose()).as_bytes(), claim.date);
    for part in [claim.region, claim.service, "aws4_request"] {
        key = hmac(key.as_ref(), part);
    }
    Ok(hex(hmac(key.as_ref(), &text).as_ref()))
}

fn hmac(key: &[u8], text: &str) -> ring::hmac::Tag {
    ring::hmac::sign(&ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key), text.as_bytes())
}

/// Everything but letters, digits and `-._~` is encoded, a percent sign too.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn path_of(path: &str, form: PathForm) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." if form.normalize => {}
            ".." if form.normalize => drop(segments.pop()),
            other => segments.push(other),
        }
    }
    let mut out = String::with_capacity(path.len());
    for segment in segments.iter().skip(usize::from(!form.normalize)) {
        out.push('/');
        match form.encode_again {
            true => out.extend(utf8_percent_encode(segment, RESERVED)),
            false => out.push_str(segment),
        }
    }
    let open = form.normalize && ["/", "/.", "/.."].iter().any(|end| path.ends_with(end));
    if open || out.is_empty() {
        out.push('/');
    }
    out
}

fn query_of(query: &str) -> String {
    let encoded = |text: &str| {
        let plain: Vec<u8> = percent_decode_str(text).collect();
        percent_encode(&plain, RESERVED).to_string()
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let mut pairs: Vec<(String, String)> = pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (encoded(name), encoded(value)))
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

/// All values of a header, spaces around them gone and those within them single.
fn values_of(headers: &[(&str, &str)], name: &str) -> String {
    let values = headers.iter().filter(|(header, _)| header.eq_ignore_ascii_case(name));
    let values: Vec<String> = values
        .map(|(_, value)| value.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" "))
        .collect();
    values.join(",")
}

/// The value of a header that appears exactly once.
fn single<'a>(headers: &[(&str, &'a str)], name: &str) -> Option<&'a str> {
    let mut found = headers.iter().filter(|(header, _)| header.eq_ignore_ascii_case(name));
    let first = found.next()?;
    if found.next().is_some() { None } else { Some(first.1) }
}

#[cfg(test)]
mod botocore;
#[cfg(test)]
mod tests;
