//! Several gateways as one: what they lease of budgets and limits, and what they tell each other.
//!
//! All of it runs on the background runtime; the request path reads memory. What is decided is decided in
//! `govern::lease`; this folder carries it to Redis and back.

mod leases;
mod news;
pub mod redis;
pub mod state;

use std::sync::Arc;

use tokio::runtime::Handle;

pub use self::leases::leased;
use self::leases::{Followed, Leases};
use self::news::News;
use self::redis::{Link, LinkError};
use self::state::State;
use crate::account::meters::Meters;
use crate::config::cluster::Cluster as Settings;
use crate::upstream::health::Registry;

/// This gateway among others.
#[derive(Debug)]
pub struct Cluster {
    pub state: Arc<State>,
}

impl Cluster {
    /// Joins the others: from now on `meters` and `health` are shared. Returns at once, whether Redis is there or not.
    ///
    /// # Errors
    /// The address cannot be read.
    pub fn join(
        settings: &Settings,
        meters: &Arc<Meters>,
        health: &Arc<Registry>,
        background: &Handle,
    ) -> Result<Self, LinkError> {
        let node = format!("{:x}-{:016x}", std::process::id(), fastrand::u64(..));
        let link = Arc::new(Link::new(settings, node)?);
        let state = Arc::<State>::default();
        let patience = settings.timeout + PATIENCE;
        let leases = Leases {
            link: Arc::clone(&link),
            meters: Arc::clone(meters),
            wakes: meters.share(settings.on_loss, patience),
            state: Arc::clone(&state),
            lease_ms: u64::try_from(settings.lease.as_millis()).unwrap_or(u64::MAX),
            followed: Followed::default(),
        };
        let news = Arc::new(News::new(link, Arc::clone(health), Arc::clone(&state)));
        background.spawn(leases.run());
        news.start(background);
        Ok(Self { state })
    }
}

/// Beyond the time that Redis may take, a request waits so long for a lease.
const PATIENCE: std::time::Duration = std::time::Duration::from_millis(100);
