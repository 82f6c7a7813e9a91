//! A request that waits a moment for a share of what several gateways count together.
//!
//! Only where this gateway has not leased enough of a budget or limit: for its first request of an owner, or where more
//! is asked than was foreseen. What is leased is decided elsewhere (`cluster`).

use std::time::{Duration, Instant};

use pingora_error::Result;
use pingora_proxy::Session;

use super::Gateway;
use super::exchange::Exchange;
use super::upstream_peer::unless_gone;
use crate::account::meters::Refused;
use crate::config::governance::Owner;

/// What a request waits for, and has waited.
#[derive(Debug, Clone, Default)]
pub struct Lease {
    /// Of whom more has to be leased before its next attempt can begin.
    pub wanted: Option<Owner>,
    waited: Duration,
    /// It is no use to wait on.
    over: bool,
}

/// Waits for what the request wants, if anything, unless its caller leaves.
///
/// # Errors
/// The caller has left.
pub async fn rest(gateway: &Gateway, session: &mut Session, exchange: &mut Exchange) -> Result<()> {
    let wanted = exchange.call.as_mut().filter(|call| call.lease.wanted.is_some());
    let Some(lease) = wanted.map(|call| std::mem::take(&mut call.lease)) else { return Ok(()) };
    let lease = unless_gone(session, exchange, lease.wait(gateway)).await?;
    exchange.call.iter_mut().for_each(|call| call.lease = lease.clone());
    Ok(())
}

impl Lease {
    /// Somebody refused it. True: it can wait for a lease of theirs.
    pub fn refused(&mut self, refused: &Refused) -> bool {
        let waits = !self.over && refused.denied.is_for_share();
        self.wanted = waits.then(|| refused.owner.clone());
        waits
    }

    /// Waits until more of the owner that is wanted was leased, or cannot be.
    pub async fn wait(mut self, gateway: &Gateway) -> Self {
        let Some(owner) = self.wanted.take() else { return self };
        let patience = gateway.meters.patience().unwrap_or_default();
        let began = Instant::now();
        let tried = gateway.meters.leased(&owner, patience.saturating_sub(self.waited)).await;
        self.waited += began.elapsed();
        self.over = !tried;
        self
    }
}
