//! One answer's cost, line by line, without allocation: the lines are an array on the stack.

use super::{Class, FEMTOS_PER_NANO, ONE, Price, Terms, TokenCounts};

/// Most lines of a bill: one for each class, one size of searches among them.
pub const MAX_LINES: usize = 16;

/// One line of a bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CostLine {
    pub what: Class,
    /// Tokens, images, searches, requests.
    pub quantity: u64,
    /// Femto-dollars for one, with what makes it dearer.
    pub unit_femtos: u64,
    /// Nano-dollars. The lines of a bill add up to its total: each is what the total grows by with it.
    pub nanos: u64,
}

const NONE: CostLine = CostLine { what: Class::Input, quantity: 0, unit_femtos: 0, nanos: 0 };

/// What an answer cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bill {
    lines: [CostLine; MAX_LINES],
    len: usize,
    femtos: u128,
    complete: bool,
}

impl Bill {
    /// The total in nano-dollars, rounded half up; `u64::MAX` for all that is more.
    #[must_use]
    pub fn nanos(&self) -> u64 {
        rounded(self.femtos)
    }

    /// In the order of [`Class`], without those of which there was nothing.
    #[must_use]
    pub fn lines(&self) -> &[CostLine] {
        self.lines.get(..self.len).unwrap_or_default()
    }

    /// False: tokens of a side for which no price at all is published cost nothing here.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }
}

pub(super) fn make(price: &Price, counts: &TokenCounts, terms: &Terms) -> Bill {
    let mut bill = Maker {
        price,
        terms,
        input_total: counts.input_total(),
        factor: price.factor(terms.uplifts),
        bill: Bill { lines: [NONE; MAX_LINES], len: 0, femtos: 0, complete: true },
    };
    bill.input(counts);
    bill.output(counts);
    bill.pieces(counts);
    bill.bill
}

struct Maker<'p> {
    price: &'p Price,
    terms: &'p Terms,
    input_total: u64,
    /// In millionths.
    factor: u64,
    bill: Bill,
}

impl Maker<'_> {
    fn input(&mut self, counts: &TokenCounts) {
        let mut text = counts.input_uncached;
        let audio = self.part(Class::AudioInput, counts.audio_input, &mut text);
        let image = self.part(Class::ImageInput, counts.image_input, &mut text);
        self.line(Class::Input, text);
        self.line(Class::AudioInput, audio);
        self.line(Class::ImageInput, image);
        let mut read = counts.cache_read;
        let audio = self.part(Class::CacheReadAudio, counts.cache_read_audio, &mut read);
        self.line(Class::CacheRead, read);
        self.line(Class::CacheReadAudio, audio);
        self.line(Class::CacheWrite, counts.cache_write);
        self.line(Class::CacheWrite1h, counts.cache_write_1h);
    }

    fn output(&mut self, counts: &TokenCounts) {
        let mut text = counts.output;
        let audio = self.part(Class::AudioOutput, counts.audio_output, &mut text);
        let image = self.part(Class::ImageOutput, counts.image_output, &mut text);
        let reasoning = self.part(Class::Reasoning, counts.reasoning, &mut text);
        self.line(Class::Output, text);
        self.line(Class::Reasoning, reasoning);
        self.line(Class::AudioOutput, audio);
        self.line(Class::ImageOutput, image);
    }

    /// Tables that have a price by the image beside one by its tokens mean the same image.
    fn pieces(&mut self, counts: &TokenCounts) {
        let by_token = |class, count: u64| count > 0 && self.unit(class).is_some();
        let sent = if by_token(Class::ImageInput, counts.image_input) { 0 } else { counts.images_in };
        let made = if by_token(Class::ImageOutput, counts.image_output) { 0 } else { counts.images_out };
        self.line(Class::ImageIn, sent);
        self.line(Class::ImageOut, made);
        self.line(Class::Request, counts.requests);
        self.line(Class::Query, counts.queries);
        self.line(self.terms.search.class(), counts.web_searches);
    }

    /// Takes a part out of its side, when the part has a price of its own.
    fn part(&self, class: Class, count: u64, side: &mut u64) -> u64 {
        if count == 0 || self.unit(class).is_none() {
            return 0;
        }
        let count = count.min(*side);
        *side -= count;
        count
    }

    fn line(&mut self, what: Class, quantity: u64) {
        if quantity == 0 {
            return;
        }
        let known =
            std::iter::successors(Some(what), |class| class.family()).find_map(|class| self.unit(class));
        let Some(unit_femtos) = known else {
            self.bill.complete &= !what.is_tokens();
            return;
        };
        let before = rounded(self.bill.femtos);
        let amount = u128::from(quantity) * u128::from(unit_femtos);
        self.bill.femtos = self.bill.femtos.saturating_add(amount);
        let nanos = rounded(self.bill.femtos) - before;
        if let Some(line) = self.bill.lines.get_mut(self.bill.len) {
            *line = CostLine { what, quantity, unit_femtos, nanos };
            self.bill.len += 1;
        }
    }

    fn unit(&self, class: Class) -> Option<u64> {
        let femtos = self.price.of(class, self.terms.service, self.input_total)?;
        // Searches and the like cost the same everywhere.
        Some(if class.is_tokens() { scaled(femtos, self.factor) } else { femtos })
    }
}

/// `value` times a factor in millionths, half up.
pub(super) fn scaled(value: u64, factor: u64) -> u64 {
    let product = u128::from(value) * u128::from(factor);
    u64::try_from((product + u128::from(ONE) / 2) / u128::from(ONE)).unwrap_or(u64::MAX)
}

/// Monotone, so that no line is negative.
fn rounded(femtos: u128) -> u64 {
    const UNIT: u128 = FEMTOS_PER_NANO as u128;
    u64::try_from(femtos.saturating_add(UNIT / 2) / UNIT).unwrap_or(u64::MAX)
}
