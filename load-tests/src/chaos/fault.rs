//! Everything a provider may do wrong, or oddly but right. One list; what each looks like on the wire is in
//! `script`.

use super::dice::Dice;

/// Which answers a fault is possible in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Any,
    Whole,
    Stream,
}

/// What is done to one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// Nothing: a good answer.
    None,
    // Refusals.
    Limited,
    LimitedAfter,
    ServerError,
    Unavailable,
    UnavailableAfter,
    Overloaded,
    ContextLength,
    Policy,
    EmptyError,
    HtmlError,
    Redirect,
    KeyRevoked,
    PrefillRefused,
    // Connections and silence.
    ResetAtOnce,
    CloseAtOnce,
    ResetInHead,
    Silence,
    HeadThenSilence,
    SlowLoris,
    // A 200 that is none.
    NotHttp,
    Html,
    ErrorBody,
    Empty,
    BrokenGzip,
    BadChunkSize,
    HugeHead,
    CutJson,
    LongLength,
    ShortLength,
    CutChunks,
    ResetChunks,
    StreamForWhole,
    WholeForStream,
    // Streams that break.
    CutClose,
    CutReset,
    CutInGoodOrder,
    CutWithTerminator,
    CutInFrame,
    CutBeforeToken,
    Stall,
    ErrorEvent,
    ErrorFirst,
    EndlessLine,
    // Odd, and right: the answer is whole.
    SplitBytes,
    CommentsAndCrlf,
    ByteOrderMark,
    ManyDataLines,
    NoTerminator,
    NoTerminatorOpen,
    ResetAfterFinish,
    BadEvent,
    Gzip,
    EarlyHints,
    SlowStart,
    SlowSteady,
    ChunkExtensions,
    Trailers,
    UntilClose,
    CloseAfter,
    TrailingGarbage,
    // Times when nothing is answered.
    Outage,
}

/// A row of the table: how often of a thousand faults, where, and whether the answer is whole all the same.
struct Row(Fault, u64, Form, bool);

const fn bad(fault: Fault, weight: u64, form: Form) -> Row {
    Row(fault, weight, form, false)
}

const fn odd(fault: Fault, weight: u64, form: Form) -> Row {
    Row(fault, weight, form, true)
}

const TABLE: &[Row] = &[
    bad(Fault::Limited, 40, Form::Any),
    bad(Fault::LimitedAfter, 30, Form::Any),
    bad(Fault::ServerError, 50, Form::Any),
    bad(Fault::Unavailable, 40, Form::Any),
    bad(Fault::UnavailableAfter, 15, Form::Any),
    bad(Fault::Overloaded, 30, Form::Any),
    bad(Fault::ContextLength, 10, Form::Any),
    bad(Fault::Policy, 10, Form::Any),
    bad(Fault::EmptyError, 15, Form::Any),
    bad(Fault::HtmlError, 15, Form::Any),
    bad(Fault::Redirect, 5, Form::Any),
    bad(Fault::ResetAtOnce, 40, Form::Any),
    bad(Fault::CloseAtOnce, 40, Form::Any),
    bad(Fault::ResetInHead, 20, Form::Any),
    bad(Fault::Silence, 20, Form::Any),
    bad(Fault::HeadThenSilence, 20, Form::Any),
    bad(Fault::SlowLoris, 15, Form::Any),
    bad(Fault::NotHttp, 10, Form::Any),
    bad(Fault::Html, 20, Form::Any),
    bad(Fault::ErrorBody, 20, Form::Any),
    bad(Fault::Empty, 20, Form::Any),
    bad(Fault::BrokenGzip, 15, Form::Any),
    bad(Fault::BadChunkSize, 15, Form::Any),
    bad(Fault::HugeHead, 2, Form::Any),
    bad(Fault::CutJson, 40, Form::Whole),
    bad(Fault::LongLength, 30, Form::Whole),
    bad(Fault::ShortLength, 20, Form::Whole),
    bad(Fault::CutChunks, 20, Form::Whole),
    bad(Fault::ResetChunks, 20, Form::Whole),
    bad(Fault::StreamForWhole, 10, Form::Whole),
    bad(Fault::WholeForStream, 10, Form::Stream),
    bad(Fault::CutClose, 40, Form::Stream),
    bad(Fault::CutReset, 40, Form::Stream),
    bad(Fault::CutInGoodOrder, 40, Form::Stream),
    bad(Fault::CutWithTerminator, 30, Form::Stream),
    bad(Fault::CutInFrame, 30, Form::Stream),
    bad(Fault::CutBeforeToken, 30, Form::Stream),
    bad(Fault::Stall, 30, Form::Stream),
    bad(Fault::ErrorEvent, 30, Form::Stream),
    bad(Fault::ErrorFirst, 20, Form::Stream),
    bad(Fault::EndlessLine, 1, Form::Stream),
    odd(Fault::SplitBytes, 15, Form::Any),
    odd(Fault::CommentsAndCrlf, 30, Form::Stream),
    odd(Fault::ByteOrderMark, 20, Form::Stream),
    odd(Fault::ManyDataLines, 20, Form::Stream),
    odd(Fault::NoTerminator, 20, Form::Stream),
    odd(Fault::NoTerminatorOpen, 15, Form::Stream),
    odd(Fault::ResetAfterFinish, 20, Form::Stream),
    odd(Fault::BadEvent, 30, Form::Stream),
    odd(Fault::Gzip, 30, Form::Any),
    odd(Fault::EarlyHints, 20, Form::Any),
    odd(Fault::SlowStart, 20, Form::Any),
    odd(Fault::SlowSteady, 15, Form::Stream),
    odd(Fault::ChunkExtensions, 20, Form::Any),
    odd(Fault::Trailers, 20, Form::Any),
    odd(Fault::UntilClose, 20, Form::Any),
    odd(Fault::CloseAfter, 20, Form::Any),
    odd(Fault::TrailingGarbage, 20, Form::Any),
];

impl Fault {
    /// Any fault that is possible in this form, by weight.
    #[must_use]
    pub fn thrown(dice: &mut Dice, stream: bool) -> Self {
        let rows = || TABLE.iter().filter(|row| row.fits(stream));
        let mut at = dice.below(rows().map(|row| row.1).sum());
        for row in rows() {
            if at < row.1 {
                return row.0;
            }
            at -= row.1;
        }
        Self::None
    }

    /// All that are thrown, for this form of answer.
    pub fn all(stream: bool) -> impl Iterator<Item = Self> {
        TABLE.iter().filter(move |row| row.fits(stream)).map(|row| row.0)
    }

    /// The fault of this name (`CutClose`), for `--force`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let mut known = TABLE.iter().map(|row| row.0).chain([Self::None, Self::KeyRevoked, Self::Outage]);
        known.find(|fault| format!("{fault:?}") == name)
    }

    /// What the provider says is the whole answer, in whatever odd way.
    #[must_use]
    pub fn is_whole(self) -> bool {
        self == Self::None || TABLE.iter().any(|row| row.0 == self && row.3)
    }

    /// How long the refusal asks to be left alone.
    #[must_use]
    pub fn rest_seconds(self) -> Option<u64> {
        match self {
            Self::LimitedAfter | Self::UnavailableAfter => Some(3),
            _ => None,
        }
    }
}

impl Row {
    fn fits(&self, stream: bool) -> bool {
        match self.2 {
            Form::Any => true,
            Form::Whole => !stream,
            Form::Stream => stream,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Dice, Fault};

    #[test]
    fn every_fault_of_a_form_is_thrown_and_no_other() {
        for stream in [false, true] {
            let mut dice = Dice::of(&[3]);
            let thrown: std::collections::BTreeSet<_> =
                (0..50_000).map(|_| Fault::thrown(&mut dice, stream)).collect();
            assert_eq!(thrown, Fault::all(stream).collect());
        }
        assert!(Fault::all(true).all(|fault| Fault::named(&format!("{fault:?}")) == Some(fault)));
    }
}
