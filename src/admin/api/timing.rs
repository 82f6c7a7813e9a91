//! `Server-Timing` on every answer of the administration: what took how long, for whoever looks at a slow page.

use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// A step of an answer: its name (letters only) and how long it took. As a header of the answer.
#[must_use]
pub fn step(name: &'static str, took: Duration) -> [(HeaderName, HeaderValue); 1] {
    [(SERVER_TIMING, value(name, took))]
}

/// Says how long the whole took, behind its steps.
pub async fn tell(request: Request, next: Next) -> Response {
    let began = Instant::now();
    let mut response = next.run(request).await;
    response.headers_mut().append(SERVER_TIMING, value("total", began.elapsed()));
    response
}

fn value(name: &str, took: Duration) -> HeaderValue {
    let text = format!("{name};dur={:.3}", took.as_secs_f64() * 1_000.0);
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("total"))
}
