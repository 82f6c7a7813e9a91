//! Weighted pick among provider keys.
//!
//! Weights are shares of the traffic, kept exactly: 2:1:1 is 50/25/25 over the random numbers, without
//! memory of earlier picks, so threads need no shared counter. Eligibility (cool-downs, model lists) is
//! decided by the caller; this file must not know why a candidate is out.

/// One provider key as the pick sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Share of the traffic, relative to the other eligible candidates. Zero: only used when every
    /// eligible candidate has zero.
    pub weight: u32,
    /// False while the key cools down, lacks the model, or was tried already.
    pub eligible: bool,
}

/// The index of the picked candidate, `None` when none is eligible.
///
/// `random` must be uniform over `u64`. The modulo favours low residues by less than one part in
/// 2^64 / (sum of weights), far below what any count of requests can show.
#[must_use]
pub fn pick(candidates: &[Candidate], random: u64) -> Option<usize> {
    pick_from(candidates.iter().copied(), random)
}

/// As [`pick`], over candidates computed on the fly; the iterator is walked twice and nothing is
/// allocated.
#[must_use]
pub fn pick_from<I>(candidates: I, random: u64) -> Option<usize>
where
    I: Iterator<Item = Candidate> + Clone,
{
    let (mut eligible, mut total) = (0_u64, 0_u64);
    for candidate in candidates.clone().filter(|candidate| candidate.eligible) {
        eligible = eligible.saturating_add(1);
        total = total.saturating_add(u64::from(candidate.weight));
    }
    let uniform = total == 0;
    let sum = if uniform { eligible } else { total };
    let mut ticket = random.checked_rem(sum)?;
    for (index, candidate) in candidates.enumerate().filter(|(_, candidate)| candidate.eligible) {
        let share = if uniform { 1 } else { u64::from(candidate.weight) };
        if ticket < share {
            return Some(index);
        }
        ticket = ticket.saturating_sub(share);
    }
    None
}

#[cfg(test)]
mod tests;
