use serde_json::{Value, json};

use super::super::estimate;
use super::super::text::hundredths;
use super::decode;
use crate::Wire;

/// A text, and how many tokens it is to o200k (OpenAI), Tekken (Mistral) and cl100k (OpenAI, earlier).
const TEXTS: &[(&str, &str, [u64; 3])] = &[
    ("english", include_str!("texts/english.txt"), [167, 170, 168]),
    ("technical", include_str!("texts/technical.txt"), [190, 204, 188]),
    ("german", include_str!("texts/german.txt"), [135, 137, 169]),
    ("french", include_str!("texts/french.txt"), [149, 150, 180]),
    ("spanish", include_str!("texts/spanish.txt"), [135, 140, 162]),
    ("polish", include_str!("texts/polish.txt"), [189, 194, 213]),
    ("russian", include_str!("texts/russian.txt"), [172, 178, 265]),
    ("greek", include_str!("texts/greek.txt"), [167, 164, 354]),
    ("arabic", include_str!("texts/arabic.txt"), [124, 109, 269]),
    ("hebrew", include_str!("texts/hebrew.txt"), [135, 149, 324]),
    ("hindi", include_str!("texts/hindi.txt"), [117, 130, 378]),
    ("thai", include_str!("texts/thai.txt"), [135, 177, 291]),
    ("chinese", include_str!("texts/chinese.txt"), [158, 185, 243]),
    ("japanese", include_str!("texts/japanese.txt"), [169, 157, 228]),
    ("korean", include_str!("texts/korean.txt"), [141, 116, 236]),
    ("rust", include_str!("texts/rust.txt"), [270, 299, 269]),
    ("python", include_str!("texts/python.txt"), [220, 230, 220]),
    ("json", include_str!("texts/json.txt"), [173, 184, 166]),
    ("log", include_str!("texts/log.txt"), [245, 324, 245]),
    ("chatter", include_str!("texts/chatter.txt"), [91, 109, 95]),
];

#[test]
fn an_estimate_is_near_the_vocabularies_of_today() {
    let mut worst = 0.0_f64;
    for (name, text, [o200k, tekken, cl100k]) in TEXTS {
        let estimated = hundredths(text) as f64 / 100.0;
        let real = (*o200k + *tekken) as f64 / 2.0;
        let off = (estimated / real - 1.0) * 100.0;
        let older = (estimated / *cl100k as f64 - 1.0) * 100.0;
        println!(
            "{name:10} {estimated:5.0}, real {o200k:4} {tekken:4} {cl100k:4}: {off:+4.0} %, older {older:+4.0} %"
        );
        worst = worst.max(off.abs());
        assert!(off.abs() <= 20.5, "{name}: {estimated} instead of {real}");
    }
    assert!(worst > 5.0, "an estimate that good is a mistake of this test");
}

fn tokens(body: &Value) -> u64 {
    estimate(&decode(Wire::Anthropic, body).unwrap()).input_tokens
}

fn asked(content: Value) -> Value {
    json!({"model": "m", "messages": [{"role": "user", "content": content}]})
}

#[test]
fn more_of_anything_is_more_tokens() {
    let short = tokens(&asked(json!("Hi")));
    assert!((5..=12).contains(&short), "{short}");
    assert!(tokens(&asked(json!("Hi there, how are you today?"))) > short + 3);
    let mut with_tool = asked(json!("Hi"));
    with_tool["tools"] = json!([{"name": "look", "input_schema": {"type": "object", "properties": {"q": {"type": "string"}}}}]);
    assert!(tokens(&with_tool) > short + 10);
    let mut with_system = asked(json!("Hi"));
    with_system["system"] = json!("Be brief.");
    assert!(tokens(&with_system) > short + 4);
    let turns = json!({"model": "m", "messages": [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "look", "input": {"q": "x"}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "found"}]},
    ]});
    assert!(tokens(&turns) > short + 20);
}

#[test]
fn what_is_not_text_has_its_own_price_and_kind() {
    let image = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}});
    let document = json!({"type": "document",
        "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQK"}});
    let counted = estimate(&decode(Wire::Anthropic, &asked(json!([image, document]))).unwrap());
    let kinds: Vec<_> = counted.by_modality.iter().map(|(kind, count)| (kind.as_ref(), *count)).collect();
    assert_eq!(kinds, [("TEXT", 7), ("IMAGE", 1000), ("DOCUMENT", 1500)]);
    assert_eq!(counted.input_tokens, 2507);
}

#[test]
fn any_characters_at_all_have_a_price() {
    assert_eq!(hundredths(""), 0);
    for (text, expected) in [
        ("word", 100),
        ("words with spaces", 300),
        ("camelCase", 200),
        ("HTTP", 100),
        ("internationalization", 100 + 13 * 46),
        ("1234567", 3 * 153),
        ("....", 86 + 3 * 3),
        ("a\n\n\nb", 100 + 92 + 100),
        ("für", 225),
        ("мост", 136),
        ("日本", 198),
        ("\u{1F600}", 163),
        ("\u{10FFFF}", 100),
    ] {
        assert_eq!(hundredths(text), expected, "{text}");
    }
}
