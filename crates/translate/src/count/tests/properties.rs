//! Whatever bytes come, nothing panics, and what is written is JSON.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{Format, decode_request, decode_response, encode_response, estimate, is_relayed};
use super::{DIALECTS, try_written};
use crate::Wire;
use crate::base64;
use crate::ir::Request;
use crate::loss::Losses;

fn swallow(body: &[u8]) {
    for dialect in Wire::ALL {
        if let Ok(request) = decode_request(dialect, body) {
            let counted = estimate(&request);
            for to in DIALECTS {
                let answer = encode_response(to, &counted, &request, &mut Losses::default());
                serde_json::from_slice::<Value>(&answer).unwrap();
            }
            for format in Format::ALL {
                let _ = is_relayed(dialect, format, body);
                if let Ok(bytes) = try_written(format, "m", &request, &mut Losses::default()) {
                    serde_json::from_slice::<Value>(&bytes).unwrap();
                }
            }
        }
    }
    for format in Format::ALL {
        if let Ok(counted) = decode_response(format, body) {
            encode_response(Wire::Gemini, &counted, &Request::default(), &mut Losses::default());
        }
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[A-Za-z+/=]{0,9}".prop_map(Value::from),
        Just(json!(base64::encode(br#"{"messages":[{"role":"user","content":"x"}]}"#))),
        Just(json!("user")),
    ];
    let names = [
        "input",
        "converse",
        "invokeModel",
        "body",
        "messages",
        "role",
        "content",
        "contents",
        "parts",
        "text",
        "generateContentRequest",
        "systemInstruction",
        "tools",
        "model",
        "input_tokens",
        "totalTokens",
        "promptTokensDetails",
        "modality",
        "tokenCount",
    ];
    leaf.prop_recursive(5, 32, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(names.to_vec()), inner), 0..5).prop_map(|members| {
                Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        swallow(&bytes);
    }

    #[test]
    fn any_json_is_taken(value in any_json()) {
        swallow(value.to_string().as_bytes());
    }
}
