//! Whatever bytes come, nothing panics; and a request written for its own format is the same request.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{
    Format, Input, Piece, Request, decode_request, decode_response, encode_request, encode_response,
    observe_response,
};
use super::{decode, echo};
use crate::loss::Losses;

fn swallow(body: &[u8]) {
    for format in Format::ALL {
        if let Ok(request) = decode_request(format, body) {
            for to in Format::ALL {
                if let Ok(bytes) = encode_request(to, &request, "m", &mut Losses::default()) {
                    serde_json::from_slice::<Value>(&bytes).unwrap();
                }
            }
        }
        let _ = observe_response(format, body);
        if let Ok(response) = decode_response(format, body) {
            for dialect in Format::ALL {
                let request = Request { inputs: vec![Input::text("a")], ..Request::of(dialect) };
                let bytes = encode_response(&response, &request, &echo(), &mut Losses::default());
                serde_json::from_slice::<Value>(&bytes).unwrap();
            }
        }
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[A-Za-z+/=]{0,9}".prop_map(Value::from),
    ];
    let names = [
        "input",
        "data",
        "embedding",
        "embeddings",
        "values",
        "content",
        "parts",
        "text",
        "texts",
        "float",
        "requests",
        "index",
        "model",
        "meta",
        "usage",
        "inputs",
        "images",
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(names.to_vec()), inner), 0..4)
                .prop_map(|fields| fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()),
        ]
    })
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..100)) {
        swallow(&body);
    }

    #[test]
    fn arbitrary_json_never_panics(value in any_json()) {
        swallow(value.to_string().as_bytes());
    }

    #[test]
    fn texts_come_back_from_their_own_format(
        texts in prop::collection::vec(".*", 1..5), dimensions in prop::option::of(1..9_u64)
    ) {
        for format in [Format::OpenAi, Format::Cohere, Format::GeminiBatch] {
            let request = Request {
                model: "m".into(),
                inputs: texts.iter().map(|text| Input { pieces: vec![Piece::Text(text.clone())], title: None }).collect(),
                dimensions,
                ..Request::of(format)
            };
            let body = encode_request(format, &request, "m", &mut Losses::default()).unwrap();
            let body: Value = serde_json::from_slice(&body).unwrap();
            let back = decode(format, &body).unwrap();
            prop_assert_eq!((back.inputs, back.dimensions), (request.inputs, request.dimensions));
        }
    }

    #[test]
    fn base64_keeps_every_single_float(numbers in prop::collection::vec(any::<f32>(), 1..20)) {
        let numbers: Vec<f32> = numbers.into_iter().filter(|number| number.is_finite()).collect();
        let answer = json!({"data": [{"index": 0, "embedding": numbers}]});
        let response = decode_response(Format::OpenAi, answer.to_string().as_bytes()).unwrap();
        let packed = response.embeddings[0].vectors[0].1.base64().unwrap();
        let back = serde_json::to_value(packed.floats().unwrap()).unwrap();
        let back: Vec<f32> = back.as_array().unwrap().iter().map(|n| n.as_f64().unwrap() as f32).collect();
        prop_assert_eq!(back, numbers);
    }
}
