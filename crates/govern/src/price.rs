//! What an answer cost, in integer nano-dollars, line by line.
//!
//! The price of one unit (a token, an image, a search, a request) is an integer of femto-dollars, 10⁻¹⁵
//! dollars: every published price is one. Products are summed in 128 bits and rounded once, half up, at the
//! end; the lines are cut out of that sum, so that they add up to it. Floats never touch money. A price that
//! is not published for a class is taken from the class it belongs to, never invented from a multiplier.

mod bill;
mod class;
mod decimal;
mod field;

pub use bill::{Bill, CostLine, MAX_LINES};
pub use class::{Class, SearchSize, Service, Uplift, Uplifts};
pub use decimal::{FEMTOS_PER_NANO, femtos, millionths, nanos, write_femtos, write_nanos};
pub use field::{Field, field};

use std::sync::Arc;

/// Prices of one model at one provider. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// At most one for each class, service and threshold.
    rates: Arc<[Rate]>,
    /// Factors in millionths; 0: none is published.
    uplifts: [u32; Uplift::ALL.len()],
}

/// The price of one unit of a class, in one service, above one length of prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    pub class: Class,
    pub service: Service,
    /// Applies to requests with more input tokens than this; 0: to all.
    pub above: u32,
    /// Femto-dollars per unit.
    pub femtos: u64,
}

/// What decides between the prices of one class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Terms {
    /// How it was served, as the answer says.
    pub service: Service,
    /// What makes it dearer, where the price knows by how much.
    pub uplifts: Uplifts,
    pub search: SearchSize,
}

/// What was consumed, in buckets that do not overlap (those of `translate::ir::Usage`), except that audio,
/// images and reasoning are parts of their side's count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TokenCounts {
    /// Input tokens at the full price, audio and images included.
    pub input_uncached: u64,
    pub cache_read: u64,
    /// Part of `cache_read`.
    pub cache_read_audio: u64,
    /// Kept for five minutes.
    pub cache_write: u64,
    pub cache_write_1h: u64,
    /// Output tokens, reasoning, audio and images included.
    pub output: u64,
    /// Part of `output`.
    pub reasoning: u64,
    /// Part of `input_uncached`.
    pub audio_input: u64,
    /// Part of `output`.
    pub audio_output: u64,
    /// Part of `input_uncached`.
    pub image_input: u64,
    /// Part of `output`.
    pub image_output: u64,
    /// Images sent, for prices by the image. Not billed beside tokens of images.
    pub images_in: u64,
    /// Images made, likewise.
    pub images_out: u64,
    /// Searches run by the provider.
    pub web_searches: u64,
    /// Documents lists ranked, and the like.
    pub queries: u64,
    /// Requests: 1, unless several are billed at once.
    pub requests: u64,
}

impl TokenCounts {
    /// All input tokens, cached or not: what decides whether a prompt is a long one.
    #[must_use]
    pub fn input_total(&self) -> u64 {
        self.input_uncached
            .saturating_add(self.cache_read)
            .saturating_add(self.cache_write)
            .saturating_add(self.cache_write_1h)
    }
}

impl Price {
    /// A price of these rates; `None` without any: that is unknown, not free.
    #[must_use]
    pub fn new(rates: impl IntoIterator<Item = Rate>) -> Option<Self> {
        let mut kept: Vec<Rate> = Vec::new();
        for rate in rates {
            let same = |other: &&mut Rate| other.key() == rate.key();
            match kept.iter_mut().find(same) {
                Some(earlier) => *earlier = rate,
                None => kept.push(rate),
            }
        }
        (!kept.is_empty()).then(|| Self { rates: kept.into(), uplifts: Default::default() })
    }

    /// The same with a factor in millionths: 1,100,000 for a tenth more.
    #[must_use]
    pub fn uplifted(mut self, uplift: Uplift, millionths: u32) -> Self {
        if let Some(factor) = self.uplifts.get_mut(uplift as usize) {
            *factor = millionths;
        }
        self
    }

    /// All rates, in no particular order.
    #[must_use]
    pub fn rates(&self) -> &[Rate] {
        &self.rates
    }

    /// What makes it dearer, with the factors in millionths.
    pub fn uplifts(&self) -> impl Iterator<Item = (Uplift, u32)> {
        Uplift::ALL.into_iter().zip(self.uplifts).filter(|(_, factor)| *factor > 0)
    }

    /// This price with everything that `other` says replacing what it says.
    #[must_use]
    pub fn overridden(&self, other: &Self) -> Self {
        let mut rates = self.rates.to_vec();
        for rate in &*other.rates {
            match rates.iter_mut().find(|own| own.key() == rate.key()) {
                Some(own) => *own = *rate,
                None => rates.push(*rate),
            }
        }
        let uplifts = std::array::from_fn(|at| {
            let of = |price: &Self| price.uplifts.get(at).copied().unwrap_or(0);
            if of(other) > 0 { of(other) } else { of(self) }
        });
        Self { rates: rates.into(), uplifts }
    }

    /// The published price of a unit: in the service asked for, else the standard one, each at the highest
    /// threshold that `input_total` passes. `None`: nothing is published for the class.
    ///
    /// Where a service has no price for a prompt this long and the standard service has, the dearer of the
    /// two holds: a gap in a table must not let a budget be passed.
    #[must_use]
    pub fn of(&self, class: Class, service: Service, input_total: u64) -> Option<u64> {
        let (mut own, mut standard): (Option<&Rate>, Option<&Rate>) = (None, None);
        for rate in self.rates.iter().filter(|rate| rate.class == class && rate.applies(input_total)) {
            if rate.service == service && own.is_none_or(|best| rate.above > best.above) {
                own = Some(rate);
            }
            if rate.service == Service::Standard && standard.is_none_or(|best| rate.above > best.above) {
                standard = Some(rate);
            }
        }
        match (own, standard) {
            (Some(own), Some(standard)) if standard.above > own.above => {
                Some(own.femtos.max(standard.femtos))
            }
            (Some(rate), _) | (None, Some(rate)) => Some(rate.femtos),
            (None, None) => None,
        }
    }

    /// What `counts` cost on these terms.
    #[must_use]
    pub fn bill(&self, counts: &TokenCounts, terms: &Terms) -> Bill {
        bill::make(self, counts, terms)
    }

    /// One over the other, in millionths.
    fn factor(&self, uplifts: Uplifts) -> u64 {
        let published = self.uplifts().filter(|(uplift, _)| uplifts.has(*uplift));
        published.fold(ONE, |product, (_, factor)| bill::scaled(product, factor.into()))
    }
}

/// A factor that changes nothing, in millionths.
const ONE: u64 = 1_000_000;

impl Rate {
    fn key(&self) -> (Class, Service, u32) {
        (self.class, self.service, self.above)
    }

    fn applies(&self, input_total: u64) -> bool {
        self.above == 0 || input_total > u64::from(self.above)
    }
}

/// The cost in nano-dollars, in the standard service.
///
/// A side with no price at all costs nothing (embeddings have no output price). More of a part than its
/// side has is taken as all of it. Above 18.4 billion dollars it stays at `u64::MAX`.
#[must_use]
pub fn cost(price: &Price, counts: &TokenCounts) -> u64 {
    price.bill(counts, &Terms::default()).nanos()
}

/// What a common request costs, to compare models by: three tokens of input to one of output, in femto-dollars
/// per token of the four. `None` when neither side has a price.
#[must_use]
pub fn common(price: &Price) -> Option<u64> {
    let of = |class| price.of(class, Service::Standard, 0);
    let (input, output) = (of(Class::Input), of(Class::Output));
    input.or(output)?;
    Some(input.unwrap_or(0).saturating_mul(3).saturating_add(output.unwrap_or(0)) / 4)
}

#[cfg(test)]
mod tests;
