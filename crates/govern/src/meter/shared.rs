//! What other nodes have to do with a meter: this node holds of what it has leased ([`crate::lease`]).

use super::{Fit, Meter, Wait};
use crate::lease::{Ask, Grant, OnLoss, Report, Slice, Span, Terms};

impl Meter {
    /// From now on other nodes use of it too.
    pub fn share(&mut self, on_loss: OnLoss) {
        self.slice.get_or_insert_with(|| Box::new(Slice::new(on_loss)));
    }

    /// This node's part, where it is shared.
    #[must_use]
    pub fn slice(&self) -> Option<&Slice> {
        self.slice.as_deref()
    }

    /// There is something to tell the others, now or later.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.slice.as_ref().is_some_and(|slice| slice.is_live(self.held))
    }

    /// Most of what is leased is used: the others should be asked soon.
    #[must_use]
    pub fn is_low(&self) -> bool {
        self.slice.as_ref().is_some_and(|slice| slice.is_low(self.held))
    }

    /// What the others are to be told now, if anything is.
    pub fn report(&mut self, lease_ms: u64, now_ms: u64) -> Option<(Report, Terms)> {
        let (held, terms) = (self.held, self.terms(lease_ms, now_ms));
        if !self.slice.as_ref()?.is_due(held, &terms, now_ms) {
            return None;
        }
        let known = self.slice.as_ref()?.tells().then(|| self.parts(now_ms));
        let report = self.slice.as_mut()?.report(held, &terms, known, now_ms);
        Some((report, terms))
    }

    /// What the others answered.
    pub fn granted(&mut self, grant: &Grant, lease_ms: u64, now_ms: u64) {
        let (held, terms) = (self.held, self.terms(lease_ms, now_ms));
        let Some(slice) = &mut self.slice else { return };
        let (others, all) = slice.granted(grant, held, &terms, now_ms);
        if let Some(all) = all {
            self.used = Self::new(self.max, self.window).used;
            all.into_iter().for_each(|(at, amount)| self.insert(amount, at, now_ms));
        }
        if others > 0 {
            self.learn(others, now_ms);
        }
    }

    /// The others cannot be asked; there are so many `nodes`.
    pub fn lost(&mut self, nodes: u32) {
        if let Some(slice) = &mut self.slice {
            slice.lost(nodes);
        }
    }

    pub(super) fn spend(&mut self, used: u64, held: u64, now_ms: u64) {
        if let Some(slice) = &mut self.slice {
            slice.spent(used, held, now_ms, self.window.length_ms());
        }
    }

    /// Why this node may not hold `amount` of what is left, if it may not.
    pub(super) fn ask_slice(&mut self, used: u64, amount: u64, fit: Fit, now_ms: u64) -> Option<Wait> {
        let held = self.held;
        let slice = self.slice.as_mut()?;
        match slice.ask(amount, held, now_ms) {
            Ask::Covered => None,
            Ask::Wait => Some(Wait::ForShare),
            // Alone at this node: it need not fit.
            Ask::Dry if fit == Fit::Alone && held == 0 && slice.free(0) > 0 => None,
            Ask::Dry | Ask::Denied => Some(Wait::ForOthers),

            Ask::Alone { nodes, unknown } => {
                let own = unknown.saturating_add(held).saturating_add(amount);
                let theirs = own.saturating_mul(u64::from(nodes.saturating_sub(1)));
                (!self.fits(used.saturating_add(theirs), amount, fit)).then_some(Wait::ForOthers)
            }
        }
    }

    fn terms(&self, lease_ms: u64, now_ms: u64) -> Terms {
        Terms { max: self.max, span: Span::of(self.window, now_ms), lease_ms }
    }
}
