//! What a condition can see of a request, as the evaluator looks it up: nothing is made that is not asked for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::OnceLock;

use cel::ExecutionError;
use cel::common::traits::{Container, Indexer, Iterable, Iterator, Sizer};
use cel::common::types::{CelBool, CelDouble, CelInt, CelString, MAP_TYPE, Type};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use http::HeaderMap;
use regex::Regex;

/// Every variable, with its type as people write it.
pub const VARIABLES: [(&str, &str); 21] = [
    ("budget_used", "number"),
    ("customer", "text"),
    ("customer_id", "text"),
    ("customer_name", "text"),
    ("headers", "map"),
    ("key", "text"),
    ("model", "text"),
    ("model_asked", "text"),
    ("params", "map"),
    ("provider", "text"),
    ("request", "number"),
    ("request_type", "text"),
    ("stream", "true or false"),
    ("team", "text"),
    ("team_id", "text"),
    ("team_name", "text"),
    ("tokens", "whole number"),
    ("tokens_used", "number"),
    ("virtual_key", "text"),
    ("virtual_key_id", "text"),
    ("virtual_key_name", "text"),
];

/// Names a loop goes over; more are left out.
const LOOPED: usize = 256;

/// What a condition can see of a request.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Without its provider; aliases are resolved.
    pub model: &'a str,
    /// As the caller wrote it.
    pub model_asked: &'a str,
    /// Of the model asked for; empty when nobody has it.
    pub provider: &'a str,
    /// Name or id of the key that the caller asks for; empty without.
    pub key: &'a str,
    /// As in `extra_fields.request_type`.
    pub request_type: &'a str,
    pub stream: bool,
    /// Estimate of the input, a quarter of the body's bytes.
    pub tokens: u64,
    pub headers: &'a HeaderMap,
    /// The query of the URL, without its question mark.
    pub query: &'a str,
    pub who: Who<'a>,
    /// Percent of the caller's allowances that are used: asked for only where an expression does.
    pub used: Used<'a>,
}

/// Who calls; empty where no virtual key was shown, or it belongs to nobody.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Who<'a> {
    pub virtual_key_id: &'a str,
    pub virtual_key_name: &'a str,
    pub team_id: &'a str,
    pub team_name: &'a str,
    pub customer_id: &'a str,
    pub customer_name: &'a str,
}

/// What is asked of a caller's allowances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gauge {
    Budget,
    Tokens,
    Requests,
}

/// Tells how much of an allowance is used, in percent.
#[derive(Clone, Copy, Default)]
pub struct Used<'a>(pub Option<&'a (dyn Fn(Gauge) -> f64 + Sync)>);

impl Used<'_> {
    fn percent(self, gauge: Gauge) -> CelDouble {
        CelDouble::from(self.0.map_or(0.0, |ask| ask(gauge)))
    }
}

impl fmt::Debug for Used<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Used")
    }
}

impl Facts<'static> {
    /// A request as good as any.
    pub(super) fn sample() -> Self {
        static NONE: OnceLock<HeaderMap> = OnceLock::new();
        Self {
            model: "model",
            model_asked: "provider/model",
            provider: "provider",
            key: "",
            request_type: "chat_completion",
            stream: false,
            tokens: 1000,
            headers: NONE.get_or_init(HeaderMap::new),
            query: "",
            who: Who::default(),
            used: Used::default(),
        }
    }
}

/// The variables of one evaluation.
pub(super) struct Scope<'a> {
    facts: &'a Facts<'a>,
    headers: Named<'a>,
    params: Named<'a>,
    patterns: &'a [Pattern],
}

impl<'a> Scope<'a> {
    pub(super) fn new(facts: &'a Facts<'a>, patterns: &'a [Pattern]) -> Self {
        let named = |of| Named { of, names: OnceLock::new(), pairs: OnceLock::new() };
        let (headers, params) = (named(Source::Headers(facts.headers)), named(Source::Query(facts.query)));
        Self { facts, headers, params, patterns }
    }
}

impl VariableResolver for Scope<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let text = |text: &'b str| Some(CowVal::owned(CelString::from(text)));
        match variable {
            "model" => text(self.facts.model),
            "model_asked" => text(self.facts.model_asked),
            "provider" => text(self.facts.provider),
            "key" => text(self.facts.key),
            "request_type" => text(self.facts.request_type),
            "stream" => Some(CowVal::owned(CelBool::from(self.facts.stream))),
            "tokens" => {
                let tokens = i64::try_from(self.facts.tokens).unwrap_or(i64::MAX);
                Some(CowVal::owned(CelInt::from(tokens)))
            }
            "headers" => Some(CowVal::Borrowed(&self.headers)),
            "params" => Some(CowVal::Borrowed(&self.params)),
            "budget_used" => Some(CowVal::owned(self.facts.used.percent(Gauge::Budget))),
            "tokens_used" => Some(CowVal::owned(self.facts.used.percent(Gauge::Tokens))),
            "request" => Some(CowVal::owned(self.facts.used.percent(Gauge::Requests))),
            "virtual_key" | "virtual_key_name" => text(self.facts.who.virtual_key_name),
            "virtual_key_id" => text(self.facts.who.virtual_key_id),
            "team" | "team_name" => text(self.facts.who.team_name),
            "team_id" => text(self.facts.who.team_id),
            "customer" | "customer_name" => text(self.facts.who.customer_name),
            "customer_id" => text(self.facts.who.customer_id),
            _ => {
                let index: usize = variable.strip_prefix(Pattern::PREFIX)?.parse().ok()?;
                self.patterns.get(index).map(|pattern| CowVal::Borrowed(pattern as &dyn Val))
            }
        }
    }
}

/// Texts by name: the headers, or the parameters of the query.
#[derive(Debug, Clone)]
struct Named<'a> {
    of: Source<'a>,
    /// Made for loops only.
    names: OnceLock<Vec<CelString<'static>>>,
    /// Of a query, read once: a loop looks many of them up.
    pairs: OnceLock<BTreeMap<Cow<'a, str>, Cow<'a, str>>>,
}

#[derive(Debug, Clone, Copy)]
enum Source<'a> {
    Headers(&'a HeaderMap),
    Query(&'a str),
}

impl<'a> Named<'a> {
    fn find(&self, name: &str) -> Option<String> {
        match self.of {
            Source::Headers(headers) => {
                let value = headers.get(name)?;
                std::str::from_utf8(value.as_bytes()).ok().map(str::to_owned)
            }
            Source::Query(query) => self.pairs(query).get(name).map(|value| value.as_ref().to_owned()),
        }
    }

    fn names(&self) -> &[CelString<'static>] {
        self.names.get_or_init(|| match self.of {
            Source::Headers(headers) => {
                let names = headers.keys().take(LOOPED);
                names.map(|name| CelString::from(name.as_str().to_owned())).collect()
            }
            Source::Query(query) => {
                let names = self.pairs(query).keys().take(LOOPED);
                names.map(|name| CelString::from(name.as_ref().to_owned())).collect()
            }
        })
    }

    /// Of a repeated name the first.
    fn pairs(&self, query: &'a str) -> &BTreeMap<Cow<'a, str>, Cow<'a, str>> {
        self.pairs.get_or_init(|| {
            let mut pairs = BTreeMap::new();
            for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
                pairs.entry(name).or_insert(value);
            }
            pairs
        })
    }
}

fn name_of(value: &dyn Val) -> Result<&str, ExecutionError> {
    let name = value.downcast_ref::<CelString>().map(CelString::inner);
    name.ok_or_else(|| ExecutionError::UnexpectedType {
        got: value.get_type().name().to_owned(),
        want: "string".to_owned(),
    })
}

impl Val for Named<'_> {
    fn get_type(&self) -> &Type {
        &MAP_TYPE
    }

    fn cel_type() -> &'static Type {
        &MAP_TYPE
    }

    fn as_container(&self) -> Option<&dyn Container> {
        Some(self)
    }

    fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn as_iterable<'b, 'v>(&'b self) -> Option<&'b (dyn Iterable + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn as_sizer(&self) -> Option<&dyn Sizer> {
        Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(self.clone())
    }
}

impl Container for Named<'_> {
    fn contains(&self, value: &dyn Val) -> Result<bool, ExecutionError> {
        Ok(self.find(name_of(value)?).is_some())
    }
}

impl Indexer for Named<'_> {
    fn get<'b, 'v>(&'b self, index: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let name = name_of(index)?;
        let value = self.find(name).ok_or_else(|| ExecutionError::no_such_key(name))?;
        Ok(CowVal::owned(CelString::from(value)))
    }

    fn steal<'v>(self: Box<Self>, index: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let name = name_of(index)?;
        let value = self.find(name).ok_or_else(|| ExecutionError::no_such_key(name))?;
        Ok(Box::new(CelString::from(value)))
    }
}

impl Iterable for Named<'_> {
    fn iter<'b, 'v>(&'b self) -> Box<dyn Iterator<'b, 'v> + 'b>
    where
        Self: 'v,
    {
        Box::new(Names(self.names().iter()))
    }
}

impl Sizer for Named<'_> {
    fn size(&self) -> CelInt {
        CelInt::from(i64::try_from(self.names().len()).unwrap_or(i64::MAX))
    }
}

struct Names<'b>(std::slice::Iter<'b, CelString<'static>>);

impl<'b, 'v> Iterator<'b, 'v> for Names<'b> {
    fn next(&mut self) -> Option<&'b (dyn Val + 'v)> {
        self.0.next().map(|name| name as &(dyn Val + 'v))
    }
}

/// What `matches` looks for. `text.matches(pattern)` is kept as `text in pattern`: the evaluator's own function would
/// compile its pattern at each look.
#[derive(Debug, Clone)]
pub(super) struct Pattern(pub(super) Regex);

impl Pattern {
    /// Names of patterns in a tree; no text that is parsed can hold one.
    pub(super) const PREFIX: &str = "@pattern";
}

impl Val for Pattern {
    fn get_type(&self) -> &Type {
        <CelString<'_> as Val>::cel_type()
    }

    fn cel_type() -> &'static Type {
        <CelString<'_> as Val>::cel_type()
    }

    fn as_container(&self) -> Option<&dyn Container> {
        Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(self.clone())
    }
}

impl Container for Pattern {
    fn contains(&self, value: &dyn Val) -> Result<bool, ExecutionError> {
        Ok(self.0.is_match(name_of(value)?))
    }
}
