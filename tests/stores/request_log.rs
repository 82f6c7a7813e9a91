//! The request log of a running gateway: nobody waits for it, what does not fit is counted, and it stops at its bounds.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bifrost::config::stores::RequestLog as Limits;
use bifrost::config::{ConfigHolder, Environment, Origin};
use bifrost::observe::Listener;
use bifrost::observe::log::RequestLog;
use bifrost::observe::log::conversation::Conversation;
use bifrost::store::StoreSettings;
use bifrost::store::requests::{Filter, Part, Question, Requests};
use bifrost::telemetry::clock;
use bifrost::telemetry::record::{Content, Record};
use bifrost::telemetry::redact::Redactors;
use bytes::Bytes;
use translate::Wire;
use translate::ir::Usage;

use super::outages::SmallDisk;
use super::rig::{Place, eventually, run};
use crate::support::services::Postgres;

fn record(at_ms: u64, id: &str) -> Record {
    Record {
        id: Record::number(at_ms, id),
        request_id: id.into(),
        started_us: at_ms * 1_000,
        took_us: 1_500,
        dialect: "openai_chat",
        object: "chat_completion",
        path: "/v1/chat/completions".into(),
        status: 200,
        model_asked: "oa/m".into(),
        provider: Some("oa".into()),
        model: Some("m".into()),
        key: Some("main".into()),
        usage: Some(Usage { input_uncached: 3, output: 4, ..Usage::default() }),
        cost_nanos: Some(7),
        overhead_us: 90,
        ..Record::default()
    }
}

/// A log and who is told of requests.
struct Rig {
    log: Arc<RequestLog>,
    listener: Box<dyn Listener>,
}

impl Rig {
    fn start(settings: &StoreSettings, limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.json");
        let config =
            r#"{"providers": {"openai": {"keys": [{"name": "k", "value": "a-configured-secret-9876"}]}}}"#;
        std::fs::write(&file, config).unwrap();
        let holder = ConfigHolder::open(Origin::File(file), Environment::Real).unwrap();
        let redactors = Arc::new(Redactors::new(Arc::new(holder)));
        let log = RequestLog::start(Requests::beside(settings), limits, redactors).unwrap();
        Self { listener: log.listener(), log }
    }

    fn tell(&mut self, records: impl IntoIterator<Item = Record>) {
        let records: Vec<Arc<Record>> = records.into_iter().map(Arc::new).collect();
        self.listener.told(&records, clock::now_ms());
    }

    fn written(&self) -> u64 {
        self.log.counts.written.load(Ordering::Relaxed)
    }

    async fn all_is_written(&self) {
        eventually("all to be written", async || {
            (self.log.counts.waiting.load(Ordering::Relaxed) == 0).then_some(())
        })
        .await;
    }

    async fn total(&self) -> u64 {
        self.log.ask(async |log: Arc<Requests>| log.total().await).await.unwrap()
    }
}

#[test]
fn requests_are_served_on_while_the_database_is_away() {
    let Some(mut server) = Postgres::start() else { return };
    run(async {
        let place = Place::postgres(&server);
        let mut rig = Rig::start(&place.settings, Limits::default());
        rig.tell([record(clock::now_ms(), "before")]);
        rig.all_is_written().await;
        server.stop();
        let begun = Instant::now();
        rig.tell((0..15_000).map(|n| record(clock::now_ms(), &format!("down-{n}"))));
        assert!(begun.elapsed() < Duration::from_secs(2), "nobody waited: {:?}", begun.elapsed());
        let dropped = rig.log.counts.dropped();
        assert!((3_000..=5_000).contains(&dropped), "what does not fit is counted: {dropped}");
        eventually("the log to notice", async || rig.log.requests.trouble()).await;
        server.start_again();
        rig.all_is_written().await;
        assert_eq!(rig.written(), 15_001 - dropped);
        assert_eq!(rig.total().await, 15_001 - dropped, "each of them once");
    });
}

#[test]
fn a_full_disk_costs_no_request_that_fits_into_memory() {
    let Some(disk) = SmallDisk::mount() else { return };
    run(async {
        let place = Place::sqlite_in(disk.path());
        let mut rig = Rig::start(&place.settings, Limits::default());
        rig.tell([record(clock::now_ms(), "before")]);
        rig.all_is_written().await;
        disk.fill();
        rig.tell((0..1_500).map(|n| record(clock::now_ms(), &format!("full-{n}"))));
        eventually("the log to notice", async || rig.log.requests.trouble()).await;
        disk.empty();
        rig.all_is_written().await;
        assert_eq!((rig.written(), rig.log.counts.dropped()), (1_501, 0));
        assert_eq!(rig.total().await, 1_501);
    });
}

#[test]
fn the_file_stops_at_its_bound_and_nobody_waits_for_what_leaves() {
    run(async {
        const BOUND: u64 = 4 << 20;
        let place = Place::sqlite();
        let mut rig = Rig::start(&place.settings, Limits { max_bytes: BOUND, kept_ms: 0 });
        let mut largest = 0;
        for batch in 0..30_u64 {
            rig.tell((0..1_000).map(|n| record(clock::now_ms(), &format!("{batch}-{n}"))));
            rig.all_is_written().await;
            let room = rig.log.ask(async |log: Arc<Requests>| log.room().await).await.unwrap();
            largest = largest.max(room.whole);
        }
        assert_eq!((rig.written(), rig.log.counts.dropped()), (30_000, 0));
        assert!(largest > BOUND / 2, "the bound was never reached: {largest}");
        eventually("the oldest to leave", async || {
            let room = rig.log.ask(async |log: Arc<Requests>| log.room().await).await.unwrap();
            (room.whole - room.free <= BOUND / 100 * 95).then_some(())
        })
        .await;
        assert!(largest <= BOUND + BOUND / 2, "the file has {largest} bytes");
        let total = rig.total().await;
        assert!(total < 30_000 && total > 1_000, "{total}");
        let newest = rig.log.ask(async |log: Arc<Requests>| log.find("29-999").await).await.unwrap();
        assert!(newest.is_some(), "the newest stay");
        let oldest = rig.log.ask(async |log: Arc<Requests>| log.find("0-0").await).await.unwrap();
        assert_eq!(oldest, None);
    });
}

#[test]
fn what_is_too_old_leaves() {
    run(async {
        const HOUR: u64 = 3_600_000;
        let place = Place::sqlite();
        let mut rig = Rig::start(&place.settings, Limits { max_bytes: 0, kept_ms: HOUR });
        let now = clock::now_ms();
        // The first look is at the start: all are there by then.
        rig.tell((0..500).map(|n| record(now - 2 * HOUR, &format!("old-{n}"))));
        rig.tell((0..100).map(|n| record(now, &format!("new-{n}"))));
        rig.all_is_written().await;
        drop(rig);
        let rig = Rig::start(&place.settings, Limits { max_bytes: 0, kept_ms: HOUR });
        eventually("the old ones to leave", async || (rig.total().await == 100).then_some(())).await;
    });
}

#[test]
fn a_file_that_is_removed_is_begun_anew() {
    run(async {
        let place = Place::sqlite();
        let mut rig = Rig::start(&place.settings, Limits::default());
        rig.tell([record(clock::now_ms(), "lost")]);
        rig.all_is_written().await;
        let StoreSettings::Sqlite { path } = Requests::beside(&place.settings) else { panic!() };
        for ending in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{ending}", path.display()));
        }
        eventually("another file", async || path.is_file().then_some(())).await;
        rig.tell([record(clock::now_ms(), "kept")]);
        rig.all_is_written().await;
        let found = eventually("the new request", async || {
            rig.log.ask(async |log: Arc<Requests>| log.find("kept").await).await.unwrap()
        })
        .await;
        assert_eq!(found.names.model, "m", "names have numbers in the new file");
    });
}

const ASKED: &str = r#"{"model":"m","messages":[{"role":"user","content":"Which animal has stripes?"}]}"#;

fn with_content(id: &str, response: &'static str, stream: bool) -> Record {
    let content = Content {
        request: Bytes::from_static(ASKED.as_bytes()),
        response: vec![Bytes::from_static(response.as_bytes())],
        ..Content::default()
    };
    Record { stream, content: Some(Box::new(content)), ..record(clock::now_ms(), id) }
}

#[test]
fn bodies_are_found_by_what_was_said_also_in_streams() {
    const WHOLE: &str = r#"{"id":"a","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"The zebra."},"finish_reason":"stop"}]}"#;
    const STREAM: &str = concat!(
        r#"data: {"id":"a","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"The ti"},"finish_reason":null}]}"#,
        "\n\n",
        r#"data: {"id":"a","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"ger."},"finish_reason":null}]}"#,
        "\n\n",
        r#"data: {"id":"a","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
        "\n\ndata: [DONE]\n\n",
    );
    run(async {
        let place = Place::sqlite();
        let mut rig = Rig::start(&place.settings, Limits::default());
        rig.tell([with_content("whole", WHOLE, false), with_content("stream", STREAM, true)]);
        rig.all_is_written().await;
        for (word, id) in [("zebra", "whole"), ("tiger", "stream")] {
            let filter = Filter { text: word.into(), ..Filter::default() };
            let question = Question { filter, limit: 10, ..Question::default() };
            let page = rig.log.ask(async move |log| log.page(&question).await).await.unwrap();
            let found: Vec<_> = page.entries.iter().map(|entry| &*entry.detail.request_id).collect();
            assert_eq!(found, [id]);
            let number = page.entries[0].id;
            let parts = rig.log.ask(async move |log| log.content(number).await).await.unwrap();
            assert_eq!(parts[0], (Part::Request, ASKED.as_bytes().to_vec()), "the same body is kept once");
            let chat = Conversation::of(Wire::OpenAiChat, &parts[0].1, &parts[1].1, id == "stream");
            assert_eq!(chat.input[0]["content"], "Which animal has stripes?");
            assert_eq!(chat.output.unwrap()["content"], format!("The {word}."));
        }
    });
}

#[test]
fn requests_are_kept_without_their_bodies_when_too_many_bytes_wait() {
    let Some(mut server) = Postgres::start() else { return };
    run(async {
        let place = Place::postgres(&server);
        server.stop();
        let mut rig = Rig::start(&place.settings, Limits::default());
        let body = Bytes::from(vec![b'x'; 1 << 20]);
        rig.tell((0..100).map(|n| {
            let content = Content { request: body.clone(), ..Content::default() };
            Record { content: Some(Box::new(content)), ..record(clock::now_ms(), &n.to_string()) }
        }));
        let left_out = rig.log.counts.bodies_left_out.load(Ordering::Relaxed);
        assert!((36..=52).contains(&left_out), "{left_out}");
        assert_eq!(rig.log.counts.dropped(), 0);
        server.start_again();
        rig.all_is_written().await;
        assert_eq!(rig.total().await, 100);
    });
}

#[test]
fn no_secret_is_kept_with_a_body() {
    run(async {
        let place = Place::sqlite();
        let mut rig = Rig::start(&place.settings, Limits::default());
        let said = r#"{"messages": [{"role": "user", "content": "use a-configured-secret-9876 and sk-bf-0123456789abcdef0123456789abcdef"}]}"#;
        let content = Content {
            request: Bytes::from_static(said.as_bytes()),
            upstream_request: Some(Bytes::from_static(said.as_bytes())),
            ..Content::default()
        };
        let told = Record { content: Some(Box::new(content)), ..record(clock::now_ms(), "secret") };
        rig.tell([told]);
        rig.all_is_written().await;
        let found = rig.log.ask(async |log: Arc<Requests>| log.find("secret").await).await.unwrap().unwrap();
        let parts = rig.log.ask(async move |log| log.content(found.id).await).await.unwrap();
        assert_eq!(
            parts.iter().map(|(part, _)| *part).collect::<Vec<_>>(),
            [Part::Request, Part::UpstreamRequest]
        );
        for (_, body) in parts {
            let text = String::from_utf8(body).unwrap();
            assert!(!text.contains("configured-secret") && !text.contains("0123456789abcdef"), "{text}");
        }
    });
}
