//! What is seen from outside: metrics, log lines.

pub mod access_log;
pub mod clock;
pub mod events;
pub mod levels;
pub mod limits;
pub mod logger;
pub mod members;
pub mod metrics;
pub mod queues;
pub mod record;
pub mod redact;
pub mod trace_context;
