//! Every way out of the gateway costs what the provider bills: each dialect on each wire, whole, streamed, failed over.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::bill::Bill;
use crate::stage::{Stage, cost_of, counts_for};
use crate::support::answers::json_answer;
use crate::support::client::{Body, Request};
use crate::support::upstream::{Hit, Script};
use crate::wires::{self, ALL, Speech};

/// Answers everything and bills it.
fn honest(hit: &Hit, name: &str, bill: &Bill) -> Script {
    let counts = counts_for(name, Speech::of(&hit.path));
    bill.add(name, counts.nanos());
    wires::answer(hit, counts)
}

/// Every dialect at every provider, whole and streamed: the name of each case, its dialect and whether it streams.
fn cases() -> Vec<(String, Speech, &'static str, bool)> {
    let mut all = Vec::new();
    for dialect in ALL {
        for wire in ALL.into_iter().filter(|wire| *wire != Speech::Responses) {
            for stream in [false, true] {
                // No wire's path may be in it.
                let name = format!("case-{:03}", all.len());
                all.push((name, dialect, wire.provider().0, stream));
            }
        }
    }
    all
}

#[test]
fn each_dialect_on_each_wire_costs_what_the_provider_bills() {
    let stage = Stage::new(&json!({}), honest);
    let mut by_provider = BTreeMap::<&str, u64>::new();
    let mut wrong = Vec::new();
    for (name, dialect, provider, stream) in cases() {
        let (answer, line) = stage.ask(dialect.request(&format!("{provider}/{name}"), stream), &name);
        assert_eq!(answer.status(), 200, "{name}: {}", answer.text());
        let billed = stage.provider.bill.of(&name);
        assert!(billed > 0, "{name} was never billed");
        *by_provider.entry(provider).or_default() += billed;
        let counts = counts_for(&name, Speech::of(&stage.provider.upstream.hits().last().unwrap().path));
        let told = (line["input_tokens"].as_u64(), line["output_tokens"].as_u64());
        let header = answer.header("x-bifrost-cost").map(crate::bill::nanos_of);
        let wanted = (Some(counts.input_total()), Some(counts.output_total()));
        if cost_of(&line) != Some(billed) || told != wanted || line["usage_estimated"] == true {
            wrong.push(format!("{name}: billed {billed} for {counts:?}, but {line}"));
        }
        if header != (!stream).then_some(billed) {
            wrong.push(format!("{name}: billed {billed}, the header says {header:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for (provider, billed) in by_provider {
        let counted = stage.gateway.metric("bifrost_cost_total", &[("provider", provider)]);
        assert!((counted - billed as f64 / 1e9).abs() < 1e-9, "{provider}: {counted}, billed {billed}");
    }
    assert_eq!(stage.gateway.metric("bifrost_unpriced_requests_total", &[]), 0.0);
}

/// Where a request goes when its first model fails.
pub fn with_fallback(mut request: Request, next: &str) -> Request {
    let Body::Length(bytes) = &request.body else { panic!("a body") };
    let mut body: Value = serde_json::from_slice(bytes).unwrap();
    body["fallbacks"] = json!([next]);
    request.body = Body::Length(body.to_string().into_bytes());
    request
}

#[test]
fn what_failed_before_it_worked_costs_nothing_and_the_next_its_own() {
    let stage = Stage::new(&json!({}), |hit, name, bill| match name {
        name if name.starts_with("broken") => {
            let body =
                json!({"error": {"message": "no", "type": "server_error", "param": null, "code": null}});
            json_answer(500, &[], &body)
        }
        _ => honest(hit, name, bill),
    });
    let mut wrong = Vec::new();
    for (name, dialect, provider, stream) in cases() {
        let first = format!("house-oa/broken-{name}");
        let request = with_fallback(dialect.request(&first, stream), &format!("{provider}/{name}"));
        let (answer, line) = stage.ask(request, &name);
        assert_eq!(answer.status(), 200, "{name} {dialect:?}: {}", answer.text());
        assert_eq!(line["attempts"].as_array().unwrap().len(), 2, "{line}");
        if cost_of(&line) != Some(stage.provider.bill.of(&name)) || !line["attempts"][0]["cost"].is_null() {
            wrong.push(format!("{name}: billed {}, but {line}", stage.provider.bill.of(&name)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
