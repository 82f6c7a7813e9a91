use super::*;

fn asked(path: &str) -> Asked {
    match find(&Method::POST, path) {
        Route::Provider(asked) => asked,
        other => panic!("{path}: {other:?}"),
    }
}

fn told(path: &str) -> (Operation, Wire, Family) {
    let endpoint = asked(path).endpoint;
    (endpoint.operation, endpoint.dialect, endpoint.family)
}

#[test]
fn every_shown_path_is_found_by_its_own_method() {
    for (method, path) in all() {
        let method: Method = method.parse().unwrap();
        let path = path.replace("{model}", "m").replace("{id}", "resp_1");
        assert!(
            matches!(find(&method, &path), Route::Provider(_) | Route::Local(_) | Route::Administration),
            "{method} {path}"
        );
    }
}

#[test]
fn no_path_names_a_wire_that_callers_do_not_speak() {
    let posts = POSTS.iter().map(|(_, _, dialect)| *dialect);
    let dialects = posts.chain(PASSTHROUGHS.iter().map(|(_, _, dialect)| *dialect));
    let shown = all().map(|(_, path)| dialect_of(path));
    for dialect in dialects.chain(shown) {
        assert!(dialect.dialect().is_some(), "{dialect:?}");
    }
}

#[test]
fn each_dialect_is_known_by_its_path_under_every_prefix() {
    use Operation::{Chat, Completions, CountTokens, Embeddings, Rerank};
    for (path, expected) in [
        ("/v1/chat/completions", (Chat, Wire::OpenAiChat, Family::Unified)),
        ("/v1/responses", (Chat, Wire::OpenAiResponses, Family::Unified)),
        ("/openai/responses", (Chat, Wire::OpenAiResponses, Family::OpenAi)),
        ("/v1/responses/input_tokens", (CountTokens, Wire::OpenAiResponses, Family::Unified)),
        ("/openai/responses/input_tokens", (CountTokens, Wire::OpenAiResponses, Family::OpenAi)),
        ("/litellm/responses/input_tokens", (CountTokens, Wire::OpenAiResponses, Family::OpenAi)),
        ("/langchain/v1/messages/count_tokens", (CountTokens, Wire::Anthropic, Family::Anthropic)),
        ("/bedrock/model/m/count-tokens", (CountTokens, Wire::BedrockConverse, Family::Bedrock)),
        ("/litellm/model/m/count-tokens", (CountTokens, Wire::BedrockConverse, Family::Bedrock)),
        ("/v1beta/models/m:countTokens", (CountTokens, Wire::Gemini, Family::Gemini)),
        ("/v1/completions", (Completions, Wire::OpenAiChat, Family::Unified)),
        ("/v1/rerank", (Rerank, Wire::Cohere, Family::Unified)),
        ("/v2/chat", (Chat, Wire::Cohere, Family::Cohere)),
        ("/cohere/v2/embed", (Embeddings, Wire::Cohere, Family::Cohere)),
        ("/litellm/v1/chat/completions", (Chat, Wire::OpenAiChat, Family::OpenAi)),
        ("/cursor/chat/completions", (Chat, Wire::OpenAiChat, Family::OpenAi)),
        ("/langchain/v1/messages", (Chat, Wire::Anthropic, Family::Anthropic)),
        ("/pydanticai/anthropic/v1/messages", (Chat, Wire::Anthropic, Family::Anthropic)),
        ("/litellm/bedrock/model/m/converse", (Chat, Wire::BedrockConverse, Family::Bedrock)),
        ("/langchain/v1beta/models/m:generateContent", (Chat, Wire::Gemini, Family::Gemini)),
        ("/v1/models/m:generateContent", (Chat, Wire::Gemini, Family::Gemini)),
        ("/openai/openai/deployments/d/chat/completions", (Chat, Wire::OpenAiChat, Family::OpenAi)),
        ("/openai/deployments/d/embeddings", (Embeddings, Wire::OpenAiChat, Family::OpenAi)),
    ] {
        assert_eq!(told(path), expected, "{path}");
    }
}

#[test]
fn a_model_in_the_path_is_decoded() {
    for (path, model, stream) in [
        ("/genai/v1beta/models/gemini-2.5-flash:streamGenerateContent", "gemini-2.5-flash", Some(true)),
        ("/v1beta/models/openai/gpt-4o:generateContent", "openai/gpt-4o", Some(false)),
        ("/v1beta/tunedModels/x:generateContent", "tunedModels/x", Some(false)),
        ("/bedrock/model/anthropic.claude-v1%3A0/converse-stream", "anthropic.claude-v1:0", Some(true)),
        (
            "/bedrock/model/arn%3Aaws%3Abedrock%3Aeu%3A1%3Ax%2Fm/converse",
            "arn:aws:bedrock:eu:1:x/m",
            Some(false),
        ),
        ("/bedrock/model/openai/gpt-4o/converse", "openai/gpt-4o", Some(false)),
        ("/openai/deployments/my%20d/chat/completions", "my d", None),
    ] {
        let asked = asked(path);
        assert_eq!((asked.model.as_deref(), asked.stream), (Some(model), stream), "{path}");
    }
    assert_eq!(
        asked("/bedrock/model/m/invoke-with-response-stream").endpoint.framing,
        Framing::EventStreamChunks
    );
    assert!(asked("/v1beta/models/m:embedContent").single);
}

#[test]
fn what_a_passthrough_knows_is_that_endpoint_and_the_rest_goes_as_it_is() {
    let chat = asked("/openai_passthrough/v1/chat/completions");
    assert_eq!((chat.endpoint.operation, chat.raw), (Operation::Chat, None));
    let Route::Provider(files) = find(&Method::GET, "/openai_passthrough/v1/files/f-1") else { panic!() };
    assert_eq!(files.endpoint.operation, Operation::Passthrough);
    assert_eq!(files.raw.as_deref(), Some("/v1/files/f-1"));
    assert_eq!(dialect_of("/genai_passthrough/v1beta/x"), Wire::Gemini);
    let patch = find(&Method::TRACE, "/openai_passthrough/v1/files");
    assert!(matches!(patch, Route::MethodNotAllowed { .. }));
}

#[test]
fn every_provider_has_a_passthrough_of_its_name() {
    let Route::Provider(voices) = find(&Method::GET, "/elevenlabs_passthrough/v1/voices") else { panic!() };
    assert_eq!((voices.provider.as_deref(), voices.raw.as_deref()), (Some("elevenlabs"), Some("/v1/voices")));
    assert_eq!(voices.endpoint.operation, Operation::Passthrough);
    let mine = asked("/my%2Bown_passthrough/v1/chat/completions");
    assert_eq!((mine.endpoint.operation, mine.provider.as_deref()), (Operation::Passthrough, Some("my+own")));
    assert_eq!(dialect_of("/cohere_passthrough/x"), Wire::Cohere);
    for path in ["/_passthrough/x", "/elevenlabs_passthrough", "/v1/elevenlabs_passthrough/x"] {
        assert!(matches!(find(&Method::GET, path), Route::NotFound { .. }), "{path}");
    }
}

#[test]
fn a_response_in_the_background_was_paid_and_could_not_be_fetched() {
    for prefix in ["", "/openai", "/litellm", "/cursor", "/langchain/openai", "/pydanticai"] {
        for versioned in ["/v1/responses", "/responses"].iter().skip(usize::from(prefix.is_empty())) {
            for (method, rest) in [
                (Method::GET, "/resp_1"),
                (Method::DELETE, "/resp_1"),
                (Method::POST, "/resp_1/cancel"),
                (Method::GET, "/resp_1/input_items"),
                (Method::POST, "/compact"),
            ] {
                let path =
                    format!("{prefix}{}{rest}", if prefix.is_empty() { "/v1/responses" } else { versioned });
                let Route::Provider(asked) = find(&method, &path) else { panic!("{method} {path}") };
                assert_eq!(asked.endpoint.operation, Operation::Passthrough, "{path}");
                assert_eq!(asked.raw.as_deref(), Some(&*format!("/v1/responses{rest}")), "{path}");
                let own = if prefix.is_empty() { Family::Unified } else { Family::OpenAi };
                assert_eq!(asked.endpoint.family, own, "{path}");
            }
        }
    }
    let posted = find(&Method::POST, "/v1/responses/resp_1");
    assert_eq!(posted, Route::MethodNotAllowed { allow: "DELETE, GET" });
    assert!(matches!(find(&Method::GET, "/responses/resp_1"), Route::NotFound { .. }));
}

#[test]
fn a_passthrough_went_around_the_endpoints_it_knows_by_another_spelling() {
    for path in [
        "/openai_passthrough/v1//chat/completions",
        "/openai_passthrough//v1/chat/completions",
        "/openai_passthrough/v1/chat%2Fcompletions/",
        "/openai_passthrough/v1/ch%61t/completions",
        "/openai_passthrough/v1\\chat/completions",
    ] {
        assert_eq!(told(path), (Operation::Chat, Wire::OpenAiChat, Family::OpenAi), "{path}");
        let put = find(&Method::PUT, path);
        assert_eq!(put, Route::MethodNotAllowed { allow: "GET, HEAD, POST" }, "{path}");
    }
    for path in [
        "/openai_passthrough/v1/./chat/completions",
        "/openai_passthrough/v1/files/../chat/completions",
        "/openai_passthrough/v1/files/%2e%2E/chat/completions",
        "/openai_passthrough/v1/files/..%2fchat/completions",
    ] {
        for method in [Method::POST, Method::GET] {
            assert!(matches!(find(&method, path), Route::NotFound { .. }), "{path}");
        }
    }
    assert_eq!(
        asked("/genai_passthrough/v1beta//models/m%2520x:generateContent").model.as_deref(),
        Some("m%20x"),
    );
}

#[test]
fn a_passthrough_lost_the_slash_at_its_end() {
    assert_eq!(asked("/openai_passthrough/v1/things/").raw.as_deref(), Some("/v1/things/"));
    assert_eq!(asked("/openai_passthrough/v1/a%20b//c").raw.as_deref(), Some("/v1/a%20b//c"));
    assert_eq!(told("/openai_passthrough/v1/chat/completions/").0, Operation::Chat);
}

#[test]
fn models_behind_slashes_and_projects_were_not_found() {
    for (path, model) in [
        ("/openai/deployments/custom/okc/chat/completions", "custom/okc"),
        ("/openai/deployments/custom%2Fokc/embeddings", "custom/okc"),
        ("/v1beta1/projects/p/locations/l/publishers/google/models/m:generateContent", "m"),
        ("/v1/publishers/google/models/m:countTokens", "m"),
        ("/v1beta/models/publishers/m:generateContent", "publishers/m"),
    ] {
        assert_eq!(asked(path).model.as_deref(), Some(model), "{path}");
    }
}

#[test]
fn frameworks_had_no_list_of_models() {
    for framework in ["langchain", "litellm", "pydanticai"] {
        for path in ["models", "v1/models", "v1/models/"] {
            let path = format!("/{framework}/{path}");
            assert_eq!(find(&Method::GET, &path), Route::Local(Local::Models(Family::Unified)), "{path}");
        }
    }
}

#[test]
fn errors_of_invoke_were_written_in_the_models_dialect_and_no_aws_sdk_read_them() {
    let endpoint = asked("/bedrock/model/m/invoke").endpoint;
    assert_eq!((endpoint.dialect, endpoint.service()), (Wire::Anthropic, Wire::BedrockConverse));
    assert_eq!(asked("/v1/messages").endpoint.service(), Wire::Anthropic);
}

#[test]
fn errors_are_written_in_the_dialect_of_a_path_that_is_not_there() {
    for (path, dialect) in [
        ("/anthropic/v1/mesages", Wire::Anthropic),
        ("/genai/v1beta/models/m:nothing", Wire::Gemini),
        ("/bedrock/model/m/nothing", Wire::BedrockConverse),
        ("/litellm/cohere/x", Wire::Cohere),
        ("/litellm/model/m/nothing", Wire::BedrockConverse),
        ("/v1/nothing", Wire::OpenAiChat),
    ] {
        assert!(matches!(find(&Method::POST, path), Route::NotFound { .. }), "{path}");
        assert_eq!(dialect_of(path), dialect, "{path}");
    }
}

#[test]
fn one_model_is_named_behind_the_path_of_its_list() {
    for (path, family, model) in [
        ("/v1/models/gpt-4o", Family::Unified, "gpt-4o"),
        ("/v1/models/openai/gpt-4o/", Family::Unified, "openai/gpt-4o"),
        ("/v1/models/meta-llama%2FLlama-3", Family::Unified, "meta-llama/Llama-3"),
        ("/v1/models/anthropic.claude-v1:0", Family::Unified, "anthropic.claude-v1:0"),
        ("/openai/models/gpt-4o", Family::OpenAi, "gpt-4o"),
        ("/anthropic/v1/models/claude-opus-5", Family::Anthropic, "claude-opus-5"),
        ("/v1beta/models/gemini-2.5-flash", Family::Gemini, "gemini-2.5-flash"),
        ("/bedrock/foundation-models/amazon.nova-pro-v1%3A0", Family::Bedrock, "amazon.nova-pro-v1:0"),
    ] {
        assert_eq!(find(&Method::GET, path), Route::Local(Local::Model(family)), "{path}");
        assert_eq!(model_named(path), Some((family, model.to_owned())), "{path}");
    }
    let ask = find(&Method::GET, "/v1beta/models/m:generateContent");
    assert_eq!(ask, Route::MethodNotAllowed { allow: "POST" });
    let delete = find(&Method::DELETE, "/v1/models/ft-1");
    assert_eq!(delete, Route::MethodNotAllowed { allow: "GET, HEAD" });
    assert_eq!(find(&Method::GET, "/v1/models/"), Route::Local(Local::Models(Family::Unified)));
}

#[test]
fn a_trailing_slash_is_forgiven() {
    assert_eq!(find(&Method::POST, "/v1/messages/"), find(&Method::POST, "/v1/messages"));
}

#[test]
fn wrong_method_names_the_right_one() {
    assert_eq!(find(&Method::GET, "/v1/chat/completions"), Route::MethodNotAllowed { allow: "POST" });
    assert_eq!(find(&Method::POST, "/metrics"), Route::MethodNotAllowed { allow: "GET, HEAD" });
}

#[test]
fn unknown_path_names_the_nearest() {
    assert_eq!(
        find(&Method::POST, "/v1/chat/completion"),
        Route::NotFound { nearest: "/v1/chat/completions" }
    );
    assert_eq!(find(&Method::POST, "/v1/message"), Route::NotFound { nearest: "/v1/messages" });
    assert_eq!(find(&Method::GET, "/openai/v1/model"), Route::NotFound { nearest: "/openai/v1/models" });
}
