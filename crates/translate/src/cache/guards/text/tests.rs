use super::*;

fn words(raw: &str) -> Vec<String> {
    let text = Text::of(raw);
    text.tokens.iter().map(|token| text.word(token).to_owned()).collect()
}

#[test]
fn words_are_folded_and_told_apart() {
    for (raw, expected) in [
        ("Hello, World!", vec!["hello", "world"]),
        ("What's John's?", vec!["what", "john"]),
        ("don't can’t", vec!["don't", "can't"]),
        ("l'eau d’Évian qu'il n'est", vec!["l'", "eau", "d'", "évian", "qu'", "il", "n'", "est"]),
        ("step-by-step", vec!["step", "by", "step"]),
        ("U.S. law at 5 p.m. sharp.", vec!["u.s.", "law", "at", "5", "p.m.", "sharp"]),
        ("snake_case", vec!["snake_case"]),
        ("GPT4 v2 B12", vec!["gpt4", "v2", "b12"]),
        ("Ｈｅｌｌｏ　１２", vec!["hello", "12"]),
        ("soft\u{ad}hyphen zero\u{200b}width", vec!["softhyphen", "zerowidth"]),
        ("日本 a", vec!["日", "本", "a"]),
        ("", vec![]),
    ] {
        assert_eq!(words(raw), expected, "{raw}");
    }
}

#[test]
fn both_spellings_of_an_accent_are_one() {
    assert_eq!(words("où não über"), words("ou\u{300} na\u{303}o u\u{308}ber"));
    assert_eq!(words("мой"), words("мои\u{306}"));
    assert_ne!(words("ou"), words("où"));
}

#[test]
fn numbers_are_read_by_value() {
    for (raw, expected) in [
        ("1,000", "1000"),
        ("1,000.50", "1000.5"),
        ("1.000,50", "1000.5"),
        ("1.000.000", "1000000"),
        ("3,5", "3.5"),
        ("3.50", "3.5"),
        ("007", "7"),
        ("0", "0"),
        ("0.5", "0.5"),
        ("2.0", "2"),
        ("3.11.2", "3.11.2"),
        ("10:30", "10:30"),
        ("12/25/2024", "12/25/2024"),
        ("٣", "3"),
        ("20th", "20"),
    ] {
        assert_eq!(words(raw), [expected], "{raw}");
    }
    assert_eq!(words("5km"), ["5", "km"]);
    assert_eq!(words("$5 50% 20°C"), ["$", "5", "50", "%", "20", "°c", "c"]);
    assert_eq!(words("v1.2, 3."), ["v1", "2", "3"]);
}

#[test]
fn where_sentences_begin_and_what_is_written_large() {
    let text = Text::of("In Paris. The NATO (Rome)\nBerlin, iPhone 5");
    let of = |wanted: fn(&Token) -> bool| -> Vec<&str> {
        text.tokens.iter().filter(|token| wanted(token)).map(|token| text.word(token)).collect()
    };
    assert_eq!(of(|token| token.first), ["in", "the", "berlin"]);
    assert_eq!(of(|token| token.capital), ["in", "paris", "the", "nato", "rome", "berlin"]);
    assert_eq!(of(|token| token.capitals), ["nato"]);
    assert_eq!(of(|token| token.set_off), ["rome", "iphone"]);
}

#[test]
fn a_capital_behind_an_elided_article_is_one() {
    let text = Text::of("dans l'Italie de l'eau");
    let capital: Vec<&str> =
        text.tokens.iter().filter(|token| token.capital).map(|token| text.word(token)).collect();
    assert_eq!(capital, ["italie"]);
}

#[test]
fn the_script_is_that_of_most_letters() {
    for (raw, script) in [
        ("Hello", Some("Latin")),
        ("Привет", Some("Cyrillic")),
        ("如何在 Python 中反转列表", Some("Chinese")),
        ("Python でリストを逆にする", Some("Japanese")),
        ("안녕하세요", Some("Hangul")),
        ("مرحبا", Some("Arabic")),
        ("12 + 3 = ?", None),
    ] {
        assert_eq!(Text::of(raw).scripts.main(), script, "{raw}");
    }
}

#[test]
fn any_text_is_read_and_every_token_stands_in_it() {
    let pieces = [
        "a", "É", "'", "’", ".", ",", "5", "½", "\u{301}", "日", "한", "_", "$", "°", "C", " ", "\n", "ﬁ",
        "İ", "🇳🇴", "\u{200d}",
    ];
    let mut dice = 7_u64;
    for _ in 0..5_000 {
        let mut raw = String::new();
        for _ in 0..12 {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            raw.push_str(pieces[(dice >> 33) as usize % pieces.len()]);
        }
        let text = Text::of(&raw);
        for token in &text.tokens {
            assert!(!text.word(token).is_empty(), "{raw:?}");
            assert!(raw.get(token.raw.clone()).is_some_and(|found| !found.is_empty()), "{raw:?}");
        }
    }
}
