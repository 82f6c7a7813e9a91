//! One check of one server, over the same way as its requests: certificates, server name, HTTP version, proxy.
//!
//! What follows from checks (how many in a row change anything) is Pingora's.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::header;
use pingora_error::{Error, ErrorType, OrErr, Result};
use pingora_http::RequestHeader;
use pingora_load_balancing::Backend as Known;
use pingora_load_balancing::health_check::HealthCheck;

use super::group::Member;
use crate::config::backend::Check;
use crate::config::snapshot::{BaseUrl, Provider};
use crate::telemetry::events::{Event, emit};
use crate::upstream::ask::{Asker, Question};

/// Checks the servers of one group.
pub(super) struct Checker {
    provider: Arc<Provider>,
    asker: Arc<Asker>,
    check: Check,
    members: Arc<[Member]>,
}

impl Checker {
    pub(super) fn new(
        provider: Arc<Provider>,
        asker: Arc<Asker>,
        check: Check,
        members: Arc<[Member]>,
    ) -> Self {
        Self { provider, asker, check, members }
    }

    async fn ask(&self, at: &BaseUrl) -> Result<()> {
        let question = Question {
            provider: Arc::clone(&self.provider),
            at: at.clone(),
            head: self.head(at)?,
            body: Bytes::new(),
        };
        let broken = |what: String| Error::explain(ErrorType::ConnectError, what);
        if self.check.request.is_none() {
            return self.asker.reach(&question).await.map_err(|error| broken(error.to_string()));
        }
        let status = self.asker.status(&question).await.map_err(|error| broken(error.to_string()))?;
        let good = match self.check.expected_status {
            Some(expected) => status.as_u16() == expected,
            None => status.is_success(),
        };
        if good { Ok(()) } else { Err(broken(format!("the check was answered with {status}"))) }
    }

    fn head(&self, at: &BaseUrl) -> Result<RequestHeader> {
        let (path, headers) = match &self.check.request {
            Some(request) => (request.path.as_bytes(), request.headers.as_slice()),
            None => (&b"/"[..], &[][..]),
        };
        let mut head = RequestHeader::build("GET", path, None)?;
        head.insert_header(header::HOST, &*at.authority)?;
        head.insert_header(header::USER_AGENT, concat!("bifrost/", env!("CARGO_PKG_VERSION")))?;
        if !self.provider.network.enforce_http2 {
            head.insert_header(header::CONNECTION, "close")?;
        }
        for (name, value) in self.provider.network.extra_headers.iter().chain(headers) {
            head.insert_header(name.clone(), value.clone())?;
        }
        Ok(head)
    }
}

#[async_trait]
impl HealthCheck for Checker {
    async fn check(&self, target: &Known) -> Result<()> {
        let Some(member) = self.members.iter().find(|member| member.is(target)) else {
            return Error::e_explain(ErrorType::InternalError, "no such server");
        };
        let answer = tokio::time::timeout(self.check.timeout, self.ask(&member.backend.url)).await;
        answer.or_err(ErrorType::ConnectTimedout, "the check took too long")??;
        member.reached();
        Ok(())
    }

    async fn health_status_change(&self, target: &Known, healthy: bool) {
        let found = self.members.iter().find(|member| member.is(target));
        let server = found.map_or("", |member| &*member.backend.name);
        let told = if healthy { "up" } else { "down" };
        emit(Event::ServerChecked { provider: &self.provider.name, server, up: healthy, told });
    }

    fn backend_summary(&self, target: &Known) -> String {
        let found = self.members.iter().find(|member| member.is(target));
        found.map_or_else(String::new, |member| format!("server {}", member.backend.name))
    }

    fn health_threshold(&self, success: bool) -> usize {
        let threshold = if success { self.check.healthy_after } else { self.check.unhealthy_after };
        usize::try_from(threshold).unwrap_or(1)
    }
}
