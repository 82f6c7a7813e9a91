//! Where several gateways share what they count: compiled. Read at start only.

use std::sync::Arc;
use std::time::Duration;

use govern::lease::OnLoss;

use super::snapshot::Secret;

/// A cluster over Redis.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// It may hold a password.
    pub url: Secret,
    /// Begins every key and channel.
    pub prefix: Arc<str>,
    pub on_loss: OnLoss,
    /// For so long a lease lasts that is not renewed.
    pub lease: Duration,
    /// Redis is gone after this silence.
    pub timeout: Duration,
}
