//! What came of an answer so far: its bytes as they came, read when somebody follows.

use bytes::{Bytes, BytesMut};
use translate::Wire;
use translate::cache::stored::{Complete, Reading, Unkept, complete_of_body, complete_of_stream};
use translate::frame::Framing;
use translate::ir::Event;
use translate::provider::UsageStyle;
use translate::wire::ToolNames;

/// How what comes is to be read.
#[derive(Debug, Clone)]
pub enum Form {
    /// A stream of a model's answer, from its provider.
    Stream(Provided),
    /// A whole answer of a model, from its provider.
    Whole(Provided),
    /// Another task's answer, as its caller gets it.
    Body,
}

/// How a provider writes.
#[derive(Debug, Clone)]
pub struct Provided {
    pub wire: Wire,
    pub framing: Framing,
    pub counts: UsageStyle,
    /// The caller's names for tools.
    pub names: ToolNames,
}

/// What came of an answer.
#[derive(Debug, Default)]
pub(super) struct Log {
    form: Option<Form>,
    raw: BytesMut,
    /// The same, of an answer that came in one piece.
    whole: Bytes,
    /// The caller of the one who asks has its first token: what came is an answer.
    seen: bool,
    reading: Option<Reading>,
    /// Bytes of `raw` that were read.
    read: usize,
    events: Vec<Event>,
    /// It cannot be read on.
    garbled: bool,
}

impl Log {
    pub(super) fn of(form: Form) -> Self {
        Self { form: Some(form), ..Self::default() }
    }

    /// Bytes that were noted.
    pub(super) fn noted(&self) -> usize {
        self.raw.len() + self.whole.len()
    }

    pub(super) fn push(&mut self, piece: &[u8], seen: bool) {
        self.raw.extend_from_slice(piece);
        self.seen = seen;
    }

    pub(super) fn fill(&mut self, whole: Bytes) {
        self.whole = whole;
    }

    /// All that came, and how it is to be read. Followers have what they have read.
    pub(super) fn taken(&mut self) -> Option<(Form, Bytes)> {
        let form = self.form.clone()?;
        self.advance(true);
        // What only the end says is for those who follow, too.
        if let Some(reading) = self.reading.as_mut().filter(|_| !self.garbled) {
            self.garbled = reading.end(&mut self.events).is_err();
        }
        let bytes = if self.whole.is_empty() { self.raw.split().freeze() } else { self.whole.clone() };
        // It is still counted: whoever reads it now has it.
        self.whole = bytes.clone();
        Some((form, bytes))
    }

    /// The bytes are needed no more; those who follow still have the events.
    pub(super) fn forget(&mut self) {
        self.whole = Bytes::new();
        self.raw = BytesMut::new();
        self.read = 0;
    }

    /// Those who follow may have had some of it.
    pub(super) fn was_seen(&self) -> bool {
        self.seen
    }

    /// Events from the one with the number `from` on; `None`: there are none yet.
    pub(super) fn events(&mut self, from: usize) -> Option<Vec<Event>> {
        if !self.seen {
            return None;
        }
        self.advance(false);
        self.events.get(from..).filter(|more| !more.is_empty()).map(<[Event]>::to_vec)
    }

    /// Reads what has not been read, where somebody has begun to or `only_begun` does not say that.
    fn advance(&mut self, only_begun: bool) {
        let Some(Form::Stream(provided)) = &self.form else { return };
        if self.garbled || (only_begun && self.reading.is_none()) {
            return;
        }
        let reading = self.reading.get_or_insert_with(|| {
            let Provided { wire, framing, counts, names } = provided;
            Reading::new(wire.codec(), *framing, (*counts, names))
        });
        let fresh = self.raw.get(self.read..).unwrap_or_default();
        self.read += fresh.len();
        self.garbled = reading.push(fresh, &mut self.events).is_err();
    }
}

/// Puts an answer together.
///
/// # Errors
/// It is none, or cannot be read.
pub(in crate::cache) fn complete(form: &Form, bytes: &Bytes, most: usize) -> Result<Complete, Unkept> {
    match form {
        Form::Stream(Provided { wire, framing, counts, names }) => {
            complete_of_stream(wire.codec(), *framing, bytes, (*counts, names), most)
        }
        Form::Whole(Provided { wire, counts, names, .. }) => {
            complete_of_body(wire.codec(), bytes, (*counts, names), most)
        }
        Form::Body => Err(Unkept::StrangePart),
    }
}
