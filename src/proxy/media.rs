//! Media that a prompt names by URL, fetched for a provider that takes bytes only.
//!
//! Only what the next provider cannot fetch itself, on its wire or because it is a cloud that takes no URLs on a
//! wire that has them: everything else goes through as it came.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::task::JoinSet;
use translate::ir::{FailureKind, Part, Request, Signature, Source};

use super::attempt::decode;
use super::exchange::{Call, Exchange};
use super::fault::Fault;
use crate::egress::fetch::{FetchError, Media, Policy, fetch_media};
use crate::egress::http::Client;
use crate::egress::media::Wanted;
use crate::route::endpoint::Operation;
use crate::upstream::target;

/// More than these in one request are refused: each costs a connection.
const MOST: usize = 32;

/// Replaces the URLs that the next target cannot take by what they lead to.
///
/// # Errors
/// A URL leads nowhere, or to what it must not.
pub async fn inline(exchange: &mut Exchange) -> Result<(), Fault> {
    let urls = exchange.call.as_deref_mut().map(needed).unwrap_or_default();
    let policy = exchange.snapshot.as_ref().map(|snapshot| Arc::clone(&snapshot.client.fetch));
    let Some(policy) = policy.filter(|_| !urls.is_empty()) else { return Ok(()) };
    if urls.len() > MOST {
        let message = format!("the request names {} files by URL; at most {MOST} are fetched", urls.len());
        return Err(Fault::request(FailureKind::InvalidRequest, 400, message));
    }
    exchange.wait();
    let fetched = fetch_all(urls, &policy).await;
    exchange.work();
    let fetched = fetched?;
    let Some(call) = exchange.call.as_deref_mut() else { return Ok(()) };
    call.inlined = true;
    if let Some(request) = call.decoded.as_deref_mut() {
        each_source(request, &mut |source, _| {
            let Source::Url(url) = source else { return };
            if let Some(media) = fetched.get(url) {
                *source = Source::Base64 {
                    media_type: media.media_type.clone(),
                    data: STANDARD.encode(&media.bytes),
                };
            }
        });
    }
    Ok(())
}

/// The URLs that stand in the way of the next step; none when its bytes are relayed, or it takes URLs.
fn needed(call: &mut Call) -> Vec<(String, Wanted)> {
    let Some(step) = call.cursor.current(&call.plan) else { return Vec::new() };
    let own = step.provider.wire == call.endpoint.dialect && step.provider.spec.services.is_empty();
    if own && call.decoded.is_none() {
        return Vec::new();
    }
    let step = step.clone();
    let prompts = matches!(call.endpoint.operation, Operation::Chat | Operation::CountTokens);
    if !prompts || memchr::memmem::find(&call.body, b"://").is_none() {
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
    let mut urls: Vec<(String, Wanted)> = Vec::new();
    if let Some(request) = call.decoded.as_deref_mut() {
        each_source(request, &mut |source, wanted| {
            if let Source::Url(url) = source
                && !(takes && wire.takes_url(wanted == Wanted::Image, url))
                && !urls.iter().any(|(known, _)| known == url)
            {
                urls.push((url.clone(), wanted));
            }
        });
    }
    urls
}

async fn fetch_all(
    urls: Vec<(String, Wanted)>,
    policy: &Arc<Policy>,
) -> Result<HashMap<String, Media>, Fault> {
    let client = client()?;
    let mut running = JoinSet::new();
    for (url, wanted) in urls {
        let policy = Arc::clone(policy);
        running.spawn(async move {
            let media = fetch_media(client, &url, wanted, &policy).await;
            (url, media)
        });
    }
    let mut fetched = HashMap::new();
    while let Some(done) = running.join_next().await {
        let Ok((url, media)) = done else { continue };
        fetched.insert(url.clone(), media.map_err(|error| refused(&url, &error))?);
    }
    Ok(fetched)
}

fn refused(url: &str, error: &FetchError) -> Fault {
    let shown: String = url.chars().take(120).collect();
    let message = format!("the file at {shown} cannot be sent to the provider, which takes no URLs: {error}");
    Fault::request(FailureKind::InvalidRequest, 400, message)
}

/// Made by the first request that needs it: reading the system's certificates takes longer than starting.
fn client() -> Result<&'static Client, Fault> {
    static CLIENT: OnceLock<Client> = OnceLock::new();
    if let Some(client) = CLIENT.get() {
        return Ok(client);
    }
    let made = Client::new(&[]).map_err(|error| {
        let message = format!("the system's certificates could not be read: {error}");
        Fault::request(FailureKind::Upstream, 500, message)
    })?;
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
