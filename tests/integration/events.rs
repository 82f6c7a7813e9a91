//! `/api/events` and `bifrost tail`: what happens now, as those see it who watch.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::stage::{chat, healthy_stage, provider, streamed};
use crate::support::answers::{healthy, refusal};
use crate::support::client::{Connection, Request};
use crate::support::gateway::{Gateway, command, write_config};
use crate::support::upstream::{Act, Gate, Upstream};
use crate::support::{Watched, Wire, until};

/// One event as it came.
#[derive(Debug, Clone)]
struct Event {
    id: Option<String>,
    name: String,
    data: Value,
}

/// A stream of events that is open.
struct Stream {
    connection: Connection,
    rest: String,
}

impl Stream {
    fn open(gateway: &Gateway, query: &str) -> Self {
        Self::ask(gateway, Request::get(&format!("/api/events?{query}")))
    }

    fn ask(gateway: &Gateway, request: Request) -> Self {
        let mut connection = gateway.connect();
        connection.send(&request).unwrap();
        let head = connection.read_head().unwrap();
        assert_eq!(head.status, 200);
        assert_eq!(head.header("content-type"), Some("text/event-stream"));
        assert_eq!(head.header("cache-control"), Some("no-cache, no-transform"));
        assert_eq!(head.header("x-accel-buffering"), Some("no"));
        let mut stream = Self { connection, rest: String::new() };
        assert_eq!(stream.next().expect("a first event").name, "hello");
        stream
    }

    /// The next event; nothing at the stream's end.
    fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((text, rest)) = self.rest.split_once("\n\n") {
                let (text, rest) = (text.to_owned(), rest.to_owned());
                self.rest = rest;
                let field = |name: &str| {
                    text.lines()
                        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
                        .map(str::to_owned)
                };
                let Some(name) = field("event") else { continue };
                let data = serde_json::from_str(&field("data").unwrap()).unwrap();
                return Some(Event { id: field("id"), name, data });
            }
            let piece = self.connection.piece().expect("the stream goes on")?;
            self.rest.push_str(&String::from_utf8(piece).unwrap());
        }
    }

    /// The next event of this name.
    fn named(&mut self, name: &str) -> Event {
        loop {
            let event = self.next().unwrap_or_else(|| panic!("{name} never came"));
            if event.name == name {
                return event;
            }
        }
    }

    /// Rows until there are so many.
    fn rows(&mut self, count: usize) -> Vec<Value> {
        let mut rows = Vec::new();
        while rows.len() < count {
            rows.extend(self.named("req").data["rows"].as_array().unwrap().iter().cloned());
        }
        rows
    }
}

#[test]
fn finished_requests_come_as_rows_of_the_list() {
    let (_upstream, gateway) = healthy_stage(json!({}));
    let mut stream = Stream::open(&gateway, "");
    gateway.ask(&Request::json(Wire::OpenAi.path(), &streamed("oa/m")).header("x-request-id", "watched-1"));
    let event = stream.named("req");
    let row = &event.data["rows"][0];
    for (name, value) in [
        ("id", json!("watched-1")),
        ("object", json!("chat_completion_stream")),
        ("provider", json!("oa")),
        ("model", json!("m")),
        ("model_requested", json!("oa/m")),
        ("status", json!("success")),
        ("status_code", json!(200)),
        ("stream", json!(true)),
        ("number_of_retries", json!(0)),
        ("fallback_index", json!(0)),
        ("selected_key_name", json!("main")),
        (
            "token_usage",
            json!({"prompt_tokens": 11, "completion_tokens": 4, "total_tokens": 15, "cached_tokens": 0}),
        ),
    ] {
        assert_eq!(row[name], value, "{name}: {row}");
    }
    assert!(row["latency"].as_f64().unwrap() > 0.0 && row["time_to_first_token"].is_number(), "{row}");
    assert!(row["timestamp"].as_str().unwrap().ends_with('Z'));
    assert!(row.to_string().len() < 1_024);
    assert!(event.id.is_some());
}

#[test]
fn filters_are_those_of_the_list_and_others_are_refused() {
    let upstream = Upstream::start(|hit| match hit.model() {
        "bad" => refusal(hit, 400, "invalid_request_error", "no", &[]),
        _ => healthy(hit),
    });
    let gateway = Gateway::start(&json!({"providers": {
        "oa": provider(Wire::OpenAi, &upstream.url()), "ob": provider(Wire::OpenAi, &upstream.url())}}));
    let mut failed = Stream::open(&gateway, "status=error");
    let mut of_ob = Stream::open(&gateway, "providers=ob,oc&max_latency=60000&min_tokens=15");
    for model in ["oa/fine", "oa/bad", "ob/fine"] {
        gateway.ask(&Request::json(Wire::OpenAi.path(), &chat(model)));
    }
    assert_eq!(failed.rows(1)[0]["model"], "bad");
    assert_eq!(of_ob.rows(1)[0]["provider"], "ob");
    for (query, words) in [
        ("topics=req,nothing", "there is no topic"),
        ("colour=red", "there is no filter"),
        ("min_latency=slow", "min_latency is a number"),
    ] {
        let answer = gateway.get(&format!("/api/events?{query}"));
        assert_eq!(answer.status(), 422, "{}", answer.text());
        assert!(answer.text().contains(words), "{}", answer.text());
    }
}

#[test]
fn whoever_comes_back_is_given_what_came_meanwhile() {
    let (_upstream, gateway) = healthy_stage(json!({}));
    let ask = |id: &str| {
        gateway.ask(&Request::json(Wire::OpenAi.path(), &chat("oa/m")).header("x-request-id", id));
        gateway.request_line(id);
    };
    let mut stream = Stream::open(&gateway, "");
    ask("first");
    let last = stream.named("req").id.expect("an id");
    drop(stream);
    ask("second");
    ask("third");
    let back = Request::get("/api/events").header("last-event-id", &last);
    let rows = Stream::ask(&gateway, back).rows(2);
    assert_eq!([&rows[0]["id"], &rows[1]["id"]], ["second", "third"]);
    // Of another process, or from too long ago: that something is missing is said.
    let stranger = Request::get("/api/events").header("last-event-id", "1-7");
    assert_eq!(Stream::ask(&gateway, stranger).named("lag").data, json!({"skipped": null}));
}

#[test]
fn requests_under_way_are_seen_from_beginning_to_end() {
    let gate = Gate::shut();
    let held = gate.clone();
    let upstream = Upstream::start(move |hit| {
        let mut script = vec![Act::Wait(held.clone())];
        script.extend(healthy(hit));
        script
    });
    let gateway = Gateway::start(&json!({"providers": {"oa": provider(Wire::OpenAi, &upstream.url())}}));
    let mut stream = Stream::open(&gateway, "topics=flight");
    let mut caller = gateway.connect();
    caller.send(&Request::json(Wire::OpenAi.path(), &chat("oa/m")).header("x-request-id", "held")).unwrap();
    let seen = |stream: &mut Stream, look: &dyn Fn(&Value) -> bool| loop {
        let event = stream.named("flight");
        if look(&event.data) {
            return event.data;
        }
    };
    let asking = seen(&mut stream, &|data| data["moved"][0]["phase"] == "asking");
    let flight = &asking["moved"][0];
    assert_eq!(
        (&flight["id"], &flight["provider"], &flight["attempt"]),
        (&json!("held"), &json!("oa"), &json!(1))
    );
    // Who comes later sees it too.
    let mut late = Stream::open(&gateway, "topics=flight");
    let all = seen(&mut late, &|data| data["all"].is_array());
    assert_eq!(all["all"][0]["id"], "held");
    gate.open();
    assert_eq!(caller.response().unwrap().status(), 200);
    seen(&mut stream, &|data| data["ended"] == json!(["held"]));
}

#[test]
fn each_second_is_told_in_numbers() {
    let (_upstream, gateway) = healthy_stage(json!({}));
    let mut stream = Stream::open(&gateway, "topics=metrics");
    stream.named("metrics");
    for _ in 0..3 {
        gateway.ask(&Request::json(Wire::OpenAi.path(), &chat("oa/m")));
    }
    let (mut requests, mut input) = (0, 0);
    while requests < 3 {
        let data = stream.named("metrics").data;
        requests += data["requests"].as_u64().unwrap();
        input += data["input_tokens"].as_u64().unwrap();
        assert_eq!(data["errors"], 0);
        if data["requests"] != 0 {
            assert!(
                data["latency"]["p95"].is_number() && data["providers"]["oa"]["requests"].is_u64(),
                "{data}"
            );
        }
    }
    assert_eq!((requests, input), (3, 33));
}

#[test]
fn health_and_configurations_are_told_when_they_change() {
    let upstream = Upstream::start(|hit| refusal(hit, 401, "authentication_error", "no", &[]));
    let config = json!({"providers": {"oa": provider(Wire::OpenAi, &upstream.url())}});
    let gateway = Gateway::start(&config);
    let mut stream = Stream::open(&gateway, "topics=health,config");
    gateway.ask(&Request::json(Wire::OpenAi.path(), &chat("oa/m")));
    let change = stream.named("health").data["changes"][0].clone();
    assert_eq!(
        (&change["provider"], &change["key"], &change["state"]),
        (&json!("oa"), &json!("main"), &json!("refused"))
    );
    let mut changed = config.clone();
    changed["client"] = json!({"drop_excess_requests": true});
    write_config(gateway.folder.path(), &changed);
    gateway.signal(1);
    assert_eq!(stream.named("config").data["revision"], 2);
    crate::support::gateway::write_text(gateway.folder.path(), "{");
    gateway.signal(1);
    let failed = stream.named("config").data;
    assert!(failed["error"].is_string(), "{failed}");
}

#[test]
fn too_many_rows_are_sampled_and_that_is_said() {
    let (_upstream, gateway) = healthy_stage(json!({}));
    let mut stream = Stream::open(&gateway, "");
    std::thread::scope(|scope| {
        let stop = Watched::new(false);
        for _ in 0..4 {
            let stop = Arc::clone(&stop);
            let gateway = &gateway;
            scope.spawn(move || {
                let mut connection = gateway.connect();
                while !*stop.lock() {
                    let body = json!({"model": "mock/echo", "messages": [{"role": "user", "content": "x"}]});
                    connection.ask(&Request::json(Wire::OpenAi.path(), &body)).unwrap();
                }
            });
        }
        let notice = stream.named("notice").data;
        assert!(notice["in"].as_u64().unwrap() > 1, "{notice}");
        let rows = stream.named("req").data["rows"].as_array().unwrap().len();
        assert!(rows <= 50, "{rows}");
        stop.change(|stop| *stop = true);
    });
}

#[test]
fn streams_are_bounded_and_end_with_the_process_without_holding_it_back() {
    let (_upstream, mut gateway) = healthy_stage(json!({}));
    let mut streams: Vec<Stream> = (0..32).map(|_| Stream::open(&gateway, "topics=req,metrics")).collect();
    let refused = gateway.get("/api/events");
    assert_eq!(refused.status(), 503, "{}", refused.text());
    drop(streams.pop());
    // Those who left make room: the next second tells that they have.
    until("room for another", || {
        let mut connection = gateway.connect();
        connection.send(&Request::get("/api/events")).ok()?;
        (connection.read_head().ok()?.status == 200).then_some(())
    });
    gateway.signal(15);
    let began = std::time::Instant::now();
    assert_eq!(streams[0].named("bye").data["reason"], "the gateway ends");
    assert!(streams[0].next().is_none());
    assert!(gateway.wait_for_exit().success());
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

/// A running `bifrost tail` with its lines.
struct Tail {
    child: Child,
    lines: Arc<Watched<Vec<String>>>,
    errors: Arc<Watched<Vec<String>>>,
}

impl Tail {
    fn start(port: u16, arguments: &[&str]) -> Self {
        let home = std::env::temp_dir();
        let mut child = command(&home)
            .args(["tail", "--url", &format!("http://127.0.0.1:{port}")])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("tail starts");
        let lines = watched(child.stdout.take().unwrap());
        let errors = watched(child.stderr.take().unwrap());
        Self { child, lines, errors }
    }

    fn line(&self, text: &str) -> String {
        self.lines.wait_for(text, |lines| lines.iter().find(|line| line.contains(text)).cloned())
    }

    fn exit_code(&mut self) -> Option<i32> {
        until("tail to end", || self.child.try_wait().unwrap()).code()
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn watched(from: impl std::io::Read + Send + 'static) -> Arc<Watched<Vec<String>>> {
    let lines = Watched::new(Vec::new());
    let into = Arc::clone(&lines);
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            into.change(|lines: &mut Vec<String>| lines.push(line));
        }
    });
    lines
}

/// Asks until the tail has come in.
fn asked_until(gateway: &Gateway, tail: &Tail, id: &str) -> String {
    until(id, || {
        gateway.ask(&Request::json(Wire::OpenAi.path(), &chat("oa/m")).header("x-request-id", id));
        tail.lines.lock().iter().find(|line| line.contains(id)).cloned()
    })
}

#[test]
fn tail_shows_lines_for_people_and_objects_for_programs() {
    let (_upstream, gateway) = healthy_stage(json!({}));
    let plain = Tail::start(gateway.port, &["--filter", "provider=oa"]);
    let line = asked_until(&gateway, &plain, "seen-1");
    assert!(line.contains(" 200 oa/m ") && line.contains("15 tokens"), "{line}");
    assert!(!line.contains('\u{1b}'), "no colours where no terminal is: {line:?}");
    let json = Tail::start(gateway.port, &["--json", "--topics", "req"]);
    let line = asked_until(&gateway, &json, "seen-2");
    let row: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&row["event"], &row["data"]["id"]), (&json!("req"), &json!("seen-2")));
}

#[test]
fn tail_goes_on_behind_the_last_event_after_a_restart() {
    let (_upstream, mut gateway) = healthy_stage(json!({}));
    let tail = Tail::start(gateway.port, &[]);
    asked_until(&gateway, &tail, "before");
    gateway.signal(15);
    assert!(gateway.wait_for_exit().success());
    tail.line("the gateway ends the stream");
    let again = Gateway::launch(Arc::clone(&gateway.folder), gateway.port, &[], &[]);
    asked_until(&again, &tail, "after");
    tail.line("what happened since the last connection is not known");
    assert!(tail.errors.lock().iter().any(|line| line.contains("asking again")));
}

#[test]
fn tail_ends_with_a_code_that_says_why() {
    let free = crate::support::gateway::free_port();
    assert_eq!(Tail::start(free, &[]).exit_code(), Some(2));
    let gateway = Gateway::start(&json!({"governance": {"auth_config": {
        "admin_username": "ada", "admin_password": "correct horse battery"}}}));
    let mut refused = Tail::start(gateway.port, &["--token", "bfadmin_x"]);
    assert_eq!(refused.exit_code(), Some(1));
    refused.errors.wait_for("the advice", |lines| lines.iter().find(|line| line.contains("401")).cloned());
    for wrong in
        [&["--filter", "colour=red"][..], &["--filter", "provider"], &["--topics", "x"], &["--url", "x"]]
    {
        assert_eq!(Tail::start(free, wrong).exit_code(), Some(2), "{wrong:?}");
    }
}
