//! Several servers behind one provider or key, compiled: where they are, how one is chosen, how they are checked.
//!
//! Nothing here is decided or remembered; what is known of the servers is in `upstream::backend`.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use super::snapshot::BaseUrl;

/// Servers that serve the same models.
#[derive(Debug)]
pub struct Backends {
    /// Of all that is configured of them, and of how they are reached: what was learned is kept over reloads as
    /// long as this stays the same.
    pub id: u64,
    /// At least two.
    pub list: Vec<Arc<Backend>>,
    pub selection: Selection,
    pub check: Option<Check>,
}

/// One server.
#[derive(Debug, PartialEq, Eq)]
pub struct Backend {
    /// Host, port and path, for people; unique among its neighbours.
    pub name: Arc<str>,
    /// The same URL has the same number everywhere and always.
    pub number: u64,
    pub url: Arc<BaseUrl>,
    /// 1 to 100.
    pub weight: u32,
}

/// How one is chosen where affinity does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Selection {
    Weighted,
    RoundRobin,
    LeastInflight,
}

/// Which requests go where requests like them went before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Affinity {
    None,
    Session,
    /// Sessions, and prompts that begin alike.
    Prompt,
}

/// How servers are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// `None`: a connection is enough.
    pub request: Option<CheckRequest>,
    pub interval: Duration,
    pub timeout: Duration,
    /// Good checks in a row that bring a server back.
    pub healthy_after: u32,
    /// Failed ones in a row that take it out.
    pub unhealthy_after: u32,
    /// `None`: 200 to 299.
    pub expected_status: Option<u16>,
}

/// What a check asks, by GET.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckRequest {
    /// From the server's root.
    pub path: Arc<str>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
}
