use serde_json::json;

use super::*;
use crate::config::document::{At, Format};

const FILE: &str = r#"{
  "providers": {"openai": {"keys": [{"value": "sk-1"}]}},
  "client": {"drop_excess_requests": false},
  "governance": {"teams": [
    {"id": "a", "name": "A"},
    {"id": "b", "name": "B"},
    {"id": "c", "name": "C"}
  ]}
}"#;

fn file() -> Document {
    Document::parse("config.json", FILE, Format::Json).unwrap()
}

fn over(layers: &[(Slot, &str, Option<Value>, Option<&Value>)]) -> Overlay {
    let layer = |(slot, id, body, replaces): &(Slot, &str, Option<Value>, Option<&Value>)| {
        let layer = Layer { body: body.clone(), replaces: replaces.map(hash), revision: 7 };
        ((*slot, (*id).to_owned()), layer)
    };
    Overlay { layers: layers.iter().map(layer).collect() }
}

fn names(merged: &Merged) -> Vec<String> {
    let teams = merged.document.root["governance"]["teams"].as_array().unwrap();
    teams.iter().map(|team| team["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_was_set_stands_in_the_place_of_what_the_file_said() {
    let file = file();
    let (a, b) = (said(&file, Slot::Team, "a"), said(&file, Slot::Team, "b"));
    let overlay = over(&[
        (Slot::Team, "a", None, a),
        (Slot::Team, "b", Some(json!({"id": "b", "name": "B2"})), b),
        (Slot::Team, "d", Some(json!({"id": "d", "name": "D"})), None),
        (Slot::Field, "client/drop_excess_requests", Some(json!(true)), Some(&json!(false))),
        (Slot::Field, "framework/pricing/pricing_url", Some(json!("file:x")), None),
    ]);
    let merged = merge(&file, &overlay, &[]);
    assert_eq!(names(&merged), ["B2", "C", "D"]);
    assert_eq!(merged.document.root["client"]["drop_excess_requests"], json!(true));
    assert_eq!(merged.document.root["framework"]["pricing"]["pricing_url"], json!("file:x"));
    assert_eq!(merged.superseded, []);
    let source = |id: &str| merged.sources.get(&(Slot::Team, id.to_owned())).copied();
    assert_eq!(source("b"), Some(Source::Store { revision: 7, overrides_file: true }));
    assert_eq!(source("d"), Some(Source::Store { revision: 7, overrides_file: false }));
    assert_eq!(source("c"), None);
}

#[test]
fn a_file_that_says_something_new_has_the_last_word() {
    let file = file();
    let old = json!({"id": "a", "name": "A before"});
    let overlay = over(&[
        (Slot::Team, "a", Some(json!({"id": "a", "name": "A2"})), Some(&old)),
        // The file got one of this id later.
        (Slot::Team, "b", Some(json!({"id": "b", "name": "B2"})), None),
        // The file said something once: it contradicts nobody now.
        (Slot::Team, "z", Some(json!({"id": "z", "name": "Z"})), Some(&old)),
    ]);
    let merged = merge(&file, &overlay, &[]);
    assert_eq!(names(&merged), ["A", "B", "C", "Z"]);
    assert_eq!(merged.superseded, [(Slot::Team, "a".to_owned()), (Slot::Team, "b".to_owned())]);
}

#[test]
fn the_order_of_fields_makes_no_other_entity() {
    assert_eq!(hash(&json!({"a": 1, "b": [1, 2]})), hash(&json!({"b": [1, 2], "a": 1})));
    assert_ne!(hash(&json!({"b": [1, 2]})), hash(&json!({"b": [2, 1]})));
    assert_ne!(hash(&json!({"a": "1"})), hash(&json!({"a": 1})));
}

#[test]
fn problems_keep_their_lines_when_what_stood_before_them_is_gone() {
    let file = file();
    let overlay = over(&[(Slot::Team, "a", None, said(&file, Slot::Team, "a"))]);
    let merged = merge(&file, &overlay, &[]).document;
    // The third of the file is the second now.
    let problem = merged.problem("/governance/teams/1/name", At::Value, "x");
    assert_eq!(problem.position, file.problem("/governance/teams/2/name", At::Value, "x").position);
    assert_eq!(problem.file.as_deref(), Some("config.json"));
}

#[test]
fn problems_of_what_was_set_have_no_line_of_the_file() {
    let overlay = over(&[(Slot::Team, "d", Some(json!({"id": "d", "name": 1})), None)]);
    let merged = merge(&file(), &overlay, &[]).document;
    let problem = merged.problem("/governance/teams/3/name", At::Value, "x");
    assert_eq!((problem.file.as_deref(), problem.position), (Some("set at run time"), None));
}

#[test]
fn providers_of_the_environment_stay_beside_the_first_that_is_set() {
    let empty = Document::empty();
    let overlay = over(&[(Slot::Provider, "groq", Some(json!({})), None)]);
    let merged = merge(&empty, &overlay, &["openai"]);
    assert_eq!(merged.document.root["providers"], json!({"openai": {}, "groq": {}}));
    assert_eq!(merged.sources.get(&(Slot::Provider, "openai".to_owned())), Some(&Source::Environment));
    assert_eq!(merge(&empty, &Overlay::default(), &["openai"]).document.root, json!({}));
}

#[test]
fn a_list_that_is_none_is_left_to_whoever_checks_it() {
    let file = Document::parse("f", r#"{"governance": {"teams": 5}}"#, Format::Json).unwrap();
    let overlay = over(&[(Slot::Team, "d", Some(json!({"id": "d", "name": "D"})), None)]);
    assert_eq!(merge(&file, &overlay, &[]).document.root, file.root);
}
