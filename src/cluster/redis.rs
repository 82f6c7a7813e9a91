//! The connection to Redis: leases by one script, news by a channel, who is there.
//!
//! Every call ends within the configured time, or has failed: whoever calls decides what that means. Nothing here is
//! called by a proxy thread.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use govern::lease::{Grant, Report, Span, Terms};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ErrorKind, Pipeline, RedisError, ServerErrorKind};
use thiserror::Error;
use tokio::sync::Mutex;

use crate::config::cluster::Cluster;

const SCRIPT: &str = include_str!("lease.lua");

/// Redis did not do what it was asked.
#[derive(Debug, Error)]
pub enum LinkError {
    #[error("{0}")]
    Redis(#[from] RedisError),
    #[error("no answer within {0} ms")]
    Silent(u128),
    #[error("an answer of the lease script that cannot be read: {0:?}")]
    Strange(Vec<String>),
}

/// One question about one allowance.
#[derive(Debug, Clone)]
pub struct Question {
    /// Without the prefix: what it is that is shared.
    pub key: String,
    pub report: Report,
    pub terms: Terms,
}

/// This gateway at Redis.
#[derive(Debug)]
pub struct Link {
    client: Client,
    /// `None` until it is needed, and again when it has failed.
    connection: Mutex<Option<(MultiplexedConnection, String)>>,
    prefix: String,
    node: String,
    timeout: Duration,
    /// Instead of the server's clock: for tests.
    clock_ms: AtomicU64,
}

impl Link {
    /// Connects when it is first used. `node`: the name of this process, unlike any other's ever.
    ///
    /// # Errors
    /// The address cannot be read.
    pub fn new(settings: &Cluster, node: String) -> Result<Self, LinkError> {
        Ok(Self {
            client: Client::open(settings.url.expose())?,
            connection: Mutex::default(),
            prefix: settings.prefix.to_string(),
            node,
            timeout: settings.timeout,
            clock_ms: AtomicU64::new(0),
        })
    }

    /// The name of this process.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Counts and leases by this clock from now on, not the server's: for tests that compare.
    pub fn set_clock(&self, now_ms: u64) {
        self.clock_ms.store(now_ms, Ordering::Relaxed);
    }

    /// Tells and asks, all in one round trip. The answers are in the order of the questions.
    ///
    /// # Errors
    /// Redis is gone, or one of the answers is none. Then any of the reports may have been counted.
    pub async fn ask(&self, questions: &[Question]) -> Result<Vec<Grant>, LinkError> {
        let answers = match self.run(|hash| self.scripts(hash, questions)).await {
            Err(LinkError::Redis(error)) if is_unknown_script(&error) => {
                self.forget().await;
                self.run(|hash| self.scripts(hash, questions)).await
            }
            answers => answers,
        }?;
        answers.into_iter().map(grant).collect()
    }

    /// This process is there, for `lease`; returns how many are.
    ///
    /// # Errors
    /// Redis is gone.
    pub async fn attend(&self, now_ms: u64, lease: Duration) -> Result<u32, LinkError> {
        let key = format!("{}nodes", self.prefix);
        let until = now_ms.saturating_add(u64::try_from(lease.as_millis()).unwrap_or(u64::MAX));
        let answer: (u32,) = self
            .within(async |connection, _| {
                let mut pipe = redis::pipe();
                pipe.zadd(&key, &self.node, until).ignore();
                pipe.zrembyscore(&key, 0, now_ms).ignore();
                pipe.zcard(&key);
                pipe.query_async(connection).await
            })
            .await?;
        Ok(answer.0)
    }

    /// This process leaves.
    ///
    /// # Errors
    /// Redis is gone.
    pub async fn leave(&self) -> Result<(), LinkError> {
        let key = format!("{}nodes", self.prefix);
        self.within(async |connection, _| {
            redis::cmd("ZREM").arg(&key).arg(&self.node).query_async(connection).await
        })
        .await
    }

    /// Tells all gateways, this one too.
    ///
    /// # Errors
    /// Redis is gone: nobody was told.
    pub async fn publish(&self, text: &str) -> Result<(), LinkError> {
        let channel = self.channel();
        self.within(async |connection, _| {
            redis::cmd("PUBLISH").arg(&channel).arg(text).query_async::<()>(connection).await
        })
        .await
    }

    /// A connection of its own that hears what is published.
    ///
    /// # Errors
    /// Redis is gone.
    pub async fn listen(&self) -> Result<redis::aio::PubSub, LinkError> {
        let connect = async {
            let mut pubsub = self.client.get_async_pubsub().await?;
            pubsub.subscribe(self.channel()).await?;
            Ok(pubsub)
        };
        // Connecting takes several round trips.
        let patience = self.timeout.saturating_mul(4);
        tokio::time::timeout(patience, connect).await.unwrap_or_else(|_| Err(silent(patience)))
    }

    /// Keeps `text` under `name` for those who come later, until it is over at `until_ms`.
    ///
    /// # Errors
    /// Redis is gone.
    pub async fn keep(&self, name: &str, text: &str) -> Result<(), LinkError> {
        let key = format!("{}resting", self.prefix);
        self.within(async |connection, _| {
            redis::cmd("HSET").arg(&key).arg(name).arg(text).query_async::<()>(connection).await
        })
        .await
    }

    /// Forgets what was kept under `names`.
    ///
    /// # Errors
    /// Redis is gone.
    pub async fn drop_kept(&self, names: &[String]) -> Result<(), LinkError> {
        let key = format!("{}resting", self.prefix);
        self.within(async |connection, _| {
            redis::cmd("HDEL").arg(&key).arg(names).query_async::<()>(connection).await
        })
        .await
    }

    /// All that is kept: names and texts.
    ///
    /// # Errors
    /// Redis is gone.
    pub async fn kept(&self) -> Result<Vec<(String, String)>, LinkError> {
        let key = format!("{}resting", self.prefix);
        self.within(async |connection, _| redis::cmd("HGETALL").arg(&key).query_async(connection).await).await
    }

    async fn run(&self, make: impl Fn(&str) -> Pipeline) -> Result<Vec<Vec<String>>, LinkError> {
        self.within(async |connection, hash| make(hash).query_async(connection).await).await
    }

    /// Runs `work` on the connection. One that has failed is not used again.
    async fn within<T>(
        &self,
        work: impl AsyncFnOnce(&mut MultiplexedConnection, &str) -> Result<T, RedisError>,
    ) -> Result<T, LinkError> {
        let whole = async {
            let (mut connection, hash) = self.connected().await?;
            Ok(work(&mut connection, &hash).await?)
        };
        let result = tokio::time::timeout(self.timeout, whole).await;
        let result = result.unwrap_or_else(|_| Err(silent(self.timeout)));
        if let Err(LinkError::Silent(_)) = &result {
            self.forget().await;
        }
        if let Err(LinkError::Redis(error)) = &result
            && error.is_io_error()
        {
            self.forget().await;
        }
        result
    }

    async fn connected(&self) -> Result<(MultiplexedConnection, String), LinkError> {
        let mut kept = self.connection.lock().await;
        if let Some(present) = &*kept {
            return Ok(present.clone());
        }
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timeout))
            .set_response_timeout(Some(self.timeout));
        let mut connection = self.client.get_multiplexed_async_connection_with_config(&settings).await?;
        let load = redis::cmd("SCRIPT").arg("LOAD").arg(SCRIPT).to_owned();
        let hash: String = load.query_async(&mut connection).await?;
        *kept = Some((connection.clone(), hash.clone()));
        Ok((connection, hash))
    }

    async fn forget(&self) {
        *self.connection.lock().await = None;
    }

    fn channel(&self) -> String {
        format!("{}news", self.prefix)
    }

    fn scripts(&self, hash: &str, questions: &[Question]) -> Pipeline {
        let mut pipe = redis::pipe();
        for question in questions {
            let command = pipe.cmd("EVALSHA").arg(hash).arg(1);
            command.arg(format!("{}lease:{}", self.prefix, question.key)).arg(&self.node);
            for argument in arguments(question, self.clock_ms.load(Ordering::Relaxed)) {
                command.arg(argument);
            }
        }
        pipe
    }
}

/// What the script is given behind the node's name; see its head.
fn arguments(Question { report, terms, .. }: &Question, clock_ms: u64) -> Vec<u64> {
    let (length, grain, start, left) = match terms.span {
        Span::Rolling { length_ms, grain_ms } => (length_ms, grain_ms, 0, 0),
        Span::Calendar { start_ms, left_ms } => (0, 0, start_ms, left_ms),
    };
    let known = report.known.as_deref().unwrap_or_default();
    let count = |parts: &[(u64, u64)]| u64::try_from(parts.len()).unwrap_or(u64::MAX);
    let mut all = vec![
        report.number,
        terms.max,
        terms.lease_ms,
        length,
        grain,
        start,
        left,
        report.need,
        report.short,
        report.spare,
        report.epoch,
        u64::from(report.known.is_some()),
        clock_ms,
        count(&report.spent),
        count(known),
    ];
    all.extend(report.spent.iter().chain(known).flat_map(|(age, amount)| [*age, *amount]));
    all
}

fn grant(answer: Vec<String>) -> Result<Grant, LinkError> {
    read(&answer).ok_or(LinkError::Strange(answer))
}

fn read(answer: &[String]) -> Option<Grant> {
    let numbers: Option<Vec<u64>> = answer.iter().map(|text| text.parse().ok()).collect();
    let numbers = numbers?;
    let [epoch, lease, total, nodes, others_lack, tell, strange, known @ ..] = numbers.as_slice() else {
        return None;
    };
    let mut known: Vec<(u64, u64)> =
        known.as_chunks().0.iter().map(|[age, amount]| (*age, *amount)).collect();
    known.sort_unstable_by(|a, b| b.cmp(a));
    Some(Grant {
        epoch: *epoch,
        lease: *lease,
        total: *total,
        nodes: u32::try_from(*nodes).unwrap_or(u32::MAX),
        others_lack: *others_lack != 0,
        known: (*strange != 0).then_some(known),
        tell: *tell != 0,
    })
}

fn is_unknown_script(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

fn silent(patience: Duration) -> LinkError {
    LinkError::Silent(patience.as_millis())
}
