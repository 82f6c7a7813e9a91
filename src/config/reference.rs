//! References in string values: environment variables and files.
//!
//! Whole values: `env.NAME`, `$NAME`, `os.environ/NAME`, `file:PATH`. Anywhere in a value: `${NAME}`.
//! A `$` that begins no name stays as it is. What was read never appears in a message; names do.

use std::path::{Path, PathBuf};

use super::environment::Environment;

/// Why a reference has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unresolved {
    /// An environment variable is not set.
    #[error("the environment variable {0} is not set")]
    Variable(String),
    /// A file cannot be read.
    #[error("the file {} cannot be read: {reason}", path.display())]
    File { path: PathBuf, reason: String },
}

/// `text` with its references replaced; `None` when it has none.
///
/// Relative `file:` paths start at `directory`. One line break at the end of a file is left out.
///
/// # Errors
/// The first reference without a value.
pub fn resolve(text: &str, directory: &Path, from: &Environment) -> Result<Option<String>, Unresolved> {
    if let Some(name) = whole_name(text) {
        return variable(name, from).map(Some);
    }
    if let Some(path) = text.strip_prefix("file:").filter(|p| !p.is_empty()) {
        return file(&directory.join(path)).map(Some);
    }
    embedded(text, from)
}

/// The whole text is a reference.
#[must_use]
pub fn is_whole(text: &str) -> bool {
    let embedded = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).is_some_and(is_name);
    embedded || whole_name(text).is_some() || text.strip_prefix("file:").is_some_and(|path| !path.is_empty())
}

/// The variable a whole value names.
fn whole_name(text: &str) -> Option<&str> {
    let name = text
        .strip_prefix("env.")
        .or_else(|| text.strip_prefix("os.environ/"))
        .or_else(|| text.strip_prefix('$'))?;
    is_name(name).then_some(name)
}

fn is_name(text: &str) -> bool {
    let first = text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    first && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn variable(name: &str, from: &Environment) -> Result<String, Unresolved> {
    from.get(name).ok_or_else(|| Unresolved::Variable(name.to_owned()))
}

fn file(path: &Path) -> Result<String, Unresolved> {
    let mut text = std::fs::read_to_string(path)
        .map_err(|e| Unresolved::File { path: path.to_owned(), reason: e.to_string() })?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

fn embedded(text: &str, from: &Environment) -> Result<Option<String>, Unresolved> {
    let mut out = String::new();
    let mut rest = text;
    let mut found = false;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        match after.split_once('}') {
            Some((name, tail)) if is_name(name) => {
                out.push_str(&variable(name, from)?);
                found = true;
                rest = tail;
            }
            _ => {
                out.push_str("${");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    Ok(found.then_some(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(text: &str) -> Result<Option<String>, Unresolved> {
        let env = Environment::fixed([("HOST", "example.com"), ("KEY_1", "s3"), ("_x", "u")]);
        resolve(text, Path::new("."), &env)
    }

    #[test]
    fn every_spelling_of_a_variable_is_read() {
        for text in ["env.KEY_1", "$KEY_1", "${KEY_1}", "os.environ/KEY_1"] {
            assert_eq!(resolved(text), Ok(Some("s3".into())), "{text}");
        }
        assert_eq!(resolved("https://${HOST}/x/${_x}"), Ok(Some("https://example.com/x/u".into())));
    }

    #[test]
    fn text_that_is_no_reference_stays() {
        for text in
            ["", "$", "$5", "$HOST/x", "a$HOST", "${}", "${HOST", "$$", "env.", "env.a.b", "environ", "file:"]
        {
            assert_eq!(resolved(text), Ok(None), "{text}");
        }
        assert_eq!(resolved("${1}${HOST}"), Ok(Some("${1}example.com".into())));
    }

    #[test]
    fn a_missing_variable_is_named() {
        for text in ["env.NOPE", "$NOPE", "a${NOPE}b", "os.environ/NOPE"] {
            assert_eq!(resolved(text), Err(Unresolved::Variable("NOPE".into())), "{text}");
        }
    }

    #[test]
    fn a_file_is_read_relative_to_the_configuration_without_its_last_line_break() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("key"), "s3\n").unwrap();
        let env = Environment::fixed([]);
        assert_eq!(resolve("file:key", dir.path(), &env), Ok(Some("s3".into())));
        let absolute = format!("file:{}", dir.path().join("key").display());
        assert_eq!(resolve(&absolute, Path::new("/"), &env), Ok(Some("s3".into())));
        assert!(matches!(resolve("file:none", dir.path(), &env), Err(Unresolved::File { .. })));
    }
}
