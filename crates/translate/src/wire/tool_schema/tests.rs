use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{flat, is_strict, object};
use crate::Wire;
use crate::loss::Losses;
use crate::wire::fields::Path;

fn flattened(schema: &Value, wire: Wire) -> (Value, Vec<String>) {
    let mut losses = Losses::default();
    let out = flat(schema, &Path::Body, wire, &mut losses).into_owned();
    (out, losses.as_slice().iter().map(|loss| loss.path.clone()).collect())
}

#[test]
fn branches_at_the_top_of_a_tools_schema_were_refused() {
    let schema = json!({"description": "d", "properties": {"id": {"type": "string"}}, "required": ["id"],
        "oneOf": [
            {"type": "object", "properties": {"op": {"const": "a"}, "x": {"type": "integer"}},
                "required": ["op", "x"], "additionalProperties": false},
            {"$ref": "#/$defs/b"},
            {"type": "null"}],
        "$defs": {"b": {"type": "object", "properties": {"op": {"enum": ["b", "c"]}, "x": {"type": "string"}},
            "required": ["op"], "additionalProperties": false}}});
    let (out, lost) = flattened(&schema, Wire::Anthropic);
    assert_eq!(
        out,
        json!({"type": "object", "description": "d", "$defs": schema["$defs"],
            "properties": {"id": {"type": "string"}, "op": {"enum": ["a", "b", "c"]},
                "x": {"anyOf": [{"type": "integer"}, {"type": "string"}]}},
            "required": ["id", "op"], "additionalProperties": false})
    );
    assert_eq!(lost, ["oneOf"]);
    assert_eq!(flattened(&out, Wire::Anthropic), (out.clone(), vec![]), "merging twice changes nothing");
}

#[test]
fn parts_that_all_hold_require_what_any_of_them_requires() {
    let schema = json!({"type": "object", "allOf": [
        {"properties": {"a": {"minLength": 1}}, "required": ["a"]},
        {"properties": {"a": {"type": "string"}, "b": {}}, "required": ["b"]}],
        "anyOf": [{"required": ["c"]}, {"required": ["d"]}]});
    let (out, lost) = flattened(&schema, Wire::BedrockConverse);
    let a = json!({"allOf": [{"minLength": 1}, {"type": "string"}]});
    let expected = json!({"type": "object", "properties": {"a": a, "b": {}}, "required": ["a", "b"]});
    assert_eq!((out, lost), (expected, vec!["allOf".to_owned(), "anyOf".to_owned()]));
}

#[test]
fn a_schema_that_refers_to_itself_ends() {
    let itself = json!({"anyOf": [{"$ref": "#"}, {"$ref": "#"}, {"properties": {"a": {}}}]});
    let (out, _) = flattened(&itself, Wire::OpenAiChat);
    assert_eq!(out["type"], "object");
    let gone = json!({"not": {"required": ["a"]}, "properties": {}});
    assert_eq!(flattened(&gone, Wire::Anthropic).1.len(), 0);
    let (out, lost) = flattened(&gone, Wire::OpenAiResponses);
    assert_eq!((out, lost), (json!({"type": "object", "properties": {}}), vec!["not".to_owned()]));
}

#[test]
fn arguments_are_an_object_whatever_was_given() {
    let given = |schema: Value| {
        let mut losses = Losses::default();
        let out = object(Some(&schema), &Path::Body, Wire::Anthropic, &mut losses).into_owned();
        (out, losses.as_slice().len())
    };
    assert_eq!(given(json!({"properties": {}})), (json!({"type": "object", "properties": {}}), 0));
    assert_eq!(given(json!({"type": "string"})), (json!({"type": "object"}), 1));
    assert_eq!(given(json!(3)), (json!({"type": "object", "properties": {}}), 1));
}

#[test]
fn a_schema_is_strict_when_nothing_in_it_is_open() {
    let one = |inner: Value| json!({"type": "object", "properties": {"a": inner}, "required": ["a"], "additionalProperties": false});
    assert!(is_strict(&one(json!({"type": "string"}))));
    assert!(is_strict(&one(
        json!({"anyOf": [one(json!({"type": "array", "items": {}})), {"type": "null"}]})
    )));
    for open in [
        json!({"type": "object"}),
        json!({"type": "object", "properties": {"a": {}}, "additionalProperties": false}),
        one(json!({"type": "object", "properties": {}})),
        one(json!({"oneOf": [{"type": "string"}]})),
        one(json!({"type": "array", "items": {"type": "object"}})),
    ] {
        assert!(!is_strict(&open), "{open}");
    }
}

/// Names enough that comparing each with each takes minutes.
const MANY: usize = 60_000;

fn names() -> Vec<String> {
    (0..MANY).map(|n| format!("name{n}")).collect()
}

#[test]
fn long_lists_in_a_schema_took_time_by_their_square() {
    let properties: Value =
        names().into_iter().map(|name| (name, json!({}))).collect::<serde_json::Map<_, _>>().into();
    let began = Instant::now();
    let mut backwards = names();
    backwards.reverse();
    let closed = json!({"type": "object", "properties": properties, "required": backwards,
        "additionalProperties": false});
    assert!(is_strict(&closed));

    let required = json!({"anyOf": [{"required": names()}, {"required": backwards}, {"required": names()}]});
    assert!(flattened(&required, Wire::Anthropic).0["required"] == json!(names()));

    let half =
        |from: usize| json!({"properties": {"word": {"enum": names()[from..from + MANY / 2].to_vec()}}});
    let words = json!({"oneOf": [half(0), half(MANY / 4), half(MANY / 2)]});
    assert!(flattened(&words, Wire::Anthropic).0["properties"]["word"] == json!({"enum": names()}));

    let forms: Vec<Value> = names().iter().map(|name| json!({"pattern": name})).collect();
    let branch = |form: &str| json!({"properties": {"a": {"pattern": form}}});
    let branches: Vec<Value> = std::iter::once(json!({"properties": {"a": {"anyOf": forms}}}))
        .chain((0..200).map(|n| branch(&format!("name{n}"))))
        .collect();
    let out = flattened(&json!({"anyOf": branches}), Wire::Anthropic).0;
    assert_eq!(out["properties"]["a"]["anyOf"].as_array().unwrap().len(), MANY);
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

#[test]
fn a_definition_that_many_branches_name_was_copied_for_each() {
    let properties: Value =
        names().into_iter().map(|name| (name, json!({}))).collect::<serde_json::Map<_, _>>().into();
    let defs = json!({"x": {"properties": properties, "required": ["name1"]}, "y": {"required": ["name1"]}});
    let mut room = super::MOST_COPIED;
    let mut followed = |branch: Value, copies: usize| {
        let mut list = vec![branch; copies];
        list.push(json!({"$ref": "#/$defs/y"}));
        let schema = json!({"anyOf": list, "$defs": defs});
        let mut merge = super::Merge { root: &schema, left: super::MOST_BRANCHES, room: super::MOST_COPIED };
        let shape = merge.shape(schema.as_object().unwrap());
        room = merge.room;
        (shape.properties.len(), super::MOST_BRANCHES - merge.left)
    };
    // Each reference and its target are a branch.
    assert_eq!(followed(json!({"$ref": "#/$defs/x"}), 255), (MANY, 4), "the same is followed once");
    let wrapped = json!({"allOf": [{"$ref": "#/$defs/x"}]});
    let (properties, branches) = followed(wrapped, 80);
    assert_eq!(properties, MANY);
    assert_eq!(branches, 80 * 3 + 2, "told by other words it is looked at");
    assert!(room < super::MOST_COPIED / 2, "but not copied beyond what there is room for: {room}");
}
