use super::*;

use std::fmt::Write as _;
use std::path::Path;

use translate::Wire;

/// `docs/errors.md` is this table: `BIFROST_BLESS=1` writes it anew.
#[test]
fn the_table_is_the_documentation() {
    let page = page();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/errors.md");
    if std::env::var_os("BIFROST_BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "docs/errors.md is out of date: run the tests once with BIFROST_BLESS=1");
}

#[test]
fn every_class_has_one_row() {
    for class in FaultClass::ALL {
        assert_eq!(TABLE.iter().filter(|row| row.class == class).count(), 1, "{class:?}");
    }
}

#[test]
fn labels_are_unique() {
    for (at, row) in TABLE.iter().enumerate() {
        assert!(TABLE.iter().skip(at + 1).all(|other| other.label != row.label), "{}", row.label);
    }
}

fn page() -> String {
    let mut page = String::from(
        "# Errors\n\n\
        Every error answers in the caller's dialect: OpenAI's `{\"error\": {message, type, param, code}}`, \
        Anthropic's `{\"type\": \"error\", \"error\": {type, message}, \"request_id\"}`, Gemini's `{\"error\": \
        {code, message, status, details}}`, Bedrock's `{message}` with the type in `x-amzn-errortype`, Cohere's \
        `{message, id}`. When a provider answered, \
        its status and message are kept; the status below is used when it gave none. On `/v1/*` the body has \
        `extra_fields.attempts`: every attempt with its outcome.\n\n\
        *Then*: what the gateway does before it gives up (`retry`: same model, another key if there is one; \
        `retry_other_key`: only with another key; `failover`: the next planned model; `stop`: the caller gets \
        the error).\n\n\
        Requests that never reach a provider: 400 (body or head that cannot be read), 404, 405, 408 (upload \
        too slow), 413 (body too large), 415 (coding), 431 (more than 64 KB of headers, or more than 256 of \
        them); a head that cannot be read at all is answered in OpenAI's shape. `x-request-id` always \
        answers.\n\n\
        This page is written by a test from the table in `src/proxy/fault.rs`.\n\n\
        | Label | Cause | Status | OpenAI type / code | Anthropic type | Gemini status | Bedrock type | \
        Then |\n\
        |---|---|---|---|---|---|---|---|\n",
    );
    for row in TABLE {
        let failure = Fault::new(row.class, "x").failure;
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} | {} | `{}` | `{}` | {} |",
            row.label,
            row.cause,
            row.status,
            words(Wire::OpenAiChat, &failure),
            words(Wire::Anthropic, &failure),
            gemini(&failure),
            translate::wire::bedrock_converse::error_type(&failure),
            row.class.verdict().label(),
        );
    }
    page.push_str(&refusals());
    page
}

fn refusals() -> String {
    let mut page = String::from(
        "\n## Refusals of the gateway itself\n\n\
        What a caller may not do or has no more of is refused before any provider is asked, and costs nothing. The \
        word stands where the dialect has its words open: `error.type` and `error.code` of OpenAI's shape (and `type` \
        beside `error`, where clients of published Bifrost versions look), `error.type` of Anthropic's, the `reason` \
        of the first of Gemini's `details`, `code` of Bedrock's, `type` of Cohere's. Docs: virtual-keys.md.\n\n\
        | Word | Cause | Status | Gemini status | Bedrock type |\n\
        |---|---|---|---|---|\n",
    );
    for row in REFUSALS {
        let failure = Fault::refused(row.refusal, "x").failure;
        let (gemini, bedrock) = (gemini(&failure), translate::wire::bedrock_converse::error_type(&failure));
        let _ =
            writeln!(page, "| `{}` | {} | {} | `{gemini}` | `{bedrock}` |", row.word, row.cause, row.status);
    }
    page
}

#[test]
fn a_refusal_has_its_word_as_label_and_stops_there() {
    for row in REFUSALS {
        let fault = Fault::refused(row.refusal, "x");
        assert_eq!((fault.label(), fault.failure.status), (row.word, row.status));
        assert_eq!(fault.verdict(), Verdict::Stop);
        assert!(TABLE.iter().all(|other| other.label != row.word));
    }
}

fn gemini(failure: &Failure) -> String {
    let body = Wire::Gemini.dialect().unwrap().encode_failure(failure, "id");
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    body["error"]["status"].as_str().unwrap().to_owned()
}

fn words(wire: Wire, failure: &Failure) -> String {
    let body = wire.dialect().unwrap().encode_failure(failure, "id");
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let error = &body["error"];
    match error["code"].as_str() {
        Some(code) => format!("`{}` / `{code}`", error["type"].as_str().unwrap()),
        None => format!("`{}`", error["type"].as_str().unwrap()),
    }
}
