//! How metrics are written down: Prometheus' text format, and OpenMetrics 1.0 with exemplars for those who ask for it.
//!
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/>. The text format is the library's; it knows no OpenMetrics.

use std::io::Write;

use prometheus::proto::{Histogram, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Encoder, TextEncoder};

use super::exemplars::{Exemplar, Kept, joined};

/// Units that stand at the end of a metric's name.
const UNITS: [&str; 4] = ["seconds", "bytes", "ratio", "dollars"];

/// A form of the answer to a scrape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Text,
    OpenMetrics,
}

impl Format {
    /// The form that fits an `Accept` header best; the text format where nothing is said, or nothing fits.
    #[must_use]
    pub fn accepted(accept: Option<&str>) -> Self {
        let ranges = accept.unwrap_or_default().split(',').map(Range::of);
        let (mut open, mut text) = (0, 0);
        for range in ranges {
            match range.kind {
                "application/openmetrics-text" if matches!(range.version, None | Some("1.0.0")) => {
                    open = open.max(range.weight);
                }
                "text/plain" | "text/*" | "*/*" => text = text.max(range.weight),
                _ => {}
            }
        }
        // Of two that are as welcome, the one that tells more.
        if open > 0 && open >= text { Self::OpenMetrics } else { Self::Text }
    }

    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// One of the types that a caller takes.
struct Range<'a> {
    kind: &'a str,
    version: Option<&'a str>,
    /// Thousandths.
    weight: u32,
}

impl<'a> Range<'a> {
    fn of(text: &'a str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let mut range = Self { kind: parts.next().unwrap_or_default(), version: None, weight: 1000 };
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            match name.trim().to_ascii_lowercase().as_str() {
                "q" => range.weight = weight(value.trim()),
                "version" => range.version = Some(value.trim().trim_matches('"')),
                _ => {}
            }
        }
        range
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 1000")]
fn weight(text: &str) -> u32 {
    let weight: f64 = text.parse().unwrap_or(0.0);
    if weight.is_nan() { 0 } else { (weight.clamp(0.0, 1.0) * 1000.0) as u32 }
}

/// Appends the text format.
pub fn text(families: &[MetricFamily], out: &mut Vec<u8>) {
    if let Err(error) = TextEncoder::new().encode(families, out) {
        log::error!("metrics could not be rendered: {error}");
    }
}

/// Appends OpenMetrics.
pub fn open_metrics(families: &[MetricFamily], exemplars: &Kept, out: &mut Vec<u8>) {
    let mut page = Page { out, exemplars };
    families.iter().for_each(|family| page.family(family));
    page.put("# EOF\n");
}

struct Page<'p> {
    out: &'p mut Vec<u8>,
    exemplars: &'p Kept,
}

impl Page<'_> {
    fn family(&mut self, family: &MetricFamily) {
        let kind = family.get_field_type();
        // The suffix belongs to the sample, not to the family.
        let name = match kind {
            MetricType::COUNTER => family.name().strip_suffix("_total").unwrap_or(family.name()),
            _ => family.name(),
        };
        let word = match kind {
            MetricType::COUNTER => "counter",
            MetricType::GAUGE => "gauge",
            MetricType::HISTOGRAM => "histogram",
            MetricType::SUMMARY | MetricType::UNTYPED => return,
        };
        self.say(format_args!("# TYPE {name} {word}\n"));
        if let Some(unit) = UNITS.iter().find(|unit| name.ends_with(&format!("_{unit}"))) {
            self.say(format_args!("# UNIT {name} {unit}\n"));
        }
        self.say(format_args!("# HELP {name} "));
        self.escaped(family.help());
        self.put("\n");
        for metric in family.get_metric() {
            match kind {
                MetricType::COUNTER => {
                    self.sample((name, "_total"), metric, metric.get_counter().get_value())
                }
                MetricType::GAUGE => self.sample((name, ""), metric, metric.get_gauge().get_value()),
                _ => self.histogram(name, metric, metric.get_histogram()),
            }
        }
    }

    fn sample(&mut self, (name, suffix): (&str, &str), metric: &Metric, value: f64) {
        self.put(name);
        self.put(suffix);
        self.labels(metric.get_label(), None);
        self.number(value);
        self.put("\n");
    }

    fn histogram(&mut self, name: &str, metric: &Metric, histogram: &Histogram) {
        let labels = metric.get_label();
        let exemplars = self.exemplars.of(name, &joined(labels.iter().map(LabelPair::value)));
        let total = histogram.get_sample_count();
        let bounds =
            histogram.get_bucket().iter().map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()));
        let bounds = bounds.filter(|(bound, _)| bound.is_finite()).chain([(f64::INFINITY, total)]);
        let mut below = 0;
        for (at, (bound, count)) in bounds.enumerate() {
            self.put(name);
            self.put("_bucket");
            self.labels(labels, Some(bound));
            self.say(format_args!(" {count}"));
            let exemplar = exemplars.and_then(|all| all.get(at)).and_then(Option::as_ref);
            if let Some(exemplar) = exemplar.filter(|_| count > below) {
                self.exemplar(exemplar);
            }
            self.put("\n");
            below = count;
        }
        self.put(name);
        self.put("_count");
        self.labels(labels, None);
        self.say(format_args!(" {total}\n"));
        self.sample((name, "_sum"), metric, histogram.get_sample_sum());
    }

    fn exemplar(&mut self, exemplar: &Exemplar) {
        self.put(" # {");
        if let Some(trace) = exemplar.trace_id {
            self.say(format_args!("trace_id=\"{trace:032x}\""));
        }
        if let Some(id) = &exemplar.request_id {
            self.put(if exemplar.trace_id.is_some() { ",request_id=\"" } else { "request_id=\"" });
            self.escaped(id);
            self.put("\"");
        }
        self.put("}");
        self.number(exemplar.value);
        self.say(format_args!(" {}.{:03}", exemplar.at_ms / 1000, exemplar.at_ms % 1000));
    }

    fn labels(&mut self, labels: &[LabelPair], bound: Option<f64>) {
        if labels.is_empty() && bound.is_none() {
            return;
        }
        self.put("{");
        for (at, pair) in labels.iter().enumerate() {
            self.put(if at == 0 { "" } else { "," });
            self.put(pair.name());
            self.put("=\"");
            self.escaped(pair.value());
            self.put("\"");
        }
        if let Some(bound) = bound {
            self.put(if labels.is_empty() { "le=\"" } else { ",le=\"" });
            self.put(&canonical(bound));
            self.put("\"");
        }
        self.put("}");
    }

    fn number(&mut self, value: f64) {
        self.put(" ");
        if value.is_finite() {
            self.say(format_args!("{value}"));
        } else {
            self.put(&canonical(value));
        }
    }

    fn escaped(&mut self, text: &str) {
        for part in text.split_inclusive(['\\', '"', '\n']) {
            match part.as_bytes().split_last() {
                Some((last @ (b'\\' | b'"' | b'\n'), before)) => {
                    self.out.extend_from_slice(before);
                    self.out.push(b'\\');
                    self.out.push(if *last == b'\n' { b'n' } else { *last });
                }
                _ => self.put(part),
            }
        }
    }

    fn put(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn say(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing into a Vec cannot fail.
        let _ = self.out.write_fmt(text);
    }
}

/// A number as all exposers are to write it, so that a bound is one text everywhere: always with a point or an exponent.
fn canonical(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    if value != 0.0 && value.abs() < 1e-4 {
        let text = format!("{value:e}");
        return match text.split_once("e-") {
            Some((digits, exponent)) => format!("{digits}e-{exponent:0>2}"),
            None => text,
        };
    }
    format!("{value:?}")
}

#[cfg(test)]
mod tests;
