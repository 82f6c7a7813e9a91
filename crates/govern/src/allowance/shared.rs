//! What other nodes have to do with an owner's quotas: each of them is shared on its own ([`crate::lease`]).

use super::{Allowance, Denied, Measure, Wait};
use crate::lease::{Ask, Grant, OnLoss, Report, Slice, Span, Terms};
use crate::window::Window;

/// Which of an owner's quotas, the same on every node that has the same configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// Requests under way at once.
    Places,
    Quota {
        measure: Measure,
        window: Window,
        /// Of those with the same measure and window.
        number: usize,
    },
}

impl Allowance {
    /// From now on other nodes use of it too. Quotas that are added later are shared as well.
    pub fn share(&mut self, on_loss: OnLoss) {
        self.shared = Some(on_loss);
        self.meters.iter_mut().for_each(|(_, meter)| meter.share(on_loss));
        if self.max_under_way.is_some() {
            self.places.get_or_insert_with(|| Box::new(Slice::new(on_loss)));
        }
    }

    /// There is something to tell the others, now or later.
    #[must_use]
    pub fn is_live(&self) -> bool {
        let places = self.places.as_ref().is_some_and(|places| places.is_live(u64::from(self.under_way)));
        places || self.meters.iter().any(|(_, meter)| meter.is_live())
    }

    /// Most of something that is leased is used: the others should be asked soon.
    #[must_use]
    pub fn is_low(&self) -> bool {
        let places = self.places.as_ref().is_some_and(|places| places.is_low(u64::from(self.under_way)));
        places || self.meters.iter().any(|(_, meter)| meter.is_low())
    }

    /// What the others are to be told now.
    pub fn reports(&mut self, lease_ms: u64, now_ms: u64) -> Vec<(Part, Report, Terms)> {
        let mut all = Vec::new();
        let (held, terms) = (u64::from(self.under_way), self.place_terms(lease_ms));
        if let Some(places) = &mut self.places
            && places.is_due(held, &terms, now_ms)
        {
            let known = places.tells().then(Vec::new);
            all.push((Part::Places, places.report(held, &terms, known, now_ms), terms));
        }
        let parts: Vec<Part> = self.parts().collect();
        for (part, (_, meter)) in parts.into_iter().zip(&mut self.meters) {
            let report = meter.report(lease_ms, now_ms);
            all.extend(report.map(|(report, terms)| (part, report, terms)));
        }
        all
    }

    /// What the others answered; `None`: nothing, and there are so many nodes.
    pub fn answered(&mut self, part: Part, answer: Result<&Grant, u32>, lease_ms: u64, now_ms: u64) {
        let (held, terms) = (u64::from(self.under_way), self.place_terms(lease_ms));
        if part == Part::Places {
            match (&mut self.places, answer) {
                (Some(places), Ok(grant)) => drop(places.granted(grant, held, &terms, now_ms)),
                (Some(places), Err(nodes)) => places.lost(nodes),
                (None, _) => {}
            }
            return;
        }
        let Some(at) = self.parts().position(|one| one == part) else { return };
        let Some((_, meter)) = self.meters.get_mut(at) else { return };
        match answer {
            Ok(grant) => meter.granted(grant, lease_ms, now_ms),
            Err(nodes) => meter.lost(nodes),
        }
    }

    /// The others cannot be asked: all that is shared is decided here, until one of them answers. There are so many `nodes`.
    pub fn lost(&mut self, nodes: u32) {
        self.meters.iter_mut().for_each(|(_, meter)| meter.lost(nodes));
        self.places.iter_mut().for_each(|places| places.lost(nodes));
    }

    /// What this node has leased, whether it is used or not.
    pub fn leases(&self) -> impl Iterator<Item = (Part, &Slice)> {
        let places = self.places.as_deref().map(|places| (Part::Places, places)).into_iter();
        let quotas = self.parts().zip(&self.meters);
        places.chain(quotas.filter_map(|(part, (_, meter))| Some((part, meter.slice()?))))
    }

    /// # Errors
    /// This node has no place, or none yet.
    pub(super) fn ask_places(&mut self, now_ms: u64) -> Result<(), Denied> {
        let (held, max) = (u64::from(self.under_way), self.max_under_way.unwrap_or(u32::MAX));
        let Some(places) = &mut self.places else { return Ok(()) };
        match places.ask(1, held, now_ms) {
            Ask::Covered => Ok(()),
            Ask::Wait => Err(Denied::Places { max }),
            Ask::Dry | Ask::Denied => Err(Denied::Concurrency { max }),
            Ask::Alone { nodes, .. } => {
                let all = held.saturating_add(1).saturating_mul(u64::from(nodes));
                if all <= u64::from(max).max(u64::from(nodes)) {
                    Ok(())
                } else {
                    Err(Denied::Concurrency { max })
                }
            }
        }
    }

    fn parts(&self) -> impl Iterator<Item = Part> {
        self.meters.iter().enumerate().map(|(at, (measure, meter))| {
            let window = meter.window();
            let same = |(other, one): &&(Measure, super::Meter)| other == measure && one.window() == window;
            let number = self.meters.iter().take(at).filter(same).count();
            Part::Quota { measure: *measure, window, number }
        })
    }

    fn place_terms(&self, lease_ms: u64) -> Terms {
        let max = u64::from(self.max_under_way.unwrap_or(u32::MAX));
        Terms { max, span: Span::never(), lease_ms }
    }
}

impl Denied {
    /// More may be leased in a moment: it is worth a short wait.
    #[must_use]
    pub fn is_for_share(&self) -> bool {
        match self {
            Self::Quota { refusal, .. } => refusal.wait == Wait::ForShare,
            Self::Places { .. } => true,
            Self::Concurrency { .. } => false,
        }
    }
}
