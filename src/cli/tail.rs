//! `bifrost tail`: what a running gateway does, line by line.
//!
//! Reads `/api/events` and nothing else. A connection that breaks is made again, behind the last event that came.

mod line;
mod sse;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use clap::{Args, ValueEnum};
use http::{HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{sleep, timeout};

use self::line::{Look, written};
use self::sse::{Event, Reader};
use super::{UNUSABLE, unusable};
use crate::egress::http::{Client, HttpError, read_limited};

/// The gateway says something at least every 15 seconds.
const SILENCE: Duration = Duration::from_secs(40);
const HEAD: Duration = Duration::from_secs(15);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Bytes of a refusal that are read.
const REFUSAL: u64 = 64 * 1024;

/// What is watched, and how it is shown.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Filters, each may be given several times: provider, model, object, status (success, error, \
        cancelled, or a code), key, virtual_key, team, customer, rule, error, min_latency and max_latency (ms), min_tokens, \
        max_tokens, min_cost, max_cost ($).\n\n\
        Examples:\n  bifrost tail\n  bifrost tail --filter status=error --filter provider=openai,anthropic\n  \
        bifrost tail --url https://gateway.example.com --topics req,health,config --json | jq .\n\n\
        Exit codes: 0: whoever read the lines has left; 1: the gateway refused; 2: it cannot be reached, or the command line \
        cannot be used."
)]
pub struct Tail {
    /// Where the gateway is
    #[arg(long, value_name = "URL", env = "BIFROST_URL", default_value = "http://localhost:8080")]
    url: String,
    /// A token of the administration [default: none, for a gateway without logins]
    #[arg(long, env = "BIFROST_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Only requests that fit, as NAME=VALUE[,VALUE]
    #[arg(long, value_name = "NAME=VALUE", value_parser = filter)]
    filter: Vec<(String, String)>,
    /// What is watched
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["req", "health", "config"])]
    topics: Vec<Watched>,
    /// One JSON object a line: {"event": …, "data": …}; a request is one of its own, {"event": "req", "data": {…}}
    #[arg(long)]
    json: bool,
}

/// One topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Watched {
    /// Finished requests
    Req,
    /// Requests under way
    Flight,
    /// Each second in numbers
    Metrics,
    /// Keys and targets that rest
    Health,
    /// Configurations in force
    Config,
}

/// How one connection ended.
enum Ended {
    /// Nobody reads the lines any more.
    Unread,
    Refused(String),
    /// To be made again; and whether anything had come.
    Broken {
        why: String,
        heard: bool,
    },
}

/// Watches until nobody reads, or the gateway refuses.
#[must_use]
pub fn run(options: &Tail) -> ExitCode {
    let uri = match address(options) {
        Ok(uri) => uri,
        Err(message) => return unusable(&message),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let client = Client::new(&[]);
    let (runtime, client) = match (runtime, client) {
        (Ok(runtime), Ok(client)) => (runtime, client),
        (Err(error), _) | (_, Err(error)) => return unusable(&error.to_string()),
    };
    runtime.block_on(watch(options, &client, &uri))
}

async fn watch(options: &Tail, client: &Client, uri: &Uri) -> ExitCode {
    let look = Look::new(options.json, io::stdout().is_terminal());
    let (mut last, mut pause, mut ever) = (None, FIRST_PAUSE, false);
    loop {
        let why = match follow(options, client, (uri, look), &mut last).await {
            Ended::Unread => return ExitCode::SUCCESS,
            Ended::Refused(message) => {
                say(&message);
                return ExitCode::FAILURE;
            }
            Ended::Broken { why, heard: false } if !ever => {
                say(&why);
                return ExitCode::from(UNUSABLE);
            }
            Ended::Broken { why, heard } => {
                if heard {
                    pause = FIRST_PAUSE;
                }
                why
            }
        };
        ever = true;
        say(&format!("{why}; asking again"));
        sleep(pause).await;
        pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
    }
}

/// One connection, to its end. `last` is the id of the last event that came.
async fn follow(
    options: &Tail,
    client: &Client,
    (uri, look): (&Uri, Look),
    last: &mut Option<String>,
) -> Ended {
    let broken = |why: String| Ended::Broken { why, heard: false };
    let request = match request(options, uri, last.as_deref()) {
        Ok(request) => request,
        Err(why) => return Ended::Refused(why),
    };
    let answer = match timeout(HEAD, client.send(request, |_| true)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return broken(error.to_string()),
        Err(_) => return broken(HttpError::Timeout(HEAD).to_string()),
    };
    let status = answer.status();
    if status != StatusCode::OK {
        let text = read_limited(answer.into_body(), REFUSAL).await.unwrap_or_default();
        let message = refusal(status, &text);
        let later = matches!(status.as_u16(), 429 | 500..);
        return if later { broken(message) } else { Ended::Refused(message) };
    }
    read(answer.into_body(), look, last).await
}

async fn read(mut body: Incoming, look: Look, last: &mut Option<String>) -> Ended {
    let mut reader = Reader::default();
    let mut heard = false;
    loop {
        let frame = match timeout(SILENCE, body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(error))) => {
                return Ended::Broken { why: format!("the connection broke: {error}"), heard };
            }
            Ok(None) => return Ended::Broken { why: "the gateway ended the stream".to_owned(), heard },
            Err(_) => return Ended::Broken { why: "nothing comes any more".to_owned(), heard },
        };
        let Ok(data) = frame.into_data() else { continue };
        for Event { id, name, data } in reader.push(&data) {
            heard = true;
            if id.is_some() {
                *last = id;
            }
            let text = written(&name, &data, look);
            let mut out = io::stdout().lock();
            if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
                return Ended::Unread;
            }
        }
    }
}

fn request(options: &Tail, uri: &Uri, last: Option<&str>) -> Result<Request<Bytes>, String> {
    let mut request = Request::new(Bytes::new());
    *request.uri_mut() = uri.clone();
    let headers = request.headers_mut();
    headers.insert(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
    if let Some(token) = &options.token {
        let value = HeaderValue::from_str(&format!("Bearer {}", token.trim()));
        headers.insert(header::AUTHORIZATION, value.map_err(|_| "--token is no token".to_owned())?);
    }
    if let Some(Ok(last)) = last.map(HeaderValue::from_str) {
        headers.insert("last-event-id", last);
    }
    Ok(request)
}

fn address(options: &Tail) -> Result<Uri, String> {
    let wrong = || format!("{:?} is no address of a gateway: write it as http://localhost:8080", options.url);
    let mut url = url::Url::parse(&options.url).map_err(|_| wrong())?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(wrong());
    }
    let path = format!("{}/api/events", url.path().trim_end_matches('/'));
    url.set_path(&path);
    let topics = options.topics.iter().filter_map(|topic| topic.to_possible_value());
    let topics: Vec<String> = topics.map(|value| value.get_name().to_owned()).collect();
    url.query_pairs_mut().clear().append_pair("topics", &topics.join(",")).extend_pairs(&options.filter);
    url.as_str().parse().map_err(|_| wrong())
}

fn filter(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    let mut known = crate::observe::live::Filter::default();
    known.add(name.trim(), value).map_err(|wrong| wrong.to_string())?;
    Ok((name.trim().to_owned(), value.to_owned()))
}

/// What the gateway says no with.
fn refusal(status: StatusCode, body: &[u8]) -> String {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let said =
        body.pointer("/error/message").and_then(serde_json::Value::as_str).unwrap_or("no reason was given");
    let advice = match status {
        StatusCode::UNAUTHORIZED => {
            " (give --token, or BIFROST_TOKEN: `bifrost admin token --name tail --role viewer` makes one)"
        }
        StatusCode::NOT_FOUND => " (is there a gateway at --url?)",
        _ => "",
    };
    format!("the gateway answered {}: {said}{advice}", status.as_u16())
}

fn say(message: &str) {
    let _ = writeln!(io::stderr(), "{message}");
}
