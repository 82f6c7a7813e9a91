//! Anthropic's betas: names by which a caller asks for what is not general yet. Clouds that host Claude take
//! some of them, in places of their own, and answer 400 to all others.
//!
//! Data only: how a body is edited is `relay`'s. The lists age; a name that is missing here costs its feature on
//! that cloud (and is reported), a name too many costs the call.
//!
//! Sources: <https://platform.claude.com/docs/en/api/beta-headers>; for Bedrock the request page of Claude's
//! messages, <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages-request-response.html>;
//! for both clouds what they were seen to refuse, <https://github.com/anthropics/claude-code/issues> 12429, 34802,
//! 49370 and 56595.

/// What a service makes of betas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Betas {
    pub place: BetaPlace,
    pub rule: BetaRule,
}

/// Where the names stand in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BetaPlace {
    /// The service knows no betas: what names them is left as it is.
    Nowhere,
    /// In the header `anthropic-beta`, separated by commas.
    Header,
    /// In the body, as the list `anthropic_beta`.
    Body,
    /// In the body's `additionalModelRequestFields`, and only when the model is a Claude.
    ModelFields,
}

/// Which names are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BetaRule {
    AllBut(&'static [&'static str]),
    Only(&'static [Beta]),
}

/// One name that a cloud takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beta {
    pub name: &'static str,
    /// The name it has there.
    pub there: &'static str,
    /// Models of this version and later have the feature without asking, and their hosts refuse its name.
    pub until: Option<(u32, u32)>,
}

/// What becomes of one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BetaFate<'a> {
    /// Sent, under this name.
    Sent(&'a str),
    /// Left out, and nothing is lost.
    Needless,
    /// Left out: the service would refuse the call.
    Refused,
}

impl Betas {
    /// A service that knows no betas.
    pub const NOWHERE: Self = Self { place: BetaPlace::Nowhere, rule: BetaRule::AllBut(&[]) };
    /// Anthropic's own API, and those who imitate it: what is known there is theirs to say.
    pub(super) const ALL: Self = Self { place: BetaPlace::Header, rule: BetaRule::AllBut(&[]) };
    /// Azure hosts Anthropic's API, without fast mode; a login at Anthropic means nothing there.
    pub(super) const AZURE: Self = Self {
        place: BetaPlace::Header,
        rule: BetaRule::AllBut(&["fast-mode-2026-02-01", "oauth-2025-04-20"]),
    };
    pub(super) const VERTEX: Self = Self { place: BetaPlace::Header, rule: BetaRule::Only(ON_VERTEX) };
    /// Bedrock's `InvokeModel`.
    pub(super) const INVOKE: Self = Self { place: BetaPlace::Body, rule: BetaRule::Only(ON_BEDROCK) };
    /// Bedrock's Converse.
    pub(super) const CONVERSE: Self =
        Self { place: BetaPlace::ModelFields, rule: BetaRule::Only(ON_BEDROCK) };

    /// Where tokens are only counted. Clouds refuse names there that they take elsewhere (Vertex AI that of the web
    /// search: github.com/anthropics/claude-code/issues/12429), so they are told none.
    #[must_use]
    pub fn for_counts(self) -> Self {
        match self.rule {
            BetaRule::AllBut(_) => self,
            BetaRule::Only(_) => Self::NOWHERE,
        }
    }

    /// What becomes of `name` in a call of `model`.
    #[must_use]
    pub fn fate<'a>(&self, name: &'a str, model: &str) -> BetaFate<'a> {
        match self.rule {
            BetaRule::AllBut(refused) if refused.contains(&name) => BetaFate::Refused,
            BetaRule::AllBut(_) => BetaFate::Sent(name),
            BetaRule::Only(taken) => match taken.iter().find(|beta| beta.name == name) {
                None => BetaFate::Refused,
                Some(beta) if beta.until.is_some_and(|until| claude_version(model) >= Some(until)) => {
                    BetaFate::Needless
                }
                Some(beta) => BetaFate::Sent(beta.there),
            },
        }
    }
}

const fn beta(name: &'static str) -> Beta {
    Beta { name, there: name, until: None }
}

/// From 4.7 on these features need no name.
const fn until_4_7(name: &'static str) -> Beta {
    Beta { name, there: name, until: Some((4, 7)) }
}

/// Anthropic's own name of a bundle, of which clouds have the search of tools.
const TOOL_SEARCH: Beta =
    Beta { name: "advanced-tool-use-2025-11-20", there: "tool-search-tool-2025-10-19", until: None };

const ON_BEDROCK: &[Beta] = &[
    TOOL_SEARCH,
    beta("compact-2026-01-12"),
    beta("computer-use-2024-10-22"),
    beta("computer-use-2025-01-24"),
    beta("computer-use-2025-11-24"),
    until_4_7("context-1m-2025-08-07"),
    beta("context-management-2025-06-27"),
    until_4_7("dev-full-thinking-2025-05-14"),
    until_4_7("effort-2025-11-24"),
    until_4_7("fine-grained-tool-streaming-2025-05-14"),
    until_4_7("interleaved-thinking-2025-05-14"),
    until_4_7("output-128k-2025-02-19"),
    until_4_7("structured-outputs-2025-11-13"),
    until_4_7("token-efficient-tools-2025-02-19"),
    beta("tool-examples-2025-10-29"),
    beta("tool-search-tool-2025-10-19"),
];

const ON_VERTEX: &[Beta] = &[
    TOOL_SEARCH,
    beta("compact-2026-01-12"),
    beta("computer-use-2024-10-22"),
    beta("computer-use-2025-01-24"),
    beta("computer-use-2025-11-24"),
    beta("context-1m-2025-08-07"),
    beta("context-management-2025-06-27"),
    beta("interleaved-thinking-2025-05-14"),
    beta("tool-search-tool-2025-10-19"),
    // Google asks for it beside the tool:
    // <https://docs.cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/web-search>
    beta("web-search-2025-03-05"),
];

/// Major and minor version in the id of a Claude, whether they stand before or behind the model's name.
/// `None` when the id names no Claude, or none with a number.
pub(crate) fn claude_version(model: &str) -> Option<(u32, u32)> {
    let lower = model.to_ascii_lowercase();
    let (_, name) = lower.split_once("claude")?;
    let short = |part: &str| part.parse::<u32>().ok().filter(|_| part.len() <= 2);
    let mut parts = name.split(['-', '.', ':', '@']).skip_while(|part| short(part).is_none());
    let major = parts.next().and_then(short)?;
    Some((major, parts.next().and_then(short).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clouds_take_what_they_are_known_to_take_and_the_api_takes_all() {
        let sonnet = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
        for (betas, name, fate) in [
            (Betas::ALL, "new-2027-01-01", BetaFate::Sent("new-2027-01-01")),
            (Betas::AZURE, "new-2027-01-01", BetaFate::Sent("new-2027-01-01")),
            (Betas::AZURE, "fast-mode-2026-02-01", BetaFate::Refused),
            (Betas::INVOKE, "claude-code-20250219", BetaFate::Refused),
            (Betas::INVOKE, "effort-2025-11-24", BetaFate::Sent("effort-2025-11-24")),
            (Betas::CONVERSE, "prompt-caching-scope-2026-01-05", BetaFate::Refused),
            (Betas::CONVERSE, "advanced-tool-use-2025-11-20", BetaFate::Sent("tool-search-tool-2025-10-19")),
            (Betas::VERTEX, "effort-2025-11-24", BetaFate::Refused),
            (Betas::VERTEX, "web-search-2025-03-05", BetaFate::Sent("web-search-2025-03-05")),
            (Betas::INVOKE, "web-search-2025-03-05", BetaFate::Refused),
            (Betas::VERTEX, "context-1m-2025-08-07", BetaFate::Sent("context-1m-2025-08-07")),
        ] {
            assert_eq!(betas.fate(name, sonnet), fate, "{name}");
        }
    }

    #[test]
    fn names_of_what_newer_models_have_anyway_are_not_sent() {
        let fate = |model| Betas::INVOKE.fate("interleaved-thinking-2025-05-14", model);
        assert_eq!(fate("global.anthropic.claude-opus-4-7"), BetaFate::Needless);
        assert_eq!(fate("anthropic.claude-opus-5"), BetaFate::Needless);
        for older in
            ["global.anthropic.claude-opus-4-6-v1", "anthropic.claude-3-7-sonnet-20250219-v1:0", "arn:x"]
        {
            assert_eq!(fate(older), BetaFate::Sent("interleaved-thinking-2025-05-14"), "{older}");
        }
    }

    #[test]
    fn lists_hold_each_name_once_and_in_order() {
        for list in [ON_BEDROCK, ON_VERTEX] {
            assert!(list.is_sorted_by(|a, b| a.name < b.name));
            assert!(list.iter().all(|beta| list.iter().any(|other| other.name == beta.there)));
        }
    }
}
