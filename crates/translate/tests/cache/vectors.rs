//! The published fingerprints: `tests/cache_vectors.json`. `BIFROST_BLESS=1` writes them anew; whoever does that
//! without raising `canonical::VERSION` makes every stored answer a miss, or worse.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use translate::Wire;
use translate::cache::canonical::{self, Operation, Target};
use translate::completions::TextCompletions;
use translate::wire::Dialect;
use translate::{embed, rerank};

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cache_vectors.json")
}

fn vectors() -> Vec<Map<String, Value>> {
    serde_json::from_str(&std::fs::read_to_string(path()).unwrap()).unwrap()
}

fn word<'v>(vector: &'v Map<String, Value>, name: &str) -> Option<&'v str> {
    vector.get(name).map(|value| value.as_str().unwrap())
}

fn form(vector: &Map<String, Value>) -> Vec<u8> {
    let body = vector["body"].to_string();
    let target = Target { model: word(vector, "model"), provider: word(vector, "provider") };
    let name = word(vector, "dialect").unwrap();
    match name {
        "embeddings:openai" => canonical::embeddings(
            &embed::decode_request(embed::Format::OpenAi, body.as_bytes()).unwrap(),
            &target,
        ),
        "rerank:cohere" => canonical::ranking(
            &rerank::decode_request(rerank::Format::Cohere, body.as_bytes()).unwrap(),
            &target,
        ),
        "completions" => canonical::chat(
            &TextCompletions.decode_request(body.as_bytes()).unwrap(),
            Operation::Completion,
            &target,
        ),
        name => {
            let dialect = Wire::named(name).unwrap().dialect().unwrap();
            canonical::chat(&dialect.decode_request(body.as_bytes()).unwrap(), Operation::Chat, &target)
        }
    }
}

fn hex(form: &[u8]) -> String {
    Sha256::digest(form).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn fingerprints_are_the_published_ones() {
    if std::env::var_os("BIFROST_BLESS").is_some_and(|value| value == "1") {
        return bless();
    }
    let vectors = vectors();
    assert!(vectors.len() >= 30, "{} vectors", vectors.len());
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    for vector in &vectors {
        let name = word(vector, "name").unwrap();
        let form = form(vector);
        let expected = word(vector, "sha256").expect("every vector has a fingerprint");
        assert_eq!(hex(&form), expected, "{name}: {}", String::from_utf8_lossy(&form));
        if let Some(text) = word(vector, "canonical") {
            assert_eq!(String::from_utf8(form).unwrap(), text, "{name}");
        }
        match word(vector, "same_as") {
            Some(other) => {
                let original = vectors.iter().find(|vector| word(vector, "name") == Some(other)).unwrap();
                assert_eq!(word(original, "sha256"), Some(expected), "{name} and {other}");
            }
            None => assert_eq!(seen.insert(expected, name), None, "{name} is another question"),
        }
    }
}

#[test]
fn every_dialect_has_fingerprints() {
    let vectors = vectors();
    for dialect in Wire::ALL {
        let own = vectors.iter().filter(|vector| word(vector, "dialect") == Some(dialect.name()));
        assert!(own.count() >= 2, "{}", dialect.name());
    }
}

fn bless() {
    let mut lines = Vec::new();
    for mut vector in vectors() {
        let form = form(&vector);
        vector.insert("sha256".to_owned(), hex(&form).into());
        if let Ok(text) = String::from_utf8(form) {
            vector.insert("canonical".to_owned(), text.into());
        }
        lines.push(serde_json::to_string(&vector).unwrap());
    }
    std::fs::write(path(), format!("[\n{}\n]\n", lines.join(",\n"))).unwrap();
}
