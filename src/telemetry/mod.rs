//! What is seen from outside: metrics, log lines.

pub mod access_log;
pub mod clock;
pub mod limits;
pub mod logger;
pub mod metrics;
pub mod queues;
