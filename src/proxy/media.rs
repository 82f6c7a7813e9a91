//! Media that a prompt names by URL, fetched for a provider that takes bytes only.
//!
//! Only what the next provider cannot fetch itself, on its wire or because it is a cloud that takes no URLs on a
//! wire that has them: everything else goes through as it came.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::task::JoinSet;
use translate::ir::{FailureKind, Part, Request, Signature, Source};

use super::attempt::decode;
use super::exchange::{Call, Exchange};
use super::fault::Fault;
use crate::egress::fetch::{FetchError, Policy, fetch_media};
use crate::egress::http::Client;
use crate::egress::media::Wanted;
use crate::route::endpoint::Operation;
use crate::upstream::target;

/// More than these in one request are refused: each costs a connection.
const MOST: usize = 32;
/// As many are fetched at a time.
const AT_ONCE: usize = 4;
/// The files of one request, each as often as it is named, are together no larger than this, or than the one
/// file that the configuration allows.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// One URL, and how often the prompt names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    url: String,
    wanted: Wanted,
    times: u64,
}

/// Files by their URLs, their bytes in base64.
pub type Files = HashMap<String, (String, String)>;

/// What has to be fetched before the next target can be asked.
#[must_use]
pub fn needed(exchange: &mut Exchange) -> Option<(Vec<Named>, Arc<Policy>)> {
    let urls = exchange.call.as_deref_mut().map(named).unwrap_or_default();
    let policy = exchange.snapshot.as_ref().map(|snapshot| Arc::clone(&snapshot.client.fetch))?;
    (!urls.is_empty()).then_some((urls, policy))
}

/// Files would have to be fetched for the next step.
pub fn is_needed(call: &mut Call) -> bool {
    !named(call).is_empty()
}

/// Fetches the files. Dropped, it fetches no more.
///
/// # Errors
/// A URL leads nowhere, or to what it must not; there are too many, or they are too large.
pub async fn fetch(urls: Vec<Named>, policy: Arc<Policy>) -> Result<Files, Unfetched> {
    if urls.len() > MOST {
        let message = format!("the request names {} files by URL; at most {MOST} are fetched", urls.len());
        return Err(Unfetched { url: None, message });
    }
    let client = client().map_err(|message| Unfetched { url: None, message })?;
    let most = policy.max_bytes.max(MOST_BYTES);
    let (mut waiting, mut running) = (urls.into_iter(), JoinSet::new());
    let (mut files, mut total) = (Files::new(), 0_u64);
    loop {
        while running.len() < AT_ONCE
            && let Some(named) = waiting.next()
        {
            let policy = Arc::clone(&policy);
            running.spawn(async move {
                let media = fetch_media(client, &named.url, named.wanted, &policy).await;
                (named, media)
            });
        }
        let Some(done) = running.join_next().await else { return Ok(files) };
        let Ok((named, media)) = done else { continue };
        let media = media.map_err(|error| Unfetched::of(&named.url, &error))?;
        let size = u64::try_from(media.bytes.len()).unwrap_or(u64::MAX);
        total = total.saturating_add(size.saturating_mul(named.times));
        if total > most {
            let message = format!("the files the request names by URL are together larger than {most} bytes");
            return Err(Unfetched { url: Some(named.url), message });
        }
        // Encoded at once: the bytes are not kept beside.
        files.insert(named.url, (media.media_type, STANDARD.encode(&media.bytes)));
    }
}

/// Puts the files in the place of their URLs.
pub fn inline(exchange: &mut Exchange, files: &Files) {
    let Some(call) = exchange.call.as_deref_mut() else { return };
    call.inlined = true;
    let Some(request) = call.decoded.as_deref_mut() else { return };
    each_source(request, &mut |source, _| {
        let Source::Url(url) = source else { return };
        if let Some((media_type, data)) = files.get(url) {
            *source = Source::Base64 { media_type: media_type.clone(), data: data.clone() };
        }
    });
}

/// Why the next target cannot be asked.
#[derive(Debug)]
pub struct Unfetched {
    url: Option<String>,
    message: String,
}

impl Unfetched {
    fn of(url: &str, error: &FetchError) -> Self {
        let shown: String = url.chars().take(120).collect();
        let message =
            format!("the file at {shown} cannot be sent to the provider, which takes no URLs: {error}");
        Self { url: Some(url.to_owned()), message }
    }

    /// As the caller is told, with the place in its body.
    #[must_use]
    pub fn fault(&self, body: &[u8]) -> Fault {
        let fault = Fault::request(FailureKind::InvalidRequest, 400, self.message.clone());
        let body: Option<Value> = self.url.as_ref().and_then(|_| serde_json::from_slice(body).ok());
        match body.zip(self.url.as_deref()).and_then(|(body, url)| place(&body, url)) {
            Some(path) => fault.param(&path),
            None => fault,
        }
    }
}

/// The path of the first text in `value` that is `text`; what follows a name begins with its dot.
fn place(value: &Value, text: &str) -> Option<String> {
    fn below(value: &Value, text: &str) -> Option<String> {
        match value {
            Value::String(found) => (found == text).then(String::new),
            Value::Array(list) => {
                let mut items = list.iter().enumerate();
                items.find_map(|(at, item)| below(item, text).map(|rest| format!("[{at}]{rest}")))
            }
            Value::Object(map) => {
                map.iter().find_map(|(name, member)| below(member, text).map(|rest| format!(".{name}{rest}")))
            }
            _ => None,
        }
    }
    below(value, text).map(|path| path.trim_start_matches('.').to_owned())
}

/// The URLs that stand in the way of the next step; none when its bytes are relayed, or it takes URLs.
fn named(call: &mut Call) -> Vec<Named> {
    let Some(step) = call.cursor.current(&call.plan) else { return Vec::new() };
    let own = step.provider.wire == call.endpoint.dialect && step.provider.spec.services.is_empty();
    if (own && call.decoded.is_none()) || !may_hold_urls(&call.body) {
        return Vec::new();
    }
    let step = step.clone();
    let prompts = matches!(call.endpoint.operation, Operation::Chat | Operation::CountTokens);
    if !prompts {
        return Vec::new();
    }
    let at = &step.provider.endpoint;
    let chosen = target::choose(&step.provider, at, call.endpoint, &step.model, call.stream);
    let Some((wire, takes)) = chosen.map(|target| (target.wire, target.takes_urls)) else {
        return Vec::new();
    };
    let relayed = wire == call.endpoint.dialect && !Signature::any_marked(&call.body);
    // A source by URL says so: most bodies that hold some link hold none.
    if relayed && (takes || memchr::memmem::find(&call.body, b"\"url\"").is_none()) {
        return Vec::new();
    }
    // What is wrong with the request is told when it is prepared.
    if decode(call).is_err() {
        return Vec::new();
    }
    let mut urls: Vec<Named> = Vec::new();
    if let Some(request) = call.decoded.as_deref_mut() {
        each_source(request, &mut |source, wanted| {
            let Source::Url(url) = source else { return };
            if takes && wire.takes_url(wanted == Wanted::Image, url) {
                return;
            }
            match urls.iter_mut().find(|known| known.url == *url) {
                Some(known) => known.times += 1,
                None => urls.push(Named { url: url.clone(), wanted, times: 1 }),
            }
        });
    }
    urls
}

/// False: no text in the JSON is a URL. Most bodies are done with here.
fn may_hold_urls(body: &[u8]) -> bool {
    memchr::memchr2_iter(b'/', b'\\', body).any(|at| {
        // Two slashes, however they are escaped; other escapes are no part of one.
        let next = body.get(at + 1);
        matches!((body.get(at), next), (Some(b'/'), Some(b'/' | b'\\')) | (Some(b'\\'), Some(b'/' | b'u')))
    })
}

/// Made by the first request that needs it: reading the system's certificates takes longer than starting.
fn client() -> Result<&'static Client, String> {
    static CLIENT: OnceLock<Client> = OnceLock::new();
    if let Some(client) = CLIENT.get() {
        return Ok(client);
    }
    let made = Client::new(&[]);
    let made = made.map_err(|error| format!("the system's certificates could not be read: {error}"))?;
    Ok(CLIENT.get_or_init(|| made))
}

fn each_source(request: &mut Request, see: &mut impl FnMut(&mut Source, Wanted)) {
    for part in request.messages.iter_mut().flat_map(|message| &mut message.parts) {
        of_part(part, see);
    }
}

fn of_part(part: &mut Part, see: &mut impl FnMut(&mut Source, Wanted)) {
    match part {
        Part::Image(image) => see(&mut image.source, Wanted::Image),
        Part::Document(document) => see(&mut document.source, Wanted::Any),
        Part::ToolResult(result) => result.parts.iter_mut().for_each(|part| of_part(part, see)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_without_two_slashes_in_a_row_holds_no_url() {
        for without in
            ["{}", r#"{"a":"1/2, and\/or"}"#.replace("\\/", "/").as_str(), r#"{"a":"x\n\ty\"z"}"#, "/"]
        {
            assert!(!may_hold_urls(without.as_bytes()), "{without}");
        }
        for with in [
            r#""http://h/a""#,
            r#""http:\/\/h\/a""#,
            r#""http:/\/h""#,
            r#""gs://b/o""#,
            r#""\u0068ttp:\u002f\u002f""#,
        ] {
            assert!(may_hold_urls(with.as_bytes()), "{with}");
        }
    }

    #[test]
    fn a_file_that_could_not_be_fetched_is_named_by_its_place() {
        let body = br#"{"messages":[{"content":"http:\/\/h\/b"},{"content":[{"image_url":{"url":"http:\/\/h\/a"}}]}]}"#;
        let param = |url: &str| {
            let fault = Unfetched { url: Some(url.to_owned()), message: "no".into() }.fault(body);
            fault.failure.param
        };
        assert_eq!(param("http://h/a").as_deref(), Some("messages[1].content[0].image_url.url"));
        assert_eq!(param("http://h/b").as_deref(), Some("messages[0].content"));
        assert_eq!(param("http://h/c"), None);
    }
}
