//! The bodies of the golden exchanges through every pair of wires.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use translate::ir::{FinishReason, Part, Request, Response, Thinking, Tool, ToolChoice};
use translate::wire::BadResponse;
use translate::{Losses, Wire};

use super::exchange::{Exchange, Kind};
use super::{pair, reading, wires};

/// What goes in, each body once with the file it stands in.
struct Bodies(BTreeSet<(Wire, String, String)>);

impl Bodies {
    /// Sections of `kind`; their wire stands in front of the pair's dashes (`downstream`) or behind them.
    fn of(kind: Kind, downstream: bool) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/chat");
        let mut bodies = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut folders: Vec<_> =
            std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
        folders.sort();
        for folder in folders {
            let mut files: Vec<_> =
                std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
            files.sort();
            for file in files {
                let name = file.to_string_lossy().into_owned();
                let stem = file.file_name().unwrap().to_string_lossy().into_owned();
                let (dialect, rest) = stem.split_once("--").unwrap();
                let word = if downstream { dialect } else { rest.split('.').next().unwrap() };
                let wire = Wire::named(word).unwrap();
                let exchange = Exchange::parse(&std::fs::read_to_string(&file).unwrap()).unwrap();
                let fine = exchange.field("status").is_none_or(|status| status == "200") || downstream;
                if let Some(body) = exchange.section(kind).filter(|_| fine && wires().contains(&wire))
                    && seen.insert((wire, body.to_owned()))
                {
                    bodies.insert((wire, name, body.to_owned()));
                }
            }
        }
        Self(bodies)
    }
}

/// Runs every body through `check` and shows all complaints at once.
fn all(bodies: &Bodies, least: usize, mut check: impl FnMut(Wire, &str, &mut Vec<String>)) {
    assert!(bodies.0.len() >= least, "{} bodies were found, {least} were expected", bodies.0.len());
    let mut complaints = Vec::new();
    for (wire, name, body) in &bodies.0 {
        let before = complaints.len();
        check(*wire, body, &mut complaints);
        complaints[before..].iter_mut().for_each(|one| *one = format!("{name}: {one}"));
    }
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn every_request_reaches_every_wire() {
    let mut pairs = 0;
    all(&Bodies::of(Kind::DownstreamRequest, true), 60, |dialect, body, complaints| {
        let path = |request: &mut Request| {
            if dialect.model_in_path() {
                request.model = "model".into();
            }
        };
        let mut request = match dialect.dialect().unwrap().decode_request(body.as_bytes()) {
            Ok(request) => request,
            Err(refusal) => return assert!(!refusal.message.is_empty()),
        };
        path(&mut request);
        for wire in wires() {
            pairs += 1;
            let to = |one: String| format!("to {}: {one}", wire.name());
            match pair::encode(wire, &request) {
                Err(refusal) => assert!(!refusal.message.is_empty() && !refusal.path.is_empty(), "{refusal}"),
                Ok((body, losses)) => {
                    let written: Value = serde_json::from_slice(&body).unwrap();
                    assert!(written.is_object());
                    match pair::decode(wire, &body, &request) {
                        Ok(got) => complaints.extend(
                            Asked { request: &request, got: &got, written: &written, losses: &losses }
                                .compare()
                                .map(to),
                        ),
                        Err(refusal) => complaints.push(to(format!("its own wire refuses it: {refusal}"))),
                    }
                }
            }
        }
    });
    println!("{pairs} pairs of request and wire");
}

#[test]
fn every_answer_reaches_every_dialect() {
    let mut pairs = 0;
    all(&Bodies::of(Kind::UpstreamResponse, false), 40, |wire, body, complaints| {
        let response = match wire.codec().decode_response(body.as_bytes()) {
            Ok(response) => response,
            Err(BadResponse::Failure(failure)) => return assert!(!failure.message.is_empty()),
            Err(bad) => return assert!(!bad.to_string().is_empty()),
        };
        // On its own wire it is relayed.
        for dialect in wires().into_iter().filter(|dialect| *dialect != wire) {
            pairs += 1;
            let mut losses = Losses::default();
            let out = dialect.dialect().unwrap().encode_response(&response, &pair::echo(), &mut losses);
            let to = |one: String| format!("for {}: {one}", dialect.name());
            match dialect.codec().decode_response(&out) {
                Ok(got) => {
                    complaints
                        .extend(Said { response: &response, got: &got, losses: &losses }.compare().map(to));
                }
                // The dialect has a whole answer for an answer that failed, and it is no success.
                Err(BadResponse::Failure(failure)) if failed(&response) => {
                    assert!(!failure.message.is_empty());
                }
                Err(bad) => complaints.push(to(format!("{bad}: {}", String::from_utf8_lossy(&out)))),
            }
        }
    });
    println!("{pairs} pairs of answer and dialect");
}

#[test]
fn every_stream_reaches_every_dialect_however_it_is_cut() {
    let mut pairs = 0;
    all(&Bodies::of(Kind::UpstreamStream, false), 15, |wire, body, complaints| {
        let bytes = pair::framed(wire, body);
        let reference = reading::collect(&pair::events(wire, &bytes));
        for dialect in wires() {
            pairs += 1;
            let carried = pair::carry(dialect, wire, [bytes.as_slice()]);
            for size in [1, 2, 3, 7, 16, 61, 256] {
                let cut = pair::carry(dialect, wire, bytes.chunks(size));
                assert_eq!(cut.out, carried.out, "{} in chunks of {size}: {body}", dialect.name());
                assert_eq!(cut.losses, carried.losses);
            }
            let Some(response) = reference.as_ref().filter(|_| carried.whole) else { continue };
            let to = |one: String| format!("for {}: {one}", dialect.name());
            match reading::collect(&pair::events(dialect, &carried.out)) {
                Some(got) => {
                    complaints.extend(Said { response, got: &got, losses: &carried.losses }.compare().map(to))
                }
                None if failed(response) => {}
                None => complaints.push(to("a failure came instead of the answer".into())),
            }
        }
    });
    println!("{pairs} pairs of stream and dialect");
}

fn failed(response: &Response) -> bool {
    response.choices.iter().any(|choice| reading::finish(choice) == Some(FinishReason::Error))
}

fn told(losses: &Losses, words: &[&str]) -> bool {
    losses.as_slice().iter().any(|loss| words.iter().any(|word| loss.path.contains(word)))
}

/// An answer, and what is left of it behind a dialect.
struct Said<'a> {
    response: &'a Response,
    got: &'a Response,
    losses: &'a Losses,
}

impl Said<'_> {
    fn compare(&self) -> impl Iterator<Item = String> {
        let mut complaints = Vec::new();
        let (wanted, got) = (reading::counts(self.response.usage), reading::counts(self.got.usage));
        if wanted.is_some() && wanted != got {
            complaints.push(format!("usage {wanted:?} became {got:?}"));
        }
        for (index, choice) in self.response.choices.iter().enumerate() {
            let Some(got) = self.got.choices.get(index) else {
                if !told(self.losses, &[&format!("choices[{index}]")]) {
                    complaints.push(format!("choice {index} is gone, and nobody was told"));
                }
                continue;
            };
            let explained = choice.finish.as_ref().is_some_and(|finish| finish.details.is_some());
            let (text, got_text) = (reading::text(&choice.parts), reading::text(&got.parts));
            if text != got_text && !(explained && got_text.starts_with(&text)) {
                complaints.push(format!("text {text:?} became {got_text:?}"));
            }
            let lost = told(self.losses, &["content", "choices"]);
            let mut differs = |what: &str, same: bool| {
                if !same && !lost {
                    complaints
                        .push(format!("{what} differs, and nobody was told: {choice:?} became {got:?}"));
                }
            };
            differs("reasoning", reading::thoughts(&choice.parts) == reading::thoughts(&got.parts));
            differs("a call", reading::calls(&choice.parts) == reading::calls(&got.parts));
            let finish_told = told(self.losses, &["finish_reason"]);
            differs("the finish", finish_told || reading::finish(choice) == reading::finish(got));
            let opaque =
                |parts: &[Part]| parts.iter().filter(|part| matches!(part, Part::Opaque { .. })).count();
            differs("a part only its wire knows", opaque(&choice.parts) <= opaque(&got.parts));
        }
        complaints.into_iter()
    }
}

/// A request, and how the provider reads it.
struct Asked<'a> {
    request: &'a Request,
    got: &'a Request,
    written: &'a Value,
    losses: &'a Losses,
}

impl Asked<'_> {
    fn compare(&self) -> impl Iterator<Item = String> {
        let mut complaints = Vec::new();
        self.conversation(&mut complaints);
        self.parameters(&mut complaints);
        complaints.into_iter()
    }

    /// Something of this message, or of all of them, was reported.
    fn lost_in(&self, message: usize) -> bool {
        let path = format!("messages[{message}]");
        self.losses.as_slice().iter().any(|loss| loss.path.starts_with(&path) || loss.path == "messages")
    }

    fn conversation(&self, complaints: &mut Vec<String>) {
        let parts = || self.got.messages.iter().flat_map(|message| &message.parts);
        let text: String = self.got.messages.iter().map(|message| reading::text(&message.parts)).collect();
        let calls: Vec<_> =
            self.got.messages.iter().flat_map(|message| reading::calls(&message.parts)).collect();
        let media = |of: &Request| {
            let parts = of.messages.iter().flat_map(|message| &message.parts);
            let inner = parts.flat_map(|part| match part {
                Part::ToolResult(result) => result.parts.as_slice(),
                other => std::slice::from_ref(other),
            });
            inner.filter(|part| matches!(part, Part::Image(_) | Part::Audio { .. })).count()
        };
        let lost = (0..self.request.messages.len()).any(|at| self.lost_in(at));
        if media(self.request) != media(self.got) && !lost {
            complaints.push("an image or audio is gone".into());
        }
        for result in reading::results(self.request) {
            if !lost
                && !reading::results(self.got)
                    .iter()
                    .any(|got| got.2.contains(&result.2) && got.0 == result.0)
            {
                complaints.push(format!("the result {result:?} is gone"));
            }
        }
        for (at, message) in self.request.messages.iter().enumerate() {
            for part in &message.parts {
                let carried = match part {
                    Part::Text(one) => one.text.trim().is_empty() || text.contains(one.text.trim()),
                    Part::ToolCall(call) => {
                        calls.contains(&(call.name.clone(), reading::arguments(&call.arguments)))
                    }
                    Part::Thinking(one) => self.thought(one),
                    Part::RedactedThinking { data, .. } => parts().any(|got| {
                        matches!(got, Part::RedactedThinking { data: got, .. } if reading::same_bytes(got, data))
                    }),
                    _ => true,
                };
                if !carried && !self.lost_in(at) {
                    complaints.push(format!("message {at} lost {part:?}, and nobody was told"));
                }
            }
        }
    }

    /// Some reasoning says this and bears its signature; Gemini's stands on the part behind it.
    fn thought(&self, one: &Thinking) -> bool {
        let thoughts = self.got.messages.iter().flat_map(|message| {
            message.parts.iter().filter_map(|part| match part {
                Part::Thinking(thinking) => Some(thinking),
                _ => None,
            })
        });
        let thoughts: Vec<&Thinking> = thoughts.collect();
        let signs = |got: &Thinking| got.signature == one.signature;
        thoughts.iter().enumerate().any(|(at, got)| {
            let behind = thoughts.get(at + 1).is_some_and(|next| next.text.is_empty() && signs(next));
            got.text.contains(&one.text)
                && (one.signature.is_none() || signs(got) || (got.signature.is_none() && behind))
        })
    }

    /// The provider reads the same choice. Without one a model chooses by itself; without tools there is
    /// none; a wire that cannot name a tool is given that tool alone.
    fn same_choice(&self) -> bool {
        let asked = self.request.tool_choice.as_ref();
        match (asked, self.got.tool_choice.as_ref()) {
            (asked, got) if asked == got => true,
            (None | Some(ToolChoice::Auto), None | Some(ToolChoice::Auto)) => true,
            (Some(ToolChoice::None), None) => self.got.tools.is_empty(),
            (Some(ToolChoice::Named(name)), Some(ToolChoice::Required)) => {
                matches!(&self.got.tools[..], [Tool::Function { name: only, .. }] if only == name)
            }
            (Some(ToolChoice::Among { required, .. }), got) => {
                got == Some(if *required { &ToolChoice::Required } else { &ToolChoice::Auto })
                    && self.got.tools.len() < self.request.tools.len()
            }
            // One that nobody asked for would be a change too.
            _ => false,
        }
    }

    /// As many tools, unless all were left out because none may be called. What a caller asked for by a
    /// parameter of its dialect may be a tool on the wire.
    fn same_tools(&self) -> bool {
        let (asked, got) = (self.request, self.got);
        if asked.tool_choice == Some(ToolChoice::None) && got.tools.is_empty() {
            return asked.tools.is_empty() || told(self.losses, &["tool_choice"]);
        }
        if matches!(asked.tool_choice, Some(ToolChoice::Among { .. })) {
            return got.tools.len() == asked.tools.iter().filter(|tool| asked.may_call(tool)).count()
                || got.tools.len() == asked.tools.len();
        }
        let searches = asked.extra.fields.contains_key("web_search_options") && self.searches();
        got.tools.len() == asked.tools.len() + usize::from(searches)
    }

    /// The provider is given its own tool to search the web.
    fn searches(&self) -> bool {
        let search =
            |tool: &Tool| matches!(tool, Tool::Opaque { value, .. } if value.get("googleSearch").is_some());
        self.got.tools.iter().any(search)
    }

    /// The provider reads what the caller gave by its own name: there, or under the name it has for it.
    fn lent(&self, name: &str) -> bool {
        let Some(value) = self.request.extra.fields.get(name) else { return false };
        if self.written.get(name).is_some() {
            return true;
        }
        match name {
            "verbosity" => self.written.pointer("/text/verbosity") == Some(value),
            "modalities" => self
                .written
                .pointer("/generationConfig/responseModalities")
                .is_some_and(|got| got.to_string().to_lowercase() == value.to_string().to_lowercase()),
            "web_search_options" => self.searches(),
            _ => false,
        }
    }

    fn parameters(&self, complaints: &mut Vec<String>) {
        let (asked, got) = (self.request, self.got);
        let (a, b) = (&asked.sampling, &got.sampling);
        let tier = |request: &Request| request.service_tier.clone().filter(|tier| tier != "default");
        let kept = [
            ("temperature", a.temperature == b.temperature || a.temperature == Some(1.0)),
            ("top_p", a.top_p == b.top_p),
            ("top_k", a.top_k == b.top_k),
            ("n", a.n == b.n || a.n == Some(1)),
            ("seed", a.seed == b.seed),
            ("presence_penalty", a.presence_penalty == b.presence_penalty),
            ("frequency_penalty", a.frequency_penalty == b.frequency_penalty),
            ("logit_bias", a.logit_bias == b.logit_bias),
            ("logprobs", a.logprobs == b.logprobs),
            ("stop", asked.stop == got.stop),
            ("max_tokens", asked.max_tokens.is_none() || asked.max_tokens == got.max_tokens),
            ("response_format", asked.output_format.is_none() || got.output_format.is_some()),
            ("user", asked.user == got.user),
            ("service_tier", tier(asked) == tier(got)),
            ("stream", asked.stream == got.stream),
            (
                "parallel_tool_calls",
                asked.parallel_tool_calls != Some(false) || got.parallel_tool_calls == Some(false),
            ),
            ("tools", self.same_tools()),
            ("tool_choice", self.same_choice()),
        ];
        // What the caller gave by the provider's own name, the provider reads as its own.
        let lent = |name: &str| self.lent(name);
        let missed = |(name, same): &&(&str, bool)| !(*same || lent(name) || told(self.losses, &[name]));
        for (name, _) in kept.iter().filter(missed) {
            complaints.push(format!("`{name}` differs, and nobody was told"));
        }
        let reasons = asked.reasoning.as_ref().is_some_and(|one| one.enabled != Some(false));
        if reasons && got.reasoning.is_none() && !told(self.losses, &["reasoning", "thinking"]) {
            complaints.push("reasoning was asked for, and nobody was told that it is not".into());
        }
        for name in asked.extra.names() {
            let top = name.split('.').next().unwrap_or_default();
            let passed = lent(top) || top == "extra_params" || told(self.losses, &[top]);
            if asked.extra.wire != got.extra.wire && !passed {
                complaints.push(format!("`{name}` is gone, and nobody was told"));
            }
        }
    }
}
