//! The request log over each database: what is written is found again, in pages, by every filter, and leaves in time.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use bifrost::store::requests::entry::{Counts, Detail, Entry, Flags, Names, Tried, first_of};
use bifrost::store::requests::names::NameKind;
use bifrost::store::requests::{Bodies, Filter, Packed, Page, Part, Priced, Question, Rank, Requests, Span};
use bifrost::telemetry::record::{Outcome, Record};

use super::rig::{Place, each};

const NOW: u64 = 1_763_721_000_000;

async fn open(place: &Place) -> Arc<Requests> {
    Requests::open(&Requests::beside(&place.settings)).await.unwrap()
}

fn number(at_ms: u64, n: u64) -> u64 {
    first_of(at_ms) + n
}

/// The n-th request: a second after the one before.
fn request(n: u64) -> Entry<'static> {
    let provider = if n.is_multiple_of(3) { "anthropic" } else { "openai" };
    let failed = n.is_multiple_of(50);
    Entry {
        id: number(NOW + n * 1_000, n),
        names: Names {
            provider: provider.into(),
            model: format!("model-{}", n % 5).into(),
            asked: format!("{provider}/model-{}", n % 5).into(),
            key: "key-a".into(),
            virtual_key: if n.is_multiple_of(7) { "vk-7".into() } else { "".into() },
            object: "chat_completion".into(),
            dialect: "openai_chat".into(),
            error: if failed { "rate_limited".into() } else { "".into() },
            ..Names::default()
        },
        counts: Counts {
            outcome: if failed { Outcome::UpstreamError } else { Outcome::Success },
            status: if failed { 429 } else { 200 },
            flags: Flags::default().with(Flags::PRICED, true).with(Flags::USAGE, true),
            attempts: 1,
            took_us: (n * 7_919) % 100_000,
            input_tokens: n,
            output_tokens: 2 * n,
            cost_nanos: (n * 31) % 1_000,
            ..Counts::default()
        },
        detail: Detail {
            request_id: format!("request-{n}").into(),
            tags: vec![("team".into(), Cow::Owned(format!("t{}", n % 11)))],
            attempts: vec![Tried {
                provider: provider.into(),
                outcome: "success".into(),
                ..Tried::default()
            }],
            ..Detail::default()
        },
    }
}

async fn filled(place: &Place, count: u64) -> Arc<Requests> {
    let log = open(place).await;
    let mut entries: Vec<_> = (0..count).map(request).collect();
    for batch in entries.chunks_mut(1_000) {
        log.append(batch, &mut []).await.unwrap();
    }
    log
}

async fn page(log: &Requests, question: Question) -> Page {
    log.page(&question).await.unwrap()
}

fn ids(page: &Page) -> Vec<u64> {
    page.entries.iter().map(|entry| entry.id).collect()
}

/// All pages of a question, one behind the other.
async fn all(log: &Requests, mut question: Question) -> Vec<Entry<'static>> {
    let mut found = Vec::new();
    loop {
        let page = log.page(&question).await.unwrap();
        found.extend(page.entries);
        let Some(next) = page.next else { return found };
        question.after = Some(next);
    }
}

fn named(kind: NameKind, names: &[&str]) -> Filter {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    Filter { names: [(kind, names)].into(), ..Filter::default() }
}

#[test]
fn what_was_written_is_read_back() {
    each(async |place| {
        let log = open(&place).await;
        let mut entries = vec![request(49), request(50)];
        log.append(&mut entries, &mut []).await.unwrap();
        let read = page(&log, Question { limit: 10, ..Question::default() }).await;
        assert_eq!(read.entries, [entries[1].clone(), entries[0].clone()]);
        assert!(read.complete && read.next.is_none());
        // Another process that opens it knows the names.
        let again = open(&place).await;
        assert_eq!(again.find("request-50").await.unwrap().unwrap(), entries[1]);
        assert_eq!(again.find(&entries[0].id.to_string()).await.unwrap().unwrap(), entries[0]);
        assert_eq!(again.find("request-51").await.unwrap(), None);
    });
}

#[test]
fn ids_of_ours_are_found_by_the_moment_in_them() {
    each(async |place| {
        let log = open(&place).await;
        let id = format!("{NOW:012x}aaaabbbbccccddddeeee");
        let mut entry = request(1);
        entry.id = Record::number(NOW, &id);
        entry.detail.request_id = id.clone().into();
        let mut twin = entry.clone();
        twin.detail.request_id = "callers-own".into();
        log.append(&mut [twin, entry], &mut []).await.unwrap();
        let found = log.find(&id).await.unwrap().unwrap();
        assert_eq!(found.id, Record::number(NOW, &id) + 1, "its number was taken by another");
    });
}

#[test]
fn a_number_that_is_taken_becomes_the_next_free_one() {
    each(async |place| {
        let log = open(&place).await;
        let same = |name: &str| {
            let mut entry = request(3);
            entry.detail.request_id = name.to_owned().into();
            entry
        };
        log.append(&mut [same("a"), same("b")], &mut []).await.unwrap();
        log.append(&mut [same("c")], &mut []).await.unwrap();
        let read = page(&log, Question { limit: 10, ..Question::default() }).await;
        let names: Vec<_> = read.entries.iter().map(|entry| entry.detail.request_id.to_string()).collect();
        assert_eq!(names, ["c", "b", "a"]);
        assert_eq!(ids(&read), [request(3).id + 2, request(3).id + 1, request(3).id]);
    });
}

#[test]
fn pages_in_both_directions_show_every_request_once() {
    each(async |place| {
        let log = filled(&place, 500).await;
        let question = Question { limit: 37, ..Question::default() };
        let newest_first = all(&log, question.clone()).await;
        let expected: Vec<u64> = (0..500).rev().map(|n| request(n).id).collect();
        assert_eq!(newest_first.iter().map(|entry| entry.id).collect::<Vec<_>>(), expected);
        let oldest_first = all(&log, Question { ascending: true, ..question.clone() }).await;
        assert!(oldest_first.iter().map(|entry| entry.id).eq(expected.iter().rev().copied()));
        // Forward twice, and back.
        let first = page(&log, question.clone()).await;
        let second = page(&log, Question { after: first.next, ..question.clone() }).await;
        let back = Question { after: second.previous, backwards: true, ..question.clone() };
        let back = page(&log, back).await;
        assert_eq!(ids(&back), ids(&first));
        assert_eq!(back.previous, None, "there is nothing before the first page");
        let forth = page(&log, Question { after: back.next, ..question }).await;
        assert_eq!(ids(&forth), ids(&second));
    });
}

#[test]
fn every_filter_finds_what_a_look_at_all_requests_finds() {
    each(async |place| {
        let log = filled(&place, 1_000).await;
        let span = |min, max| Span { min, max };
        let mut both = named(NameKind::Provider, &["anthropic"]);
        both.names.insert(NameKind::Model, vec!["model-1".into(), "model-2".into(), "unknown".into()]);
        let tag = |name: &str| vec![("team".to_owned(), name.to_owned())];
        type Case = (Filter, fn(&Entry<'static>) -> bool);
        let cases: [Case; 12] = [
            (named(NameKind::Provider, &["openai"]), |e| e.names.provider == "openai"),
            (named(NameKind::VirtualKey, &["vk-7"]), |e| e.names.virtual_key == "vk-7"),
            (named(NameKind::Asked, &["openai/model-1"]), |e| e.names.asked == "openai/model-1"),
            (named(NameKind::Error, &["rate_limited"]), |e| e.names.error == "rate_limited"),
            (both, |e| e.names.provider == "anthropic" && ["model-1", "model-2"].contains(&&*e.names.model)),
            (named(NameKind::Model, &["unknown"]), |_| false),
            (
                Filter { outcomes: vec![Outcome::UpstreamError, Outcome::ClientError], ..Filter::default() },
                |e| e.counts.outcome == Outcome::UpstreamError,
            ),
            (Filter { took_us: span(Some(99_000), None), ..Filter::default() }, |e| {
                e.counts.took_us >= 99_000
            }),
            (
                Filter { cost_nanos: span(Some(10), Some(20)), statuses: vec![200], ..Filter::default() },
                |e| (10..=20).contains(&e.counts.cost_nanos) && e.counts.status == 200,
            ),
            (Filter { tags: tag("t5"), ..Filter::default() }, |e| e.detail.tags[0].1 == "t5"),
            (Filter { tags: tag("t5"), tokens: span(None, Some(300)), ..Filter::default() }, |e| {
                e.detail.tags[0].1 == "t5" && e.counts.input_tokens <= 100
            }),
            (Filter { from_ms: Some(NOW + 10_000), to_ms: Some(NOW + 20_000), ..Filter::default() }, |e| {
                (NOW + 10_000..NOW + 20_000).contains(&e.started_ms())
            }),
        ];
        for (filter, is_wanted) in cases {
            let expected: Vec<u64> =
                (0..1_000).rev().map(request).filter(is_wanted).map(|entry| entry.id).collect();
            let question = Question { filter: filter.clone(), limit: 40, ..Question::default() };
            let found: Vec<u64> = all(&log, question).await.iter().map(|entry| entry.id).collect();
            assert_eq!(found, expected, "{filter:?}");
            let tally = log.tally(&filter).await.unwrap();
            assert_eq!(tally.requests, expected.len() as u64, "{filter:?}");
            assert!(tally.complete);
            let scanned = log.scan(&filter, 10_000).await.unwrap();
            assert!(scanned.complete && scanned.rows.len() == expected.len());
        }
    });
}

#[test]
fn the_slowest_dearest_and_largest_come_first_however_they_are_paged() {
    each(async |place| {
        let log = filled(&place, 1_000).await;
        type Read = fn(&Entry<'static>) -> u64;
        let orders: [(Rank, Read); 3] = [
            (Rank::Latency, |e| e.counts.took_us),
            (Rank::Cost, |e| e.counts.cost_nanos),
            (Rank::Tokens, |e| e.counts.input_tokens + e.counts.output_tokens),
        ];
        for filter in [
            Filter::default(),
            named(NameKind::Provider, &["openai"]),
            named(NameKind::VirtualKey, &["vk-7"]),
        ] {
            for (rank, value) in orders {
                for ascending in [false, true] {
                    let question = Question {
                        filter: filter.clone(),
                        rank: Some(rank),
                        ascending,
                        limit: 90,
                        ..Question::default()
                    };
                    let found = all(&log, question).await;
                    let mut expected =
                        all(&log, Question { filter: filter.clone(), limit: 500, ..Question::default() })
                            .await;
                    expected.sort_by_key(|entry| (value(entry), entry.id));
                    if !ascending {
                        expected.reverse();
                    }
                    let ids = |all: &[Entry<'static>]| all.iter().map(|entry| entry.id).collect::<Vec<_>>();
                    assert_eq!(ids(&found), ids(&expected), "{rank:?} ascending: {ascending} {filter:?}");
                }
            }
        }
    });
}

fn packed(text: &str) -> Packed {
    let hash = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    Packed {
        hash: hash.as_ref().try_into().unwrap(),
        size: text.len() as u64,
        body: zstd::bulk::compress(text.as_bytes(), 3).unwrap(),
    }
}

#[test]
fn bodies_are_kept_once_and_found_by_their_words() {
    each(async |place| {
        let log = open(&place).await;
        let mut entries: Vec<_> = (0..20).map(request).collect();
        let mut bodies: Vec<Bodies> = entries
            .iter()
            .map(|entry| {
                let n = entry.counts.input_tokens;
                let answer = format!("answer {n}");
                let parts =
                    vec![(Part::Request, packed("the same question")), (Part::Response, packed(&answer))];
                let rare = if n == 13 { "zebra \"crossing\" OR" } else { "horse" };
                Bodies { id: entry.id, parts, text: format!("the same question {rare}") }
            })
            .collect();
        log.append(&mut entries, &mut bodies).await.unwrap();
        let content = log.content(entries[13].id).await.unwrap();
        assert_eq!(
            content,
            [(Part::Request, b"the same question".to_vec()), (Part::Response, b"answer 13".to_vec())]
        );
        for (text, count) in [
            ("zebra", 1),
            ("question horse", 19),
            ("Crossing", 1),
            ("elephant", 0),
            ("zebra horse", 0),
            ("\"zebra", 1),
        ] {
            let filter = Filter { text: text.to_owned(), ..Filter::default() };
            let found = all(&log, Question { filter, limit: 5, ..Question::default() }).await;
            assert_eq!(found.len(), count, "{text}");
        }
        // A body that others use stays when one request leaves.
        assert_eq!(log.remove(&[entries[13].id]).await, Ok(1));
        assert_eq!(log.content(entries[12].id).await.unwrap().len(), 2);
        assert!(log.content(entries[13].id).await.unwrap().is_empty());
        let filter = Filter { text: "zebra".to_owned(), ..Filter::default() };
        assert!(all(&log, Question { filter, limit: 5, ..Question::default() }).await.is_empty());
        assert_eq!(log.remove_oldest(i64::MAX as u64, 100).await, Ok(19));
        assert!(log.content(entries[12].id).await.unwrap().is_empty());
    });
}

#[test]
fn the_oldest_leave_first() {
    each(async |place| {
        let log = filled(&place, 300).await;
        let border = number(NOW + 100_000, 0);
        assert_eq!(log.remove_oldest(border, 60).await, Ok(60));
        assert_eq!(log.remove_oldest(border, 60).await, Ok(40));
        assert_eq!(log.remove_oldest(border, 60).await, Ok(0));
        assert_eq!(log.oldest_ms().await, Ok(Some(NOW + 100_000)));
        let left = all(&log, Question { limit: 50, ..Question::default() }).await;
        assert_eq!(left.len(), 200);
        assert_eq!(log.total().await, Ok(200), "zones are counted anew");
        let tagged = Filter { tags: vec![("team".into(), "t1".into())], ..Filter::default() };
        let found = all(&log, Question { filter: tagged, limit: 50, ..Question::default() }).await;
        assert!(found.iter().all(|entry| entry.started_ms() >= NOW + 100_000) && !found.is_empty());
    });
}

#[test]
fn another_cost_counts_for_the_order_too() {
    each(async |place| {
        let log = filled(&place, 100).await;
        let flags = Flags::default().with(Flags::PRICED, true);
        log.price(&[Priced { id: request(5).id, cost_nanos: 5_000, flags }]).await.unwrap();
        let question = Question { rank: Some(Rank::Cost), limit: 1, ..Question::default() };
        let first = page(&log, question).await.entries.remove(0);
        assert_eq!((first.id, first.counts.cost_nanos, first.counts.flags), (request(5).id, 5_000, flags));
    });
}

#[test]
fn names_that_callers_invent_do_not_fill_the_log() {
    each(async |place| {
        let log = open(&place).await;
        for batch in 0..3 {
            let mut entries: Vec<_> = (0..4_000_u64)
                .map(|n| {
                    let n = batch * 4_000 + n;
                    let mut entry = request(n);
                    entry.names.asked = format!("invented-{n}").into();
                    entry
                })
                .collect();
            log.append(&mut entries, &mut []).await.unwrap();
        }
        assert!(log.names.all(NameKind::Asked).len() <= 10_001);
        let newest = page(&log, Question { limit: 4_000, ..Question::default() }).await;
        let names: HashSet<_> = newest.entries.iter().map(|entry| entry.names.asked.clone()).collect();
        assert_eq!(names.len(), 4_000, "a row knows its name although it has no number");
    });
}

#[test]
fn strange_texts_do_not_stop_the_log() {
    each(async |place| {
        let log = open(&place).await;
        let mut entry = request(1);
        entry.names.model = "zero \0 '; DROP TABLE bifrost_requests; --".into();
        entry.detail.message = "\u{1F4B8} \" \\ \0".into();
        entry.detail.request_id = "\0".into();
        entry.counts.cost_nanos = u64::MAX;
        let mut bodies =
            [Bodies { id: entry.id, parts: vec![(Part::Request, packed("\0"))], text: "\0 words \0".into() }];
        log.append(&mut [entry], &mut bodies).await.unwrap();
        let read = page(&log, Question { limit: 5, ..Question::default() }).await;
        assert_eq!(read.entries.len(), 1);
        let filter = Filter { text: "words".into(), ..Filter::default() };
        assert_eq!(all(&log, Question { filter, limit: 5, ..Question::default() }).await.len(), 1);
    });
}
