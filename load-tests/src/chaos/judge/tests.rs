//! The judge sees each wrong answer: a check that cannot fail proves nothing.

use super::*;
use crate::chaos::wire::{self, Frames};

const TEXT: &str = "one two";

fn words() -> Vec<String> {
    vec!["one".to_owned(), " two".to_owned()]
}

fn frames(dialect: Dialect) -> Vec<String> {
    Frames::of(dialect, "m", &words(), true).all()
}

fn heard(frames: &[String]) -> Heard {
    Heard { status: 200, events: true, body: frames.concat().into_bytes(), framed: true }
}

fn kind(dialect: Dialect, heard: &Heard) -> &'static str {
    judge(dialect, heard.events, heard, TEXT).map_or_else(|violation| violation.kind, |_| "right")
}

const BOTH: [Dialect; 2] = [Dialect::OpenAi, Dialect::Anthropic];

#[test]
fn right_answers_and_clean_errors_are_right() {
    for dialect in BOTH {
        assert_eq!(judge(dialect, true, &heard(&frames(dialect)), TEXT), Ok(Outcome::Complete));
        let body = wire::whole(dialect, "m", &words()).to_string().into_bytes();
        let whole = Heard { status: 200, events: false, body, framed: true };
        assert_eq!(judge(dialect, false, &whole, TEXT), Ok(Outcome::Complete));
        let body = wire::error(dialect, "k", "why").to_string().into_bytes();
        let error = Heard { status: 503, events: false, body, framed: true };
        assert_eq!(judge(dialect, true, &error, TEXT), Ok(Outcome::Refused(503)));
        let mut broken = Frames::of(dialect, "m", &words()[..1], true);
        broken.finish = vec![wire::error_event(dialect, "k", "why")];
        broken.terminator.clear();
        assert_eq!(judge(dialect, true, &heard(&broken.all()), TEXT), Ok(Outcome::BrokenOff));
    }
}

#[test]
fn a_stream_without_any_one_of_its_events_is_wrong() {
    for dialect in BOTH {
        let all = frames(dialect);
        for missing in 0..all.len() {
            let mut some = all.clone();
            let taken = some.remove(missing);
            // Neither a ping nor the counts that OpenAI sends on demand are owed.
            if taken.contains("ping") || taken.contains("\"choices\":[]") {
                continue;
            }
            assert_ne!(kind(dialect, &heard(&some)), "right", "{dialect:?} without {taken}");
        }
    }
}

#[test]
fn a_stream_with_any_word_twice_or_swapped_is_wrong() {
    for dialect in BOTH {
        let all = frames(dialect);
        let at = all.iter().position(|frame| frame.contains("one")).unwrap();
        let mut twice = all.clone();
        twice.insert(at, all[at].clone());
        assert_eq!(kind(dialect, &heard(&twice)), "a clean end on a wrong text");
        let mut swapped = all.clone();
        swapped.swap(at, at + 1);
        assert_eq!(kind(dialect, &heard(&swapped)), "a clean end on a wrong text");
        let again = [all.clone(), all].concat();
        assert_eq!(kind(dialect, &heard(&again)), "an event after the end");
    }
}

#[test]
fn cuts_and_errors_of_another_kind_are_wrong() {
    for dialect in BOTH {
        let all = frames(dialect);
        let mut cut = heard(&all[..all.len() / 2]);
        cut.framed = false;
        assert_eq!(kind(dialect, &cut), "cut");
        let mut finished = all.clone();
        finished.pop();
        assert_eq!(kind(dialect, &heard(&finished)), "no terminator");
        finished.push(wire::error_event(dialect, "k", "why"));
        assert_eq!(kind(dialect, &heard(&finished)), "a finish reason before an error");
        let html = Heard { status: 502, events: false, body: b"<html>".to_vec(), framed: true };
        assert_eq!(kind(dialect, &html), "no JSON");
        let other = if dialect == Dialect::OpenAi {
            "{\"message\":\"x\"}"
        } else {
            "{\"error\":{\"message\":\"x\"}}"
        };
        let other = Heard { status: 502, events: false, body: other.into(), framed: true };
        assert_eq!(kind(dialect, &other), "error not in the dialect");
        let redirect = Heard { status: 302, events: false, body: b"{}".to_vec(), framed: true };
        assert_eq!(kind(dialect, &redirect), "status");
    }
}

#[test]
fn a_whole_answer_that_lacks_a_letter_is_wrong() {
    for dialect in BOTH {
        let body = wire::whole(dialect, "m", &words()).to_string().replace("two", "tw").into_bytes();
        let heard = Heard { status: 200, events: false, body, framed: true };
        assert_eq!(kind(dialect, &heard), "wrong text");
    }
}

#[test]
fn an_error_of_the_other_dialect_is_wrong() {
    for (dialect, other) in [(BOTH[0], BOTH[1]), (BOTH[1], BOTH[0])] {
        let body = wire::error(other, "k", "why").to_string().into_bytes();
        let whole = Heard { status: 503, events: false, body, framed: true };
        assert_eq!(kind(dialect, &whole), "error not in the dialect");
        let event = wire::error(other, "k", "why").to_string();
        let name = if dialect == Dialect::OpenAi { "" } else { "event: error\n" };
        assert_ne!(kind(dialect, &heard(&[format!("{name}data: {event}\n\n")])), "right");
    }
}

#[test]
fn a_whole_answer_for_a_stream_and_a_stream_for_a_whole_one_are_wrong() {
    for dialect in BOTH {
        let body = wire::whole(dialect, "m", &words()).to_string().into_bytes();
        let whole = Heard { status: 200, events: false, body, framed: true };
        assert_eq!(judge(dialect, true, &whole, TEXT).unwrap_err().kind, "form");
        assert_eq!(judge(dialect, false, &heard(&frames(dialect)), TEXT).unwrap_err().kind, "form");
    }
}

#[test]
fn the_same_answer_twice_in_one_is_wrong() {
    for (dialect, list) in [(BOTH[0], "choices"), (BOTH[1], "content")] {
        let mut body = wire::whole(dialect, "m", &words());
        let again = body[list][0].clone();
        body[list].as_array_mut().unwrap().push(again);
        let body = body.to_string().into_bytes();
        assert_eq!(kind(dialect, &Heard { status: 200, events: false, body, framed: true }), "structure");
    }
    let mut all = frames(Dialect::OpenAi);
    let at = all.iter().position(|frame| frame.contains("one")).unwrap();
    all.insert(at, all[at].replace("\"index\":0", "\"index\":1"));
    assert_eq!(kind(Dialect::OpenAi, &heard(&all)), "structure");
}

#[test]
fn the_counts_that_a_caller_was_told_are_read() {
    for dialect in BOTH {
        let body = wire::whole(dialect, "m", &words()).to_string().into_bytes();
        let whole = Heard { status: 200, events: false, body, framed: true };
        assert_eq!(output_tokens(dialect, &whole), Some(2));
        assert_eq!(output_tokens(dialect, &heard(&frames(dialect))), Some(2));
        assert_eq!(output_tokens(dialect, &heard(&frames(dialect)[..2])), None);
    }
}
