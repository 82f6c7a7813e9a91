//! Names within the API's alphabets: of tools, and of documents.

use std::collections::{HashMap, HashSet};

/// The longest tool name.
pub(super) const MOST: usize = 64;

/// Within the alphabet and length of tool names.
pub(super) fn is_name(text: &str) -> bool {
    (1..=MOST).contains(&text.len()) && text.chars().all(is_allowed)
}

/// The names of a request's documents, each once.
#[derive(Debug, Default)]
pub(super) struct DocumentNames {
    taken: HashSet<String>,
    /// The last number behind a name: thousands of documents may bear one.
    last: HashMap<String, u32>,
}

impl DocumentNames {
    /// A document's name as the API takes it: letters, digits, single spaces, hyphens and brackets; other than
    /// those before it.
    pub(super) fn next(&mut self, name: Option<&str>) -> String {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '(' | ')' | '[' | ']');
        let spaced: String =
            name.unwrap_or_default().chars().map(|c| if allowed(c) { c } else { ' ' }).take(180).collect();
        let words: Vec<&str> = spaced.split_whitespace().collect();
        let plain = if words.is_empty() { "document".to_owned() } else { words.join(" ") };
        if self.taken.insert(plain.clone()) {
            return plain;
        }
        let number = self.last.entry(plain.clone()).or_insert(1);
        loop {
            *number = number.saturating_add(1);
            let fitting = format!("{plain} {number}");
            if *number == u32::MAX || self.taken.insert(fitting.clone()) {
                return fitting;
            }
        }
    }
}

fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn document_names_are_cleaned_and_told_apart() {
        let mut names = DocumentNames::default();
        let mut name = |name| names.next(name);
        assert_eq!(name(Some("Q3__report  (final).pdf")), "Q3 report (final) pdf");
        assert_eq!(name(Some("Q3 report (final) pdf")), "Q3 report (final) pdf 2");
        assert_eq!([name(None), name(Some("…")), name(Some(""))], ["document", "document 2", "document 3"]);
        assert_eq!([name(Some("a 2")), name(Some("a")), name(Some("a"))], ["a 2", "a", "a 3"]);
        assert_eq!(name(Some("a 2")), "a 2 2");
    }

    /// A search among all names for every number made this cubic: minutes where it is milliseconds.
    #[test]
    fn documents_of_one_name_took_cubic_time() {
        let begun = std::time::Instant::now();
        let mut names = DocumentNames::default();
        let last = (0..20_000).map(|_| names.next(Some("report.pdf"))).last();
        assert_eq!(last.as_deref(), Some("report pdf 20000"));
        assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
    }
}
