//! Whatever bytes come, nothing panics.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::answers::full;
use super::streams::events;
use super::{BUDGETS, LLAMA, SEES, encode};
use crate::fuzzing;
use crate::wire::Codec;

fn swallow(body: &[u8]) {
    fuzzing::response_replicate(body);
    let _ = super::Replicate.decode_failure(500, body);
    let _ = events(body, 3);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        swallow(&body);
    }

    #[test]
    fn a_prediction_cut_or_flipped_never_panics(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut body = full().to_string().into_bytes();
        let at = at.index(body.len());
        swallow(&body[..at]);
        body[at] = byte;
        swallow(&body);
    }

    #[test]
    fn what_is_streamed_comes_through_at_any_cut(
        pieces in prop::collection::vec("[ -~\n]{0,12}", 0..8), size in 1_usize..40
    ) {
        let mut body = String::new();
        for piece in &pieces {
            body.push_str("event: output\n");
            for line in piece.split('\n') {
                body.push_str(&format!("data: {line}\n"));
            }
            body.push('\n');
        }
        body.push_str("event: done\ndata: {}\n\n");
        let text: String = events(body.as_bytes(), size).into_iter().filter_map(|event| match event {
            crate::ir::Event::PartDelta { delta: crate::ir::Delta::Text(text), .. } => Some(text),
            _ => None,
        }).collect();
        prop_assert_eq!(text, pieces.concat());
    }

    #[test]
    fn any_talk_makes_a_prompt(turns in prop::collection::vec((0..3_usize, "[a-z ]{0,9}"), 1..6)) {
        let turns: Vec<Value> = turns
            .into_iter()
            .map(|(role, text)| (["system", "user", "assistant"][role], text))
            .map(|(role, text)| json!({"role": role, "content": text}))
            .collect();
        let body = json!({"model": "m", "messages": turns});
        for model in [LLAMA, SEES, BUDGETS] {
            let (sent, _) = encode(&body, model).unwrap();
            prop_assert!(sent["input"]["prompt"].is_string());
        }
    }
}
