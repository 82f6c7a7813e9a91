//! Which family a model id names, and what Converse takes for it. Ids come with region prefixes (`us.`,
//! `global.`), as inference profiles and as ARNs of either; only the vendor's part counts. What ages with
//! every model (limits, ways to reason) is `models.json`'s.

use crate::provider::claude_version;

/// The families that differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Claude,
    Cohere,
    DeepSeek,
    GptOss,
    Jamba,
    /// Llama, and Titan: text and tools, and none of what the others add.
    Llama,
    Mistral,
    Nova,
    /// The second generation reasons when asked.
    Nova2,
    /// A vendor that is not listed: what only few models take is held back.
    Other,
    /// Its id does not tell (application inference profiles, provisioned and imported models): nothing is held
    /// back that some model takes.
    Unknown,
}

const NAMES: [(&str, Family); 10] = [
    ("claude", Family::Claude),
    ("cohere.", Family::Cohere),
    ("deepseek.", Family::DeepSeek),
    ("gpt-oss", Family::GptOss),
    ("ai21.", Family::Jamba),
    ("meta.llama", Family::Llama),
    ("mistral.", Family::Mistral),
    ("amazon.nova-2", Family::Nova2),
    ("amazon.nova", Family::Nova),
    ("amazon.titan", Family::Llama),
];

impl Family {
    pub(super) fn of(model: &str) -> Self {
        let lower = model.to_ascii_lowercase();
        let known = NAMES.iter().find(|(part, _)| lower.contains(part)).map(|(_, family)| *family);
        // A model's own id begins with its vendor; ids of resources have no dots.
        let names_vendor = || lower.rsplit('/').next().is_some_and(|name| name.contains('.'));
        known.unwrap_or_else(|| if names_vendor() { Self::Other } else { Self::Unknown })
    }

    /// Takes `toolChoice.any`. Of an unlisted vendor's models it is tried: a choice must not vanish silently.
    pub(super) fn takes_any(self) -> bool {
        matches!(self, Self::Claude | Self::Mistral | Self::Nova | Self::Nova2 | Self::Other | Self::Unknown)
    }

    /// Takes `toolChoice.tool`.
    pub(super) fn takes_named(self) -> bool {
        matches!(self, Self::Claude | Self::Nova | Self::Nova2 | Self::Other | Self::Unknown)
    }

    /// Takes them among the tools as well.
    pub(super) fn caches_tools(self) -> bool {
        matches!(self, Self::Claude | Self::Unknown)
    }

    /// Takes `status` on a tool's result.
    pub(super) fn takes_status(self) -> bool {
        matches!(self, Self::Claude | Self::Nova | Self::Nova2 | Self::Unknown)
    }

    /// Takes audio blocks.
    pub(super) fn hears(self) -> bool {
        matches!(self, Self::Nova | Self::Nova2 | Self::Mistral | Self::Other | Self::Unknown)
    }

    /// Signs its reasoning, and takes it back.
    pub(super) fn signs(self) -> bool {
        matches!(self, Self::Claude | Self::Unknown)
    }

    /// Cites documents, and takes search results as such.
    pub(super) fn cites(self) -> bool {
        matches!(self, Self::Claude | Self::Unknown)
    }
}

/// Whether the model takes cache points in `system` and `messages`: Claude since 3.5 v2.
pub(super) fn caches(model: &str) -> bool {
    match Family::of(model) {
        Family::Claude => {
            let first = model.contains("claude-3-5-sonnet-20240620");
            !first && claude_version(model).is_none_or(|version| version >= (3, 5))
        }
        Family::Nova | Family::Nova2 | Family::Unknown => true,
        _ => false,
    }
}

/// Whether the model takes cache points that live for an hour: Claude from 4.5 on.
pub(super) fn caches_for_an_hour(model: &str) -> bool {
    match Family::of(model) {
        Family::Claude => claude_version(model).is_none_or(|version| version >= (4, 5)),
        Family::Unknown => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_every_form_name_their_family() {
        let cases = [
            ("anthropic.claude-3-haiku-20240307-v1:0", Family::Claude),
            ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", Family::Claude),
            ("arn:aws:bedrock:eu-west-1:1:inference-profile/eu.amazon.nova-pro-v1:0", Family::Nova),
            ("global.amazon.nova-2-lite-v1:0", Family::Nova2),
            ("us.meta.llama4-maverick-17b-instruct-v1:0", Family::Llama),
            ("mistral.mistral-large-2402-v1:0", Family::Mistral),
            ("us.deepseek.r1-v1:0", Family::DeepSeek),
            ("openai.gpt-oss-120b-1:0", Family::GptOss),
            ("cohere.command-r-v1:0", Family::Cohere),
            ("ai21.jamba-1-5-large-v1:0", Family::Jamba),
            ("arn:aws:bedrock:us-east-1:1:application-inference-profile/abc", Family::Unknown),
            ("arn:aws:bedrock:us-east-1:1:provisioned-model/abc", Family::Unknown),
            ("abc123", Family::Unknown),
            ("qwen.qwen3-coder-480b-a35b-v1:0", Family::Other),
            ("arn:aws:bedrock:us-east-1::foundation-model/moonshot.kimi-k2-thinking", Family::Other),
        ];
        for (model, family) in cases {
            assert_eq!(Family::of(model), family, "{model}");
        }
    }

    #[test]
    fn cache_points_went_to_models_that_refuse_them() {
        for model in [
            "anthropic.claude-3-haiku-20240307-v1:0",
            "anthropic.claude-3-5-sonnet-20240620-v1:0",
            "us.anthropic.claude-3-opus-20240229-v1:0",
            "anthropic.claude-v2:1",
            "qwen.qwen3-32b-v1:0",
            "us.meta.llama3-3-70b-instruct-v1:0",
        ] {
            assert!(!caches(model), "{model}");
        }
        for model in [
            "us.anthropic.claude-3-5-haiku-20241022-v1:0",
            "anthropic.claude-3-5-sonnet-20241022-v2:0",
            "anthropic.claude-3-7-sonnet-20250219-v1:0",
            "global.anthropic.claude-opus-4-6-v1",
            "us.amazon.nova-pro-v1:0",
            "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc",
        ] {
            assert!(caches(model), "{model}");
        }
    }

    #[test]
    fn hour_long_cache_points_begin_with_claude_4_5() {
        for model in
            ["us.anthropic.claude-sonnet-4-5-20250929-v1:0", "anthropic.claude-opus-5", "claude-next"]
        {
            assert!(caches_for_an_hour(model), "{model}");
        }
        for model in [
            "anthropic.claude-3-5-sonnet-20241022-v2:0",
            "anthropic.claude-sonnet-4-20250514-v1:0",
            "anthropic.claude-opus-4-1-20250805-v1:0",
            "amazon.nova-pro-v1:0",
        ] {
            assert!(!caches_for_an_hour(model), "{model}");
        }
    }
}
