use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::provider::{CallIdForm, Fix, ReasoningField, UsageStyle};

const PLAIN: Quirks = quirks(&[]);

const fn quirks(fixes: &'static [Fix]) -> Quirks {
    Quirks { fixes, stream_usage: true, reasoning_echo: ReasoningField::None, usage: UsageStyle::Wire }
}

fn edits(quirks: &Quirks) -> RequestEdits<'_> {
    RequestEdits { model: "m", ask_usage: false, quirks, drop: &[] }
}

/// The rewritten body and the paths of what was lost.
fn rewritten(body: &str, edits: &RequestEdits<'_>) -> (String, Vec<String>) {
    let mut losses = Losses::default();
    let peeked = peek(body.as_bytes()).unwrap();
    let out = rewrite_request(body.as_bytes(), &peeked, edits, &mut losses).into_owned();
    let text = String::from_utf8(out).unwrap();
    serde_json::from_str::<Value>(&text).unwrap();
    (text, losses.as_slice().iter().map(|loss| loss.path.clone()).collect())
}

fn fixed(body: &str, fixes: &'static [Fix]) -> (String, Vec<String>) {
    rewritten(body, &edits(&quirks(fixes)))
}

fn with_usage(body: &str) -> String {
    rewritten(body, &RequestEdits { ask_usage: true, ..edits(&PLAIN) }).0
}

#[test]
fn peek_reads_what_routing_needs() {
    let body = br#"{"model" : "a\u002fb", "stream":true, "stream_options":{"include_usage" : true},
        "messages":[], "fallbacks":["x/y",{"provider":"p","model":"q"}]}"#;
    let peeked = peek(body).unwrap();
    assert_eq!(peeked.model, "a/b");
    assert_eq!(&body[peeked.model_span.clone()], br#""a\u002fb""#);
    assert!(peeked.stream && peeked.include_usage && peeked.has_messages && !peeked.has_input);
    let fallbacks = [(None, "x/y"), (Some("p"), "q")]
        .map(|(provider, model)| Fallback { provider: provider.map(String::from), model: model.into() });
    assert_eq!(peeked.fallbacks, fallbacks);
    let other = peek(br#"{"model":"m","stream":null,"input":"x","messages":{}}"#).unwrap();
    assert!(matches!(other.model, Cow::Borrowed("m")));
    assert!(!other.stream && other.has_input && !other.has_messages);
}

#[test]
fn bad_bodies_are_refused_by_path() {
    let cases = [
        (r#"{}"#, "model"),
        (r#"{"model":1}"#, "model"),
        (r#"{"model":" "}"#, "model"),
        (r#"{"model":"m","stream":"yes"}"#, "stream"),
        (r#"{"model":"m","model":"n"}"#, "model"),
        (r#"{"model":"m","fallbacks":"x"}"#, "fallbacks"),
        (r#"{"model":"m","fallbacks":["x",{"model":"y"}]}"#, "fallbacks[1]"),
        (r#"{"model":"m","fallbacks":[""]}"#, "fallbacks[0]"),
        (r#"{"model":"m""#, ""),
        ("[]", ""),
    ];
    for (body, path) in cases {
        assert_eq!(peek(body.as_bytes()).unwrap_err().path, path, "{body}");
    }
}

#[test]
fn body_without_edits_is_borrowed() {
    let body = b"{ \"model\":\"m\", \"n\": 1.50e0 }";
    let peeked = peek(body).unwrap();
    let mut losses = Losses::default();
    let every =
        quirks(&[Fix::Drop("x"), Fix::Rename("a", "b"), Fix::Respell("n", "a", "b"), Fix::DeveloperToSystem]);
    let all = RequestEdits { drop: &["fallbacks"], ..edits(&every) };
    assert!(matches!(rewrite_request(body, &peeked, &all, &mut losses), Cow::Borrowed(_)));
    let unused = quirks(&[]);
    let no_usage = Quirks { stream_usage: false, ..unused };
    let asked = RequestEdits { ask_usage: true, ..edits(&no_usage) };
    assert!(matches!(rewrite_request(body, &peeked, &asked, &mut losses), Cow::Borrowed(_)));
}

#[test]
fn members_are_removed_wherever_they_stand() {
    let drop: &'static [Fix] = &[Fix::Drop("x")];
    let cases = [
        (r#"{ "x":1 , "model":"m" }"#, r#"{ "model":"m" }"#),
        (r#"{"model":"m" , "x" : {"a":[1,2]} ,"b":2}"#, r#"{"model":"m" ,"b":2}"#),
        ("{\n  \"model\": \"m\",\n  \"x\": 1\n}", "{\n  \"model\": \"m\"\n}"),
        (r#"{"x":null,"model":"m"}"#, r#"{"model":"m"}"#),
    ];
    for (body, expected) in cases {
        assert_eq!(fixed(body, drop).0, expected);
    }
    assert_eq!(fixed(r#"{"x":1,"model":"m"}"#, drop).1, ["x"]);
    assert!(fixed(r#"{"x":null,"model":"m"}"#, drop).1.is_empty());
    let only =
        fixes::apply_quirks(b" { \"x\" : 1 } ".to_vec(), &quirks(&[Fix::Drop("x")]), &mut Losses::default());
    assert_eq!(only, b" {  } ");
}

#[test]
fn gateway_fields_go_without_a_loss_and_the_model_is_replaced() {
    let body = r#"{"fallbacks":["a"],"model":"openai/m","z":1}"#;
    let (out, losses) =
        rewritten(body, &RequestEdits { drop: &["fallbacks"], model: "m\"x", ..edits(&PLAIN) });
    assert_eq!(out, r#"{"model":"m\"x","z":1}"#);
    assert!(losses.is_empty());
}

#[test]
fn renamed_fields_keep_their_place() {
    let fixes: &'static [Fix] = &[Fix::Rename("a", "b"), Fix::Respell("b", "x", "y")];
    assert_eq!(fixed(r#"{"a" :"x","model":"m"}"#, fixes), (r#"{"b" :"y","model":"m"}"#.into(), vec![]));
    assert_eq!(
        fixed(r#"{"a":1,"b":2,"model":"m"}"#, fixes),
        (r#"{"b":2,"model":"m"}"#.into(), vec!["a".into()])
    );
    assert_eq!(fixed(r#"{"a":2,"b":2,"model":"m"}"#, fixes), (r#"{"b":2,"model":"m"}"#.into(), vec![]));
}

#[test]
fn developer_role_is_respelt_in_messages_only() {
    let body = r#"{"model":"m","messages":[{"role" : "developer","content":"\"developer\""},
      {"content":[{"role":"developer"}],"role":"user"},7,{"role":"developer"}],"role":"developer"}"#;
    let expected = r#"{"model":"m","messages":[{"role" : "system","content":"\"developer\""},
      {"content":[{"role":"developer"}],"role":"user"},7,{"role":"system"}],"role":"developer"}"#;
    assert_eq!(fixed(body, &[Fix::DeveloperToSystem]).0, expected);
}

#[test]
fn ids_of_calls_are_respelt_alike_in_calls_and_results() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"tool_calls id"},{"role":"assistant",
      "tool_calls":[{"id" : "call_abc-1","type":"function"},{"function":{"name":"id"},"id":"aB3dE6gH9"}]},
      {"role":"tool","tool_call_id":"call_abc-1","content":"\"id\""},{"tool_call_id":"aB3dE6gH9"},
      {"role":"tool","tool_call_id":7}]}"#;
    let (out, losses) = fixed(body, &[Fix::CallIds(CallIdForm::Nine)]);
    assert!(losses.is_empty());
    let value: Value = serde_json::from_str(&out).unwrap();
    let id = value["messages"][1]["tool_calls"][0]["id"].as_str().unwrap().to_owned();
    assert!(id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
    assert_eq!(value["messages"][2]["tool_call_id"], id.as_str());
    assert_eq!(out.replace(&id, "call_abc-1"), body, "nothing else changes");
    assert_eq!(fixed(body, &[Fix::CallIds(CallIdForm::Forty)]).0, body);
}

#[test]
fn empty_tools_take_their_choice_with_them() {
    let fixes: &'static [Fix] = &[Fix::DropEmptyTools];
    let body = r#"{"tools":[ ],"model":"m","tool_choice":"auto","parallel_tool_calls":false}"#;
    assert_eq!(fixed(body, fixes), (r#"{"model":"m"}"#.into(), vec![]));
    let forced = r#"{"model":"m","tool_choice":"required"}"#;
    assert_eq!(fixed(forced, fixes), (r#"{"model":"m"}"#.into(), vec!["tool_choice".into()]));
    let kept = r#"{"tools":[{}],"model":"m","tool_choice":"auto"}"#;
    assert_eq!(fixed(kept, fixes).0, kept);
}

#[test]
fn usage_is_asked_for_in_every_shape() {
    let cases = [
        (r#"{"model":"m" }"#, r#"{"model":"m","stream_options":{"include_usage":true} }"#),
        (
            r#"{"stream_options":null,"model":"m"}"#,
            r#"{"stream_options":{"include_usage":true},"model":"m"}"#,
        ),
        (
            r#"{"stream_options":{ },"model":"m"}"#,
            r#"{"stream_options":{"include_usage":true },"model":"m"}"#,
        ),
        (
            r#"{"stream_options":{"a":1, "include_usage": false},"model":"m"}"#,
            r#"{"stream_options":{"a":1, "include_usage": true},"model":"m"}"#,
        ),
        (
            r#"{"stream_options":{"include_obfuscation":false},"model":"m"}"#,
            r#"{"stream_options":{"include_obfuscation":false,"include_usage":true},"model":"m"}"#,
        ),
        (r#"{"stream_options":7,"model":"m"}"#, r#"{"stream_options":7,"model":"m"}"#),
        (
            r#"{"stream_options":{"include_usage" : true},"model":"m"}"#,
            r#"{"stream_options":{"include_usage" : true},"model":"m"}"#,
        ),
    ];
    for (body, expected) in cases {
        assert_eq!(with_usage(body), expected);
    }
}

#[test]
fn quirks_of_a_body_that_is_no_object_change_nothing() {
    let drop = quirks(&[Fix::Drop("x")]);
    assert_eq!(fixes::apply_quirks(b"[1".to_vec(), &drop, &mut Losses::default()), b"[1");
    let drop_order = fixes::apply_quirks(b"{\"x\":1,\"y\":2}".to_vec(), &drop, &mut Losses::default());
    assert_eq!(drop_order, b"{\"y\":2}");
}

/// Members as text pieces: white space, key, white space, value, white space.
fn member() -> impl Strategy<Value = (String, String)> {
    let space = prop_oneof![Just(""), Just(" "), Just("\n\t "), Just("\r\n")];
    let value = prop_oneof![
        Just("1.50"),
        Just("-0e+7"),
        Just("\"\\u00e9 \\\" ,}\""),
        Just("null"),
        Just("[ 1 , {\"a\":2} ]"),
        Just("{ \"x\" : [] }"),
        Just("true"),
        Just("\"€\""),
    ];
    (space.clone(), space.clone(), space.clone(), space, value)
        .prop_map(|(a, b, c, d, value)| (a.to_owned(), format!("{b}:{c}{value}{d}")))
}

fn names(body: &str) -> Vec<String> {
    let object: serde_json::Map<String, Value> = serde_json::from_str(body).unwrap();
    object.keys().cloned().collect()
}

proptest! {
    #[test]
    fn untouched_members_stay_byte_for_byte_and_in_order(
        members in proptest::collection::vec(member(), 0..9),
        model_at in any::<proptest::sample::Index>(),
        asked in any::<bool>(),
        keep_model in any::<bool>(),
    ) {
        let keys = ["d0", "k1", "d2", "k3", "d4", "d5", "r6", "k7", "k8"];
        let mut parts: Vec<String> =
            members.iter().zip(keys).map(|((lead, rest), key)| format!("{lead}\"{key}\"{rest}")).collect();
        parts.insert(model_at.index(parts.len() + 1), " \"model\" : \"p/m\"".into());
        let body = format!("\n{{{}}} ", parts.join(","));
        let fixes = quirks(&[Fix::Drop("d0"), Fix::Drop("d4"), Fix::Rename("r6", "renamed")]);
        let model = if keep_model { "p/m" } else { "m2" };
        let edits = RequestEdits { model, ask_usage: asked, quirks: &fixes, drop: &["d2", "d5"] };
        let (out, _) = rewritten(&body, &edits);

        let mut expected: Vec<String> = names(&body).into_iter().filter(|name| !name.starts_with('d')).collect();
        expected.iter_mut().filter(|name| *name == "r6").for_each(|name| *name = "renamed".into());
        expected.extend(asked.then(|| "stream_options".to_owned()));
        prop_assert_eq!(names(&out), expected);

        let before = Members::read(body.as_bytes()).unwrap();
        let after = Members::read(out.as_bytes()).unwrap();
        for key in ["k1", "k3", "k7", "k8"] {
            prop_assert_eq!(before.value(body.as_bytes(), key), after.value(out.as_bytes(), key));
        }
        prop_assert_eq!(before.value(body.as_bytes(), "r6"), after.value(out.as_bytes(), "renamed"));
        let named = quoted(model);
        prop_assert_eq!(after.value(out.as_bytes(), "model").unwrap(), named.as_bytes());
        let framed = out.starts_with("\n{") && out.ends_with("} ");
        prop_assert!(framed, "{}", out);
    }
}
