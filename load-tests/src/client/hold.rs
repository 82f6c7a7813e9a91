//! Opens slow streams and keeps them open while someone else weighs the gateway.

use std::io::{BufRead as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::Target;
use super::connection::Connection;
use crate::stamp::StampReader;

/// Opens `streams`, prints `{"holding": n}` once each sent its first content chunk (or `ready_within`
/// is over), then holds until standard input gives a line or ends, at most `longest`.
pub async fn run(target: Target, streams: usize, ready_within: Duration, longest: Duration) -> Value {
    let start = Instant::now();
    let target = Arc::new(target);
    let (began, mut beginnings) = mpsc::channel(streams.max(1));
    let mut open = JoinSet::new();
    for _ in 0..streams {
        open.spawn(hold(Arc::clone(&target), began.clone()));
    }
    drop(began);
    let mut holding = 0;
    while holding < streams {
        match timeout_at(start + ready_within, beginnings.recv()).await {
            Ok(Some(())) => holding += 1,
            Ok(None) | Err(_) => break,
        }
    }
    println!("{}", json!({ "holding": holding }));
    let _ = std::io::stdout().flush();
    // Whoever waits for the line above has gone if this times out; end all the same.
    let _ = timeout_at(start + longest, released()).await;
    let mut ended = 0;
    while open.try_join_next().is_some() {
        ended += 1;
    }
    // Some that ended may never have begun: what is good both began and is still open.
    let good = holding.min(streams - ended);
    json!({ "mode": "hold", "good": good, "failed": streams - good })
}

/// Reads one stream until it ends, which it should not while it is held.
async fn hold(target: Arc<Target>, began: mpsc::Sender<()>) {
    let Ok(mut connection) = Connection::open(target.address).await else { return };
    let (mut reader, mut seen) = (StampReader::default(), false);
    let arrived = |body: &[u8]| {
        reader.scan(body, |_| {
            if !seen {
                seen = true;
                let _ = began.try_send(());
            }
        });
    };
    let _ = connection.exchange(&target.request, arrived).await;
}

async fn released() {
    let (release, released) = oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::stdin().lock().read_line(&mut String::new());
        let _ = release.send(());
    });
    let _ = released.await;
}
