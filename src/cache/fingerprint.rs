//! What tells one request from all others of its space: the canonical form of its body, and what stands beside the body and
//! changes answers.
//!
//! `translate::cache::canonical` says what of a body is in; docs/cache-fingerprint.md is its page.

use super::entry::Digest;
use super::scope::hashed;

const FORM: &[u8] = b"bifrost-cache-request-v1";
const FRAME: &[u8] = b"bifrost-cache-frame-v1";

/// The fingerprint of a request. `beside`: texts in any order, such as betas and headers that reach the provider.
#[must_use]
pub fn of(canonical: &[u8], beside: &[String]) -> Digest {
    whole(FORM, canonical, beside)
}

/// The same of all that must be equal around a question that is compared by meaning; the model of the embeddings is beside it
/// too: vectors of two models have nothing to do with each other.
#[must_use]
pub fn of_frame(frame: &[u8], beside: &[String], embedded_by: &str) -> Digest {
    let mut all = beside.to_vec();
    all.push(format!("embedded by {embedded_by}"));
    whole(FRAME, frame, &all)
}

fn whole(form: &[u8], canonical: &[u8], beside: &[String]) -> Digest {
    let mut sorted: Vec<&str> = beside.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    sorted.dedup();
    hashed(form, std::iter::once(canonical).chain(sorted.into_iter().map(str::as_bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_beside_the_body_counts_in_any_order() {
        let of =
            |beside: &[&str]| of(b"body", &beside.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&["a", "b"]), of(&["b", "a", "b"]));
        let different = [of(&[]), of(&["a"]), of(&["ab"]), of(&["a", "b"]), of(&[""])];
        for (at, one) in different.iter().enumerate() {
            assert!(different.iter().skip(at + 1).all(|other| one != other), "{at}");
        }
    }

    #[test]
    fn a_frame_is_no_request_and_models_of_embeddings_do_not_mix() {
        assert_ne!(super::of(b"x", &[]), of_frame(b"x", &[], ""));
        assert_ne!(of_frame(b"x", &[], "openai/small"), of_frame(b"x", &[], "openai/large"));
    }
}
