use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use translate::cache::question::{Asking, Question};

use super::*;
use crate::cache::entry::{About, EntryId, Space};
use crate::cache::vector::embedded::{Bounds, Embedded};
use crate::config::cache::Semantic as Settings;

/// Answers every request with what this makes of its body: a status and an answer.
fn model(answer: impl Fn(&Value) -> (u16, Value) + Send + Sync + 'static) -> (Arc<Inner>, Arc<AtomicUsize>) {
    let (inner, asked, answer) =
        (Arc::new(Inner::default()), Arc::new(AtomicUsize::new(0)), Arc::new(answer));
    let count = Arc::clone(&asked);
    inner.open(Box::new(move |mut pipe, _| {
        count.fetch_add(1, Ordering::SeqCst);
        let answer = Arc::clone(&answer);
        tokio::spawn(async move {
            let mut all = Vec::new();
            let body = loop {
                let mut piece = [0; 4_096];
                let read = pipe.read(&mut piece).await.unwrap();
                all.extend_from_slice(&piece[..read]);
                let text = String::from_utf8_lossy(&all).into_owned();
                let body = text.split_once("\r\n\r\n").and_then(|(_, body)| serde_json::from_str(body).ok());
                if let Some(body) = body {
                    break body;
                }
                assert_ne!(read, 0, "{text}");
            };
            let (status, answer) = answer(&body);
            let answer = answer.to_string();
            let head = format!("HTTP/1.1 {status} Told\r\ncontent-length: {}\r\n\r\n", answer.len());
            drop(pipe.write_all(format!("{head}{answer}").as_bytes()).await);
        });
    }));
    (inner, asked)
}

const LIST: &str = "How do I reverse a list in Python?";
/// The same in other words.
const WAY: &str = "What's the way to reverse a list in Python?";
/// Nearer than that, and something else.
const THREE: &str = "How do I reverse 3 lists in Python?";
const DOCKER: &str = "How do I install Docker on Ubuntu?";

/// A model for which these lie side by side, so many degrees from the first.
fn angles(body: &Value) -> (u16, Value) {
    assert_eq!(body["model"], "local/mini");
    let known = [(LIST, 0.0), (WAY, 10.0), (THREE, 9.0), (DOCKER, 60.0)];
    let angle = known.into_iter().find(|(text, _)| body["input"] == *text).unwrap().1;
    let (sin, cos) = f64::to_radians(angle).sin_cos();
    (200, json!({"data": [{"embedding": [cos * 3.0, sin * 3.0, 0.0]}], "usage": {"prompt_tokens": 1}}))
}

fn wanted(text: &str) -> Wanted {
    let settings = Settings {
        provider: "local".into(),
        model: "mini".into(),
        dimension: Some(3),
        threshold: 0.9,
        asking: Asking::default(),
    };
    Wanted {
        space: Space([1; 32]),
        question: Question { text: text.to_owned(), frame: Vec::new() },
        frame: [2; 32],
        settings: Arc::new(settings),
        threshold: 0.9,
        shadow: false,
        words: true,
        caller: None,
        request_id: "r".into(),
        trace: None,
    }
}

struct Stage {
    semantic: Semantic,
    asked: Arc<AtomicUsize>,
    store: Arc<dyn VectorStore>,
    _folder: TempDir,
}

impl Stage {
    async fn with(kept: &[&str]) -> Self {
        let (inner, asked) = model(angles);
        let semantic = Semantic::new(inner, Arc::default());
        let folder = tempfile::tempdir().unwrap();
        let bounds = Bounds { entries: 100, bytes: 1 << 30 };
        let store = Arc::new(Embedded::new(folder.path().join("cache.db"), bounds));
        store.start(&tokio::runtime::Handle::current());
        store.open(3).await.unwrap();
        let stage = Self { semantic, asked, store, _folder: folder };
        for (number, text) in (1..).zip(kept) {
            let wanted = wanted(text);
            let meaning = stage.semantic.meaning(&wanted).await.unwrap();
            let fingerprint = [number; 32];
            let entry = Entry {
                id: EntryId::of(wanted.space, &fingerprint),
                space: wanted.space,
                fingerprint,
                meaning: Some(meaning),
                answer: Bytes::from(format!("answer to {text}")),
                about: Arc::new(About::default()),
                created_ms: 1,
                expires_ms: 100,
            };
            stage.store.put(entry).await.unwrap();
        }
        stage
    }

    async fn look(&self, wanted: &Wanted) -> Compared {
        self.semantic.lookup(wanted, &self.store, 10).await
    }
}

fn told(compared: &Compared) -> Option<String> {
    let (entry, _) = compared.near.as_ref()?;
    Some(String::from_utf8_lossy(&entry.answer).into_owned())
}

#[tokio::test]
async fn the_nearest_that_is_near_enough_is_found_and_noted() {
    let stage = Stage::with(&[LIST, DOCKER]).await;
    let found = stage.look(&wanted(WAY)).await;
    assert_eq!(told(&found).unwrap(), format!("answer to {LIST}"));
    let (best, cosine) = (found.best.unwrap(), 10.0_f32.to_radians().cos());
    assert!((best - cosine).abs() < 0.001, "{best} {cosine}");
    let meaning = found.meaning.unwrap();
    assert_eq!((&*meaning.text, meaning.frame), (WAY, [2; 32]));
    assert!((meaning.vector.iter().map(|value| value * value).sum::<f32>() - 1.0).abs() < 1e-5);
    let looked = stage.semantic.lookups.latest(9, |_| true);
    assert_eq!((looked.len(), looked[0].outcome, looked[0].threshold), (1, Outcome::Served, 0.9));
    assert_eq!(looked[0].words, Some(Words::of(WAY, LIST)));
    let other = Wanted { space: Space([9; 32]), ..wanted(WAY) };
    let compared = stage.look(&other).await;
    assert!(compared.near.is_none() && compared.best.is_none(), "nothing is found from another space");
    assert_eq!(stage.semantic.lookups.counts().empty, 1);
}

#[tokio::test]
async fn what_a_guard_refuses_is_not_given_but_the_next_may_be() {
    let stage = Stage::with(&[LIST]).await;
    let refused = stage.look(&wanted(THREE)).await;
    assert!(refused.near.is_none());
    assert_eq!(refused.guarded, Some("numbers"));
    assert!(refused.best.unwrap() > 0.98);
    let stage = Stage::with(&[THREE, LIST]).await;
    let found = stage.look(&wanted(WAY)).await;
    assert_eq!(
        told(&found).unwrap(),
        format!("answer to {LIST}"),
        "three lists are nearer, and something else"
    );
    let counts = stage.semantic.lookups.counts();
    assert_eq!((counts.served.iter().sum::<u64>(), counts.guarded.iter().sum::<u64>()), (1, 0));
}

#[tokio::test]
async fn what_is_not_near_enough_is_not_given_and_shadows_say_what_they_would_have() {
    let stage = Stage::with(&[LIST]).await;
    let strict = Wanted { threshold: 0.99, words: false, ..wanted(WAY) };
    let found = stage.look(&strict).await;
    assert!(found.near.is_none() && found.best.is_some() && found.guarded.is_none());
    let shadow = Wanted { shadow: true, ..wanted(WAY) };
    let found = stage.look(&shadow).await;
    assert!(found.near.is_some());
    let looked = stage.semantic.lookups.latest(9, |_| true);
    let outcomes: Vec<_> =
        looked.iter().map(|looked| (looked.outcome.name(), looked.words.is_some())).collect();
    assert_eq!(outcomes, [("shadow", true), ("below", false)]);
}

#[tokio::test]
async fn a_text_is_embedded_once() {
    let stage = Stage::with(&[LIST]).await;
    for _ in 0..3 {
        stage.look(&wanted(WAY)).await;
        stage.look(&wanted(LIST)).await;
    }
    assert_eq!(stage.asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_model_that_fails_is_left_alone_for_a_while() {
    let (inner, asked) = model(|_| (500, json!({"error": {"message": "no"}})));
    let semantic = Semantic::new(inner, Arc::default());
    for number in 0..5 {
        assert!(semantic.meaning(&wanted(&number.to_string())).await.is_none());
    }
    assert_eq!((asked.load(Ordering::SeqCst), semantic.failed()), (3, 3));
}

#[tokio::test]
async fn who_gives_up_waiting_counts_as_a_failure_of_the_model() {
    let inner = Arc::new(Inner::default());
    let pipes = std::sync::Mutex::new(Vec::new());
    inner.open(Box::new(move |pipe, _| pipes.lock().unwrap().push(pipe)));
    let semantic = Semantic::new(inner, Arc::default());
    let limit = std::time::Duration::from_millis(5);
    assert!(tokio::time::timeout(limit, semantic.meaning(&wanted("a"))).await.is_err());
    assert_eq!(semantic.failed(), 1);
}

#[tokio::test]
async fn answers_that_are_no_vector_are_none() {
    let strange = [
        json!({"data": []}),
        json!({"data": [{"embedding": [1.0, 0.0]}]}),
        json!({"data": [{"embedding": [0.0, 0.0, 0.0]}]}),
        json!({"data": [{"embedding": ["a", 0.0, 0.0]}]}),
        json!({"data": [{"embedding": [1, 0, 0]}, {"embedding": [1, 0, 0]}]}),
        json!("text"),
    ];
    for answer in strange {
        let told = answer.clone();
        let (inner, _) = model(move |_| (200, told.clone()));
        assert!(Semantic::new(inner, Arc::default()).meaning(&wanted("a")).await.is_none(), "{answer}");
    }
}
