//! A prediction's state, for whoever follows it: is it done, and where is it read. What it says is the
//! codec's to read.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{model, response};
use crate::wire::BadResponse;

/// Where a prediction stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prediction {
    /// Its path below the provider's host, `/v1/predictions/{id}`: `GET` gives it as it is now, `POST` to
    /// `/cancel` below it ends it. `None`: it has no id that could stand in a path.
    pub path: Option<String>,
    pub status: Status,
    /// `GET` with `Accept: text/event-stream`: its output as events. Absent where the model cannot stream. An
    /// absolute URL, mostly of another host; whoever follows it must see to it that no key goes astray.
    pub stream: Option<String>,
    /// Why it failed, in the model's words.
    pub error: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Starting,
    Processing,
    Succeeded,
    Failed,
    Canceled,
    /// Ended before it began: its deadline passed.
    Aborted,
    /// A word we do not know: not final.
    Other,
}

impl Status {
    pub(super) fn of(word: &str) -> Self {
        match word {
            "starting" => Self::Starting,
            "processing" => Self::Processing,
            "succeeded" => Self::Succeeded,
            "failed" => Self::Failed,
            "canceled" => Self::Canceled,
            "aborted" => Self::Aborted,
            _ => Self::Other,
        }
    }

    /// Nothing more will come.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Canceled | Self::Aborted)
    }
}

impl Prediction {
    /// Reads the answer to the creation of a prediction, or to a look at it. The output is not looked into.
    ///
    /// # Errors
    /// [`BadResponse`] when the body is not JSON, is an error object, or has no status.
    pub fn read(body: &[u8]) -> Result<Self, BadResponse> {
        let seen: Seen<'_> = serde_json::from_slice(body).map_err(|error| response::bad_json(&error))?;
        let Some(status) = text(seen.status) else { return Err(response::not_a_prediction(body)) };
        let urls = seen.urls.and_then(|raw| serde_json::from_str::<SeenUrls<'_>>(raw.get()).ok());
        let id = text(seen.id).filter(|id| model::is_word(id));
        Ok(Self {
            path: id.map(|id| format!("/v1/predictions/{id}")),
            status: Status::of(&status),
            stream: urls.and_then(|urls| text(urls.stream)),
            error: text(seen.error).filter(|error| !error.is_empty()),
        })
    }

    /// Nothing more will come: the body that was read holds the answer, or the failure.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.status.is_final()
    }
}

#[derive(Deserialize)]
struct Seen<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    status: Option<&'a RawValue>,
    #[serde(borrow, default)]
    urls: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct SeenUrls<'a> {
    #[serde(borrow, default)]
    stream: Option<&'a RawValue>,
}

/// The text, where it is one.
fn text(raw: Option<&RawValue>) -> Option<String> {
    serde_json::from_str::<Cow<'_, str>>(raw?.get()).ok().map(Cow::into_owned)
}
