//! The events of `urls.stream`: pieces of text as they are, no JSON around them.
//!
//! There is one part of one choice, no id, no model and no usage. The answer is finished when `done` came
//! without a reason, never before: a connection that closes earlier is a cut.

use serde::Deserialize;

use super::error;
use super::prediction::Status;
use super::response::finish;
use crate::frame::Frame;
use crate::ir::{Delta, Event, PartKind};
use crate::wire::told::Told;
use crate::wire::{BadFrame, StreamDecoder, failure_shapes};

/// Reads one stream.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    begun: bool,
    /// The text part is open.
    open: bool,
    done: bool,
    told: Told,
}

impl StreamDecoder for Decoder {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) -> Result<(), BadFrame> {
        if self.done {
            return Ok(());
        }
        match frame.event {
            "output" => self.output(frame.data, out)?,
            "logs" => {}
            "error" => self.fail(Status::Failed, detail(frame.data).as_deref(), out),
            "done" => self.ended(frame.data, out),
            "" => self.unnamed(frame.data, out)?,
            other => self.told.once("event", other, "", out),
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<Event>) {
        self.close(out);
    }
}

impl Decoder {
    fn output(&mut self, data: &[u8], out: &mut Vec<Event>) -> Result<(), BadFrame> {
        let text = std::str::from_utf8(data).map_err(|error| BadFrame(error.to_string()))?;
        self.begin(out);
        if !self.open {
            self.open = true;
            out.push(Event::PartStart { choice: 0, part: 0, kind: PartKind::Text });
        }
        out.push(Event::PartDelta { choice: 0, part: 0, delta: Delta::Text(text.to_owned()) });
        Ok(())
    }

    fn ended(&mut self, data: &[u8], out: &mut Vec<Event>) {
        #[derive(Default, Deserialize)]
        struct Done {
            #[serde(default)]
            reason: Option<String>,
        }
        let done: Done = serde_json::from_slice(data).unwrap_or_default();
        match done.reason.as_deref().unwrap_or_default() {
            "" => {
                self.begin(out);
                self.close(out);
                self.done = true;
                out.push(Event::Finish { choice: 0, finish: finish() });
                out.push(Event::End);
            }
            "canceled" => self.fail(Status::Canceled, None, out),
            "error" => self.fail(Status::Failed, None, out),
            reason => self.fail(Status::Failed, Some(&format!("the prediction ended: {reason}")), out),
        }
    }

    /// No event of this wire is without a name: it is an error of some shape, or nothing.
    fn unnamed(&mut self, data: &[u8], out: &mut Vec<Event>) -> Result<(), BadFrame> {
        let Some(failure) = failure_shapes::recognise(200, data) else {
            return Err(BadFrame("an event without a name".to_owned()));
        };
        self.done = true;
        out.push(Event::Failure(failure));
        Ok(())
    }

    fn fail(&mut self, status: Status, told: Option<&str>, out: &mut Vec<Event>) {
        self.done = true;
        out.push(Event::Failure(error::of_prediction(status, told)));
    }

    fn begin(&mut self, out: &mut Vec<Event>) {
        if !self.begun {
            self.begun = true;
            out.push(Event::Start { id: String::new(), model: String::new(), created: None });
        }
    }

    fn close(&mut self, out: &mut Vec<Event>) {
        if self.open {
            self.open = false;
            out.push(Event::PartStop { choice: 0, part: 0 });
        }
    }
}

/// The words of an `error` event: its `detail`, or all of it.
fn detail(data: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Error {
        detail: String,
    }
    let detail = serde_json::from_slice::<Error>(data).map(|error| error.detail);
    detail.ok().or_else(|| std::str::from_utf8(data).ok().map(str::to_owned))
}
