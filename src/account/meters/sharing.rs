//! Meters that other nodes use too: who leases for them is woken, and a request may wait for that.
//!
//! A request that finds enough leased never comes here. Who leases (`cluster`) is told of owners that are used for the
//! first time or run low, by a channel that nobody waits for.

use std::time::Duration;

use govern::allowance::Allowance;
use govern::lease::OnLoss;
use tokio::sync::{mpsc, oneshot};

use super::{Meters, State};
use crate::config::governance::Owner;

/// Something is to be leased.
#[derive(Debug)]
pub struct Wake {
    pub owner: Owner,
    /// A request waits until that was tried.
    pub waits: Option<oneshot::Sender<()>>,
}

/// How meters are shared.
#[derive(Debug)]
pub(super) struct Sharing {
    on_loss: OnLoss,
    /// A request waits no longer than this for a lease.
    patience: Duration,
    /// One wake per owner at a time and one per waiting request: their number bounds it.
    wakes: mpsc::UnboundedSender<Wake>,
}

impl Meters {
    /// From now on other nodes use of all meters too. Only the first call counts, and it comes before the first request.
    pub fn share(&self, on_loss: OnLoss, patience: Duration) -> mpsc::UnboundedReceiver<Wake> {
        let (wakes, woken) = mpsc::unbounded_channel();
        let _ = self.sharing.set(Sharing { on_loss, patience, wakes });
        woken
    }

    /// How long a request may wait for leases in all; `None`: nothing is shared.
    #[must_use]
    pub fn patience(&self) -> Option<Duration> {
        self.sharing.get().map(|sharing| sharing.patience)
    }

    /// Waits until more of `owner` was leased, or was tried to be, `patience` at most. False: it is no use to try again.
    pub async fn leased(&self, owner: &Owner, patience: Duration) -> bool {
        let Some(sharing) = self.sharing.get() else { return false };
        let (tried, waits) = oneshot::channel();
        let wake = Wake { owner: owner.clone(), waits: Some(tried) };
        if patience.is_zero() || sharing.wakes.send(wake).is_err() {
            return false;
        }
        tokio::time::timeout(patience, waits).await.is_ok()
    }

    /// Does something for those who lease with an owner's allowance: it is followed as long as `work` says so.
    pub fn follow<T>(&self, owner: &Owner, work: impl FnOnce(&mut Allowance) -> (T, bool)) -> Option<T> {
        let seat = self.find(owner)?;
        let mut state = seat.lock();
        let (result, followed) = work(&mut state.allowance);
        (state.followed, state.woken) = (followed, false);
        Some(result)
    }

    /// The allowance of `owner` was asked something.
    pub(super) fn wake(&self, owner: &Owner, state: &mut State) {
        let Some(sharing) = self.sharing.get() else { return };
        let needed = if state.followed { state.allowance.is_low() } else { state.allowance.is_live() };
        if needed && !state.woken {
            state.woken = true;
            // Nobody leases any more when the process ends.
            let _ = sharing.wakes.send(Wake { owner: owner.clone(), waits: None });
        }
    }

    pub(super) fn share_new(&self, state: &mut State) {
        if let Some(sharing) = self.sharing.get() {
            state.allowance.share(sharing.on_loss);
        }
    }
}
