//! `cluster`: where several gateways share what they count.

use std::time::Duration;

use govern::lease;
use url::Url;

use super::Compiler;
use crate::config::cluster::Cluster;
use crate::config::document::At;
use crate::config::problem::Problem;
use crate::config::raw::{self, OnLoss};
use crate::config::snapshot::Secret;

const URL: &str = "/cluster/redis/url";
const PREFIX: &str = "/cluster/redis/prefix";

/// The longest prefix: it is part of every key.
const LONGEST_PREFIX: usize = 100;

pub(super) fn compile(compiler: &mut Compiler<'_>, raw: Option<&raw::Cluster>) -> Option<Cluster> {
    let redis = raw?.redis.as_ref()?;
    let known = Url::parse(&redis.url).is_ok_and(|url| match url.scheme() {
        "redis" | "rediss" => url.host_str().is_some_and(|host| !host.is_empty()),
        "unix" | "redis+unix" => true,
        _ => false,
    });
    if !known {
        // Not quoted: there may be a password in it.
        let problem = compiler.document.problem(URL, At::Value, "this is no address of a Redis server");
        let advice = "write redis://host:6379, rediss://user:password@host:6379/0 or unix:///path";
        compiler.push(URL, Problem::suggest(problem, advice.to_owned()));
    }
    if redis.prefix.len() > LONGEST_PREFIX || redis.prefix.contains(char::is_whitespace) {
        compiler.problem(
            PREFIX,
            At::Value,
            format!("a prefix has no spaces and at most {LONGEST_PREFIX} bytes"),
        );
    }
    Some(Cluster {
        url: Secret::new(redis.url.clone()),
        prefix: redis.prefix.as_str().into(),
        on_loss: match redis.on_loss {
            OnLoss::Local => lease::OnLoss::Local,
            OnLoss::Deny => lease::OnLoss::Deny,
        },
        lease: Duration::from_millis(redis.lease_in_ms),
        timeout: Duration::from_millis(redis.timeout_in_ms),
    })
}
