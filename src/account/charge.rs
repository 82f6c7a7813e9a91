//! What one answer cost: counts of the wires, on the terms it was served, at the price that holds.

use govern::price::{Bill, SearchSize, Service, Terms, TokenCounts, Uplift, write_nanos};
use translate::ir::{ServiceTier, Usage};

use super::prices::{Quote, Source};
use crate::telemetry::members::Members;

/// The cost of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// Nano-dollars.
    pub nanos: u64,
    /// The provider's own figure; the bill is what a table would have said.
    pub reported: bool,
    pub bill: Option<Bill>,
    pub source: Option<Source>,
    pub service: Service,
}

/// `extra_fields.cost`: dollars as exact decimal numbers.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    answer: Option<&'a Charge>,
    /// Nano-dollars: the lines, and the other attempts.
    total: u64,
    /// Nano-dollars: attempts that did not answer, or not to the end.
    others: Option<u64>,
}

impl Charge {
    /// The cost of `usage`; `None` when nobody knows the price and the provider does not tell.
    #[must_use]
    pub fn of(usage: &Usage, quote: Option<&Quote>) -> Option<Self> {
        let terms = terms(usage, quote);
        let bill = quote.map(|quote| quote.price.bill(&counts(usage), &terms));
        let nanos = usage.provider_cost_nanos.or_else(|| bill.as_ref().map(Bill::nanos))?;
        let source = quote.map(|quote| quote.source);
        Some(Self {
            nanos,
            reported: usage.provider_cost_nanos.is_some(),
            bill,
            source,
            service: terms.service,
        })
    }

    /// Every token of it was billed at a published price, or the provider named the sum.
    #[must_use]
    pub fn is_known(&self) -> bool {
        let billed = self.bill.as_ref().is_some_and(Bill::is_complete);
        self.reported || (billed && self.source.is_some_and(Source::is_known))
    }

    /// Nano-dollars as dollars, in exact decimal text.
    #[must_use]
    pub fn dollars(nanos: u64) -> String {
        let mut text = String::new();
        // Writing into a String cannot fail.
        let _ = write_nanos(nanos, &mut text);
        text
    }

    fn source(&self) -> Option<&'static str> {
        if self.reported { Some("reported") } else { self.source.map(Source::name) }
    }

    fn render_lines(&self, members: &mut Members<'_>) {
        // Lines that add up to another sum than the provider's would contradict it.
        let bill = self.bill.as_ref().filter(|_| !self.reported);
        for (at, line) in bill.map(Bill::lines).unwrap_or_default().iter().enumerate() {
            members.0.extend_from_slice(if at == 0 { b"{\"what\":" } else { b",{\"what\":" });
            members.value(line.what.name());
            members.count("quantity", line.quantity);
            members.femtos("unit_cost", line.unit_femtos);
            members.dollars("cost", line.nanos);
            members.0.push(b'}');
        }
    }
}

impl<'a> Shown<'a> {
    /// What an answer cost, and what attempts beside and before it did (nano-dollars). `None`: nobody knows of either.
    #[must_use]
    pub fn of(answer: Option<&'a Charge>, others: Option<u64>) -> Option<Self> {
        let own = answer.map(|charge| charge.nanos);
        let total = own.into_iter().chain(others).reduce(u64::saturating_add)?;
        Some(Self { answer, total, others })
    }

    /// Appends it as a JSON object: `total_cost`; `source` (`key`, `provider`, `table`, `catalog`, `ceiling`; `reported` by
    /// the provider; absent when nobody knows what the answer itself cost); `service_tier` where it is not the usual one;
    /// `lines` of the answer; `other_attempts`.
    pub fn render(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        let begin = out.len();
        let mut members = Members(out);
        members.dollars("total_cost", self.total);
        members.text_if("source", self.answer.and_then(Charge::source));
        let tier = self.answer.map(|charge| charge.service).filter(|service| *service != Service::Standard);
        members.text_if("service_tier", tier.map(Service::name));
        members.name("lines");
        members.0.push(b'[');
        self.answer.into_iter().for_each(|charge| charge.render_lines(&mut members));
        members.0.push(b']');
        members.dollars_if("other_attempts", self.others);
        members.0.push(b'}');
        // The first member has a comma in front like all others.
        members.0.remove(begin);
    }
}

fn terms(usage: &Usage, quote: Option<&Quote>) -> Terms {
    let mut uplifts = quote.map(|quote| quote.place).unwrap_or_default();
    if usage.served.in_us {
        uplifts = uplifts.with(Uplift::InferenceUs);
    }
    if usage.served.fast {
        uplifts = uplifts.with(Uplift::Fast);
    }
    let service = match usage.served.tier {
        ServiceTier::Standard => Service::Standard,
        ServiceTier::Batch => Service::Batch,
        ServiceTier::Flex => Service::Flex,
        ServiceTier::Priority => Service::Priority,
        ServiceTier::Ultrafast => Service::Ultrafast,
    };
    Terms { service, uplifts, search: SearchSize::default() }
}

/// The counts of one answer, as a bill takes them.
#[must_use]
pub fn counts(usage: &Usage) -> TokenCounts {
    TokenCounts {
        input_uncached: usage.input_uncached,
        cache_read: usage.cache_read,
        cache_read_audio: usage.audio_cached,
        cache_write: usage.cache_write,
        cache_write_1h: usage.cache_write_1h,
        output: usage.output,
        reasoning: usage.reasoning,
        audio_input: usage.audio_input,
        audio_output: usage.audio_output,
        image_input: usage.image_input,
        image_output: usage.image_output,
        web_searches: usage.web_searches,
        queries: usage.rankings,
        requests: 1,
        ..TokenCounts::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use govern::catalog;
    use govern::price::Uplifts;

    fn quote(provider: &str, model: &str) -> Quote {
        let price = catalog::embedded().price(provider, model).unwrap().clone();
        Quote { price, source: Source::Catalog, place: Uplifts::default() }
    }

    fn text(answer: Option<&Charge>, others: Option<u64>) -> String {
        let mut out = Vec::new();
        Shown::of(answer, others).unwrap().render(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_answer_shows_its_lines_and_their_sum() {
        let usage = Usage { input_uncached: 1_000, output: 100, cache_read: 1, ..Usage::default() };
        let charge = Charge::of(&usage, Some(&quote("openai", "gpt-4o-mini"))).unwrap();
        assert!(charge.is_known());
        let text = text(Some(&charge), None);
        assert_eq!(
            text,
            r#"{"total_cost":0.000210075,"source":"catalog","lines":[{"what":"input","quantity":1000,"unit_cost":0.00000015,"cost":0.00015},{"what":"cache_read","quantity":1,"unit_cost":0.000000075,"cost":0.000000075},{"what":"output","quantity":100,"unit_cost":0.0000006,"cost":0.00006}]}"#
        );
    }

    #[test]
    fn other_attempts_are_in_the_total_and_apart_from_the_lines() {
        let usage = Usage { input_uncached: 1_000, ..Usage::default() };
        let charge = Charge::of(&usage, Some(&quote("openai", "gpt-4o-mini"))).unwrap();
        assert_eq!(
            text(Some(&charge), Some(1)),
            r#"{"total_cost":0.000150001,"source":"catalog","lines":[{"what":"input","quantity":1000,"unit_cost":0.00000015,"cost":0.00015}],"other_attempts":0.000000001}"#
        );
        let known = r#"{"total_cost":0.000000002,"lines":[],"other_attempts":0.000000002}"#;
        assert_eq!(text(None, Some(2)), known, "of an answer nobody knows the price of");
        assert!(Shown::of(None, None).is_none());
    }

    #[test]
    fn what_the_provider_says_it_charged_counts_before_any_table() {
        let usage = Usage { input_uncached: 9, provider_cost_nanos: Some(1_500), ..Usage::default() };
        let charge = Charge::of(&usage, Some(&quote("openai", "gpt-4o"))).unwrap();
        assert_eq!(charge.nanos, 1_500);
        let text = text(Some(&charge), None);
        assert_eq!(text, r#"{"total_cost":0.0000015,"source":"reported","lines":[]}"#);
        assert!(Charge::of(&usage, None).unwrap().is_known());
        assert_eq!(Charge::of(&Usage { provider_cost_nanos: None, ..usage }, None), None);
    }

    #[test]
    fn tiers_and_places_come_from_the_answer() {
        let usage = Usage { input_uncached: 1_000_000, ..Usage::default() };
        let of = |usage: Usage, quote: &Quote| Charge::of(&usage, Some(quote)).unwrap().nanos;
        let gpt = quote("openai", "gpt-5-mini");
        assert_eq!(of(usage, &gpt), 250_000_000);
        assert_eq!(of(usage.in_tier("flex"), &gpt), 125_000_000);
        assert_eq!(of(usage.in_tier("priority"), &gpt), 450_000_000);
        let claude = quote("anthropic", "claude-opus-4-6");
        let mut in_us = Usage { input_uncached: 1_000, ..usage };
        in_us.served.in_us = true;
        assert_eq!(of(in_us, &claude), 5_500_000);
    }
}
