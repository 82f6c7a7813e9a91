//! Checks the groups of the configuration in force: begins with a reload that brings one, ends with the one that takes
//! it away. A group that stays the same is checked on without a break. Whom new limits let in is let in here too.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use pingora_core::server::ShutdownWatch;
use pingora_core::services::background::BackgroundService;
use tokio::task::JoinHandle;

use super::{Group, Groups};
use crate::config::{ConfigHolder, Snapshot};
use crate::upstream::capacity::Capacity;

/// The service.
pub struct Watch {
    pub config: Arc<ConfigHolder>,
    pub groups: Arc<Groups>,
    pub capacity: Arc<Capacity>,
}

/// One group's checks, until it is dropped.
struct Checks(JoinHandle<()>);

impl Drop for Checks {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[async_trait]
impl BackgroundService for Watch {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let mut versions = self.config.versions();
        let mut running: HashMap<u64, Checks> = HashMap::new();
        loop {
            versions.mark_unchanged();
            self.follow(&self.config.load_full(), &mut running);
            tokio::select! {
                changed = versions.changed() => if changed.is_err() { return },
                changed = shutdown.changed() => if changed.is_err() || *shutdown.borrow() { return },
            }
        }
    }
}

impl Watch {
    fn follow(&self, snapshot: &Snapshot, running: &mut HashMap<u64, Checks>) {
        self.capacity.follow(snapshot);
        self.groups.keep(snapshot);
        let groups = self.groups.all(snapshot);
        running.retain(|id, _| groups.iter().any(|(group, _)| group.id() == *id));
        for (group, _) in groups {
            if group.spec().check.is_some() {
                running.entry(group.id()).or_insert_with(|| Checks(tokio::spawn(check(group))));
            }
        }
    }
}

async fn check(group: Arc<Group>) {
    let Some(interval) = group.spec().check.as_ref().map(|check| check.interval) else { return };
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        group.check().await;
    }
}
