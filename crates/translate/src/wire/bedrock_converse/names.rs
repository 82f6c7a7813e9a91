//! Names within the API's alphabets: of tools, and of documents.

/// The longest tool name.
pub(super) const MOST: usize = 64;

/// Within the alphabet and length of tool names.
pub(super) fn is_name(text: &str) -> bool {
    (1..=MOST).contains(&text.len()) && text.chars().all(is_allowed)
}

/// A document's name as the API takes it: letters, digits, single spaces, hyphens and brackets; other than
/// those in `taken`.
pub(super) fn document_name(name: Option<&str>, taken: &mut Vec<String>) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '(' | ')' | '[' | ']');
    let spaced: String =
        name.unwrap_or_default().chars().map(|c| if allowed(c) { c } else { ' ' }).take(180).collect();
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let plain = if words.is_empty() { "document".to_owned() } else { words.join(" ") };
    let mut fitting = plain.clone();
    let mut number = 1_u32;
    while taken.contains(&fitting) {
        number += 1;
        fitting = format!("{plain} {number}");
    }
    taken.push(fitting.clone());
    fitting
}

fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn document_names_are_cleaned_and_told_apart() {
        let mut taken = Vec::new();
        let mut name = |name| document_name(name, &mut taken);
        assert_eq!(name(Some("Q3__report  (final).pdf")), "Q3 report (final) pdf");
        assert_eq!(name(Some("Q3 report (final) pdf")), "Q3 report (final) pdf 2");
        assert_eq!([name(None), name(Some("…")), name(Some(""))], ["document", "document 2", "document 3"]);
    }
}
