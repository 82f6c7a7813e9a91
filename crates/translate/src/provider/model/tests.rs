use super::*;

fn claude(model: &str) -> (u64, ThinkingStyle, SamplingRule) {
    let rules = ModelRules::of("anthropic", Wire::Anthropic, model);
    (rules.max_output_tokens, rules.thinking, rules.sampling)
}

#[test]
fn file_is_read_and_general_entries_give_every_field() {
    let entries = parse().unwrap();
    let known = |name: &String| Wire::named(name).is_some();
    assert!(
        entries.iter().filter_map(|entry| entry.wire.as_ref()).all(|wires| wires.names().iter().all(known))
    );
    for wire in Wire::ALL.into_iter().chain(Wire::UPSTREAM_ONLY) {
        let last = entries.iter().rfind(|entry| entry.matches("p", wire, "no such model")).unwrap();
        assert!(last.max_output_tokens.is_some() && last.thinking.is_some() && last.sampling.is_some());
        let flags = [last.xhigh_effort, last.structured_output, last.prefill, last.developer_role];
        assert!(flags.iter().all(Option::is_some) && last.openai_reasoning.is_some(), "{wire:?}");
        assert_eq!(last.input.is_some(), wire == Wire::Replicate, "{wire:?}");
    }
}

#[test]
fn claude_families_have_their_rules_however_they_are_written() {
    use SamplingRule::{Fixed, Free, NotBoth};
    use ThinkingStyle::{Adaptive, Budget, None};
    let cases = [
        ("claude-3-haiku-20240307", (4096, None, Free)),
        ("claude-3-5-haiku-latest", (8192, None, Free)),
        ("anthropic/claude-3.7-sonnet:thinking", (64000, Budget, Free)),
        ("claude-sonnet-4-20250514", (64000, Budget, Free)),
        ("anthropic/claude-sonnet-4", (64000, Budget, Free)),
        ("claude-opus-4-20250514", (32000, Budget, Free)),
        ("claude-opus-4@20250514", (32000, Budget, Free)),
        ("claude-opus-4-1-20250805", (32000, Budget, NotBoth)),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", (64000, Budget, NotBoth)),
        ("anthropic/claude-haiku-4.5", (64000, Budget, NotBoth)),
        ("claude-opus-4-6", (128_000, Adaptive, NotBoth)),
        ("claude-opus-4-7", (128_000, Adaptive, Fixed)),
        ("Claude-Sonnet-5", (128_000, Adaptive, Fixed)),
        ("claude-of-the-future", (128_000, Adaptive, Fixed)),
        ("kimi-k2", (32000, Budget, Free)),
    ];
    for (model, expected) in cases {
        assert_eq!(claude(model), expected, "{model}");
    }
    let prefill = |model| ModelRules::of("anthropic", Wire::Anthropic, model).prefill;
    assert!(prefill("claude-opus-4-5") && !prefill("claude-opus-4-6") && !prefill("claude-opus-5"));
    let xhigh = |model| ModelRules::of("anthropic", Wire::Anthropic, model).xhigh_effort;
    assert!(!xhigh("claude-opus-4-6") && xhigh("claude-opus-4-7"));
}

#[test]
fn claude_on_bedrock_has_anthropics_rules_but_for_schemas() {
    let rules = |model| ModelRules::of("bedrock", Wire::BedrockConverse, model);
    let sonnet = rules("us.anthropic.claude-sonnet-4-5-20250929-v1:0");
    assert_eq!((sonnet.thinking, sonnet.sampling), (ThinkingStyle::Budget, SamplingRule::NotBoth));
    assert!(sonnet.structured_output && sonnet.prefill);
    let newest = rules("global.anthropic.claude-opus-4-7");
    assert_eq!((newest.thinking, newest.sampling), (ThinkingStyle::Adaptive, SamplingRule::Fixed));
    assert!(!newest.structured_output);
    assert!(
        !rules("us.amazon.nova-pro-v1:0").structured_output
            && rules("openai.gpt-oss-20b-1:0").structured_output
    );
    assert_eq!(rules("us.meta.llama4-scout-17b-instruct-v1:0").thinking, ThinkingStyle::None);
}

#[test]
fn other_wires_know_their_families() {
    let rules = |wire: Wire, model| {
        let rules = ModelRules::of("p", wire, model);
        (rules.max_output_tokens, rules.thinking, rules.structured_output)
    };
    use ThinkingStyle::{Budget, None};
    let cases = [
        (Wire::Cohere, "command-a-reasoning-08-2025", (32000, Budget, true)),
        (Wire::Cohere, "command-r-08-2024", (4096, None, true)),
        (Wire::Gemini, "gemini-2.0-flash", (8192, None, true)),
        (Wire::OpenAiResponses, "gpt-5", (1_000_000, None, true)),
    ];
    for (wire, model, expected) in cases {
        assert_eq!(rules(wire, model), expected, "{model}");
    }
    let openai = |model| ModelRules::of("openai", Wire::OpenAiResponses, model);
    assert!(openai("gpt-5").openai_reasoning && openai("o3").takes_effort == Some(true));
    assert!(!openai("gpt-4o").openai_reasoning && openai("gpt-4o").takes_effort == Some(false));
}

#[test]
fn gemini_families_are_asked_to_reason_in_their_own_way() {
    use ThinkingStyle::{Level, None, Range};
    let flash = Range { least: 1, most: 24576, off: true };
    let cases = [
        ("gemini-2.0-flash", None),
        ("gemini-2.5-flash-image", None),
        ("gemini-2.5-flash", flash),
        ("publishers/google/models/gemini-2.5-flash-preview-09-2025", flash),
        ("gemini-2.5-flash-lite", Range { least: 512, most: 24576, off: true }),
        ("google/gemini-2.5-pro", Range { least: 128, most: 32768, off: false }),
        ("gemini-3-pro-preview", Level { minimal: false, medium: false }),
        ("gemini-3-flash-preview", Level { minimal: true, medium: true }),
        ("gemini-3.1-pro-preview", Level { minimal: false, medium: true }),
        ("gemini-flash-latest", Level { minimal: false, medium: true }),
        ("1234567890", Range { least: 128, most: 24576, off: false }),
    ];
    for (model, expected) in cases {
        assert_eq!(ModelRules::of("gemini", Wire::Gemini, model).thinking, expected, "{model}");
    }
    let most = |model| ModelRules::of("gemini", Wire::Gemini, model).max_output_tokens;
    assert_eq!((most("gemini-2.0-flash"), most("gemini-2.5-pro")), (8192, 65536));
}

#[test]
fn openai_reasoning_families_are_known() {
    let rules = |model| ModelRules::of("openai", Wire::OpenAiChat, model);
    for model in ["o1", "o3-mini", "o4-mini-2025-04-16", "gpt-5", "gpt-5.2-codex", "openai/gpt-5-nano"] {
        assert!(rules(model).openai_reasoning && rules(model).developer_role, "{model}");
    }
    for model in ["gpt-4o", "gpt-4.1", "gpt-5-chat-latest", "gpt-oss-120b", "olmo", "claude-sonnet-4-5"] {
        assert!(!rules(model).openai_reasoning, "{model}");
    }
    assert!(!rules("o1-mini").developer_role);
}

#[test]
fn inputs_of_predictions_have_the_names_of_their_model() {
    let input = |model| ModelRules::of("replicate", Wire::Replicate, model).input.unwrap();
    let limits = [
        ("meta/meta-llama-3-70b-instruct", "max_tokens"),
        ("meta/llama-2-70b-chat:02e509c7", "max_new_tokens"),
        ("mistralai/mixtral-8x7b-instruct-v0.1", "max_new_tokens"),
        ("openai/gpt-4.1-mini", "max_completion_tokens"),
        ("openai/gpt-5.1", "max_completion_tokens"),
        ("openai/gpt-oss-120b", "max_tokens"),
        ("google/gemini-2.5-flash", "max_output_tokens"),
        ("anthropic/claude-4-sonnet", "max_tokens"),
        ("somebody/finetune:0123", "max_tokens"),
    ];
    for (model, name) in limits {
        assert_eq!(input(model).max_tokens, name, "{model}");
    }
    assert_eq!(input("google/gemini-3-pro").system.as_deref(), Some("system_instruction"));
    assert_eq!(input("ibm-granite/granite-3.3-8b-instruct").system.as_deref(), Some("system_prompt"));
    assert_eq!(input("deepseek-ai/deepseek-r1").system, None);
    assert!(input("openai/gpt-5").reasoning.is_some() && input("openai/gpt-4o").reasoning.is_none());
    assert_eq!(ModelRules::of("openai", Wire::OpenAiChat, "gpt-4o").input, None);
}

#[test]
fn efforts_go_where_the_model_is_known_to_take_them() {
    let takes = |provider, model| ModelRules::of(provider, Wire::OpenAiChat, model).takes_effort;
    for (provider, model) in
        [("openai", "gpt-5.2"), ("gemini_openai", "gemini-2.5-flash"), ("groq", "openai/gpt-oss-20b")]
    {
        assert_eq!(takes(provider, model), Some(true), "{model}");
    }
    for (provider, model) in
        [("openai", "gpt-4o"), ("openai", "gpt-5-chat-latest"), ("gemini_openai", "gemini-2.0-flash")]
    {
        assert_eq!(takes(provider, model), Some(false), "{model}");
    }
    assert_eq!(takes("vllm", "qwen3"), None);
}

#[test]
fn thinking_turned_off_was_an_effort_that_the_model_refused() {
    use Effort::{High, Low, Max, Medium, Minimal, None, XHigh};
    for (model, none, minimal, max) in [
        ("gpt-5", Minimal, Minimal, High),
        ("gpt-5-2025-08-07", Minimal, Minimal, High),
        ("openai/gpt-5-mini", Minimal, Minimal, High),
        ("gpt-5-codex", Low, Low, High),
        ("gpt-5.1-codex-mini", Low, Low, High),
        ("gpt-5.1-codex-max", Low, Low, XHigh),
        ("gpt-5.3-codex", Low, Low, XHigh),
        ("o3", Low, Low, High),
        ("o4-mini-2025-04-16", Low, Low, High),
        ("gpt-5-pro", High, High, High),
        ("gpt-5.2-pro", Medium, Medium, XHigh),
        ("gpt-5.1", None, Low, High),
        ("gpt-5.2-2025-12-11", None, Low, XHigh),
        ("gpt-oss-120b", Low, Low, High),
        ("qwen3", None, Minimal, XHigh),
    ] {
        for wire in [Wire::OpenAiChat, Wire::OpenAiResponses] {
            let rules = ModelRules::of("openai", wire, model);
            let fit = [None, Minimal, Max].map(|effort| rules.fit_effort(effort));
            assert_eq!(fit, [none, minimal, max], "{model}");
            assert_eq!(rules.fit_effort(High), High);
        }
    }
}

#[test]
fn reasoning_must_be_echoed_to_the_models_that_say_so() {
    let needs = |provider, model| ModelRules::of(provider, Wire::OpenAiChat, model).needs_reasoning_echo;
    assert!(needs("deepseek", "deepseek-v4") && needs("deepseek", "deepseek-v3.2"));
    assert!(!needs("deepseek", "deepseek-chat") && !needs("openai", "deepseek-v4"));
}

/// Run by hand: `cargo test -p translate --release -- --ignored --nocapture rules_lookup`.
#[test]
#[ignore = "a measurement"]
fn rules_lookup_takes_under_two_microseconds() {
    for (provider, wire, model) in [
        ("anthropic", Wire::Anthropic, "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ("openai", Wire::OpenAiChat, "gpt-4o-mini"),
        ("vllm", Wire::OpenAiChat, "meta-llama/Llama-3.3-70B-Instruct"),
    ] {
        let begun = std::time::Instant::now();
        for _ in 0..100_000 {
            std::hint::black_box(ModelRules::of(provider, wire, std::hint::black_box(model)));
        }
        println!("{model}: {} ns", begun.elapsed().as_nanos() / 100_000);
    }
}

#[test]
fn rules_are_the_same_when_they_are_remembered_and_forgotten() {
    let names: Vec<String> = (0..40).map(|n| format!("claude-opus-4-{}", n % 20)).collect();
    for name in names.iter().chain([&"x".repeat(1000)]) {
        for wire in Wire::ALL {
            let rules = ModelRules::look_up("anthropic", wire, name);
            assert_eq!(ModelRules::of("anthropic", wire, name), rules);
            assert_eq!(ModelRules::of("anthropic", wire, name), rules);
        }
    }
    assert!(MEMORY.with_borrow(|memory| memory.known.len()) <= Memory::MOST);
}

#[test]
fn star_stands_for_any_text() {
    for (pattern, name) in [("a*", "a"), ("*", ""), ("a*c", "abc"), ("a*b*c", "a1b2b3c"), ("abc", "abc")] {
        assert!(glob(pattern, name), "{pattern} {name}");
    }
    for (pattern, name) in [("a*", "b"), ("a*c", "ab"), ("abc", "abcd"), ("a*ba", "a"), ("ab*ba", "aba")] {
        assert!(!glob(pattern, name), "{pattern} {name}");
    }
}
