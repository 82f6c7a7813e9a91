//! Which texts of an entity are secrets, and how they look from outside.
//!
//! One walk for all who must know: what is shown is masked, what is stored is sealed. A reference (`env.NAME`,
//! `file:PATH`) is no secret; what it stands for is. A masked text that comes back means the secret it was made from.

use std::collections::HashMap;

use serde_json::Value;

use super::problem::child;
use super::reference::is_whole;

/// Fields that are secrets wherever they stand.
const NAMES: [&str; 8] = [
    "admin_password",
    "api_key",
    "auth_credentials",
    "client_secret",
    "encryption_key",
    "password",
    "secret_key",
    "session_token",
];
/// Maps all of whose values are.
const MAPS: [&str; 1] = ["extra_headers"];
/// What stands in the middle of a masked text, as the original has it.
const STARS: &str = "************************";
/// Of shorter secrets nothing is shown.
const SHORT: usize = 16;

/// Calls `each` with the pointer and the text of every secret of an entity that may be set at run time. In lists of keys
/// the pointer has an item's `id`, else its `name`, in the place of its number.
pub fn each(entity: &mut Value, each: &mut dyn FnMut(&str, &mut String)) {
    walk(entity, &At::default(), &mut |at, text| each(&at.known, text));
}

/// A text as it is shown: a reference as it is, a secret by its ends.
#[must_use]
pub fn mask(secret: &str) -> String {
    if secret.is_empty() || is_whole(secret) || is_masked(secret) {
        return secret.to_owned();
    }
    if let Some((scheme, rest)) = with_password(secret) {
        return format!("{scheme}://{STARS}@{rest}");
    }
    let count = secret.chars().count();
    if count < SHORT {
        return STARS.to_owned();
    }
    let head: String = secret.chars().take(4).collect();
    let tail: String = secret.chars().skip(count - 4).collect();
    format!("{head}{STARS}{tail}")
}

/// Masks every secret.
pub fn mask_all(entity: &mut Value) {
    each(entity, &mut |_, text| *text = mask(text));
}

/// Puts the secrets of `before` where `entity` has what they look like from outside.
///
/// # Errors
/// The pointers of masked texts that are of no secret here.
pub fn restore(entity: &mut Value, before: Option<&Value>) -> Result<(), Vec<String>> {
    let mut known: HashMap<String, String> = HashMap::new();
    if let Some(before) = before {
        each(&mut before.clone(), &mut |pointer, text| drop(known.insert(pointer.to_owned(), text.clone())));
    }
    let mut lost = Vec::new();
    walk(entity, &At::default(), &mut |at, text| {
        if !is_masked(text) {
            return;
        }
        let same = known.get(&at.known).filter(|secret| mask(secret) == *text);
        // A key that got another name is known by its mask, where only one has it.
        let mut alike = known.values().filter(|secret| mask(secret) == *text);
        let alike = alike.next().filter(|first| alike.all(|other| other == *first));
        match same.or(alike) {
            Some(secret) => secret.clone_into(text),
            None => lost.push(at.pointer.clone()),
        }
    });
    if lost.is_empty() { Ok(()) } else { Err(lost) }
}

/// The text is what a secret looks like from outside.
#[must_use]
pub fn is_masked(text: &str) -> bool {
    text.contains(STARS)
}

/// Where a value stands.
#[derive(Default)]
struct At {
    pointer: String,
    /// The same with ids and names in the place of numbers.
    known: String,
    /// The field, also within its list.
    field: String,
}

impl At {
    fn field(&self, name: &str) -> Self {
        Self { pointer: child(&self.pointer, name), known: child(&self.known, name), field: name.to_owned() }
    }

    fn item(&self, index: usize, item: &Value) -> Self {
        let number = index.to_string();
        let known = ["id", "name"].into_iter().find_map(|field| item.get(field)?.as_str());
        Self {
            pointer: child(&self.pointer, &number),
            known: child(&self.known, known.unwrap_or(&number)),
            field: self.field.clone(),
        }
    }
}

fn walk(value: &mut Value, at: &At, each: &mut dyn FnMut(&At, &mut String)) {
    match value {
        // Whatever the field is called.
        Value::String(text) if is_masked(text) || with_password(text).is_some() => each(at, text),
        Value::Object(map) => {
            for (name, inner) in map.iter_mut() {
                let secret = NAMES.contains(&name.as_str())
                    || MAPS.contains(&at.field.as_str())
                    || (name == "value" && at.field == "keys");
                let at = at.field(name);
                match inner {
                    Value::String(text) if secret => each(&at, text),
                    // The original's long form.
                    Value::Object(long) if secret => {
                        if let Some(Value::String(text)) = long.get_mut("value") {
                            each(&at, text);
                        }
                    }
                    inner => walk(inner, &at, each),
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                let at = at.item(index, item);
                walk(item, &at, each);
            }
        }
        _ => {}
    }
}

/// Scheme, and what stands behind the credentials, of an address that has some.
fn with_password(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (credentials, _) = authority.rsplit_once('@')?;
    credentials.contains(':').then_some(())?;
    Some((scheme, rest.get(credentials.len() + 1..)?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn provider() -> Value {
        json!({
            "keys": [
                {"name": "main", "value": "sk-proj-0123456789abcdef"},
                {"name": "env", "value": "env.OPENAI_API_KEY"},
                {"id": "k3", "value": {"value": "short"}, "bedrock_key_config": {"secret_key": "wJalrXUtnFEMI/K7MDENG"}},
            ],
            "network_config": {"extra_headers": {"X-Auth": "Bearer 0123456789abcdef"}, "base_url": "https://a:b@h/x"},
            "proxy_config": {"password": "p", "username": "u"},
        })
    }

    #[test]
    fn no_secret_is_left_in_what_is_shown() {
        let mut shown = provider();
        mask_all(&mut shown);
        let text = shown.to_string();
        for secret in ["0123456789", "short", "wJalrXUtnFEMI", "\"p\"", "a:b"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        assert_eq!(shown["keys"][0]["value"], "sk-p************************cdef");
        assert_eq!(shown["keys"][1]["value"], "env.OPENAI_API_KEY");
        assert_eq!(shown["proxy_config"]["username"], "u");
    }

    #[test]
    fn what_was_shown_comes_back_as_what_it_was_made_from() {
        let mut sent = provider();
        each(&mut sent, &mut |_, text| *text = mask(text));
        let keys = sent["keys"].as_array_mut().unwrap();
        keys.reverse();
        restore(&mut sent, Some(&provider())).unwrap();
        assert_eq!(sent["keys"][2]["value"], "sk-proj-0123456789abcdef");
        assert_eq!(sent["keys"][0]["value"]["value"], "short");
        assert_eq!(sent["proxy_config"]["password"], "p");
    }

    #[test]
    fn a_mask_of_no_secret_is_told_by_its_place() {
        let mut sent = json!({"keys": [{"name": "new", "value": "sk-x************************abcd"}]});
        assert_eq!(restore(&mut sent, Some(&provider())), Err(vec!["/keys/0/value".to_owned()]));
        assert_eq!(restore(&mut sent, None), Err(vec!["/keys/0/value".to_owned()]));
    }
}
