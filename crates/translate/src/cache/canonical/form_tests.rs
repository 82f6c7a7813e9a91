use proptest::prelude::*;
use serde_json::json;

use super::*;

fn of(value: &Value) -> Vec<u8> {
    let mut form = Form::default();
    form.value(value);
    form.into_bytes()
}

fn text(value: &Value) -> String {
    String::from_utf8(of(value)).unwrap()
}

/// Reads a form back: whatever can be read back has not been written for anything else.
struct Reader<'f> {
    rest: &'f [u8],
}

impl Reader<'_> {
    fn take(&mut self) -> u8 {
        let (first, rest) = self.rest.split_first().unwrap();
        self.rest = rest;
        *first
    }

    fn until(&mut self, end: u8) -> String {
        let at = self.rest.iter().position(|byte| *byte == end).unwrap();
        let (before, rest) = self.rest.split_at(at);
        self.rest = &rest[1..];
        String::from_utf8(before.to_vec()).unwrap()
    }

    fn counted(&mut self) -> String {
        let count: usize = self.until(b':').parse().unwrap();
        let (text, rest) = self.rest.split_at(count);
        self.rest = rest;
        String::from_utf8(text.to_vec()).unwrap()
    }

    fn value(&mut self) -> Value {
        match self.take() {
            b'z' => Value::Null,
            b't' => true.into(),
            b'f' => false.into(),
            b'n' => {
                let digits = self.until(b';');
                // The parser of JSON in use is off by the last bit at times.
                match digits.contains('e') {
                    true => json!(digits.parse::<f64>().unwrap()),
                    false => serde_json::from_str(&digits).unwrap(),
                }
            }
            b's' => self.counted().into(),
            b'[' => {
                let mut items = Vec::new();
                while self.rest[0] != b']' {
                    items.push(self.value());
                }
                self.take();
                items.into()
            }
            b'{' => {
                let mut map = Map::new();
                while self.rest[0] != b'}' {
                    let Value::String(name) = self.value() else { panic!("a member has no name") };
                    map.insert(name, self.value());
                }
                self.take();
                map.into()
            }
            other => panic!("{other:?} begins no value"),
        }
    }
}

/// The same value, each number in one spelling.
fn by_value(value: &Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => {
            let float = number.as_f64().unwrap();
            match float.fract() == 0.0 && float.abs() < WHOLE {
                true => serde_json::from_str(&format!("{}", float as i128)).unwrap(),
                false => value.clone(),
            }
        }
        Value::Array(items) => items.iter().map(by_value).collect(),
        Value::Object(map) => {
            map.iter().map(|(name, value)| (name.clone(), by_value(value))).collect::<Map<_, _>>().into()
        }
        other => other.clone(),
    }
}

fn json_tree() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-50_i32..50).prop_map(|whole| json!(f64::from(whole))),
        any::<f64>()
            .prop_filter("JSON has no others", |float| float.is_finite())
            .prop_map(|float| json!(float)),
    ];
    // Few letters, those of the form among them, so that trees come near each other.
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number,
        "[sn:;0-3{}\\[\\]é]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[sn:0-1]{0,3}", inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn every_tree_can_be_read_back(tree in json_tree()) {
        let bytes = of(&tree);
        let mut reader = Reader { rest: &bytes };
        let read = reader.value();
        prop_assert!(reader.rest.is_empty());
        // Maps are compared whatever their order.
        prop_assert_eq!(read, by_value(&tree));
    }

    #[test]
    fn two_trees_share_bytes_only_when_they_are_one(one in json_tree(), other in json_tree()) {
        prop_assert_eq!(of(&one) == of(&other), by_value(&one) == by_value(&other));
    }

    #[test]
    fn no_form_is_the_beginning_of_another(one in json_tree(), other in json_tree()) {
        let (one, other) = (of(&one), of(&other));
        prop_assert!(one == other || !one.starts_with(&other));
    }
}

#[test]
fn the_spelling_is_the_documented_one() {
    let value = json!({"b": [1, -2, 1.5, true, null], "a": "é{", "c": false});
    assert_eq!(text(&value), "{s1:as3:é{s1:b[n1;n-2;n1.5e0;tz]s1:cf}");
    let mut form = Form::default();
    form.bytes(b"ab");
    assert_eq!(form.into_bytes(), b"b2:ab");
}

#[test]
fn numbers_are_written_by_value() {
    for (one, other) in
        [("1", "1.0"), ("1", "1e0"), ("0", "-0.0"), ("100", "1E2"), ("0.1", "1e-1"), ("-3", "-3.00")]
    {
        let read = |text: &str| -> Value { serde_json::from_str(text).unwrap() };
        assert_eq!(of(&read(one)), of(&read(other)), "{one} {other}");
    }
    let apart = [
        "1",
        "1.0000000000000002",
        "2",
        "9007199254740993",
        "9007199254740992",
        "18446744073709551615",
        "1e300",
        "-1",
    ];
    for (at, one) in apart.iter().enumerate() {
        for other in &apart[at + 1..] {
            let read = |text: &str| -> Value { serde_json::from_str(text).unwrap() };
            assert_ne!(of(&read(one)), of(&read(other)), "{one} {other}");
        }
    }
}

#[test]
fn a_schema_keeps_the_order_of_its_properties_and_of_nothing_else() {
    let of = |text: &str| {
        let mut form = Form::default();
        form.schema(&serde_json::from_str(text).unwrap());
        form.into_bytes()
    };
    let one = of(
        r#"{"type":"object","properties":{"why":{"type":"string"},"answer":{"type":"number","minimum":1}}}"#,
    );
    let keys = of(
        r#"{"properties":{"why":{"type":"string"},"answer":{"minimum":1.0,"type":"number"}},"type":"object"}"#,
    );
    let turned = of(
        r#"{"type":"object","properties":{"answer":{"type":"number","minimum":1},"why":{"type":"string"}}}"#,
    );
    assert_eq!(one, keys);
    assert_ne!(one, turned);
}
