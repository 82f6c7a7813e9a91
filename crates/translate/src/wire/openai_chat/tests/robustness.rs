//! No bytes make a decoder panic.

use proptest::prelude::*;

use super::{OPENAI, OPENROUTER, OpenAiChat, PLAIN_RULES, echo, requests, responses, streams, to};
use crate::frame::Frame;
use crate::loss::Losses;
use crate::wire::{Codec, Dialect, Observation};

/// Everything that reads, and what writes what was read.
fn read_all(bytes: &[u8]) {
    if let Ok(request) = OpenAiChat.decode_request(bytes) {
        for quirks in [&OPENAI, &OPENROUTER] {
            let _ = OpenAiChat.encode_request(&request, &to(quirks, &PLAIN_RULES), &mut Losses::default());
        }
    }
    if let Ok(response) = OpenAiChat.decode_response(bytes) {
        OpenAiChat.encode_response(&response, &echo(), &mut Losses::default());
    }
    let _ = OpenAiChat.observe_response(bytes);
    OpenAiChat.decode_failure(200, bytes);
    OpenAiChat.decode_failure(500, bytes);
}

fn read_stream(frames: &[Vec<u8>]) {
    let mut decoder = OpenAiChat.stream_decoder();
    let mut encoder = OpenAiChat.stream_encoder(echo());
    let (mut seen, mut events, mut out) = (Observation::default(), Vec::new(), Vec::new());
    for data in frames {
        let frame = Frame { raw: data, event: "", data };
        let _ = decoder.frame(&frame, &mut events);
        OpenAiChat.observe_frame(&frame, &mut seen);
    }
    decoder.end(&mut events);
    for event in &events {
        encoder.event(event, &mut out, &mut Losses::default());
    }
}

/// Replaces, removes or inserts bytes, or swaps a value for one of another type.
fn mutate(body: &str, edits: &[(usize, u8, u8)]) -> Vec<u8> {
    const VALUES: [&str; 8] = ["null", "{}", "[]", "\"\"", "-1", "1e400", "true", "[[{}]]"];
    let mut bytes = body.as_bytes().to_vec();
    for (place, kind, byte) in edits {
        let at = place % bytes.len().max(1);
        match kind % 4 {
            0 if !bytes.is_empty() => bytes[at] = *byte,
            1 if !bytes.is_empty() => drop(bytes.remove(at)),
            2 => bytes.insert(at, *byte),
            _ => {
                // Behind a colon stands a value: put another one in front of its comma or brace.
                if let Some(colon) = bytes.iter().skip(at).position(|one| *one == b':') {
                    let from = at + colon + 1;
                    let length = bytes[from..].iter().position(|one| matches!(one, b',' | b'}')).unwrap_or(0);
                    let value = VALUES[usize::from(*byte) % VALUES.len()];
                    bytes.splice(from..from + length, value.bytes());
                }
            }
        }
    }
    bytes
}

fn edits() -> impl Strategy<Value = Vec<(usize, u8, u8)>> {
    prop::collection::vec((0..4000_usize, any::<u8>(), any::<u8>()), 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        read_all(&bytes);
        read_stream(&[bytes]);
    }

    #[test]
    fn mutated_bodies_never_panic(which in any::<prop::sample::Index>(), edits in edits()) {
        let all: Vec<&str> = requests::BODIES.iter().chain(responses::BODIES).copied().collect();
        read_all(&mutate(which.get::<&str>(&all), &edits));
    }

    #[test]
    fn mutated_streams_never_panic(
        which in any::<prop::sample::Index>(),
        edits in prop::collection::vec(edits(), 12),
    ) {
        let all = streams::streams();
        let frames: Vec<Vec<u8>> =
            which.get(&all).1.iter().zip(&edits).map(|(data, edits)| mutate(data, edits)).collect();
        read_stream(&frames);
    }

    #[test]
    fn a_request_that_was_read_can_be_read_again_once_written(edits in edits(), which in any::<prop::sample::Index>()) {
        let body = mutate(which.get::<&str>(requests::BODIES), &edits);
        if let Ok(first) = OpenAiChat.decode_request(&body) {
            let destination = to(&OPENROUTER, &PLAIN_RULES);
            let mut losses = Losses::default();
            let written = OpenAiChat.encode_request(&first, &destination, &mut losses);
            if let Ok(written) = written {
                prop_assert!(OpenAiChat.decode_request(&written).is_ok(), "{}", String::from_utf8_lossy(&written));
            }
        }
    }
}
