//! Which models go on with an answer that somebody else began, and how they are asked to.
//!
//! Most chat APIs take an assistant's message at the end and begin a new answer behind it. Those listed here write on
//! from its last word. What is not known to, does not: a text that says its beginning twice is worse than an error. The
//! sources: the vendors' pages on prefilling (Anthropic, Groq), `prefix` (Mistral, DeepSeek), `partial` (Moonshot,
//! Alibaba), and vLLM's and SGLang's `continue_final_message`.

use serde_json::{Map, Value};

use super::ModelRules;
use super::model::{family_name, glob};
use crate::Wire;
use crate::ir::{Message, OutputFormat, Part, Request, Role};

/// How a model is asked to go on with the last message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Continues {
    /// The message alone says it.
    Plain,
    /// The message has this member, true.
    Marked(&'static str),
    /// The same, at a path of its own below the base URL.
    MarkedAt(&'static str, &'static str),
    /// The request says so: `continue_final_message`, and no prompt for a new answer.
    FinalMessage,
}

struct Row {
    provider: &'static str,
    /// Patterns as in `models.json`.
    models: &'static [&'static str],
    how: Continues,
}

/// Hosts on OpenAI's wire. Models that reason are left out where it is not known that they can be told not to.
const ROWS: [Row; 8] = [
    Row { provider: "dashscope", models: QWEN, how: Continues::Marked("partial") },
    Row {
        provider: "deepseek",
        models: &["deepseek-chat"],
        how: Continues::MarkedAt("prefix", "/beta/chat/completions"),
    },
    Row {
        provider: "groq",
        models: &["llama*", "gemma*", "mixtral*", "mistral*", "kimi-k2-instruct*"],
        how: Continues::Plain,
    },
    Row { provider: "llamacpp", models: &["*"], how: Continues::Plain },
    Row {
        provider: "mistral",
        models: &["mistral*", "ministral*", "codestral*", "open-mi*", "pixtral*", "devstral*"],
        how: Continues::Marked("prefix"),
    },
    Row {
        provider: "moonshot",
        models: &["moonshot-v1*", "kimi-k2-0*", "kimi-k2-turbo*", "kimi-latest"],
        how: Continues::Marked("partial"),
    },
    Row { provider: "sgl", models: &["*"], how: Continues::FinalMessage },
    Row { provider: "vllm", models: &["*"], how: Continues::FinalMessage },
];

const QWEN: &[&str] = &[
    "qwen-max*",
    "qwen-plus*",
    "qwen-flash*",
    "qwen-turbo*",
    "qwen-coder*",
    "qwen3-max*",
    "qwen3-coder*",
    "qwen2-5-*",
];

/// Where Claude is served on OpenAI's wire and its last message is passed on.
const CLAUDE_HOSTS: [&str; 1] = ["openrouter"];

impl Continues {
    /// How the model of the preset `provider` is asked on that wire; `None` when it is not known to go on.
    #[must_use]
    pub fn of(provider: &str, wire: Wire, model: &str) -> Option<Self> {
        let lower = model.to_ascii_lowercase();
        let name = family_name(&lower);
        let hosts_claude = match wire {
            Wire::Anthropic | Wire::BedrockConverse => true,
            Wire::OpenAiChat => CLAUDE_HOSTS.contains(&provider),
            _ => return None,
        };
        if name.starts_with("claude") {
            let rules = ModelRules::of(provider, Wire::Anthropic, model);
            return (hosts_claude && rules.prefill && !rules.always_thinks).then_some(Self::Plain);
        }
        let fits = |row: &&Row| row.provider == provider && row.models.iter().any(|known| glob(known, &name));
        ROWS.iter().find(fits).filter(|_| wire == Wire::OpenAiChat).map(|row| row.how)
    }

    /// The path below the base URL, where it is another one than that of chat.
    #[must_use]
    pub fn path(self) -> Option<&'static str> {
        match self {
            Self::MarkedAt(_, path) => Some(path),
            _ => None,
        }
    }

    /// Marks a chat request whose last message is to be gone on with. A body that is none comes back as it is.
    #[must_use]
    pub fn mark(self, body: Vec<u8>) -> Vec<u8> {
        if self == Self::Plain {
            return body;
        }
        let Ok(mut request) = serde_json::from_slice::<Map<String, Value>>(&body) else { return body };
        match self {
            Self::Plain => {}
            Self::Marked(name) | Self::MarkedAt(name, _) => {
                let messages = request.get_mut("messages").and_then(Value::as_array_mut);
                let last = messages.and_then(|list| list.last_mut()).and_then(Value::as_object_mut);
                last.into_iter().for_each(|last| drop(last.insert(name.to_owned(), Value::Bool(true))));
            }
            Self::FinalMessage => {
                request.insert("continue_final_message".to_owned(), Value::Bool(true));
                request.insert("add_generation_prompt".to_owned(), Value::Bool(false));
            }
        }
        serde_json::to_vec(&request).unwrap_or(body)
    }
}

impl Request {
    /// The request for the rest of an answer: `said` is its text so far, without white space at its end, and `written`
    /// how many tokens that took. Without a text it is the request for the whole answer, with what is left of its limit.
    /// `None`: what is asked for cannot be had in two pieces, or nothing is left of the limit.
    #[must_use]
    pub fn gone_on_with(&self, said: &str, written: u64) -> Option<Self> {
        let shaped =
            matches!(self.output_format, Some(OutputFormat::JsonObject | OutputFormat::JsonSchema(_)));
        let several = self.sampling.n.is_some_and(|n| n > 1);
        let forced = self.tool_choice.as_ref().is_some_and(|choice| choice.forces());
        if several || (!said.is_empty() && (shaped || forced)) {
            return None;
        }
        let mut request = self.clone();
        if let Some(most) = &mut request.max_tokens {
            *most = most.checked_sub(written).filter(|left| *left > 0)?;
        }
        if said.is_empty() {
            return Some(request);
        }
        // What goes on with a text does not think before it.
        request.reasoning = None;
        match request.messages.last_mut() {
            // The caller itself gave the beginning.
            Some(last) if last.role == Role::Assistant => match last.parts.last_mut() {
                Some(Part::Text(text)) => text.text.push_str(said),
                _ => last.parts.push(Part::text(said)),
            },
            _ => request.messages.push(Message {
                role: Role::Assistant,
                name: None,
                parts: vec![Part::text(said)],
                extra: crate::ir::Extra::default(),
            }),
        }
        Some(request)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ir::{Reasoning, Sampling, ToolChoice};

    #[test]
    fn models_that_go_on_are_known_and_others_do_not() {
        let plain = [
            ("anthropic", Wire::Anthropic, "claude-sonnet-4-5-20250929"),
            ("bedrock", Wire::BedrockConverse, "us.anthropic.claude-haiku-4-5-20251001-v1:0"),
            ("openrouter", Wire::OpenAiChat, "anthropic/claude-sonnet-4"),
            ("groq", Wire::OpenAiChat, "llama-3.3-70b-versatile"),
        ];
        for (provider, wire, model) in plain {
            assert_eq!(Continues::of(provider, wire, model), Some(Continues::Plain), "{model}");
        }
        assert_eq!(Continues::of("vllm", Wire::OpenAiChat, "anything"), Some(Continues::FinalMessage));
        let marked = Continues::of("mistral", Wire::OpenAiChat, "mistral-small-latest");
        assert_eq!(marked, Some(Continues::Marked("prefix")));
        assert_eq!(
            Continues::of("dashscope", Wire::OpenAiChat, "qwen-plus"),
            Some(Continues::Marked("partial"))
        );
        let beta = Continues::of("deepseek", Wire::OpenAiChat, "deepseek-chat").unwrap();
        assert_eq!(beta.path(), Some("/beta/chat/completions"));
        let refusing = [
            ("anthropic", Wire::Anthropic, "claude-opus-4-6"),
            ("anthropic", Wire::Anthropic, "claude-of-the-future"),
            ("anthropic", Wire::Anthropic, "some-other-model"),
            ("bedrock", Wire::BedrockConverse, "us.amazon.nova-pro-v1:0"),
            ("openai", Wire::OpenAiChat, "gpt-4o"),
            ("openai", Wire::OpenAiResponses, "gpt-5"),
            ("openrouter", Wire::OpenAiChat, "anthropic/claude-opus-4.6"),
            ("openrouter", Wire::OpenAiChat, "openai/gpt-4o"),
            ("mistral", Wire::OpenAiChat, "magistral-medium-latest"),
            ("vllm", Wire::OpenAiResponses, "anything"),
            ("gemini", Wire::Gemini, "gemini-2.5-flash"),
            ("cohere", Wire::Cohere, "command-a-03-2025"),
        ];
        for (provider, wire, model) in refusing {
            assert_eq!(Continues::of(provider, wire, model), None, "{provider} {model}");
        }
    }

    #[test]
    fn every_row_is_a_preset() {
        for provider in ROWS.iter().map(|row| row.provider).chain(CLAUDE_HOSTS) {
            assert!(crate::provider::find(provider).is_some(), "{provider}");
        }
    }

    #[test]
    fn the_mark_stands_where_the_vendor_looks_for_it() {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": "x"},
            {"role": "assistant", "content": "y"}], "stream": true});
        let marked = |how: Continues| -> Value {
            serde_json::from_slice(&how.mark(body.to_string().into_bytes())).unwrap()
        };
        assert_eq!(marked(Continues::Plain), body);
        let prefix = marked(Continues::Marked("prefix"));
        assert_eq!(
            (&prefix["messages"][0]["prefix"], &prefix["messages"][1]["prefix"]),
            (&json!(null), &json!(true))
        );
        let last = marked(Continues::FinalMessage);
        assert_eq!(
            (&last["continue_final_message"], &last["add_generation_prompt"]),
            (&json!(true), &json!(false))
        );
        assert_eq!(last["messages"], body["messages"]);
    }

    fn asked() -> Request {
        let message = |role, text: &str| Message {
            role,
            name: None,
            parts: vec![Part::text(text)],
            extra: crate::ir::Extra::default(),
        };
        Request { messages: vec![message(Role::User, "Go.")], max_tokens: Some(64), ..Request::default() }
    }

    #[test]
    fn the_rest_is_asked_for_with_what_is_left() {
        let rest = asked().gone_on_with("The answer", 14).unwrap();
        assert_eq!((rest.max_tokens, rest.messages.len()), (Some(50), 2));
        assert_eq!(
            (rest.messages[1].role, &rest.messages[1].parts[0]),
            (Role::Assistant, &Part::text("The answer"))
        );
        assert!(asked().gone_on_with("The answer", 64).is_none());
        let again = rest.gone_on_with(" is", 1).unwrap();
        assert_eq!((again.messages.len(), &again.messages[1].parts[0]), (2, &Part::text("The answer is")));
        let whole = asked().gone_on_with("", 4).unwrap();
        assert_eq!((whole.max_tokens, whole.messages.len()), (Some(60), 1));
    }

    #[test]
    fn what_cannot_be_had_in_two_pieces_is_not_asked_for() {
        let shaped = Request { output_format: Some(OutputFormat::JsonObject), ..asked() };
        let forced = Request { tool_choice: Some(ToolChoice::Required), ..asked() };
        let several = Request { sampling: Sampling { n: Some(2), ..Sampling::default() }, ..asked() };
        for request in [shaped, forced, several] {
            assert!(request.gone_on_with("x", 1).is_none());
        }
        let thinks =
            Request { reasoning: Some(Reasoning { enabled: Some(true), ..Reasoning::default() }), ..asked() };
        assert!(thinks.gone_on_with("x", 1).unwrap().reasoning.is_none());
        assert!(thinks.gone_on_with("", 1).unwrap().reasoning.is_some());
    }
}
