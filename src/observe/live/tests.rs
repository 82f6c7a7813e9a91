use tokio::sync::mpsc::error::TryRecvError;

use super::*;
use crate::config::{Environment, Origin};
use crate::observe::samples::record;

fn stage() -> (Arc<Hub>, Live) {
    let config = Arc::new(ConfigHolder::open(Origin::Environment, Environment::fixed([])).unwrap());
    let hub = Arc::new(Hub::default());
    let live = Live::new(&hub, &config, &Arc::default(), || 5);
    (hub, live)
}

fn named(id: &str) -> Arc<Record> {
    Arc::new(Record { request_id: id.into(), ..record() })
}

fn many(count: usize) -> Vec<Arc<Record>> {
    (0..count).map(|n| named(&format!("r{n}"))).collect()
}

fn listen(hub: &Arc<Hub>, topics: &[Topic]) -> Events {
    hub.listen(Wish { topics: Topics::of(topics), ..Wish::default() }).unwrap()
}

/// All that waits, as text.
fn taken(events: &mut Events) -> String {
    let mut all = String::new();
    while let Ok(piece) = events.from.try_recv() {
        all.push_str(std::str::from_utf8(&piece).unwrap());
    }
    all
}

fn ids(text: &str) -> Vec<String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("data: {\"rows\""));
    let rows = lines.flat_map(|line| {
        let rows: serde_json::Value = serde_json::from_str(&format!("{{\"rows\"{line}")).unwrap();
        rows["rows"].as_array().unwrap().clone()
    });
    rows.map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn nothing_is_made_while_nobody_listens() {
    let (hub, mut live) = stage();
    assert!(Topic::ALL.iter().all(|topic| !hub.wants(*topic)));
    live.told(&many(3), 1_000);
    assert_eq!(live.ring.last(), 0);
}

#[test]
fn rows_come_in_batches_of_a_quarter_of_a_second() {
    let (hub, mut live) = stage();
    let mut events = listen(&hub, &[Topic::Request]);
    live.told(&[named("a")], 1_000);
    assert_eq!(ids(&taken(&mut events)), ["a"]);
    for (now, id) in [(1_050, "b"), (1_100, "c"), (1_200, "d")] {
        live.told(&[named(id)], now);
    }
    assert_eq!(taken(&mut events), "");
    live.told(&[], 1_250);
    assert_eq!(ids(&taken(&mut events)), ["b", "c", "d"]);
}

#[test]
fn above_fifty_rows_a_batch_every_nth_is_shown_and_that_is_said_once() {
    let (hub, mut live) = stage();
    let mut events = listen(&hub, &[Topic::Request]);
    live.told(&many(120), 1_000);
    let text = taken(&mut events);
    assert!(text.contains("event: notice\ndata: {\"topic\":\"req\",\"showing\":1,\"in\":3}"), "{text}");
    assert_eq!(ids(&text).len(), 40);
    live.told(&many(130), 1_300);
    assert!(!taken(&mut events).contains("notice"));
    live.told(&many(2), 1_600);
    let text = taken(&mut events);
    assert!(text.contains("\"in\":1}") && ids(&text).len() == 2, "{text}");
}

#[test]
fn a_listener_that_is_slow_is_told_what_it_lost_and_no_other_loses_anything() {
    let (hub, mut live) = stage();
    let (mut slow, mut quick) = (listen(&hub, &[Topic::Request]), listen(&hub, &[Topic::Request]));
    let mut seen = 0;
    for batch in 0..30_u64 {
        live.told(&many(2), 1_000 + batch * 250);
        seen += ids(&taken(&mut quick)).len();
    }
    assert_eq!(seen, 60);
    // Its greeting and fifteen batches found their place.
    assert_eq!(ids(&taken(&mut slow)).len(), 30);
    live.told(&many(1), 60_000);
    let text = taken(&mut slow);
    assert!(text.starts_with("event: lag\ndata: {\"skipped\":30}"), "{text}");
    assert_eq!(ids(&text).len(), 1);
}

#[test]
fn who_comes_back_goes_on_where_it_was() {
    let (hub, mut live) = stage();
    let mut events = listen(&hub, &[Topic::Request]);
    live.told(&[named("a")], 1_000);
    let text = taken(&mut events);
    let last = text.lines().rev().find_map(|line| line.strip_prefix("id: ")).and_then(Seen::read).unwrap();
    drop(events);
    live.told(&[named("b")], 1_300);
    live.told(&[named("c")], 1_600);
    let back = |since| {
        hub.listen(Wish { topics: Topics::of(&[Topic::Request]), since: Some(since), ..Wish::default() })
    };
    let mut again = back(last).unwrap();
    live.told(&[], 1_900);
    let text = taken(&mut again);
    assert_eq!(ids(&text), ["b", "c"]);
    assert!(!text.contains("lag"));
    // What is not kept any more is counted, another process's numbers are not.
    live.told(&many(5_000), 2_200);
    let (mut late, mut stranger) = (back(last).unwrap(), back(Seen { boot: 1, number: 1 }).unwrap());
    live.told(&[], 2_500);
    let text = taken(&mut late);
    assert!(text.contains("event: lag\ndata: {\"skipped\":906}"), "{}", &text[..300]);
    assert_eq!(ids(&text).len(), 1_000);
    assert!(taken(&mut stranger).contains("event: lag\ndata: {\"skipped\":null}"));
}

#[test]
fn requests_under_way_end_with_their_record() {
    let (hub, mut live) = stage();
    let mut events = listen(&hub, &[Topic::Flight]);
    assert!(hub.wants(Topic::Flight) && !hub.wants(Topic::Metrics));
    let step = |kind| Step {
        request_id: "r".into(),
        started_ms: 1,
        object: "chat_completion",
        model_asked: "oa/m".into(),
        stream: false,
        virtual_key: None,
        kind,
    };
    hub.stepped(step(StepKind::Began));
    hub.stepped(step(StepKind::Asks { provider: "oa".into(), model: "m".into(), attempt: 1 }));
    live.told(&[], 1_000);
    let text = taken(&mut events);
    assert!(text.contains("\"phase\":\"asking\"") && text.contains("\"provider\":\"oa\""), "{text}");
    live.told(&[named("r")], 1_300);
    assert!(taken(&mut events).contains("\"ended\":[\"r\"]"));
    assert_eq!(live.flights.all().count(), 0);
}

#[test]
fn a_second_is_told_in_the_numbers_of_its_requests() {
    let (hub, mut live) = stage();
    let mut events = listen(&hub, &[Topic::Metrics]);
    live.told(&[], 1_500);
    taken(&mut events);
    live.told(&many(4), 1_700);
    live.told(&[], 2_001);
    let text = taken(&mut events);
    let data = text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    assert_eq!((&data["requests"], &data["errors"], &data["in_flight"]), (&4.into(), &0.into(), &4.into()));
    assert_eq!(data["latency"]["p95"], 500.0);
    assert_eq!(data["cost"], 10.0);
}

#[test]
fn at_the_end_listeners_are_told_and_let_go_and_nobody_is_let_in() {
    let (hub, mut live) = stage();
    let mut events = listen(&hub, &[Topic::Request]);
    live.told(&[], 1_000);
    hub.close();
    live.told(&[], 1_010);
    assert!(taken(&mut events).contains("event: bye"));
    assert_eq!(events.from.try_recv(), Err(TryRecvError::Disconnected));
    assert_eq!(hub.listen(Wish::default()).unwrap_err(), Closed::Ending);
}

#[test]
fn listeners_are_counted_in_and_out() {
    let (hub, _live) = stage();
    let mut all: Vec<Events> = (0..MOST).map(|_| listen(&hub, &[Topic::Request])).collect();
    assert_eq!(hub.listen(Wish::default()).unwrap_err(), Closed::Full);
    all.pop();
    assert!(hub.listen(Wish::default()).is_ok());
}

/// Prints what a request pays: `cargo test --release -p bifrost --lib live::tests::cost -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn cost_of_a_request_while_nobody_listens_and_while_somebody_does() {
    let (hub, mut live) = stage();
    let rounds = 10_000_000_u32;
    let began = Instant::now();
    let wanted = (0..rounds).filter(|_| std::hint::black_box(&hub).wants(Topic::Flight)).count();
    println!("asking whether anybody listens: {:?} each ({wanted})", began.elapsed() / rounds);
    let mut events = listen(&hub, &[Topic::Request]);
    let records = many(1_000);
    let began = Instant::now();
    for round in 0..100_u64 {
        live.told(&records, 1_000 + round * 250);
        taken(&mut events);
    }
    println!("a row for one listener: {:?} each", began.elapsed() / 100_000);
}
