//! What a request asks, as the cache knows it: its place, and its question where it is compared by meaning.

use std::sync::Arc;

use translate::cache::canonical::{self, Target};
use translate::cache::question;
use translate::embed;
use translate::ir::{Part, Request, Role};
use translate::rerank;

use super::super::attempt::decode;
use super::super::exchange::{Call, Exchange};
use super::super::{Gateway, content, tasks};
use super::wish::Wish;
use super::{Cached, Only};
use crate::cache::compare::{Compared, Wanted};
use crate::cache::entry::Space;
use crate::cache::exact::Place;
use crate::cache::{fingerprint, scope};
use crate::config::cache::{Cache as Settings, Ways};
use crate::route::endpoint::Operation;
use crate::route::plan::Plan;
use crate::telemetry::record::LedBy;

/// Characters of a question that are kept beside its answer.
const TITLE: usize = 120;

/// What a request asks.
pub(super) struct Asked {
    tenant: Box<str>,
    title: Box<str>,
    place: Place,
    only: Only,
    wanted: Option<Box<Wanted>>,
}

impl Asked {
    /// `None`: it cannot be read, or needs what its provider keeps.
    pub(super) fn of(
        exchange: &Exchange,
        call: &mut Call,
        (settings, wish): (&Settings, &Wish),
    ) -> Option<Self> {
        let tenant = scope::tenant(exchange.caller.as_ref(), settings.scope);
        let space = Space::of(&tenant, &wish.key);
        let only = Only::of(&call.plan, settings);
        let name = only.name(call, settings);
        let target = Target { model: name.1.as_deref(), provider: name.0.as_deref() };
        let beside = beside(call);
        let titles = settings.titles.unwrap_or_else(|| keeps_content(exchange));
        if !matches!(call.endpoint.operation, Operation::Chat | Operation::Completions) {
            let (canonical, text) = task(call, &target)?;
            let place = Place::of(space, fingerprint::of(&canonical, &beside));
            let title = if titles { shortened(&text) } else { Box::default() };
            return Some(Self { tenant, title, place, only, wanted: None });
        }
        let request = decoded(call, settings)?;
        let operation = match call.endpoint.operation {
            Operation::Completions => canonical::Operation::Completion,
            _ => canonical::Operation::Chat,
        };
        let place =
            Place::of(space, fingerprint::of(&canonical::chat(&request, operation, &target), &beside));
        let wanted = match (&settings.semantic, wish.ways) {
            (Some(semantic), Ways::Semantic) if !wish.no_store => {
                question::of(&request, operation, &target, &semantic.asking).ok().map(|question| {
                    let by = format!("{}/{}", semantic.provider, semantic.model);
                    Box::new(Wanted {
                        space,
                        frame: fingerprint::of_frame(&question.frame, &beside, &by),
                        question,
                        settings: Arc::new(semantic.clone()),
                        threshold: wish.threshold,
                        shadow: settings.shadow,
                        words: titles,
                        caller: exchange.caller.clone(),
                        request_id: exchange.request_id.clone(),
                        trace: exchange.trace.clone(),
                    })
                })
            }
            _ => None,
        };
        let title = if titles { shortened(&last_words(&request)) } else { Box::default() };
        Some(Self { tenant, title, place, only, wanted })
    }

    pub(super) fn cached(self, gateway: &Gateway, settings: Arc<Settings>, wish: Wish) -> Cached {
        let Self { tenant, title, place, only, wanted } = self;
        Cached {
            settings,
            cache: Arc::clone(&gateway.cache),
            background: gateway.background.clone(),
            wish,
            tenant,
            title,
            place,
            only,
            wanted,
            compared: Compared::default(),
            given: None,
            shadow: None,
            lead: None,
            looked: std::time::Duration::ZERO,
        }
    }
}

impl Only {
    /// Where a name stands for several, any of them may answer.
    fn of(plan: &Plan, settings: &Settings) -> Self {
        let Some(first) = plan.steps.first().filter(|_| !stands_for_several(plan)) else {
            return Self::default();
        };
        Self {
            provider: settings.by_provider.then(|| Arc::clone(&first.provider.name)),
            model: settings.by_model.then(|| Arc::clone(&first.model)),
        }
    }

    /// Provider and model in the fingerprint. A name that stands for several is itself: which of them is asked is not what the
    /// caller wants to know.
    fn name(&self, call: &Call, settings: &Settings) -> (Option<String>, Option<String>) {
        if stands_for_several(&call.plan) {
            let meant = format!("={}", call.model_asked);
            return (None, (settings.by_model || settings.by_provider).then_some(meant));
        }
        (self.provider.as_deref().map(str::to_owned), self.model.as_deref().map(str::to_owned))
    }

    /// This one's answer is what was asked for.
    pub(super) fn fits(&self, provider: &str, model: &str) -> bool {
        self.provider.as_deref().is_none_or(|only| only == provider)
            && self.model.as_deref().is_none_or(|only| only == model)
    }
}

/// The first step was drawn among several.
fn stands_for_several(plan: &Plan) -> bool {
    matches!(plan.led_by, LedBy::Group | LedBy::Rule | LedBy::Grant)
}

/// What stands beside the body and changes answers.
fn beside(call: &Call) -> Vec<String> {
    let betas = call.betas.iter().map(|beta| format!("beta {beta}"));
    betas.chain(call.forward.asking()).collect()
}

fn keeps_content(exchange: &Exchange) -> bool {
    let logging = exchange.snapshot.as_ref().map(|snapshot| &snapshot.client.logging);
    let empty = http::HeaderMap::new();
    logging.is_some_and(|logging| content::wanted(logging, exchange.caller.as_ref(), &empty))
}

/// The body as a request, without what is not looked at. The call keeps none of it: a relay needs it unread.
fn decoded(call: &mut Call, settings: &Settings) -> Option<Request> {
    decode(call).ok()?;
    let mut request = *call.decoded.take()?;
    if settings.without_system {
        request.messages.retain(|message| !matches!(message.role, Role::System | Role::Developer));
    }
    Some(request)
}

/// The canonical form of another task, with its format: its answer is given in no other. And its text.
fn task(call: &Call, target: &Target<'_>) -> Option<(Vec<u8>, String)> {
    call.peek.members.refuse_duplicates(&call.body, None).ok()?;
    let target = Target { model: Some(target.model.unwrap_or(&call.model_asked)), ..*target };
    let (mut canonical, text) = match call.endpoint.operation {
        Operation::Embeddings => {
            let request = embed::decode_request(tasks::asked_embedding(call), &call.body).ok()?;
            let first = request.inputs.first().and_then(|input| input.pieces.first());
            let text = match first {
                Some(embed::Piece::Text(text)) => text.clone(),
                _ => String::new(),
            };
            (canonical::embeddings(&request, &target), text)
        }
        Operation::Rerank => {
            let request = rerank::decode_request(tasks::asked_ranking(call), &call.body).ok()?;
            (canonical::ranking(&request, &target), request.query)
        }
        _ => return None,
    };
    let form = format!("\n{} {:?}", call.endpoint.dialect.name(), call.single);
    canonical.extend_from_slice(form.as_bytes());
    Some((canonical, text))
}

/// What the user said last.
fn last_words(request: &Request) -> String {
    let said = request.messages.iter().rev().find(|message| message.role == Role::User);
    let parts = said.map(|message| message.parts.as_slice()).unwrap_or_default();
    let texts = parts.iter().filter_map(|part| match part {
        Part::Text(text) => Some(text.text.as_str()),
        _ => None,
    });
    texts.collect::<Vec<_>>().join(" ")
}

fn shortened(text: &str) -> Box<str> {
    let text = text.trim();
    match text.char_indices().nth(TITLE) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()).into(),
        None => text.into(),
    }
}
