//! The file format of an exchange: reading it, and writing it back with blessed expectations.

use std::collections::BTreeMap;

/// One file.
#[derive(Debug)]
pub struct Exchange {
    /// The lines before the first section, as they stand.
    head: String,
    fields: BTreeMap<String, String>,
    sections: Vec<Section>,
}

#[derive(Debug)]
struct Section {
    kind: Kind,
    /// The last line is cut off: its line feed is not part of it.
    cut: bool,
    content: String,
}

/// The sections in the order in which they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    DownstreamRequest,
    UpstreamRequest,
    UpstreamResponse,
    UpstreamStream,
    DownstreamResponse,
    DownstreamStream,
    DownstreamError,
    Usage,
    Losses,
}

impl Kind {
    const ALL: [Self; 9] = [
        Self::DownstreamRequest,
        Self::UpstreamRequest,
        Self::UpstreamResponse,
        Self::UpstreamStream,
        Self::DownstreamResponse,
        Self::DownstreamStream,
        Self::DownstreamError,
        Self::Usage,
        Self::Losses,
    ];

    pub fn title(self) -> &'static str {
        match self {
            Self::DownstreamRequest => "downstream request",
            Self::UpstreamRequest => "upstream request",
            Self::UpstreamResponse => "upstream response",
            Self::UpstreamStream => "upstream stream",
            Self::DownstreamResponse => "downstream response",
            Self::DownstreamStream => "downstream stream",
            Self::DownstreamError => "downstream error",
            Self::Usage => "usage",
            Self::Losses => "losses",
        }
    }

    /// What the replay is fed with; the other sections are what it must come to.
    fn is_input(self) -> bool {
        matches!(self, Self::DownstreamRequest | Self::UpstreamResponse | Self::UpstreamStream)
    }

    fn is_stream(self) -> bool {
        matches!(self, Self::UpstreamStream | Self::DownstreamStream)
    }
}

/// What a replay came to: the expected sections with their contents.
pub type Outcome = BTreeMap<Kind, String>;

const ORIGINS: [&str; 3] = ["recorded", "documentation", "synthetic"];
const FIELDS: [&str; 6] = ["origin", "source", "provider", "model", "status", "note"];

impl Exchange {
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut lines = text.split_inclusive('\n').peekable();
        let mut head = String::new();
        while let Some(line) = lines.next_if(|line| title(line).is_none()) {
            head.push_str(line);
        }
        let mut sections: Vec<Section> = Vec::new();
        for line in lines {
            match (title(line), sections.last_mut()) {
                (Some(title), _) => sections.push(Section::titled(title)?),
                (None, Some(section)) => section.content.push_str(line),
                (None, None) => return Err(format!("`{line}` stands outside of a section")),
            }
        }
        sections.iter_mut().for_each(Section::trim);
        let exchange = Self { fields: fields(&head)?, head, sections };
        exchange.check()?;
        Ok(exchange)
    }

    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    pub fn section(&self, kind: Kind) -> Option<&str> {
        self.sections.iter().find(|section| section.kind == kind).map(|section| section.content.as_str())
    }

    /// The expected sections.
    pub fn expected(&self) -> Outcome {
        let expected = self.sections.iter().filter(|section| !section.kind.is_input());
        expected.map(|section| (section.kind, section.content.clone())).collect()
    }

    /// The file with the outcome in place of what it expected.
    pub fn blessed(&self, outcome: &Outcome) -> String {
        let inputs = self.sections.iter().filter(|section| section.kind.is_input());
        let mut sections: Vec<(Kind, bool, &str)> =
            inputs.map(|section| (section.kind, section.cut, section.content.as_str())).collect();
        sections.extend(outcome.iter().map(|(kind, content)| {
            (*kind, kind.is_stream() && !content.is_empty() && !content.ends_with('\n'), content.as_str())
        }));
        sections.sort_by_key(|section| section.0);
        let mut out = format!("{}\n", self.head.trim_end());
        for (kind, cut, content) in sections {
            // A blank line for the eye, except behind a stream: there it would belong to it.
            if !out.ends_with("\n\n") && !out.ends_with("\n\r\n") {
                out.push('\n');
            }
            out.push_str(&format!("=== {}{}\n{content}", kind.title(), if cut { " cut" } else { "" }));
            if !content.is_empty() && (cut || !kind.is_stream()) {
                out.push('\n');
            }
        }
        out
    }

    fn check(&self) -> Result<(), String> {
        let origin = self.field("origin").ok_or("`origin` is missing")?;
        if !ORIGINS.contains(&origin) {
            return Err(format!("`origin` is `{origin}`, one of {ORIGINS:?} was expected"));
        }
        for name in ["source", "provider", "model"] {
            self.field(name).ok_or(format!("`{name}` is missing"))?;
        }
        for (at, section) in self.sections.iter().enumerate() {
            if self.sections.iter().take(at).any(|earlier| earlier.kind == section.kind) {
                return Err(format!("`{}` stands twice", section.kind.title()));
            }
        }
        self.section(Kind::DownstreamRequest).ok_or("`downstream request` is missing")?;
        let both =
            self.section(Kind::UpstreamResponse).is_some() && self.section(Kind::UpstreamStream).is_some();
        if both { Err("the provider answers with a response or a stream, not both".into()) } else { Ok(()) }
    }
}

impl Section {
    fn titled(title: &str) -> Result<Self, String> {
        let (name, cut) = title.strip_suffix(" cut").map_or((title, false), |name| (name, true));
        let kind = Kind::ALL.into_iter().find(|kind| kind.title() == name);
        let kind = kind.ok_or_else(|| format!("`{name}` is no section"))?;
        if cut && !kind.is_stream() {
            return Err(format!("`{name}` is no stream: it cannot be cut"));
        }
        Ok(Self { kind, cut, content: String::new() })
    }

    /// Streams are kept to the byte; around anything else line ends mean nothing.
    fn trim(&mut self) {
        if !self.kind.is_stream() {
            self.content = self.content.trim_matches('\n').to_owned();
        } else if self.cut {
            // The blank line that `blessed` puts before the next title goes as well.
            self.content.truncate(self.content.trim_end_matches('\n').len());
        }
    }
}

fn title(line: &str) -> Option<&str> {
    line.strip_prefix("=== ").map(str::trim_end)
}

fn fields(head: &str) -> Result<BTreeMap<String, String>, String> {
    let mut fields = BTreeMap::new();
    for line in head.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        let (name, value) = line.split_once(':').ok_or(format!("`{line}` is no `name: value`"))?;
        if !FIELDS.contains(&name) {
            return Err(format!("`{name}` is no field; known are {FIELDS:?}"));
        }
        fields.insert(name.to_owned(), value.trim().to_owned());
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# A comment.\norigin: synthetic\nsource: none\nprovider: openai\nmodel: gpt-4o\n\n\
=== downstream request\n{\"a\":\n 1}\n\n=== upstream request\n{}\n\n=== upstream stream\ndata: 1\n\ndata: [DONE]\n\n\
=== downstream stream cut\ndata: 1\n\ndata: \"op\n\n=== usage\n{\"output\":1}\n\n=== losses\n";

    #[test]
    fn sections_are_read_to_the_byte() {
        let exchange = Exchange::parse(FILE).unwrap();
        assert_eq!(exchange.field("model"), Some("gpt-4o"));
        assert_eq!(exchange.section(Kind::DownstreamRequest), Some("{\"a\":\n 1}"));
        assert_eq!(exchange.section(Kind::UpstreamStream), Some("data: 1\n\ndata: [DONE]\n\n"));
        assert_eq!(exchange.section(Kind::DownstreamStream), Some("data: 1\n\ndata: \"op"));
        assert_eq!(exchange.section(Kind::Losses), Some(""));
        assert_eq!(exchange.section(Kind::UpstreamResponse), None);
    }

    #[test]
    fn blessing_with_what_was_expected_changes_nothing() {
        let exchange = Exchange::parse(FILE).unwrap();
        assert_eq!(exchange.blessed(&exchange.expected()), FILE);
    }

    #[test]
    fn blessing_replaces_adds_and_removes_in_order() {
        let exchange = Exchange::parse(FILE).unwrap();
        let outcome = Outcome::from([
            (Kind::UpstreamRequest, "[new]".to_owned()),
            (Kind::DownstreamError, "{\"error\":1}".to_owned()),
        ]);
        let again = Exchange::parse(&exchange.blessed(&outcome)).unwrap();
        assert_eq!(again.expected(), outcome);
        assert_eq!(again.section(Kind::UpstreamStream), exchange.section(Kind::UpstreamStream));
        assert!(again.blessed(&outcome).starts_with("# A comment.\norigin: synthetic\n"));
    }

    #[test]
    fn faulty_files_are_refused() {
        let cases = [
            (FILE.replace("origin: synthetic\n", ""), "origin"),
            (FILE.replace("synthetic", "guessed"), "guessed"),
            (FILE.replace("model:", "modle:"), "modle"),
            (FILE.replace("=== usage", "=== usages"), "usages"),
            (FILE.replace("=== usage", "=== usage cut"), "cannot be cut"),
            (FILE.replace("=== usage", "=== losses"), "twice"),
            (FILE.replace("=== usage", "=== upstream response"), "not both"),
            (FILE.replace("=== downstream request", "=== downstream response"), "downstream request"),
        ];
        for (text, word) in cases {
            let complaint = Exchange::parse(&text).unwrap_err();
            assert!(complaint.contains(word), "{complaint}");
        }
    }
}
