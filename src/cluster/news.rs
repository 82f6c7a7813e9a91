//! What gateways tell each other at once: keys that rest or are well again, and that they are there.
//!
//! Over one channel; what rests is kept beside it for those who come later. What is heard of oneself is skipped.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{interval, sleep, timeout};

use super::redis::{Link, LinkError};
use super::state::State;
use crate::account::meters::now_ms;
use crate::upstream::health::Registry;
use crate::upstream::health::shared::Rest;

/// Gateways say that they are there so often.
const HERE_EVERY: Duration = Duration::from_secs(1);
/// One that has not said so for this time is not there.
const GONE_AFTER: Duration = Duration::from_secs(5);
/// The next try to connect.
const RECONNECT: Duration = Duration::from_millis(300);
/// News that wait to be told; more are not told.
const ROOM: usize = 1_024;

/// What is said on the channel.
#[derive(Debug, Serialize, Deserialize)]
struct Message<'a> {
    node: &'a str,
    #[serde(flatten)]
    word: Word,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    /// This gateway is there.
    Here(bool),
    Rest(Rest),
}

/// What is kept for those who come later.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    rest: Rest,
    /// Unix milliseconds.
    until: u64,
}

/// The tasks that tell and hear.
#[derive(Debug)]
pub struct News {
    link: Arc<Link>,
    health: Arc<Registry>,
    state: Arc<State>,
}

impl News {
    pub fn new(link: Arc<Link>, health: Arc<Registry>, state: Arc<State>) -> Self {
        Self { link, health, state }
    }

    /// Starts all tasks.
    pub fn start(self: &Arc<Self>, background: &Handle) {
        let seen = self.health.observe(ROOM);
        background.spawn(Arc::clone(self).tell(seen));
        background.spawn(Arc::clone(self).listen());
        background.spawn(Arc::clone(self).attend());
    }

    async fn tell(self: Arc<Self>, mut seen: mpsc::Receiver<Rest>) {
        while let Some(rest) = seen.recv().await {
            // A gateway without Redis has nobody to tell.
            let _ = self.keep(&rest).await;
            let _ = say(&self.link, Word::Rest(rest)).await;
        }
    }

    async fn keep(&self, rest: &Rest) -> Result<(), LinkError> {
        let name = rest.name();
        let Some(for_ms) = rest.for_ms else { return self.link.drop_kept(&[name]).await };
        let kept = Kept { rest: rest.clone(), until: now_ms().saturating_add(for_ms) };
        let Ok(text) = serde_json::to_string(&kept) else { return Ok(()) };
        self.link.keep(&name, &text).await
    }

    async fn listen(self: Arc<Self>) {
        loop {
            // Why it failed is said by who leases.
            let _ = self.hear_all().await;
            sleep(RECONNECT).await;
        }
    }

    async fn hear_all(&self) -> Result<(), LinkError> {
        let mut messages = pin!(self.link.listen().await?.into_on_message());
        // Behind the subscription: nothing falls between the two.
        self.recall().await?;
        // Gateways say all the time that they are there: silence is a connection that is gone.
        while let Ok(Some(message)) = timeout(GONE_AFTER, poll_fn(|cx| messages.as_mut().poll_next(cx))).await
        {
            if let Ok(text) = message.get_payload::<String>() {
                self.hear(&text);
            }
        }
        Ok(())
    }

    fn hear(&self, text: &str) {
        let Ok(message) = serde_json::from_str::<Message<'_>>(text) else { return };
        if message.node == self.link.node() {
            return;
        }
        match message.word {
            Word::Here(_) => {}
            Word::Rest(rest) => self.health.told(&rest),
        }
    }

    /// What rested before this gateway came.
    async fn recall(&self) -> Result<(), LinkError> {
        let now_ms = now_ms();
        let mut over = Vec::new();
        for (name, text) in self.link.kept().await? {
            match serde_json::from_str::<Kept>(&text) {
                Ok(kept) if kept.until > now_ms => {
                    let for_ms = Some(kept.until.saturating_sub(now_ms));
                    self.health.told(&Rest { for_ms, ..kept.rest });
                }
                _ => over.push(name),
            }
        }
        if over.is_empty() { Ok(()) } else { self.link.drop_kept(&over).await }
    }

    async fn attend(self: Arc<Self>) {
        let mut tick = interval(HERE_EVERY);
        loop {
            tick.tick().await;
            let began = std::time::Instant::now();
            match self.link.attend(now_ms(), GONE_AFTER).await {
                Ok(nodes) => {
                    self.state.counted(nodes);
                    self.state.answered(began.elapsed());
                    let _ = say(&self.link, Word::Here(true)).await;
                }
                Err(error) => self.state.failed(&error),
            }
        }
    }
}

async fn say(link: &Link, word: Word) -> Result<(), LinkError> {
    let message = Message { node: link.node(), word };
    match serde_json::to_string(&message) {
        Ok(text) => link.publish(&text).await,
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use govern::cooldown::CoolReason;

    use super::*;

    #[test]
    fn what_is_said_is_understood() {
        let rest =
            Rest { key: "p/k".into(), of: u64::MAX, model: None, for_ms: Some(7), why: CoolReason::Asked };
        for word in [Word::Here(true), Word::Rest(rest)] {
            let text = serde_json::to_string(&Message { node: "n", word }).unwrap();
            let heard: Message<'_> = serde_json::from_str(&text).unwrap();
            assert_eq!(serde_json::to_string(&heard).unwrap(), text);
        }
    }
}
