//! What must be the same to the letter: code, identifiers, paths, addresses, formulas, quotations.
//!
//! Found by how it is written, not by knowing any language of programming.

/// The exact things of a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Code {
    /// Fenced and inline code, addresses, paths, identifiers.
    pub(super) pieces: Vec<Piece>,
    pub(super) quotes: Vec<String>,
    /// Operators outside of code, in their order.
    pub(super) operators: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) text: String,
    /// In whatever case: `GitHub` is `github`.
    pub(super) any_case: bool,
}

const OPERATORS: &str = "+*^=<>≤≥≠×÷√∫∑∏±→⇒";
/// Pairs of quotation marks whose two halves differ, and the straight one.
const QUOTES: [(char, char); 7] =
    [('"', '"'), ('“', '”'), ('„', '“'), ('«', '»'), ('「', '」'), ('『', '』'), ('‘', '’')];
/// Endings of file names.
const ENDINGS: [&str; 40] = [
    "bat", "c", "cc", "cfg", "conf", "cpp", "cs", "css", "csv", "db", "docx", "env", "go", "h", "html",
    "ini", "ipynb", "java", "js", "json", "jsx", "kt", "lock", "log", "md", "pdf", "php", "png", "py", "rb",
    "rs", "sh", "sql", "toml", "ts", "tsx", "txt", "xlsx", "xml", "yaml",
];

impl Code {
    pub(super) fn of(text: &str) -> Self {
        let mut code = Self::default();
        let rest = code.fenced(text);
        code.quoted(&rest);
        for word in rest.split_whitespace() {
            code.word(word);
        }
        code
    }

    /// What stands in backticks; the text without it is returned.
    fn fenced<'t>(&mut self, text: &'t str) -> std::borrow::Cow<'t, str> {
        if !text.contains('`') {
            return text.into();
        }
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find('`') {
            let (before, from) = rest.split_at(start);
            out.push_str(before);
            let marks = from.len() - from.trim_start_matches('`').len();
            let (mark, inner) = from.split_at(marks);
            let Some(end) = inner.find(mark) else {
                rest = inner;
                continue;
            };
            let (body, behind) = inner.split_at(end);
            self.exact(body.trim());
            out.push(' ');
            rest = behind.get(marks..).unwrap_or_default();
        }
        out.push_str(rest);
        out.into()
    }

    fn quoted(&mut self, text: &str) {
        for (open, close) in QUOTES {
            if !text.contains(open) {
                continue;
            }
            let mut rest = text;
            while let Some((_, inner)) = rest.split_once(open) {
                let Some((body, behind)) = inner.split_once(close) else { break };
                let body = body.trim();
                // A mark of inches, a slip: what fills half a page is no quotation.
                if !body.is_empty() && body.len() <= 400 && !body.contains('\n') {
                    self.quotes.push(body.to_owned());
                }
                rest = behind;
            }
        }
    }

    fn word(&mut self, word: &str) {
        let trimmed = word.trim_matches(|sign: char| ",;:!?()[]{}\"'“”„«»‘’。，、？！".contains(sign));
        let trimmed = trimmed.strip_suffix('.').unwrap_or(trimmed);
        if word.contains("()") {
            return self.exact(trimmed);
        }
        if word.is_ascii() && trimmed.bytes().all(|byte| byte.is_ascii_lowercase()) {
            return;
        }
        if is_address(trimmed) || is_path(trimmed) || is_identifier(trimmed) {
            return self.exact(trimmed);
        }
        if is_humped(trimmed) {
            self.pieces.push(Piece { text: trimmed.to_lowercase(), any_case: true });
            return;
        }
        self.operators.extend(word.chars().filter(|sign| OPERATORS.contains(*sign)));
        // Between operands, or before one.
        let minus = word.starts_with(['-', '−']) && word.len() <= 4 && !word.starts_with("--");
        let between = word.contains(['-', '−']) && word.split(['-', '−']).all(is_operand);
        if minus || between {
            self.operators.push('-');
        }
        if word.contains('#') && trimmed.chars().next().is_some_and(char::is_alphabetic) {
            self.operators.push('#');
        }
    }

    fn exact(&mut self, text: &str) {
        if !text.is_empty() && !self.pieces.iter().any(|piece| piece.text == text) {
            self.pieces.push(Piece { text: text.to_owned(), any_case: false });
        }
    }
}

/// Of one digit or letter, as in formulas.
fn is_operand(text: &str) -> bool {
    text.len() == 1 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn is_address(word: &str) -> bool {
    let mail = word.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.'));
    mail || word.contains("://") || word.starts_with("www.") || is_number_address(word)
}

/// `10.0.0.1`
fn is_number_address(word: &str) -> bool {
    let host = word.split(['/', ':']).next().unwrap_or_default();
    host.split('.').count() == 4 && host.split('.').all(|part| part.parse::<u8>().is_ok())
}

fn is_path(word: &str) -> bool {
    let rooted =
        ["/", "./", "../", "~/"].iter().any(|root| word.starts_with(root) && word.len() > root.len());
    let drive = word.as_bytes().get(1..3) == Some(b":\\");
    let ending = word.rsplit_once('.').is_some_and(|(name, ending)| {
        !name.is_empty() && ENDINGS.binary_search(&ending.to_ascii_lowercase().as_str()).is_ok()
    });
    rooted || drive || ending || word.matches('/').count() > 1 || word.contains('\\')
}

fn is_identifier(word: &str) -> bool {
    let inner = |mark: &str| {
        word.split_once(mark).is_some_and(|(before, after)| {
            before.ends_with(char::is_alphanumeric) && after.starts_with(char::is_alphanumeric)
        })
    };
    let flag =
        word.strip_prefix("--").is_some_and(|name| name.starts_with(|sign: char| sign.is_ascii_alphabetic()))
            || (word.len() == 2
                && word.starts_with('-')
                && word.ends_with(|sign: char| sign.is_ascii_alphabetic()));
    let dotted = word.split('.').count() > 1
        && word
            .split('.')
            .all(|part| part.len() > 1 && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        && word.bytes().any(|byte| byte.is_ascii_alphabetic());
    inner("_")
        || inner("::")
        || inner("->")
        || flag
        || dotted
        || word.starts_with('$') && word.len() > 1 && !word.bytes().any(|byte| byte.is_ascii_digit())
}

/// A capital behind a small letter: `getName`, `GitHub`.
fn is_humped(word: &str) -> bool {
    word.as_bytes().windows(2).any(
        |pair| matches!(pair, [first, second] if first.is_ascii_lowercase() && second.is_ascii_uppercase()),
    )
}
