use super::*;

fn place(doc: &Document, pointer: &str, at: At) -> (usize, usize) {
    let p = doc.position(pointer, at).unwrap();
    (p.line, p.column)
}

#[test]
fn both_formats_know_the_place_of_names_and_values() {
    let json = "// c\n{\n  \"a\": {\"é\": [1, {\"b\": 2}],}, /* x */\n}\n";
    let doc = Document::parse("c", json, Format::Json).unwrap();
    assert_eq!(place(&doc, "/a", At::Name), (3, 3));
    assert_eq!(place(&doc, "/a/é/1/b", At::Name), (3, 19));
    assert_eq!(place(&doc, "/a/é/1/b", At::Value), (3, 24));
    assert_eq!(place(&doc, "/a/nothing", At::Name), (3, 3), "the object around it");
    let yaml = "# c\na:\n  é:\n    - 1\n    - b: 2\n";
    let twin = Document::parse("c", yaml, Format::Yaml).unwrap();
    assert_eq!(twin.root, doc.root);
    assert_eq!(place(&twin, "/a", At::Name), (2, 1));
    assert_eq!(place(&twin, "/a/é/1/b", At::Name), (5, 7));
    assert_eq!(place(&twin, "/a/é/1/b", At::Value), (5, 10));
}

#[test]
fn a_file_of_one_long_line_has_its_columns_too() {
    let fields: Vec<String> = (0..500).map(|number| format!("\"é{number}\": {number}")).collect();
    let json = format!("{{{}}}", fields.join(","));
    let doc = Document::parse("c", &json, Format::Json).unwrap();
    for number in [0, 99, 100, 499] {
        let before = json.split(&format!("\"é{number}\"")).next().unwrap();
        assert_eq!(place(&doc, &format!("/é{number}"), At::Name), (1, before.chars().count() + 1));
    }
}

#[test]
fn yaml_scalars_follow_the_core_schema() {
    let text = "a: yes\nb: 1\nc: 1.5\nd: \"1\"\ne: ~\nf: true\ng: 1.2.3\nh: !!str 5\ni: 2e3\nj: -\n";
    let text = text.replace("j: -\n", "j: 0x10\nk: 10.0.0.1\n");
    let doc = Document::parse("c", &text, Format::Yaml).unwrap();
    let expected = serde_json::json!({"a": "yes", "b": 1, "c": 1.5, "d": "1", "f": true, "g": "1.2.3", "h": "5",
        "i": 2000.0, "j": "0x10", "k": "10.0.0.1"});
    assert_eq!(doc.root, expected);
}

#[test]
fn yaml_aliases_expand_and_are_bounded() {
    let doc = Document::parse("c", "a: &x {k: 1}\nb: *x\n", Format::Yaml).unwrap();
    assert_eq!(doc.root, serde_json::json!({"a": {"k": 1}, "b": {"k": 1}}));
    let mut bomb = "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n".to_owned();
    for n in 1..9 {
        let refs = vec![format!("*a{}", n - 1); 10].join(",");
        bomb.push_str(&format!("a{n}: &a{n} [{refs}]\n"));
    }
    let faults = Document::parse("c", &bomb, Format::Yaml).unwrap_err();
    assert!(faults[0].message.contains("too many"), "{faults:?}");
}

#[test]
fn deep_nesting_is_refused_in_both_formats() {
    for text in ["[".repeat(100_000), "{\"a\":".repeat(300), "[".repeat(100) + &"]".repeat(100)] {
        assert!(Document::parse("c", &text, Format::Json).is_err());
    }
    for text in ["[".repeat(100_000), "- ".repeat(100_000), "[".repeat(100) + &"]".repeat(100)] {
        assert!(Document::parse("c", &text, Format::Yaml).is_err());
    }
}

#[test]
fn an_empty_text_is_an_empty_configuration() {
    for format in [Format::Json, Format::Yaml] {
        assert_eq!(Document::parse("c", "", format).unwrap().root, serde_json::json!({}));
        let comment = if format == Format::Json { "// nothing" } else { "# nothing" };
        assert_eq!(Document::parse("c", comment, format).unwrap().root, serde_json::json!({}));
    }
}

/// Any text at all: an answer, never a panic. Seeds are mutated so that most get past the first byte.
#[test]
fn arbitrary_text_never_panics() {
    let seeds = [
        "{\"providers\": {\"openai\": {\"keys\": [{\"value\": \"sk-x\", \"weight\": 1.5}]}}} // c",
        "providers:\n  openai:\n    keys:\n      - &k {value: sk, weight: 1}\n      - *k\nfallbacks: ~\n",
    ];
    let alphabet: Vec<char> = "{}[]\",:/*-&!|>#%@`'\\\n\t \u{0}\u{feff}é😀0.eE~$".chars().collect();
    let mut random = fastrand::Rng::with_seed(7);
    for round in 0..20_000 {
        let mut chars: Vec<char> = seeds[round % 2].chars().collect();
        for _ in 0..random.usize(1..6) {
            let at = random.usize(0..chars.len());
            let c = alphabet[random.usize(0..alphabet.len())];
            match random.u8(0..3) {
                0 => chars[at] = c,
                1 => chars.insert(at, c),
                _ => {
                    chars.truncate(at + 1);
                }
            }
        }
        let text: String = chars.into_iter().collect();
        let _ = Document::parse("c", &text, Format::Json);
        let _ = Document::parse("c", &text, Format::Yaml);
    }
}
