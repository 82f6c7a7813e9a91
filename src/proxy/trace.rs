//! The trace that a request belongs to: its caller's, or one that begins here.
//!
//! Decided once, when the request comes in; attempts pass it on with a span of their own. Spans themselves are made of the
//! request's record, by `observe::traces`: nothing is collected here.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use pingora_error::Result;
use pingora_http::RequestHeader;

use super::attempt::Attempt;
use super::exchange::{Call, Exchange};
use crate::config::traces::Traces;
use crate::telemetry::record::Trace;
use crate::telemetry::trace_context::{self, Parent};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The trace of a request with these headers. `None`: its caller names none, and nobody collects any.
#[must_use]
pub fn join(headers: &HeaderMap, traces: &Traces) -> Option<Arc<Trace>> {
    let parent = parent(headers);
    if parent.is_none() && traces.collectors.is_empty() {
        return None;
    }
    let trace_id = parent.map_or_else(random_id, |parent| parent.trace_id);
    let recorded = traces.records(trace_id, parent.map(|parent| parent.sampled));
    let state = parent.and_then(|_| {
        let lines = headers.get_all(TRACESTATE).iter().filter_map(|line| line.to_str().ok());
        trace_context::state(lines)
    });
    Some(Arc::new(Trace {
        trace_id,
        span_id: fastrand::u64(1..),
        parent_id: parent.map(|parent| parent.span_id),
        sampled: recorded || parent.is_some_and(|parent| parent.sampled),
        random: parent.is_none_or(|parent| parent.random),
        recorded,
        state,
    }))
}

/// Whose copy this is: another request of the same trace.
#[must_use]
pub fn of_a_copy(trace: Option<&Arc<Trace>>) -> Option<Arc<Trace>> {
    let of = trace?;
    Some(Arc::new(Trace { span_id: fastrand::u64(1..), parent_id: Some(of.span_id), ..Trace::clone(of) }))
}

/// The trace of an exchange, for its call.
pub fn hand_on(exchange: &Exchange, call: &mut Call) {
    call.trace.clone_from(&exchange.trace);
}

/// Tells whoever is asked whose part the attempt is.
///
/// # Errors
/// Never: what is written is a header value.
pub fn tell(head: &mut RequestHeader, call: &Call, attempt: &Attempt) -> Result<()> {
    let Some(trace) = &call.trace else { return Ok(()) };
    let parent = trace.parent_of(attempt.span_id).to_string();
    head.insert_header(TRACEPARENT, parent)?;
    match trace.state.as_deref().map(HeaderValue::from_str) {
        Some(Ok(state)) => head.insert_header(TRACESTATE, state),
        _ => Ok(()),
    }
}

/// The caller's context, unless there is none, several, or one that is none.
fn parent(headers: &HeaderMap) -> Option<Parent> {
    let mut lines = headers.get_all(TRACEPARENT).iter();
    let (line, None) = (lines.next()?, lines.next()) else { return None };
    Parent::read(line.to_str().ok()?.trim())
}

fn random_id() -> u128 {
    fastrand::u128(1..)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn without_collectors_and_callers_context_there_is_no_trace() {
        assert!(join(&HeaderMap::new(), &Traces::default()).is_none());
        let mut twice = headers(&[("traceparent", GIVEN)]);
        assert!(join(&twice, &Traces::default()).is_some());
        twice.append(TRACEPARENT, HeaderValue::from_static(GIVEN));
        assert!(join(&twice, &Traces::default()).is_none());
    }

    #[test]
    fn a_callers_trace_is_joined_with_its_state() {
        let joined = join(&headers(&[("traceparent", GIVEN), ("tracestate", "a=1")]), &Traces::default());
        let trace = joined.unwrap();
        assert_eq!(trace.trace_id, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!(trace.parent_id, Some(0x00f0_67aa_0ba9_02b7));
        assert_eq!(trace.state.as_deref(), Some("a=1"));
        // Nobody here records it: what is asked belongs to the caller's span.
        assert!(!trace.recorded && trace.sampled);
        assert_eq!(trace.parent_of(1).to_string(), GIVEN);
        // A state without its parent says nothing.
        assert!(join(&headers(&[("tracestate", "a=1")]), &Traces::default()).is_none());
    }

    #[test]
    fn a_copy_is_another_request_of_the_same_trace() {
        let trace = join(&headers(&[("traceparent", GIVEN)]), &Traces::default());
        let copy = of_a_copy(trace.as_ref()).unwrap();
        let of = trace.unwrap();
        assert_eq!((copy.trace_id, copy.parent_id), (of.trace_id, Some(of.span_id)));
        assert_ne!(copy.span_id, of.span_id);
    }
}
