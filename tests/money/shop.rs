//! Callers with virtual keys, and a provider that asks the same price for every answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::bill::{Bill, Counts};
use crate::stage::{Provider, lay_over, providers};
use crate::support::client::{Connection, Request, Response};
use crate::support::gateway::{Gateway, free_port, write_config};
use crate::support::told::Told;
use crate::support::upstream::{Hit, Script};
use crate::support::{Wire, until};
use crate::wires::{self, Speech};

/// Tokens of every answer.
pub const COUNTS: Counts = Counts::plain(20, 40);
/// No request can be expected to cost more: no caller sends more than 400 bytes, none may be answered with more than 40
/// tokens, and no kind of token costs more than that.
pub const MOST: u64 = 400 * 6_007 + 40 * 17_011;
/// As long as the callers' `max_tokens`.
pub const MAX_TOKENS: u64 = 40;

/// Nano-dollars of one answer.
pub fn price() -> u64 {
    COUNTS.nanos()
}

/// A virtual key as callers send it.
pub fn value_of(name: &str) -> String {
    format!("sk-bf-0000-{name:0>40}")
}

/// An entry of `governance.virtual_keys`, with `more` in it.
pub fn key(name: &str, more: &Value) -> Value {
    let mut key = json!({"id": format!("vk-{name}"), "name": name, "value": value_of(name)});
    lay_over(&mut key, more);
    key
}

/// A budget of so many nano-dollars a day.
pub fn budget(nanos: u64) -> Value {
    budget_per(nanos, "1d")
}

/// A budget of so many nano-dollars per `span`. The number is written exactly.
pub fn budget_per(nanos: u64, span: &str) -> Value {
    let dollars: serde_json::Number =
        format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000).parse().unwrap();
    json!({"budget": {"max_limit": dollars, "reset_duration": span}})
}

/// A gateway whose callers have virtual keys.
pub struct Shop {
    pub provider: Arc<Provider>,
    pub folder: Arc<TempDir>,
    pub config: Value,
    pub port: u16,
    pub gateway: Gateway,
}

impl Shop {
    /// `governance` is laid into the configuration.
    pub fn open(governance: &Value, answer: impl Fn(&Hit, &Bill) -> Script + Send + Sync + 'static) -> Self {
        Self::open_with(&json!({"governance": governance}), answer)
    }

    /// `more` is laid over the configuration.
    pub fn open_with(more: &Value, answer: impl Fn(&Hit, &Bill) -> Script + Send + Sync + 'static) -> Self {
        let provider = Arc::new(Provider::start(move |hit, _, bill| answer(hit, bill)));
        let mut config = json!({
            "providers": providers(&provider.upstream.url()),
            "client": {"enforce_auth_on_inference": true},
        });
        lay_over(&mut config, more);
        let folder = Arc::new(tempfile::tempdir().unwrap());
        write_config(folder.path(), &config);
        let port = free_port();
        let gateway = Gateway::launch(Arc::clone(&folder), port, &[], &[]);
        Self { provider, folder, config, port, gateway }
    }

    /// Starts again in the same folder, however the process before ended.
    pub fn start_again(&mut self) {
        self.gateway = Gateway::launch(Arc::clone(&self.folder), self.port, &[], &[]);
    }

    /// Nano-dollars that the provider has billed.
    pub fn billed(&self) -> u64 {
        self.provider.bill.total()
    }

    pub fn ask(&self, key: &str, stream: bool) -> Reply {
        ask(&mut self.gateway.connect(), &request(key, "house-oa/m", stream)).expect("an answer")
    }

    /// Asks until the budget is used up: how often that went well. Anything but 200 and 402 is a failure.
    pub fn use_up(&self, key: &str) -> u64 {
        for answered in 0..100_000 {
            match self.ask(key, answered % 2 == 1) {
                Reply { status: 200, whole: true, .. } => {}
                Reply { status: 402, .. } => return answered,
                reply => panic!("neither answered nor over budget: {reply:?}"),
            }
        }
        panic!("the budget of {key} has no end");
    }

    /// `callers` at once, each asking until it is refused or `stop` says so.
    pub fn rush(&self, key: &str, callers: usize, times: usize) -> Tally {
        rush(self.gateway.address(), key, callers, |asked| asked >= times)
    }
}

/// Answers and bills it.
pub fn serve(hit: &Hit, bill: &Bill) -> Script {
    bill.add("m", price());
    wires::answer(hit, COUNTS)
}

/// What a caller got.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    /// The answer has its end.
    pub whole: bool,
    pub response: Response,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.response.header(name)
    }
}

/// A request of chat with a virtual key.
pub fn request(key: &str, model: &str, stream: bool) -> Request {
    let body = json!({"model": model, "stream": stream, "max_tokens": MAX_TOKENS,
        "messages": [{"role": "user", "content": "Count this."}]});
    Request::json(Speech::Chat.request(model, stream).path.as_str(), &body).header("x-bf-vk", &value_of(key))
}

/// One question and its answer; nothing when the connection broke before the head.
pub fn ask(connection: &mut Connection, request: &Request) -> Option<Reply> {
    let asked = std::time::Instant::now();
    let response = connection.ask(request).ok()?;
    let status = response.status();
    let stream = response.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
    let whole = response.whole && (!stream || ended(&response, asked));
    Some(Reply { status, whole, response })
}

fn ended(response: &Response, asked: std::time::Instant) -> bool {
    // A stream that was cut in an event is no JSON there.
    response.text().contains("[DONE]") && Told::new(Wire::OpenAi, response.clone(), asked).terminated
}

/// What callers saw.
#[derive(Debug, Default)]
pub struct Tally {
    pub answered: AtomicU64,
    pub over_budget: AtomicU64,
    pub limited: AtomicU64,
    /// Anything else: broken connections, cut streams, other errors.
    pub broken: AtomicU64,
}

impl Tally {
    pub fn note(&self, reply: Option<&Reply>) {
        let count = match reply {
            Some(Reply { status: 200, whole: true, .. }) => &self.answered,
            Some(Reply { status: 402, .. }) => &self.over_budget,
            Some(Reply { status: 429, .. }) => &self.limited,
            _ => &self.broken,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    pub fn over_budget(&self) -> u64 {
        self.over_budget.load(Ordering::Relaxed)
    }

    pub fn broken(&self) -> u64 {
        self.broken.load(Ordering::Relaxed)
    }
}

/// `callers` at once, each on a connection of its own, until `enough` says so of how often it has asked.
pub fn rush(
    address: std::net::SocketAddr,
    key: &str,
    callers: usize,
    enough: impl Fn(usize) -> bool + Sync,
) -> Tally {
    let tally = Tally::default();
    std::thread::scope(|scope| {
        for caller in 0..callers {
            let (tally, enough) = (&tally, &enough);
            scope.spawn(move || {
                let mut connection = None;
                let mut asked = 0;
                while !enough(asked) {
                    asked += 1;
                    let request = request(key, "house-oa/m", (caller + asked) % 2 == 0);
                    let mut open = match connection.take().map_or_else(|| Connection::open(address), Ok) {
                        Ok(open) => open,
                        Err(_) => {
                            tally.note(None);
                            std::thread::yield_now();
                            continue;
                        }
                    };
                    let reply = ask(&mut open, &request);
                    tally.note(reply.as_ref());
                    let stays = |reply: &Reply| reply.whole && reply.header("connection") != Some("close");
                    connection = reply.filter(stays).map(|_| open);
                }
            });
        }
    });
    tally
}

/// Waits until the provider was asked `times` times.
pub fn until_asked(shop: &Shop, times: usize) {
    until("the provider to be asked", || (shop.provider.upstream.hits().len() >= times).then_some(()));
}
