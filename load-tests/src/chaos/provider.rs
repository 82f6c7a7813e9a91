//! A scripted provider: reads requests, decides what becomes of each, and does it byte for byte.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;

use super::dice::Dice;
use super::errand::Errand;
use super::fault::Fault;
use super::ledger::{Ended, Ledger, Ticket, Visit};
use super::providers::{PROVIDERS, Prefill, Provider};
use super::schedule::{Down, Schedule};
use super::script::{self, Act, Order};
use super::stalls::Stalls;
use crate::head::{self, Framing};

/// What all providers of a run share.
#[derive(Debug)]
pub struct Stage {
    pub seed: u64,
    pub schedule: Schedule,
    pub began: Instant,
    pub ledger: Ledger,
    pub stalls: Stalls,
    /// Faults of the first, second, … visit of every request instead of thrown ones.
    pub forced: Vec<Fault>,
    /// Turns true when kept connections shall end.
    pub closing: watch::Receiver<bool>,
}

impl Stage {
    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Counts a visit in an outage, or the first after one.
    fn note_outage(&self, provider: usize, fault: Fault, others: bool) {
        let now = self.now();
        if fault == Fault::Outage {
            if self.schedule.settled_outage(provider, now) {
                self.ledger.totals(|totals| match others {
                    true => totals.outage_visits.0 += 1,
                    false => totals.outage_visits.1 += 1,
                });
            }
            return;
        }
        let mut outages = self.schedule.outages.iter().enumerate();
        let over = outages.rfind(|(_, outage)| outage.provider == provider && outage.until <= now);
        if let Some((nth, outage)) = over {
            let after = u64::try_from((now - outage.until).as_millis()).unwrap_or(u64::MAX);
            self.ledger.totals(|totals| totals.returns.entry(nth).or_insert(after).to_owned());
        }
    }
}

/// Serves as the provider with this index until dropped.
///
/// # Errors
/// The port cannot be listened on again after an outage.
pub async fn serve(stage: Arc<Stage>, index: usize, listener: TcpListener) -> io::Result<()> {
    let address = listener.local_addr()?;
    let mut listening = Some(listener);
    loop {
        if stage.schedule.down(index, stage.now()) == Some(Down::Refusing) {
            // Nobody listens: connections are refused.
            listening = None;
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        }
        let listener = match listening.take() {
            Some(listener) => listener,
            None => listen(address)?,
        };
        // Looks up from time to time whether an outage begins.
        match tokio::time::timeout(Duration::from_millis(100), listener.accept()).await {
            Ok(Ok((stream, _))) => {
                let stage = Arc::clone(&stage);
                tokio::spawn(async move {
                    // A gateway that leaves is noted in the ledger where it matters.
                    let _ = connection(&stage, index, stream).await;
                });
            }
            Ok(Err(_)) => tokio::time::sleep(Duration::from_millis(10)).await,
            Err(_) => {}
        }
        listening = Some(listener);
    }
}

/// A listener at `address`, also right after another was closed there.
///
/// # Errors
/// The address is taken.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1_024)
}

async fn connection(stage: &Stage, index: usize, mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut unread = Vec::new();
    let mut closing = stage.closing.clone();
    loop {
        let asked = tokio::select! {
            asked = read_request(&mut stream, &mut unread) => asked?,
            _ = closing.wait_for(|closing| *closing) => None,
        };
        let Some(asked) = asked else { return Ok(()) };
        let Some((acts, ticket)) = answer(stage, index, &asked) else {
            return Ok(());
        };
        let kept = perform(&mut stream, acts).await;
        stage.ledger.end(ticket, if kept.is_err() { Ended::Left } else { Ended::Sent });
        match kept {
            Ok(true) => {}
            _ => return Ok(()),
        }
    }
}

/// A request as far as it matters.
struct Asked {
    key: String,
    body: Value,
}

async fn read_request(stream: &mut TcpStream, unread: &mut Vec<u8>) -> io::Result<Option<Asked>> {
    loop {
        let found = head::read(unread).map_err(io::Error::other)?;
        if let Some((length, body, key)) = found.map(|head| (head.length, head.framing, key_of(unread))) {
            let Framing::Length(body) = body else {
                return Err(io::Error::other("a request without a length"));
            };
            if let Some(bytes) = unread.get(length..length + body) {
                let body = serde_json::from_slice(bytes).map_err(io::Error::other)?;
                unread.drain(..length + bytes.len());
                return Ok(Some(Asked { key, body }));
            }
        }
        if stream.read_buf(unread).await? == 0 {
            return Ok(None);
        }
    }
}

/// The provider key, of either wire's header.
fn key_of(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes.get(..bytes.len().min(8_192)).unwrap_or_default());
    let lines = text.lines().take_while(|line| !line.is_empty());
    let value = lines.filter_map(|line| line.split_once(": ")).find_map(|(name, value)| {
        let bearer = || value.strip_prefix("Bearer ");
        if name.eq_ignore_ascii_case("x-api-key") {
            Some(value)
        } else if name.eq_ignore_ascii_case("authorization") {
            bearer()
        } else {
            None
        }
    });
    value.unwrap_or_default().to_owned()
}

/// What is done with a request, noted in the ledger. `None`: the request is none of a run's.
fn answer(stage: &Stage, index: usize, asked: &Asked) -> Option<(Vec<Act>, Ticket)> {
    let provider = PROVIDERS.get(index)?;
    let model = asked.body.get("model")?.as_str()?;
    let prompt = first_prompt(&asked.body)?;
    let number = |name: &str| -> Option<u64> {
        let rest = prompt.split(name).nth(1)?;
        rest.split(' ').next()?.parse().ok()
    };
    let (id, words) = (number("id=")?, usize::try_from(number("words=")?).ok()?);
    let words = Errand::answer(id, words);
    let (words, continued, refused) = prefilled(provider, model, &asked.body, words);
    let now = Instant::now();
    let stream = asked.body.get("stream").and_then(Value::as_bool).unwrap_or(false);
    let mut dice = Dice::of(&[stage.seed, id, 5, index as u64, stage.ledger.nth(id, index) as u64]);
    let fault = if refused {
        Fault::PrefillRefused
    } else {
        choose(stage, index, (id, stream, &asked.key), &mut dice)
    };
    stage.ledger.rest((index, &asked.key, model), fault, id);
    let order = Order {
        wire: provider.wire,
        model,
        stream,
        usage: asked.body.get("stream_options").is_some(),
        words: &words,
        pace: Duration::from_millis(number("pace=").unwrap_or(0)),
    };
    let down = stage.schedule.down(index, stage.now());
    let acts = match (fault, down) {
        (Fault::Outage, Some(Down::Silent)) => vec![Act::Hold],
        (Fault::Outage, Some(Down::Resetting | Down::Refusing)) => vec![Act::Reset],
        _ => script::of(&order, fault, &mut dice),
    };
    stage.note_outage(index, fault, Errand::of(stage.seed, id).has_after(index));
    let visit =
        Visit { provider: index, fault, at: now, took: Duration::ZERO, ended: Ended::Open, continued };
    Some((acts, stage.ledger.begin(id, visit)))
}

fn choose(stage: &Stage, index: usize, request: (u64, bool, &str), dice: &mut Dice) -> Fault {
    let (id, stream, key) = request;
    // Thrown whatever the weather, so that the same request meets the same fault if it meets one.
    let (fault, lot) = (Fault::thrown(dice, stream), dice.below(1_000));
    if !stage.forced.is_empty() {
        return stage.forced.get(stage.ledger.count(id)).copied().unwrap_or(Fault::None);
    }
    let now = stage.now();
    if stage.schedule.down(index, now).is_some() {
        return Fault::Outage;
    }
    let revoked = stage.schedule.revoked(index, now);
    if revoked.is_some_and(|nth| key.ends_with(&format!("-{nth}"))) {
        return Fault::KeyRevoked;
    }
    if lot < stage.schedule.share(index, now) { fault } else { Fault::None }
}

/// The words that are left to say, whether it was asked to go on, and whether that is refused.
fn prefilled(
    provider: &Provider,
    model: &str,
    body: &Value,
    words: Vec<String>,
) -> (Vec<String>, bool, bool) {
    let last = body.get("messages").and_then(Value::as_array).and_then(|turns| turns.last());
    let Some(said) = last.filter(|turn| turn.get("role").is_some_and(|role| role == "assistant")) else {
        return (words, false, false);
    };
    let nth = provider.models.iter().position(|known| *known == model).unwrap_or(0);
    match provider.prefill.get(nth) {
        Some(Prefill::Continues) => {}
        Some(Prefill::Refuses) => return (words, true, true),
        _ => return (words, true, false),
    }
    let (said, text) = (text_of(said.get("content")), words.concat());
    // A model that is asked to go on from something it never said says something else.
    let rest = text.strip_prefix(said.as_str()).unwrap_or(" (not my words)").to_owned();
    let mut left: Vec<String> = rest.split_inclusive(' ').map(str::to_owned).collect();
    left.retain(|word| !word.is_empty());
    (left, true, false)
}

fn first_prompt(body: &Value) -> Option<String> {
    let turn = body
        .get("messages")?
        .as_array()?
        .iter()
        .find(|turn| turn.get("role").is_some_and(|r| r == "user"))?;
    Some(text_of(turn.get("content")))
}

/// Text as a string or in parts.
fn text_of(content: Option<&Value>) -> String {
    match content {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            parts.iter().filter_map(|part| part.get("text")?.as_str()).collect::<Vec<_>>().concat()
        }
        _ => String::new(),
    }
}

/// Does it. True when the connection is kept.
///
/// # Errors
/// The other side left.
async fn perform(stream: &mut TcpStream, acts: Vec<Act>) -> io::Result<bool> {
    for act in acts {
        match act {
            Act::Send(bytes) => stream.write_all(&bytes).await?,
            Act::Pause(pause) => outlast(stream, pause).await?,
            Act::Hold => outlast(stream, Duration::from_secs(600)).await?,
            Act::Reset => {
                stream.set_zero_linger()?;
                return Ok(false);
            }
            Act::Close => {
                stream.shutdown().await?;
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Waits, but no longer than the other side stays.
async fn outlast(stream: &TcpStream, pause: Duration) -> io::Result<()> {
    let gone = async {
        let mut byte = [0; 1];
        match stream.peek(&mut byte).await {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            // A request sent ahead: the other side is there.
            Ok(_) => std::future::pending().await,
            Err(error) => Err(error),
        }
    };
    tokio::select! {
        left = gone => left,
        () = tokio::time::sleep(pause) => Ok(()),
    }
}
