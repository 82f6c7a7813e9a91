//! Metrics by who calls, and by what callers say of themselves. Names are of the configuration and of stores, and there may
//! be a million of them: those beyond a bound share one series, so that a scrape stays one.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, PoisonError, RwLock};

use arc_swap::ArcSwap;
use http::HeaderMap;
use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{Counter, CounterVec, IntCounter, IntCounterVec, Opts};

use super::labels::{self, OTHER, Values};
use super::maker::{Kind, Maker};
use crate::config::ConfigHolder;
use crate::config::expression::Who;
use crate::config::telemetry::Label;

/// Callers with series of their own; later ones are `other`.
const MOST: usize = 1_000;
/// Those that are always there.
pub const LABELS: [&str; 6] =
    ["virtual_key_id", "virtual_key_name", "team_id", "team_name", "customer_id", "customer_name"];

/// What callers used. Its metrics are not in the registry, which would hold on to the first set of labels: a reload may
/// bring another one.
pub struct Callers {
    family: ArcSwap<Family>,
    overflow: IntCounterVec,
}

/// The series of one caller.
#[derive(Debug)]
pub struct Caller {
    pub requests: IntCounter,
    pub errors: IntCounter,
    pub input_tokens: IntCounter,
    pub output_tokens: IntCounter,
    pub cost: Counter,
}

/// The metrics with one set of labels.
struct Family {
    labels: Vec<Label>,
    values: Vec<Values>,
    known: RwLock<HashMap<u64, Arc<Caller>>>,
    /// `bifrost_caller_requests_total`.
    requests: IntCounterVec,
    /// `bifrost_caller_errors_total`: those of them that failed or were refused.
    errors: IntCounterVec,
    /// `bifrost_caller_input_tokens_total`.
    input_tokens: IntCounterVec,
    /// `bifrost_caller_output_tokens_total`.
    output_tokens: IntCounterVec,
    /// `bifrost_caller_cost_total`, US dollars.
    cost: CounterVec,
}

impl Callers {
    /// Without labels of callers' own. `overflow` counts values that had no room, by `label`.
    ///
    /// # Errors
    /// A programming error, found at start.
    pub fn new(make: &Maker, overflow: &IntCounterVec) -> prometheus::Result<Self> {
        let family = Family::new(&[], overflow)?;
        family.each(&mut |metric| make.note(&metric, Kind::Counter));
        Ok(Self { family: ArcSwap::from_pointee(family), overflow: overflow.clone() })
    }

    /// The series of a caller; `None` for one of whom nothing is known. `headers` are those of its request.
    #[must_use]
    pub fn of(&self, who: Option<&Who<'_>>, headers: &HeaderMap) -> Option<Arc<Caller>> {
        let family = self.family.load();
        if who.is_none() && family.labels.is_empty() {
            return None;
        }
        let who = who.copied().unwrap_or_default();
        let own = family.labels.iter().zip(&family.values).map(|(label, of)| of.admit(label.sent(headers)));
        // Nearly always without an allocation: most have no labels of callers' own.
        let own: Vec<&str> = own.collect();
        let mut hasher = DefaultHasher::new();
        (who, &own).hash(&mut hasher);
        let hash = hasher.finish();
        if let Some(found) = family.known.read().unwrap_or_else(PoisonError::into_inner).get(&hash) {
            return Some(Arc::clone(found));
        }
        let mut known = family.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            self.overflow.with_label_values(&["caller"]).inc();
            return Some(Arc::new(family.make(&vec![OTHER; LABELS.len() + own.len()])));
        }
        let mut values = vec![
            who.virtual_key_id,
            who.virtual_key_name,
            who.team_id,
            who.team_name,
            who.customer_id,
            who.customer_name,
        ];
        values.extend(own);
        Some(Arc::clone(known.entry(hash).or_insert_with(|| Arc::new(family.make(&values)))))
    }

    /// From now on callers say these of themselves. Where that is another set than before all of it begins at zero: series
    /// with other labels are other series.
    pub fn adopt(&self, labels: &[Label]) {
        if self.family.load().labels == labels {
            return;
        }
        match Family::new(labels, &self.overflow) {
            Ok(family) => self.family.store(Arc::new(family)),
            Err(error) => log::error!("client.prometheus_labels: {error}"),
        }
    }

    /// Adopts what the configuration says, now and as long as the process lives.
    pub async fn follow(self: Arc<Self>, config: Arc<ConfigHolder>) {
        let mut versions = config.versions();
        loop {
            self.adopt(&config.load_full().client.prometheus_labels);
            if versions.changed().await.is_err() {
                return;
            }
        }
    }

    /// All series, as a registry gathers them.
    #[must_use]
    pub fn gather(&self) -> Vec<MetricFamily> {
        let mut all = Vec::new();
        self.family.load().each(&mut |metric| all.extend(metric.collect()));
        all.retain(|family| !family.get_metric().is_empty());
        all
    }
}

impl Family {
    fn new(own: &[Label], overflow: &IntCounterVec) -> prometheus::Result<Self> {
        let names: Vec<&str> = LABELS.into_iter().chain(own.iter().map(|label| &*label.name)).collect();
        let counters = |name: &str, help: &str| IntCounterVec::new(Opts::new(name, help), &names);
        let values = own
            .iter()
            .map(|label| Values::new(labels::MOST, overflow.with_label_values(&[&*label.name])))
            .collect();
        let cost = "US dollars by virtual key, where the price is known";
        Ok(Self {
            labels: own.to_vec(),
            values,
            known: RwLock::default(),
            requests: counters("bifrost_caller_requests_total", "Requests by virtual key")?,
            errors: counters(
                "bifrost_caller_errors_total",
                "Requests by virtual key that failed or were refused",
            )?,
            input_tokens: counters(
                "bifrost_caller_input_tokens_total",
                "Input tokens by virtual key, cached included",
            )?,
            output_tokens: counters("bifrost_caller_output_tokens_total", "Output tokens by virtual key")?,
            cost: CounterVec::new(Opts::new("bifrost_caller_cost_total", cost), &names)?,
        })
    }

    fn each(&self, each: &mut dyn FnMut(AnyCounter<'_>)) {
        each(AnyCounter(&self.requests));
        each(AnyCounter(&self.errors));
        each(AnyCounter(&self.input_tokens));
        each(AnyCounter(&self.output_tokens));
        each(AnyCounter(&self.cost));
    }

    fn make(&self, labels: &[&str]) -> Caller {
        Caller {
            requests: self.requests.with_label_values(labels),
            errors: self.errors.with_label_values(labels),
            input_tokens: self.input_tokens.with_label_values(labels),
            output_tokens: self.output_tokens.with_label_values(labels),
            cost: self.cost.with_label_values(labels),
        }
    }
}

/// One of the metrics, whatever it counts in.
struct AnyCounter<'c>(&'c dyn Collector);

impl Collector for AnyCounter<'_> {
    fn desc(&self) -> Vec<&prometheus::core::Desc> {
        self.0.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.0.collect()
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use crate::config::expression::Who;
    use crate::config::telemetry::Label;
    use crate::telemetry::metrics::Metrics;

    fn sent(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    fn lines(metrics: &Metrics, name: &str) -> Vec<String> {
        let text = String::from_utf8(metrics.render()).unwrap();
        text.lines().filter(|line| line.starts_with(&format!("{name}{{"))).map(str::to_owned).collect()
    }

    #[test]
    fn a_million_callers_do_not_make_a_million_series() {
        let metrics = Metrics::new().unwrap();
        let count = |id: &str| {
            let who = Who { virtual_key_id: id, ..Who::default() };
            metrics.callers.of(Some(&who), &HeaderMap::new()).unwrap().requests.inc();
        };
        for n in 0..super::MOST + 50 {
            count(&format!("vk-{n}"));
        }
        count("vk-7");
        let lines = lines(&metrics, "bifrost_caller_requests_total");
        assert_eq!(lines.len(), super::MOST + 1);
        let sample = |id: &str| {
            let label = format!("virtual_key_id=\"{id}\"");
            lines.iter().find(|line| line.contains(&label)).and_then(|line| line.rsplit(' ').next())
        };
        assert_eq!((sample("vk-7"), sample("other")), (Some("2"), Some("50")));
    }

    #[test]
    fn callers_label_themselves_within_bounds() {
        let metrics = Metrics::new().unwrap();
        metrics.callers.adopt(&[Label::new("cost_center").unwrap()]);
        for n in 0..super::labels::MOST + 20 {
            let headers = sent(&[("x-bf-prom-cost-center", &format!("cc-{n}"))]);
            metrics.callers.of(None, &headers).unwrap().requests.inc();
        }
        let headers = sent(&[("x-bf-dim-cost_center", "cc-1")]);
        metrics.callers.of(Some(&Who { team_id: "t", ..Who::default() }), &headers).unwrap().requests.inc();
        metrics.callers.of(None, &HeaderMap::new()).unwrap().requests.inc();
        let lines = lines(&metrics, "bifrost_caller_requests_total");
        assert_eq!(lines.len(), super::labels::MOST + 3);
        let has =
            |label: &str, end: &str| lines.iter().any(|line| line.contains(label) && line.ends_with(end));
        assert!(has(r#"cost_center="other""#, " 20"), "{lines:#?}");
        assert!(has(r#"cost_center="cc-1",customer_id="",customer_name="",team_id="t""#, " 1"), "{lines:#?}");
        assert!(has(r#"cost_center="""#, " 1"), "{lines:#?}");
        let overflow = self::lines(&metrics, "bifrost_metric_label_overflow_total");
        assert!(
            overflow
                .iter()
                .any(|line| line == r#"bifrost_metric_label_overflow_total{label="cost_center"} 20"#)
        );
    }

    #[test]
    fn other_labels_are_other_series() {
        let metrics = Metrics::new().unwrap();
        assert!(
            metrics.callers.of(None, &HeaderMap::new()).is_none(),
            "nobody, and nothing is asked of them"
        );
        let who = Who { virtual_key_id: "vk", ..Who::default() };
        metrics.callers.of(Some(&who), &HeaderMap::new()).unwrap().requests.inc();
        metrics.callers.adopt(&[Label::new("team").unwrap()]);
        assert_eq!(lines(&metrics, "bifrost_caller_requests_total").len(), 0);
        metrics.callers.of(Some(&who), &sent(&[("x-bf-prom-team", "a")])).unwrap().requests.inc();
        metrics.callers.adopt(&[Label::new("team").unwrap()]);
        assert_eq!(lines(&metrics, "bifrost_caller_requests_total").len(), 1);
    }
}
