//! Streams that break after the caller had the first token: rows 8, 8b, 9 and 14 where somebody can go on.
//!
//! The first provider breaks as scripted, the next ones go on with an answer if they are asked to. Whether a model takes
//! the beginning of an answer is known by its name: `claude-sonnet-4-5` and `mistral` do, `claude-opus-4-6` and the rest
//! do not.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::rig::{network, request, tag};
use crate::support::answers::{
    self, USAGE, WORDS, after_two_words, chunk, end, events, open_stream, refusal, stream, stream_head,
};
use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::told::Told;
use crate::support::upstream::{Act, Hit, Script, Upstream};
use crate::support::{Wire, for_each};

/// What the first provider says before it breaks, estimated: ten characters.
pub const SAID: u64 = 3;

struct Stage {
    first: Upstream,
    next: Upstream,
    gateway: Gateway,
}

/// One way of going through the gateway.
#[derive(Debug, Clone, Copy)]
struct Way {
    caller: Wire,
    first: Wire,
    next: Wire,
    /// Set in the names of the models, where the script reads it.
    tag: &'static str,
}

impl Stage {
    fn new(script: impl Fn(&Hit) -> Script + Send + Sync + 'static) -> Self {
        Self::with(json!({}), script, goes_on)
    }

    fn with(
        streaming: Value,
        first: impl Fn(&Hit) -> Script + Send + Sync + 'static,
        next: impl Fn(&Hit) -> Script + Send + Sync + 'static,
    ) -> Self {
        let (first, next) = (Upstream::start(first), Upstream::start(next));
        let provider = |base: &str, url: &str| {
            json!({"keys": [{"name": "k", "value": "k"}], "network_config": network(url),
                "custom_provider_config": {"base_provider_type": base}})
        };
        let mut providers = json!({});
        for (name, base, at) in [
            ("first-oa", "openai", &first),
            ("first-an", "anthropic", &first),
            ("next-oa", "mistral", &next),
            ("next-an", "anthropic", &next),
            ("other-oa", "openai", &next),
        ] {
            providers[name] = provider(base, &at.url());
        }
        for (name, provider) in providers.as_object_mut().unwrap() {
            let network = &mut provider["network_config"];
            // Limits that no test is about are none.
            for limit in ["ttft_timeout", "stream_idle_timeout", "default_request_timeout"] {
                network[format!("{limit}_in_seconds")] = json!(20.0);
            }
            for (which, limit) in
                [("first", "total_timeout"), ("next", "ttft_timeout"), ("", "stream_idle_timeout")]
            {
                if let Some(seconds) = streaming[limit].as_f64().filter(|_| name.starts_with(which)) {
                    network[format!("{limit}_in_seconds")] = json!(seconds);
                }
            }
        }
        for (name, fields) in streaming["providers"].as_object().into_iter().flatten() {
            providers[name]["streaming"] = fields.clone();
        }
        let mut config = json!({ "providers": providers });
        if streaming["recovery"].is_string() {
            config["streaming"] = json!({"recovery": streaming["recovery"]});
        }
        Self { first, next, gateway: Gateway::start(&config) }
    }

    fn ask(&self, way: Way, change: impl Fn(&mut Value)) -> Told {
        self.send(way, change, None)
    }

    fn send(&self, way: Way, change: impl Fn(&mut Value), header: Option<(&str, &str)>) -> Told {
        let mut body = request(&way.first_target(), true);
        body["fallbacks"] = json!([way.next_target()]);
        if way.caller == Wire::OpenAi {
            body["stream_options"] = json!({"include_usage": true});
        }
        change(&mut body);
        let mut request = Request::json(way.caller.path(), &body);
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let asked_at = Instant::now();
        Told::new(way.caller, self.gateway.ask(&request), asked_at)
    }

    fn next_hits(&self, way: Way) -> Vec<Hit> {
        self.next.hits_for(&way.next_model())
    }

    fn recoveries(&self, outcome: &str) -> f64 {
        self.gateway.metric("bifrost_stream_recoveries_total", &[("outcome", outcome)])
    }

    /// The whole answer, once, as one stream.
    fn expect_whole(&self, way: Way, told: &Told) {
        let all = told.response.text();
        assert_eq!(told.status(), 200, "{way:?} {all}");
        assert!(told.response.whole, "{way:?}: the body was cut");
        assert_eq!(told.text(), WORDS.concat(), "{way:?} {all}");
        assert_eq!(told.finishes().len(), 1, "{way:?} {all}");
        assert!(told.terminated && told.error().is_none(), "{way:?} {all}");
        let starts = match way.caller {
            Wire::OpenAi => all.matches("\"role\"").count(),
            Wire::Anthropic => all.matches("event: message_start").count(),
        };
        assert_eq!(starts, 1, "{way:?} {all}");
        assert_eq!(told.response.header("x-bf-provider"), Some(way.first_provider()));
    }

    fn expect_continued(&self, way: Way, told: &Told, label: &str) {
        self.expect_whole(way, told);
        let expected =
            [format!("{} {label}", way.first_provider()), format!("{} success", way.next_provider())];
        assert_eq!(told.attempts(), expected, "{way:?}");
        let line = self.gateway.request_line(told.id());
        assert_eq!(line["msg"], "request completed", "{line}");
        assert_eq!(line["attempts"][0]["output_tokens"], SAID, "{line}");
        assert!(line["attempts"][0]["input_tokens"].as_u64().unwrap() > 0, "{line}");
        assert_eq!(line["output_tokens"], SAID + USAGE.1, "{line}");
        assert_eq!(told.output_tokens(), Some(SAID + USAGE.1), "{}", told.response.text());
        self.expect_asked_to_go_on(way);
    }

    /// The next provider was asked once, for what follows on what the caller has.
    fn expect_asked_to_go_on(&self, way: Way) {
        let hits = self.next_hits(way);
        assert_eq!(hits.len(), 1, "{way:?}");
        assert_eq!(said(&hits[0]).as_deref(), Some("The answer"), "{}", hits[0].json);
        if way.next == Wire::OpenAi {
            assert_eq!(hits[0].json["messages"].as_array().unwrap().last().unwrap()["prefix"], true);
        }
        assert_eq!(hits[0].json["max_tokens"], 64 - SAID, "what was written is taken off: {}", hits[0].json);
    }

    /// Two words and an error in the caller's dialect.
    fn expect_broken_off(&self, way: Way, told: &Told, label: &str) {
        assert_eq!(told.text(), "The answer", "{way:?}");
        assert!(!told.error_message().is_empty(), "{way:?}");
        assert!(told.finishes().is_empty() && !told.terminated, "{way:?} {}", told.response.text());
        let line = self.gateway.request_line(told.id());
        assert_eq!(
            (&line["msg"], &line["error"]["type"]),
            (&json!("request failed"), &json!(label)),
            "{line}"
        );
    }
}

impl Way {
    fn first_provider(&self) -> &'static str {
        if self.first == Wire::OpenAi { "first-oa" } else { "first-an" }
    }

    fn next_provider(&self) -> &'static str {
        if self.next == Wire::OpenAi { "next-oa" } else { "next-an" }
    }

    fn first_model(&self) -> String {
        format!("{}-{:?}-{:?}-{:?}", self.tag, self.caller, self.first, self.next).to_lowercase()
    }

    fn next_model(&self) -> String {
        let family = if self.next == Wire::OpenAi { "mistral-small" } else { "claude-sonnet-4-5" };
        format!("{family}-{}", self.first_model())
    }

    fn first_target(&self) -> String {
        format!("{}/{}", self.first_provider(), self.first_model())
    }

    fn next_target(&self) -> String {
        format!("{}/{}", self.next_provider(), self.next_model())
    }
}

/// Every caller with every first and every next wire.
fn each(tags: &[&'static str], test: impl Fn(Way) + Sync) {
    let both = [Wire::OpenAi, Wire::Anthropic];
    let mut ways = Vec::new();
    for tag in tags {
        for caller in both {
            for first in both {
                ways.extend(both.map(|next| Way { caller, first, next, tag }));
            }
        }
    }
    for_each(&ways, test);
}

const PLAIN: Way = Way { caller: Wire::OpenAi, first: Wire::OpenAi, next: Wire::Anthropic, tag: "plain" };

/// The text of an assistant's message at the end.
fn said(hit: &Hit) -> Option<String> {
    let last = hit.json["messages"].as_array()?.last()?;
    let text = |content: &Value| content.as_str().or_else(|| content[0]["text"].as_str()).map(str::to_owned);
    (last["role"] == "assistant").then(|| text(&last["content"]))?
}

/// A provider that goes on with what it is given, or begins.
pub fn goes_on(hit: &Hit) -> Script {
    stream(&rest(hit), Duration::ZERO)
}

/// The events of the answer without what was said.
fn rest(hit: &Hit) -> Vec<String> {
    let said = said(hit).unwrap_or_default();
    let done = (0..=WORDS.len()).find(|n| WORDS[..*n].concat() == said).unwrap_or_else(|| panic!("{said:?}"));
    let mut frames = events(hit.wire(), hit.model());
    let first_word = if hit.wire() == Wire::OpenAi { 1 } else { 2 };
    frames.drain(first_word..first_word + done);
    frames
}

/// A stream that said two words and stays open.
fn two_words(hit: &Hit) -> Script {
    let mut frames = events(hit.wire(), hit.model());
    frames.truncate(after_two_words(hit.wire()));
    open_stream(&frames, Duration::ZERO)
}

pub fn cut(hit: &Hit) -> Script {
    let mut script = two_words(hit);
    script.push(Act::Close);
    script
}

#[test]
fn row_08_a_stream_that_is_cut_is_gone_on_with_by_another_target() {
    let stage = Stage::new(|hit| {
        let mut script = two_words(hit);
        script.push(if tag(hit) == "reset" { Act::Reset } else { Act::Close });
        script
    });
    each(&["reset", "close"], |way| {
        let told = stage.ask(way, |_| {});
        stage.expect_continued(way, &told, "bad_answer");
    });
    assert_eq!((stage.recoveries("continued"), stage.recoveries("failed")), (16.0, 0.0));
}

#[test]
fn row_08b_a_stream_that_ends_in_good_order_without_a_finish_reason_is_gone_on_with() {
    let stage = Stage::new(|hit| {
        let frames = events(hit.wire(), hit.model());
        let said = &frames[..after_two_words(hit.wire())];
        match tag(hit) {
            // Words, terminator and end at once: what came with the break must not be lost.
            "atonce" => {
                let done = if hit.wire() == Wire::OpenAi { "data: [DONE]\n\n" } else { "" };
                vec![stream_head(), chunk(said.concat() + done), end()]
            }
            _ => {
                let mut script = two_words(hit);
                script.push(end());
                script
            }
        }
    });
    each(&["ended", "atonce"], |way| {
        let told = stage.ask(way, |_| {});
        stage.expect_continued(way, &told, "bad_answer");
    });
}

#[test]
fn row_09_a_stream_that_stalls_is_gone_on_with_inside_the_idle_timeout() {
    let script = |hit: &Hit| {
        let mut script = two_words(hit);
        script.push(Act::Hold);
        script
    };
    let stage = Stage::with(json!({"stream_idle_timeout": 0.8}), script, goes_on);
    each(&["stalled"], |way| {
        let told = stage.ask(way, |_| {});
        stage.expect_continued(way, &told, "idle_timeout");
        let took = told.took;
        assert!(took >= Duration::from_millis(800) && took < Duration::from_millis(4_000), "{took:?}");
    });
}

#[test]
fn row_09_an_error_inside_the_stream_is_a_break_too() {
    let stage = Stage::new(|hit| {
        let mut script = two_words(hit);
        let body = answers::error_body(hit.wire(), "overloaded_error", "at capacity");
        script.push(chunk(format!("event: error\ndata: {body}\n\n")));
        script.push(end());
        script
    });
    each(&["failing"], |way| {
        let told = stage.ask(way, |_| {});
        stage.expect_whole(way, &told);
    });
}

#[test]
fn row_14_models_that_refuse_the_beginning_of_an_answer_are_passed_over() {
    let stage = Stage::new(cut);
    each(&["passed"], |way| {
        let told = stage.ask(way, |body| {
            let unable = [
                format!("next-an/claude-opus-4-6-{}", way.first_model()),
                format!("other-oa/gpt-{}", way.first_model()),
            ];
            body["fallbacks"] = json!([unable[0], unable[1], way.next_target()]);
        });
        stage.expect_whole(way, &told);
        let passed = told.attempts();
        assert_eq!(
            passed[1..],
            [
                "next-an cannot_continue".to_owned(),
                "other-oa cannot_continue".to_owned(),
                format!("{} success", way.next_provider())
            ]
        );
        stage.expect_asked_to_go_on(way);
    });
}

#[test]
fn row_14_a_refusal_of_the_beginning_never_reaches_the_caller() {
    let stage = Stage::with(json!({}), cut, |hit| match hit.model().contains("refusing") {
        true => refusal(hit, 400, "invalid_request_error", "the last message must be from the user", &[]),
        false => goes_on(hit),
    });
    each(&["refused"], |way| {
        let refusing = format!("{}-refusing", way.next_target());
        let told = stage.ask(way, |body| body["fallbacks"] = json!([refusing, way.next_target()]));
        stage.expect_whole(way, &told);
        let next = way.next_provider();
        assert_eq!(told.attempts()[1..], [format!("{next} invalid_request"), format!("{next} success")]);
        let told = stage.ask(way, |body| body["fallbacks"] = json!([refusing]));
        stage.expect_broken_off(way, &told, "bad_answer");
        assert!(!told.response.text().contains("must be from the user"), "{}", told.response.text());
    });
    assert_eq!((stage.recoveries("continued"), stage.recoveries("failed")), (8.0, 8.0));
}

#[test]
fn a_target_that_is_able_goes_on_itself() {
    let stage = Stage::with(json!({}), cut, |hit| if said(hit).is_some() { goes_on(hit) } else { cut(hit) });
    each(&["itself"], |way| {
        let told = stage.ask(way, |body| {
            body["model"] = json!(way.next_target());
            body["fallbacks"] = json!([]);
        });
        assert_eq!(told.text(), WORDS.concat(), "{}", told.response.text());
        assert_eq!((told.finishes().len(), told.terminated), (1, true), "{}", told.response.text());
        let next = way.next_provider();
        assert_eq!(told.attempts(), [format!("{next} bad_answer"), format!("{next} success")]);
    });
}

#[test]
fn after_two_continuations_a_stream_that_breaks_is_broken() {
    // Says one word more each time, and breaks.
    let stage = Stage::with(json!({}), cut, |hit| {
        let mut frames = rest(hit);
        let words = if hit.wire() == Wire::OpenAi { 2 } else { 3 };
        frames.truncate(words);
        let mut script = open_stream(&frames, Duration::ZERO);
        script.push(Act::Close);
        script
    });
    each(&["again"], |way| {
        let told = stage.ask(way, |_| {});
        assert_eq!(told.text(), WORDS.concat(), "each provider's words stand once");
        assert!(told.finishes().is_empty() && !told.terminated && told.error().is_some());
        let next = way.next_provider();
        let line = stage.gateway.request_line(told.id());
        let attempts = crate::support::told::attempts(&line["attempts"]);
        let (one, two) = (format!("{} bad_answer", way.first_provider()), format!("{next} bad_answer"));
        assert_eq!(attempts, [one, two.clone(), two], "{line}");
        assert_eq!(line["attempts"][1]["output_tokens"], 1, "{line}");
    });
    assert_eq!(stage.recoveries("failed"), 8.0);
}

#[test]
fn with_error_or_a_call_that_was_begun_nobody_goes_on() {
    let stage = Stage::new(|hit| match tag(hit) {
        "call" => {
            let mut script = two_words(hit);
            script.push(chunk(call(hit.wire(), hit.model())));
            script.push(Act::Close);
            script
        }
        _ => cut(hit),
    });
    each(&["error", "call", "shaped", "spent"], |way| {
        let header = (way.tag == "error").then_some(("x-bf-stream-recovery", "error"));
        let told = stage.send(
            way,
            |body| match way.tag {
                "shaped" if way.caller == Wire::OpenAi => {
                    body["response_format"] = json!({"type": "json_object"})
                }
                "shaped" => body["tool_choice"] = json!({"type": "any"}),
                "spent" => body["max_tokens"] = json!(SAID),
                _ => {}
            },
            header,
        );
        stage.expect_broken_off(way, &told, "bad_answer");
        assert!(stage.next_hits(way).is_empty(), "{way:?}");
    });
    assert_eq!(stage.recoveries("failed"), 0.0);
}

/// The beginning of a tool call.
fn call(wire: Wire, model: &str) -> String {
    match wire {
        Wire::OpenAi => {
            let call = json!({"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{\"a"}});
            let body = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model,
                "choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": null}]});
            format!("data: {body}\n\n")
        }
        Wire::Anthropic => {
            let event = |body: Value| format!("event: {}\ndata: {body}\n\n", body["type"].as_str().unwrap());
            event(json!({"type": "content_block_stop", "index": 0}))
                + &event(json!({"type": "content_block_start", "index": 1,
                    "content_block": {"type": "tool_use", "id": "t", "name": "f", "input": {}}}))
                + &event(json!({"type": "content_block_delta", "index": 1,
                    "delta": {"type": "input_json_delta", "partial_json": "{\"a"}}))
        }
    }
}

#[test]
fn a_buffered_answer_is_begun_anew_unseen_even_inside_a_call() {
    let script = |hit: &Hit| {
        let mut script = two_words(hit);
        match tag(hit) {
            "call" => {
                script.push(chunk(call(hit.wire(), hit.model())));
                script.push(Act::Reset);
            }
            "stalled" => script.push(Act::Hold),
            _ => script.push(end()),
        }
        script
    };
    let stage = Stage::with(json!({"stream_idle_timeout": 0.8}), script, goes_on);
    each(&["call", "stalled", "ended"], |way| {
        let told = stage.send(way, |_| {}, Some(("x-bf-stream-recovery", "buffered")));
        assert_eq!(told.text(), WORDS.concat(), "{way:?} {}", told.response.text());
        assert!(told.error().is_none() && told.terminated && told.finishes().len() == 1);
        assert_eq!(told.response.header("x-bf-provider"), Some(way.next_provider()));
        assert!(!told.response.text().contains("call_1"), "something of the broken answer was told");
        let hits = stage.next_hits(way);
        assert_eq!((hits.len(), said(&hits[0])), (1, None), "the whole answer was asked for");
        let line = stage.gateway.request_line(told.id());
        assert!(line["output_tokens"].as_u64().unwrap() > USAGE.1, "what broke was paid for: {line}");
    });
    assert_eq!(stage.recoveries("restarted"), 24.0);
}

#[test]
fn a_buffered_answer_that_is_never_closed_goes_out_when_it_is_complete() {
    let stage = Stage::with(
        json!({"recovery": "buffered"}),
        |hit| {
            let mut script = open_stream(&events(hit.wire(), hit.model()), Duration::ZERO);
            script.push(Act::Hold);
            script
        },
        goes_on,
    );
    each(&["open"], |way| {
        let told = stage.ask(way, |_| {});
        stage.expect_whole(way, &told);
        assert_eq!(stage.next_hits(way).len(), 0);
    });
}

#[test]
fn the_nearest_setting_counts() {
    let settings = json!({"recovery": "error", "providers": {"first-an": {"recovery": "continue"}}});
    let stage = Stage::with(settings, cut, goes_on);
    let of = |first: Wire, header: Option<&str>| {
        let way = Way { first, ..PLAIN };
        stage.send(way, |_| {}, header.map(|mode| ("x-bf-stream-recovery", mode)))
    };
    stage.expect_broken_off(PLAIN, &of(Wire::OpenAi, None), "bad_answer");
    assert_eq!(of(Wire::Anthropic, None).text(), WORDS.concat());
    assert_eq!(of(Wire::OpenAi, Some("continue")).text(), WORDS.concat());
    assert_eq!(of(Wire::Anthropic, Some("error")).text(), "The answer");
}

#[test]
fn another_word_in_the_header_is_refused_in_the_callers_dialect() {
    let stage = Stage::new(cut);
    for caller in [Wire::OpenAi, Wire::Anthropic] {
        let way = Way { caller, ..PLAIN };
        let told = stage.send(way, |_| {}, Some(("x-bf-stream-recovery", "retry")));
        assert_eq!(told.status(), 400);
        assert!(told.error_message().contains("x-bf-stream-recovery"), "{}", told.response.text());
    }
    assert!(stage.first.hits().is_empty());
}

#[test]
fn a_caller_that_left_is_not_gone_on_for() {
    let stage = Stage::new(|hit| {
        let mut script = two_words(hit);
        script.push(Act::Hold);
        script
    });
    let mut body = request(&PLAIN.first_target(), true);
    body["fallbacks"] = json!([PLAIN.next_target()]);
    let mut caller = stage.gateway.connect();
    caller.send(&Request::json(PLAIN.caller.path(), &body).header("x-request-id", "leaving-1")).unwrap();
    caller.read_head().unwrap();
    caller.read_until(" answer");
    drop(caller);
    let line = stage.gateway.request_line("leaving-1");
    assert_eq!(line["error"]["type"], "caller_gone", "{line}");
    assert!(stage.next.hits().is_empty());
}

/// What OpenAI's Responses API says before it breaks.
fn responses(hit: &Hit) -> Script {
    let head = json!({"id": "resp_1", "object": "response", "created_at": 1, "status": "in_progress",
        "model": hit.model(), "output": []});
    let item = json!({"id": "msg_of_theirs", "type": "message", "status": "in_progress", "role": "assistant", "content": []});
    let part = json!({"type": "output_text", "text": "", "annotations": []});
    let mut frames = vec![
        json!({"type": "response.created", "response": head}),
        json!({"type": "response.in_progress", "response": head}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": item}),
        json!({"type": "response.content_part.added", "item_id": "msg_of_theirs", "output_index": 0,
            "content_index": 0, "part": part}),
    ];
    frames.extend(WORDS[..2].iter().map(|word| {
        json!({"type": "response.output_text.delta", "item_id": "msg_of_theirs", "output_index": 0,
            "content_index": 0, "delta": word})
    }));
    let numbered = frames.iter_mut().enumerate().map(|(number, frame)| {
        frame["sequence_number"] = json!(number);
        format!("event: {}\ndata: {frame}\n\n", frame["type"].as_str().unwrap())
    });
    let numbered: Vec<String> = numbered.collect();
    let mut script = open_stream(&numbered, Duration::ZERO);
    script.push(Act::Close);
    script
}

#[test]
fn a_relayed_responses_stream_goes_on_with_its_ids_and_numbers() {
    let stage = Stage::new(responses);
    for next in [Wire::OpenAi, Wire::Anthropic] {
        let way = Way { next, tag: "responses", ..PLAIN };
        let body = json!({"model": way.first_target(), "input": "What is the answer?", "stream": true,
            "max_output_tokens": 64, "fallbacks": [way.next_target()]});
        let response = stage.gateway.ask(&Request::json("/v1/responses", &body));
        let (events, _) = crate::support::told::read_events(&response.text());
        let numbers: Vec<u64> =
            events.iter().map(|(_, event)| event["sequence_number"].as_u64().unwrap()).collect();
        assert_eq!(numbers, (0..events.len() as u64).collect::<Vec<_>>(), "{}", response.text());
        let kinds: Vec<&str> = events.iter().map(|(kind, _)| kind.as_str()).collect();
        for once in [
            "response.created",
            "response.output_item.added",
            "response.output_item.done",
            "response.completed",
        ] {
            assert_eq!(kinds.iter().filter(|kind| **kind == once).count(), 1, "{once} in {kinds:?}");
        }
        let items = events.iter().filter_map(|(_, event)| event["item_id"].as_str());
        assert!(
            items.clone().count() > 4 && items.clone().all(|id| id == "msg_of_theirs"),
            "{}",
            response.text()
        );
        let whole = &events.last().unwrap().1["response"];
        assert_eq!(whole["output"][0]["content"][0]["text"], WORDS.concat(), "{whole}");
        assert_eq!(
            (&whole["id"], &whole["usage"]["output_tokens"]),
            (&json!("resp_1"), &json!(SAID + USAGE.1))
        );
        stage.expect_asked_to_go_on(way);
    }
}

#[test]
fn geminis_events_and_its_list_of_them_go_on() {
    let stage = Stage::new(cut);
    for (query, next) in
        [("", Wire::OpenAi), ("?alt=sse", Wire::OpenAi), ("", Wire::Anthropic), ("?alt=sse", Wire::Anthropic)]
    {
        let tag = if query.is_empty() { "list" } else { "events" };
        let way = Way { next, tag, ..PLAIN };
        let path = format!("/genai/v1beta/models/{}:streamGenerateContent{query}", way.first_target());
        let body = json!({"contents": [{"role": "user", "parts": [{"text": "What is the answer?"}]}],
            "generationConfig": {"maxOutputTokens": 64}, "fallbacks": [way.next_target()]});
        let response = stage.gateway.ask(&Request::json(&path, &body));
        let chunks: Vec<Value> = match query {
            "" => serde_json::from_str(&response.text()).unwrap_or_else(|_| panic!("{}", response.text())),
            _ => crate::support::told::read_events(&response.text())
                .0
                .into_iter()
                .map(|(_, event)| event)
                .collect(),
        };
        let part =
            |chunk: &Value| chunk["candidates"][0]["content"]["parts"][0]["text"].as_str().map(str::to_owned);
        assert_eq!(chunks.iter().filter_map(part).collect::<String>(), WORDS.concat(), "{}", response.text());
        let finishes = chunks.iter().filter(|chunk| chunk["candidates"][0]["finishReason"].is_string());
        assert_eq!(finishes.count(), 1);
        stage.expect_asked_to_go_on(way);
    }
    // Nobody is left: the list is closed behind the error.
    let way = Way { tag: "closed", ..PLAIN };
    let path = format!("/genai/v1beta/models/{}:streamGenerateContent", way.first_target());
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "x"}]}],
        "fallbacks": ["next-an/claude-sonnet-4-5-closed"]});
    let stage = Stage::with(json!({}), cut, |hit| refusal(hit, 400, "invalid_request_error", "no", &[]));
    let response = stage.gateway.ask(&Request::json(&path, &body));
    let chunks: Vec<Value> =
        serde_json::from_str(&response.text()).unwrap_or_else(|_| panic!("{}", response.text()));
    assert!(chunks.last().unwrap()["error"]["message"].is_string(), "{}", response.text());
}

#[test]
fn no_next_target_that_answers_leaves_the_first_reason() {
    let stage = Stage::with(json!({"ttft_timeout": 0.6}), cut, |hit| match tag_of_next(hit) {
        "silent" => vec![Act::Hold],
        "empty" => vec![stream_head(), end()],
        "html" => answers::raw_answer(200, "text/html", &[], b"<html>"),
        _ => vec![Act::Reset],
    });
    each(&["silent", "empty", "html", "reset"], |way| {
        let told = stage.ask(way, |_| {});
        stage.expect_broken_off(way, &told, "bad_answer");
        assert!(told.error_message().contains("cut short"), "{}", told.response.text());
    });
    assert_eq!(stage.recoveries("failed"), 32.0);
}

fn tag_of_next(hit: &Hit) -> &str {
    let rest =
        hit.model().strip_prefix("mistral-small-").or_else(|| hit.model().strip_prefix("claude-sonnet-4-5-"));
    rest.and_then(|rest| rest.split('-').next()).unwrap_or_default()
}

#[test]
fn the_total_time_ends_a_continuation_too() {
    let stage = Stage::with(json!({"total_timeout": 1.0}), cut, |_| vec![Act::Hold]);
    each(&["total"], |way| {
        let told = stage.ask(way, |_| {});
        assert_eq!(told.text(), "The answer");
        assert!(told.error().is_some() && !told.terminated && told.finishes().is_empty());
        assert!(told.took < Duration::from_millis(4_000), "{:?}", told.took);
    });
}

#[test]
fn a_connection_serves_on_behind_a_stream_that_was_gone_on_with() {
    let stage = Stage::new(cut);
    let mut body = request(&PLAIN.first_target(), true);
    body["fallbacks"] = json!([PLAIN.next_target()]);
    let mut caller = stage.gateway.connect();
    for _ in 0..3 {
        let asked_at = Instant::now();
        let response = caller.ask(&Request::json(PLAIN.caller.path(), &body)).unwrap();
        stage.expect_whole(PLAIN, &Told::new(PLAIN.caller, response, asked_at));
    }
}
