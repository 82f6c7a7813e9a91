//! Callers whose AWS SDK signs: the signature is checked before anything else is looked at.
//!
//! Only where access keys are configured (`client.aws_access_keys`). Who may ask for what is not decided here.

use std::time::SystemTime;

use http::header::AUTHORIZATION;
use percent_encoding::percent_decode_str;
use pingora_http::RequestHeader;
use translate::ir::FailureKind;

use super::fault::Fault;
use crate::config::snapshot::Client;
use crate::credential::sigv4::PathForm;
use crate::credential::sigv4_verify::{AUTHORITY, Incoming, Reason, body_sha256, verify};

/// How every signature in the header begins.
const SCHEME: &[u8] = b"AWS4-";

/// # Errors
/// 403 when the request is signed and the signature is not one of ours for this request, or stands in the URL.
pub fn check(head: &RequestHeader, body: &[u8], client: &Client) -> Result<(), Fault> {
    let signed = || head.headers.get(AUTHORIZATION).is_some_and(|value| value.as_bytes().starts_with(SCHEME));
    if client.aws_access_keys.is_empty() {
        return Ok(());
    }
    if is_presigned(head.uri.query().unwrap_or_default()) {
        let message = "signed URLs are not taken: sign the request's headers";
        return Err(Fault::request(FailureKind::Authentication, 403, message));
    }
    if !signed() {
        return Ok(());
    }
    let mut headers = Vec::with_capacity(head.headers.len() + 1);
    for (name, value) in &head.headers {
        let Ok(value) = value.to_str() else { continue };
        headers.push((name.as_str(), value));
    }
    // HTTP/2: SDKs sign what they send, which is the one or the other.
    if let Some(authority) = head.uri.authority() {
        headers.push((AUTHORITY, authority.as_str()));
        if !head.headers.contains_key(http::header::HOST) {
            headers.push(("host", authority.as_str()));
        }
    }
    let request = Incoming {
        method: head.method.as_str(),
        path_and_query: head.uri.path_and_query().map_or("/", |path| path.as_str()),
        headers: &headers,
        body_sha256: &body_sha256(body),
        path_form: PathForm::USUAL,
        now: SystemTime::now(),
    };
    match verify(&request, |key| client.aws_access_keys.get(key).cloned()) {
        Ok(_) => Ok(()),
        Err(reason) => Err(fault(&reason)),
    }
}

/// The signature stands in the query.
fn is_presigned(query: &str) -> bool {
    query.split('&').any(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        percent_decode_str(name).decode_utf8_lossy().eq_ignore_ascii_case("x-amz-signature")
    })
}

fn fault(reason: &Reason) -> Fault {
    let advice = match reason {
        Reason::UnknownKey => "use an access key of `client.aws_access_keys`",
        Reason::Time => "set the caller's clock",
        _ => "sign the request as it is sent, with the secret that belongs to the access key",
    };
    Fault::request(FailureKind::Authentication, 403, format!("{reason}: {advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_urls_passed_as_not_signed() {
        for query in ["X-Amz-Signature=0", "a=1&x-amz-signature=0", "X%2DAmz-Signature=0", "X-Amz-Signature"]
        {
            assert!(is_presigned(query), "{query}");
        }
        for query in ["", "alt=sse", "a=X-Amz-Signature"] {
            assert!(!is_presigned(query), "{query}");
        }
    }
}
