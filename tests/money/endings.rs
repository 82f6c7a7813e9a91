//! Answers that end in another way than well: what the provider bills for them is not lost, and never free.

use serde_json::{Value, json};

use crate::bill::{Bill, Counts};
use crate::stage::{Stage, cost_of, counts_for};
use crate::support::answers::{chunk, json_answer, raw_answer};
use crate::support::client::{Connection, Request};
use crate::support::upstream::{Act, Gate, Hit, Script};
use crate::ways::with_fallback;
use crate::wires::{self, ALL, Speech, begin, frames, streams};

/// What the log line says of a request whose counts nobody told: a sum that is marked as a guess.
fn is_guessed(line: &Value) -> bool {
    line["usage_estimated"] == true && cost_of(line).is_some_and(|nanos| nanos > 0)
}

fn upstream_wires() -> impl Iterator<Item = Speech> {
    ALL.into_iter().filter(|wire| *wire != Speech::Responses)
}

/// The wire's own dialect asks: relayed; and another one: translated.
fn callers(wire: Speech) -> [Speech; 2] {
    [wire, if wire == Speech::Chat { Speech::Anthropic } else { Speech::Chat }]
}

/// Each wire relayed and translated: a name, who asks whom.
fn pairs() -> Vec<(String, Speech, Speech)> {
    let pairs = upstream_wires().flat_map(|wire| callers(wire).map(|dialect| (dialect, wire)));
    let numbered = pairs.enumerate().map(|(at, (dialect, wire))| (format!("case-{at:03}"), dialect, wire));
    numbered.collect()
}

fn without_usage(mut body: Value) -> Value {
    for name in ["usage", "usageMetadata"] {
        body.as_object_mut().unwrap().remove(name);
    }
    body
}

#[test]
fn an_answer_whose_counts_nobody_tells_is_guessed_and_never_free() {
    let stage = Stage::new(&json!({}), |hit, name, _| {
        let speech = Speech::of(&hit.path);
        let body = without_usage(wires::whole(speech, counts_for(name, speech)));
        raw_answer(200, "application/json", &[], body.to_string().as_bytes())
    });
    let mut wrong = Vec::new();
    for (name, dialect, wire) in pairs() {
        let (answer, line) =
            stage.ask(dialect.request(&format!("{}/{name}", wire.provider().0), false), &name);
        if answer.status() != 200 || !is_guessed(&line) {
            wrong.push(format!("{name} {dialect:?} to {wire:?}: {} {line}", answer.status()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A whole answer that cannot be handed on, with its bill in it.
fn unfit(speech: Speech, counts: Counts) -> Value {
    let mut body = wires::whole(speech, counts);
    match speech {
        Speech::Chat => body["choices"] = Value::Null,
        Speech::Responses => body["output"] = Value::Null,
        Speech::Anthropic => body["content"] = Value::Null,
        Speech::Gemini => body["candidates"] = json!([]),
        Speech::Bedrock => body["output"] = Value::Null,
        Speech::Cohere => body["message"] = Value::Null,
    }
    body
}

#[test]
fn an_answer_that_is_no_good_costs_what_it_says_and_the_next_one_too() {
    let stage = Stage::new(&json!({}), |hit, name, bill| {
        let speech = Speech::of(&hit.path);
        let counts = counts_for(name, speech);
        bill.add(name, counts.nanos());
        match name.starts_with("unfit") {
            true => json_answer(200, &[], &unfit(speech, counts)),
            false => wires::answer(hit, counts),
        }
    });
    let mut wrong = Vec::new();
    for (name, dialect, wire) in pairs() {
        for stream in [false, true] {
            let (unfit, next) = (format!("unfit-{name}-{stream}"), format!("{name}-{stream}"));
            let first = dialect.request(&format!("{}/{unfit}", wire.provider().0), stream);
            let (answer, line) = stage.ask(with_fallback(first, &format!("house-oa/{next}")), &next);
            let billed = stage.provider.bill.of(&unfit) + stage.provider.bill.of(&next);
            if answer.status() != 200 || line["attempts"].as_array().unwrap().len() < 2 {
                wrong.push(format!("{name} {dialect:?} to {wire:?} was no fault: {line}"));
            } else if cost_of(&line) != Some(billed) {
                wrong.push(format!(
                    "{name} {dialect:?} to {wire:?}, stream {stream}: billed {billed}, {line}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Says two words, waits, and then `rest`.
fn two_words(hit: &Hit, counts: Counts, rest: impl FnOnce(&[Vec<u8>]) -> Script) -> Script {
    let speech = Speech::of(&hit.path);
    let all = frames(speech, counts);
    let (said, unsaid) = all.split_at(wires::after_two_words(speech));
    let mut script = vec![begin(speech)];
    script.extend(said.iter().map(chunk));
    script.extend(rest(unsaid));
    script
}

/// Sends a request and reads until the first words are there.
fn begun(stage: &Stage, request: Request, id: &str) -> Connection {
    let mut connection = stage.gateway.connect();
    connection.send(&request.header("x-request-id", id)).unwrap();
    connection.read_head().unwrap();
    connection.read_until("Money");
    connection
}

#[test]
fn a_stream_that_breaks_is_charged_as_far_as_it_went() {
    let more = json!({"streaming": {"recovery": "error"}});
    let stage = Stage::new(&more, |hit, name, bill| {
        let counts = counts_for(name, Speech::of(&hit.path));
        bill.add(name, Counts { output: 2, reasoning: 0, ..counts }.nanos());
        two_words(hit, counts, |_| vec![Act::Reset])
    });
    let mut wrong = Vec::new();
    for (name, dialect, wire) in pairs() {
        let (_, line) = stage.ask(dialect.request(&format!("{}/{name}", wire.provider().0), true), &name);
        if !is_guessed(&line) {
            wrong.push(format!("{name} {dialect:?} to {wire:?}: {line}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_a_caller_left_is_charged_with_the_counts_that_come_right_behind() {
    let gate = Gate::shut();
    let wait = gate.clone();
    let stage = Stage::new(&json!({}), move |hit, name, bill| {
        let counts = counts_for(name, Speech::of(&hit.path));
        bill.add(name, counts.nanos());
        let wait = wait.clone();
        two_words(hit, counts, |rest| {
            let mut script = vec![Act::Wait(wait)];
            script.extend(rest.iter().map(chunk));
            script.push(crate::support::answers::end());
            script
        })
    });
    let all = pairs();
    let left: Vec<Connection> = all
        .iter()
        .map(|(name, dialect, wire)| {
            begun(&stage, dialect.request(&format!("{}/{name}", wire.provider().0), true), name)
        })
        .collect();
    drop(left);
    gate.open();
    let mut wrong = Vec::new();
    for (name, dialect, wire) in &all {
        let line = stage.gateway.request_line(name);
        let billed = stage.provider.bill.of(name);
        if cost_of(&line) != Some(billed) && !is_guessed(&line) {
            wrong.push(format!("{name} {dialect:?} to {wire:?}: billed {billed}, {line}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_caller_that_leaves_before_the_answer_is_charged_for_what_was_asked() {
    let stage = Stage::new(&json!({}), |_, _, _| vec![Act::Hold]);
    let mut wrong = Vec::new();
    for (name, dialect, wire) in pairs() {
        for stream in [false, true] {
            let id = format!("{name}-{stream}");
            let request = dialect.request(&format!("{}/{id}", wire.provider().0), stream);
            let mut connection = stage.gateway.connect();
            connection.send(&request.header("x-request-id", &id)).unwrap();
            stage.provider.upstream.wait_for("the request", |hits| {
                hits.iter().find(|hit| crate::stage::model_of(hit) == id).map(|_| ())
            });
            drop(connection);
            let line = stage.gateway.request_line(&id);
            if !is_guessed(&line) {
                wrong.push(format!("{id} {dialect:?} to {wire:?}: {line}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn counts_that_grow_with_every_event_are_billed_once() {
    let stage = Stage::new(&json!({}), |hit, name, bill| {
        let counts = counts_for(name, Speech::Chat);
        bill.add(name, counts.nanos());
        // As vLLM does with `continuous_usage_stats`.
        let grown = |number: u64, frame: Vec<u8>| {
            let text = String::from_utf8(frame).unwrap();
            let Some(mut body) =
                text.strip_prefix("data: ").and_then(|data| serde_json::from_str::<Value>(data).ok())
            else {
                return text;
            };
            if body["usage"].is_null() {
                let so_far = Counts { output: number, reasoning: 0, ..counts };
                body["usage"] = wires::whole(Speech::Chat, so_far)["usage"].clone();
            }
            format!("data: {body}\n\n")
        };
        let all =
            frames(Speech::Chat, counts).into_iter().zip(0..).map(|(frame, number)| grown(number, frame));
        assert!(streams(hit));
        let mut script = vec![begin(Speech::Chat)];
        script.extend(all.map(chunk));
        script.push(crate::support::answers::end());
        script
    });
    for (name, dialect) in ALL.into_iter().enumerate().map(|(at, dialect)| (format!("case-{at}"), dialect)) {
        // The Responses wire has no such habit.
        if dialect == Speech::Responses {
            continue;
        }
        let (answer, line) = stage.ask(dialect.request(&format!("house-oa/{name}"), true), &name);
        assert_eq!(answer.status(), 200, "{}", answer.text());
        assert_eq!(cost_of(&line), Some(stage.provider.bill.of(&name)), "{dialect:?}: {line}");
    }
}

/// Bills every request, so that a free one is found.
fn tasks(hit: &Hit, name: &str, bill: &Bill) -> Script {
    let counts = Counts::plain(counts_for(name, Speech::Cohere).input, 0);
    let input = counts.input;
    let free = || json_answer(200, &[], &json!({"input_tokens": input, "totalTokens": input}));
    let body = match hit.path.as_str() {
        path if path.contains("count") => return free(),
        path if path.ends_with("/v1/embeddings") => json!({"object": "list", "model": name,
            "data": [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}],
            "usage": {"prompt_tokens": input, "total_tokens": input}}),
        path if path.ends_with("/v2/embed") => json!({"id": "e", "embeddings": {"float": [[0.1, 0.2]]},
            "texts": ["x"], "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": input}}}),
        path if path.contains("mbedContent") => json!({"embeddings": [{"values": [0.1, 0.2]}],
            "embedding": {"values": [0.1, 0.2]}, "usageMetadata": {"promptTokenCount": input, "totalTokenCount": input}}),
        path => panic!("{path} is not expected"),
    };
    bill.add(name, counts.nanos());
    json_answer(200, &[], &body)
}

#[test]
fn embeddings_cost_their_input_in_every_dialect_at_every_provider() {
    let stage = Stage::new(&json!({}), tasks);
    let mut number = 0;
    for provider in ["house-oa", "house-co", "house-ge"] {
        for dialect in ["/v1/embeddings", "/cohere/v2/embed", "/genai"] {
            number += 1;
            let name = format!("case-{number}");
            let model = format!("{provider}/{name}");
            let request = match dialect {
                "/v1/embeddings" => Request::json(dialect, &json!({"model": model, "input": "x"})),
                "/cohere/v2/embed" => Request::json(
                    dialect,
                    &json!({"model": model, "texts": ["x"], "input_type": "search_document", "embedding_types": ["float"]}),
                ),
                _ => Request::json(
                    &format!("/genai/v1beta/models/{}:embedContent", model.replace('/', "%2F")),
                    &json!({"content": {"parts": [{"text": "x"}]}}),
                ),
            };
            let (answer, line) = stage.ask(request, &name);
            assert_eq!(answer.status(), 200, "{provider} by {dialect}: {}", answer.text());
            assert_eq!(
                cost_of(&line),
                Some(stage.provider.bill.of(&name)),
                "{provider} by {dialect}: {line}"
            );
            let header = answer.header("x-bifrost-cost").map(crate::bill::nanos_of);
            assert_eq!(header, Some(stage.provider.bill.of(&name)), "{provider} by {dialect}");
        }
    }
}

#[test]
fn requests_that_go_through_unread_cost_what_their_answer_says() {
    let stage = Stage::new(&json!({}), |hit, name, bill| {
        let counts = counts_for(name, Speech::of(&hit.path));
        bill.add(name, counts.nanos());
        wires::answer(hit, counts)
    });
    let mut wrong = Vec::new();
    for (wire, path) in [
        (Speech::Chat, "/house-oa_passthrough/v1/chat/completions"),
        (Speech::Responses, "/house-oa_passthrough/v1/responses"),
        (Speech::Anthropic, "/house-an_passthrough/v1/messages"),
    ] {
        for stream in [false, true] {
            let name = format!("{wire:?}-{stream}").to_lowercase().replace("responses", "resp");
            let mut request = wire.request(&name, stream);
            request.path = path.to_owned();
            let (answer, line) = stage.ask(request, &name);
            assert_eq!(answer.status(), 200, "{name}: {}", answer.text());
            let billed = stage.provider.bill.of(&name);
            assert!(billed > 0);
            if cost_of(&line) != Some(billed) {
                wrong.push(format!("{name}: billed {billed}, {line}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
