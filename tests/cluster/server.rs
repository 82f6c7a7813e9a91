//! A Redis server of its own, and what it has leased.

use std::ops::{Deref, DerefMut};

use crate::support::gateway::Gateway;
use crate::support::services;

/// A running server; stopped when dropped.
pub struct Redis(services::Redis);

impl Redis {
    /// `None`, said aloud, where none is installed.
    pub fn start() -> Option<Self> {
        services::Redis::start().map(Self)
    }

    /// What is leased to a gateway of that measure, in all.
    pub fn leased(&self, gateway: &Gateway, measure: &str) -> u64 {
        let mut connection = redis::Client::open(self.url()).unwrap().get_connection().unwrap();
        let keys: Vec<String> =
            redis::cmd("KEYS").arg(format!("*:{measure}:*")).query(&mut connection).unwrap();
        let node = format!("n:{:x}-", gateway.pid());
        let leases = keys.iter().flat_map(|key| {
            redis::cmd("HGETALL").arg(key).query::<Vec<(String, String)>>(&mut connection).unwrap()
        });
        let own = leases.filter(|(name, _)| name.starts_with(&node));
        own.map(|(_, text)| text.split(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }
}

impl Deref for Redis {
    type Target = services::Redis;

    fn deref(&self) -> &services::Redis {
        &self.0
    }
}

impl DerefMut for Redis {
    fn deref_mut(&mut self) -> &mut services::Redis {
        &mut self.0
    }
}
