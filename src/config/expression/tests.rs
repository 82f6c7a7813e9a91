use http::{HeaderMap, HeaderValue};

use super::*;

fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("x-tier", HeaderValue::from_static("free"));
    headers.insert("x-team", HeaderValue::from_static("blue"));
    headers
}

fn facts(headers: &HeaderMap) -> Facts<'_> {
    Facts {
        model: "gpt-4o",
        model_asked: "openai/gpt-4o",
        provider: "openai",
        key: "spare",
        request_type: "chat_completion_stream",
        stream: true,
        tokens: 2500,
        headers,
        query: "region=eu%20west&debug",
        who: Who {
            virtual_key_id: "vk-1",
            virtual_key_name: "batch",
            team_id: "t-1",
            team_name: "blue",
            ..Who::default()
        },
        used: Used(Some(&|gauge| match gauge {
            Gauge::Budget => 81.5,
            Gauge::Tokens => 20.0,
            Gauge::Requests => 0.0,
        })),
    }
}

fn holds(text: &str) -> Result<bool, Unanswered> {
    let headers = headers();
    Expression::compile(text).unwrap_or_else(|bad| panic!("{text}: {bad:?}")).holds(&facts(&headers))
}

fn bad(text: &str) -> BadExpression {
    match Expression::compile(text) {
        Ok(_) => panic!("compiled: {text}"),
        Err(bad) => bad,
    }
}

/// Conditions that hold for [`facts`].
const GOOD: [&str; 17] = [
    r#"model.startsWith("gpt-4") && headers["x-tier"] == "free""#,
    r#"headers["X-Tier"] == 'free'"#,
    r#"headers.exists(name, name.startsWith("x-te"))"#,
    r#""x-team" in headers && !("x-none" in headers)"#,
    r#"provider == "openai" && model_asked == "openai/gpt-4o" && key == "spare""#,
    "stream && tokens > 2000 && tokens <= 2500",
    r#"request_type == "chat_completion_stream""#,
    r#"request_type.startsWith("chat") ? tokens / 100 == 25 : false"#,
    r#"params["region"] == "eu west" && params["debug"] == """#,
    r#"model.matches("^gpt-4(o|[.]1)$") && matches(provider, "open")"#,
    r#"["gpt-4", "o1"].exists(start, model.startsWith(start))"#,
    r#"model in ["gpt-4o", "gpt-4.1"]"#,
    r#"int(string(tokens)) == 2500 && size(model) == 6"#,
    "budget_used > 80.0 && tokens_used == 20.0 && request < 1.0",
    "virtual_key == 'batch' && virtual_key_name == 'batch' && virtual_key_id == 'vk-1' && customer == ''",
    "team == 'blue' && team_name == team && team_id == 't-1' && customer_id == customer_name",
    "has(headers.accept) || true",
];

#[test]
fn conditions_see_the_request() {
    for text in GOOD {
        assert_eq!(holds(text), Ok(true), "{text}");
    }
}

#[test]
fn an_absent_header_does_not_match_and_is_no_error() {
    for text in [
        r#"headers["x-none"] == "a""#,
        r#"headers["x-none"] != "a""#,
        r#"!(headers["x-none"] == "a")"#,
        r#"headers["x-none"].startsWith("a")"#,
        r#"has(headers.xnone)"#,
    ] {
        assert_eq!(holds(text), Ok(false), "{text}");
    }
    // It does not spoil an alternative, on either side.
    assert_eq!(holds(r#"headers["x-none"] == "a" || model == "gpt-4o""#), Ok(true));
    assert_eq!(holds(r#"model == "gpt-4o" || headers["x-none"] == "a""#), Ok(true));
    assert_eq!(holds(r#"!("x-none" in headers) || headers["x-none"] != "a""#), Ok(true));
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (text, position, part) in [
        ("model ==", Some((1, 9)), "it ends too soon"),
        ("model == \"a\" &&\n  modle == \"b\"", Some((2, 3)), "modle is no variable"),
        ("stream && model.startWith(\"a\")", Some((1, 26)), "startWith is no function"),
        ("model.matches(\"(\")", Some((1, 15)), "unclosed group"),
        ("model.matches(provider)", Some((1, 15)), "must be written out"),
        ("tokens > \"many\"", None, "> does not take (int, string)"),
        ("model", None, "neither true nor false"),
        ("has(model)", Some((1, 5)), "has"),
        ("[model, provider].exists(a, [1].exists(b, true))", Some((1, 39)), "loop inside a loop"),
        ("headers.filter(h, true).exists(b, true)", Some((1, 31)), "loops are for headers"),
    ] {
        let found = bad(text);
        assert!(found.message.contains(part), "{text}: {found:?}");
        assert_eq!(found.position, position, "{text}: {found:?}");
    }
    assert_eq!(bad("modle == 'a'").advice.as_deref(), Some("did you mean model?"));
    assert_eq!(bad("model.startWith('a')").advice.as_deref(), Some("did you mean startsWith?"));
    assert!(bad(&"a".repeat(5000)).message.contains("at most 4096"));
}

#[test]
fn an_answer_that_depends_on_the_request_may_be_missing() {
    let unread = holds("int(headers[\"x-tier\"]) > 3").unwrap_err().to_string();
    assert!(unread.contains("int") && !unread.contains("free"), "{unread}");
    assert_eq!(holds("tokens % (tokens - 2500) == 1").unwrap_err().to_string(), "it divides by zero");
}

/// Texts put together from pieces of the language, most of them nonsense: each is refused or answered, soon.
#[test]
fn no_text_breaks_the_compiler() {
    const PIECES: [&str; 38] = [
        "model",
        "headers",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "&&",
        "||",
        "!",
        "-",
        "+",
        "==",
        "<",
        "?",
        ":",
        ",",
        ".",
        "\"a\"",
        "'",
        "\"",
        "1",
        "2u",
        "1.5e3",
        "0x",
        "in",
        "size",
        "has",
        ".exists(x, ",
        ".map(",
        "matches(",
        "\\",
        "é",
        "\u{0}",
        "b'\\xff'",
        "null",
        "/*",
    ];
    let tried = std::thread::Builder::new().stack_size(1024 * 1024).spawn(|| {
        let mut random = fastrand::Rng::with_seed(7);
        let headers = headers();
        let mut answered = 0;
        for turn in 0..2000 {
            let mut text: Vec<&str> =
                (0..random.usize(1..24)).map(|_| PIECES[random.usize(..PIECES.len())]).collect();
            // Every other one is a good condition with a few pieces gone astray.
            if turn % 2 == 0 {
                let good = GOOD[random.usize(..GOOD.len())];
                text = good.split_inclusive(['(', ' ', '"', '.', '[', ']', ')']).collect();
                for _ in 0..random.usize(1..3) {
                    let (at, piece) = (random.usize(..text.len()), PIECES[random.usize(..PIECES.len())]);
                    match random.u8(..3) {
                        0 => text[at] = piece,
                        1 => text.insert(at, piece),
                        _ => text[at] = text[random.usize(..text.len())],
                    }
                }
            }
            let text = text.join(if random.u8(..4) == 0 { " " } else { "" });
            if let Ok(compiled) = Expression::compile(&text) {
                answered += 1;
                let _ = compiled.holds(&facts(&headers));
            }
        }
        for deep in ["(", "[", "{1:", "!", "-", "a.b(", "true?", "[1].exists(x,"] {
            let _ = Expression::compile(&deep.repeat(4096 / deep.len()));
        }
        for chain in ["true||", "1+", "a.", "'a'+", "!"] {
            let _ = Expression::compile(&format!("{}true", chain.repeat(4000 / chain.len())));
        }
        answered
    });
    let answered = tried.unwrap().join().unwrap();
    assert!(answered > 50, "{answered}");
}

#[test]
fn brackets_behind_odd_quotes_do_not_end_the_gateway() {
    for start in [r#"r"\" == model || "#, "'''a'b''' == model || ", "// it's\n"] {
        for (open, close) in [("(", ")"), ("[", "]"), ("!(", ")"), ("[{1:", "}]"), ("-(", ")"), ("f(", ")")] {
            let most = (LONGEST - start.len() - 8) / (open.len() + close.len());
            let text = format!("{start}{}stream{}", open.repeat(most), close.repeat(most));
            assert!(Expression::compile(&text).is_err(), "{start}{open}");
            let unclosed = format!("{start}{}", open.repeat((LONGEST - start.len()) / open.len()));
            assert!(Expression::compile(&unclosed).is_err(), "{start}{open}");
        }
    }
}

#[test]
fn a_loop_over_a_long_query_is_no_way_to_stop_a_thread() {
    // As many parameters as a head has room for; the names that a loop sees stand at the end.
    let mut query: String = (0..20_000).map(|_| "b&").collect();
    query.extend((0..256).map(|at| format!("a{at}&")));
    let headers = HeaderMap::new();
    let facts = Facts { query: &query, ..facts(&headers) };
    let expression = Expression::compile(r#"params.exists(name, params[name] == "x")"#).unwrap();
    // It took seconds while each look read the whole query again.
    let begun = std::time::Instant::now();
    assert_eq!(expression.holds(&facts), Ok(false));
    let took = begun.elapsed();
    assert!(took.as_millis() < 500, "{took:?}");
}

#[test]
fn of_a_repeated_parameter_the_first_counts() {
    let headers = headers();
    let facts = Facts { query: "b=2&a=1&a=3&%62=4", ..facts(&headers) };
    let made = Expression::compile(r#"params["a"] == "1" && params.b == "2" && size(params) == 2"#).unwrap();
    assert_eq!(made.holds(&facts), Ok(true));
}
