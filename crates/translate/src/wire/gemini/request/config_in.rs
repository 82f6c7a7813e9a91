//! Reads `generationConfig`: sampling, the form of the answer, reasoning. What the pivot has no place for
//! (modalities, voices, resolutions) is kept under the same name.

use serde_json::Value;

use crate::ir::{Effort, JsonSchema, OutputFormat, Reasoning, Request, Sampling};
use crate::wire::BadRequest;
use crate::wire::fields::{Fields, wrong};
use crate::wire::gemini::schema::from_openapi;
use crate::wire::gemini::spelling::{rest, spelled};
use crate::wire::json::Json;

/// Takes the object out and fills in what it says.
pub(super) fn config(fields: &mut Fields<'_>, request: &mut Request) -> Result<(), BadRequest> {
    let key = spelled(fields, "generationConfig", "generation_config");
    let at = fields.path().field(key);
    let Some(value) = fields.take_json(key) else { return Ok(()) };
    let mut config = Fields::of(value, &at)?;
    request.sampling = sampling(&mut config)?;
    let key = spelled(&config, "maxOutputTokens", "max_output_tokens");
    request.max_tokens = config.count(key)?;
    request.stop = stop(&mut config)?;
    request.output_format = format(&mut config)?;
    request.reasoning = reasoning(&mut config)?;
    fields.keep_nested("generationConfig", rest(config));
    Ok(())
}

fn sampling(config: &mut Fields<'_>) -> Result<Sampling, BadRequest> {
    let key = |config: &Fields<'_>, camel, snake| spelled(config, camel, snake);
    let top_p = key(config, "topP", "top_p");
    let top_k = key(config, "topK", "top_k");
    let n = key(config, "candidateCount", "candidate_count");
    let presence = key(config, "presencePenalty", "presence_penalty");
    let frequency = key(config, "frequencyPenalty", "frequency_penalty");
    let logprobs = key(config, "responseLogprobs", "response_logprobs");
    Ok(Sampling {
        temperature: config.number("temperature")?,
        top_p: config.number(top_p)?,
        top_k: config.count(top_k)?,
        n: config.count(n)?,
        seed: config.integer("seed")?,
        presence_penalty: config.number(presence)?,
        frequency_penalty: config.number(frequency)?,
        logit_bias: None,
        logprobs: config.flag(logprobs)?,
        top_logprobs: config.count("logprobs")?,
    })
}

fn stop(config: &mut Fields<'_>) -> Result<Vec<String>, BadRequest> {
    let key = spelled(config, "stopSequences", "stop_sequences");
    let at = config.path().field(key);
    let list = config.list(key)?.unwrap_or_default();
    let word = |(index, value): (usize, Json<'_>)| match value {
        Json::Value(Value::String(word)) => Ok(word),
        other => Err(wrong(&at.item(index), other.look(), "a string")),
    };
    list.into_iter().enumerate().map(word).collect()
}

/// JSON with a schema in either form, JSON without one, or text. Any other type stays as it is.
fn format(config: &mut Fields<'_>) -> Result<Option<OutputFormat>, BadRequest> {
    let mime = spelled(config, "responseMimeType", "response_mime_type");
    let kind = config.text(mime)?;
    let old = spelled(config, "responseSchema", "response_schema");
    let new = match spelled(config, "responseJsonSchema", "response_json_schema") {
        key if config.peek(key).is_none() && config.peek("_responseJsonSchema").is_some() => {
            "_responseJsonSchema"
        }
        key => key,
    };
    let schema =
        |schema| OutputFormat::JsonSchema(JsonSchema { name: None, description: None, schema, strict: None });
    match kind.as_deref() {
        None | Some("application/json") => {
            let json = config.object(new)?.map(Value::Object);
            // Only one of them may be given; the newer says more.
            let given = match json {
                Some(json) => Some(json),
                None => config.object(old)?.map(|map| from_openapi(Value::Object(map))),
            };
            Ok(match given {
                Some(json) => Some(schema(json)),
                None => kind.map(|_| OutputFormat::JsonObject),
            })
        }
        Some("text/plain") if config.peek(old).is_none() && config.peek(new).is_none() => {
            Ok(Some(OutputFormat::Text))
        }
        Some(other) => {
            config.put("responseMimeType", other.into());
            Ok(None)
        }
    }
}

fn reasoning(config: &mut Fields<'_>) -> Result<Option<Reasoning>, BadRequest> {
    let key = spelled(config, "thinkingConfig", "thinking_config");
    let at = config.path().field(key);
    let Some(value) = config.take_json(key) else { return Ok(None) };
    let mut inner = Fields::of(value, &at)?;
    let mut read = Reasoning::default();
    let shown = spelled(&inner, "includeThoughts", "include_thoughts");
    read.display = inner.flag(shown)?.map(|shown| if shown { "summarized" } else { "omitted" }.to_owned());
    let budget = spelled(&inner, "thinkingBudget", "thinking_budget");
    match inner.integer(budget)? {
        None => {}
        Some(0) => read.enabled = Some(false),
        // The model decides.
        Some(-1) => read.enabled = Some(true),
        Some(tokens) => match u64::try_from(tokens) {
            Ok(tokens) => read.budget = Some(tokens),
            Err(_) => return Err(inner.wrong(budget, &Value::from(tokens), "-1, 0 or a number of tokens")),
        },
    }
    let level = spelled(&inner, "thinkingLevel", "thinking_level");
    if let Some(word) = inner.text(level)? {
        let lower = word.to_ascii_lowercase();
        match Effort::parse(lower.strip_prefix("thinking_level_").unwrap_or(&lower)) {
            Some(effort) => read.effort = Some(effort),
            None => inner.put("thinkingLevel", Value::String(word)),
        }
    }
    config.keep_nested("thinkingConfig", rest(inner));
    Ok((read != Reasoning::default()).then_some(read))
}
