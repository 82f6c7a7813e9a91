//! Chats that Cursor writes as Responses requests: `input` where `messages` belongs, and the answer still a chat's.
//!
//! Turned into the chat they mean before anything else is done, so that nothing behind this knows of them. Must not
//! touch a body that is a chat already.

use bytes::Bytes;
use serde_json::{Map, Value};
use translate::Wire;
use translate::ir::Request;
use translate::loss::Losses;
use translate::provider::{Destination, ModelRules, Quirks, find};
use translate::relay;
use translate::wire::Dialect;
use translate::wire::openai_chat::OpenAiChat;
use translate::wire::openai_responses::OpenAiResponses;
use translate::wire::{BadRequest, Codec};

use crate::route::endpoint::{Endpoint, Operation, takes_input};

/// The service whose chats these are.
const SERVICE: &str = "openai";
/// The gateway's own member: it says nothing to a provider, and no codec carries it.
const FALLBACKS: &str = "fallbacks";

/// The body as a chat, and what a chat has no place for. Any other body comes back as it is.
///
/// # Errors
/// What is wrong with it, with its place.
pub fn as_chat(path: &str, endpoint: Endpoint, body: Bytes) -> Result<(Bytes, Losses), BadRequest> {
    let mut losses = Losses::default();
    let chat = endpoint.operation == Operation::Chat && endpoint.dialect == Wire::OpenAiChat;
    if !chat || !takes_input(path) {
        return Ok((body, losses));
    }
    let peek = relay::peek(&body)?;
    if !peek.has_input || peek.members.value(&body, "messages").is_some() {
        return Ok((body, losses));
    }
    peek.members.refuse_duplicates(&body, None)?;
    let Some(service) = find(SERVICE) else { return Ok((body, losses)) };
    let mut request = OpenAiResponses.decode_request(&body)?;
    move_to_chats_places(&mut request);
    let quirks = Quirks { stream_usage: peek.include_usage, ..service.quirks };
    let rules = ModelRules::of(SERVICE, Wire::OpenAiChat, &request.model);
    // A model of anybody else's: what it takes is for its own provider to say, later.
    let rules = ModelRules { takes_effort: rules.takes_effort.or(Some(true)), ..rules };
    let to = Destination { quirks: &quirks, rules: &rules, model: &request.model };
    let mut written = OpenAiChat.encode_request(&request, &to, &mut losses)?;
    if let Some(fallbacks) = peek.members.value(&body, FALLBACKS)
        && written.pop_if(|last| *last == b'}').is_some()
    {
        written.extend_from_slice(format!(",\"{FALLBACKS}\":").as_bytes());
        written.extend_from_slice(fallbacks);
        written.push(b'}');
    }
    Ok((written.into(), losses))
}

/// What both APIs have, and the decoder left where only one of them has it.
fn move_to_chats_places(request: &mut Request) {
    let fields = &mut request.extra.fields;
    // Read from the body itself.
    take_nested(fields, "stream_options", "include_usage");
    if let Some(verbosity) = take_nested(fields, "text", "verbosity") {
        fields.insert("verbosity".to_owned(), verbosity);
    }
}

/// Takes a member out of an object, and the object out of its parent when nothing is left of it.
fn take_nested(fields: &mut Map<String, Value>, parent: &str, name: &str) -> Option<Value> {
    let inner = fields.get_mut(parent)?.as_object_mut()?;
    let taken = inner.shift_remove(name);
    if taken.is_some() && inner.is_empty() {
        fields.shift_remove(parent);
    }
    taken
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::route::endpoint::Family;

    const CHAT: Endpoint = Endpoint::new(Operation::Chat, Wire::OpenAiChat, Family::OpenAi);

    fn read(path: &str, body: &Value) -> Value {
        let (chat, _) = as_chat(path, CHAT, body.to_string().into()).unwrap();
        serde_json::from_slice(&chat).unwrap()
    }

    #[test]
    fn a_chat_that_cursor_wrote_as_a_responses_request_was_refused() {
        let body = json!({
            "model": "anthropic/claude-opus-5",
            "stream": true,
            "instructions": "Be brief.",
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "List the files."}]},
                {"type": "function_call", "call_id": "c1", "name": "list", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c1", "output": "a.rs"},
            ],
            "tools": [{"type": "function", "name": "list", "parameters": {"type": "object"}, "strict": false}],
            "tool_choice": "auto",
            "fallbacks": ["openai/gpt-5"],
        });
        let chat = read("/cursor/chat/completions", &body);
        assert_eq!((&chat["model"], &chat["stream"]), (&body["model"], &json!(true)));
        assert_eq!(chat["fallbacks"], body["fallbacks"]);
        assert_eq!(chat["messages"][0], json!({"role": "system", "content": "Be brief."}));
        assert_eq!(chat["messages"][1]["role"], "user");
        assert_eq!(chat["messages"][2]["tool_calls"][0]["function"]["name"], "list");
        assert_eq!(chat["messages"][3]["tool_call_id"], "c1");
        assert_eq!(chat["tools"][0]["function"]["name"], "list");
        assert!(chat.get("stream_options").is_none() && chat.get("input").is_none());
    }

    #[test]
    fn effort_and_verbosity_of_cursors_chats_were_lost() {
        let asked = |model: &str, effort: &str| {
            let body = json!({
                "model": model, "input": "hi", "stream": true, "stream_options": {"include_usage": true},
                "reasoning": {"effort": effort}, "text": {"verbosity": "low"},
            });
            let (chat, losses) = as_chat("/cursor/chat/completions", CHAT, body.to_string().into()).unwrap();
            let chat: Value = serde_json::from_slice(&chat).unwrap();
            assert_eq!(chat["stream_options"], json!({"include_usage": true}), "{model}");
            assert_eq!(chat["verbosity"], "low", "{model}");
            let lost: Vec<String> = losses.as_slice().iter().map(|loss| loss.path.clone()).collect();
            (chat.get("reasoning_effort").cloned(), lost)
        };
        for model in ["anthropic/claude-opus-5", "gemini/gemini-3-pro", "house", "openai/gpt-5.2"] {
            assert_eq!(asked(model, "xhigh"), (Some(json!("xhigh")), Vec::new()), "{model}");
        }
        assert_eq!(asked("openai/gpt-4o", "high"), (None, vec!["reasoning_effort".to_owned()]));
    }

    #[test]
    fn what_a_chat_has_no_place_for_is_told() {
        let body = json!({"model": "m", "input": "hi", "truncation": "auto"});
        let (_, losses) = as_chat("/cursor/v1/chat/completions", CHAT, body.to_string().into()).unwrap();
        assert_eq!(losses.as_slice()[0].path, "truncation");
        let kept = json!({"model": "m", "input": "hi", "previous_response_id": "r"}).to_string();
        assert_eq!(
            as_chat("/cursor/chat/completions", CHAT, kept.into()).unwrap_err().path,
            "previous_response_id"
        );
    }

    #[test]
    fn other_bodies_and_other_paths_are_left_alone() {
        let chat = json!({"model": "m", "messages": [], "input": "x"});
        let input = json!({"model": "m", "input": "hi"});
        assert_eq!(read("/cursor/chat/completions", &chat), chat);
        assert_eq!(read("/v1/chat/completions", &input), input);
        let responses = Endpoint::new(Operation::Chat, Wire::OpenAiResponses, Family::OpenAi);
        let (body, _) = as_chat("/cursor/v1/responses", responses, input.to_string().into()).unwrap();
        assert_eq!(body, input.to_string());
    }
}
