use bytes::Bytes;
use translate::Wire;
use translate::frame::Framing;
use translate::ir::{Delta, FailureKind};
use translate::provider::UsageStyle;
use translate::wire::ToolNames;

use super::super::answer::Answer;
use super::super::entry::{About, Space};
use super::super::exact::Place;
use super::super::found::Found;
use super::*;

const ROOM: usize = 1 << 20;

fn key() -> FlightKey {
    FlightKey { id: Place::of(Space::of("t", "k"), [1; 32]).id, threshold: None }
}

fn lead(flights: &Arc<Flights>) -> Lead {
    match flights.join(key(), (true, true), ROOM) {
        Joined::Lead(lead) => lead,
        Joined::Follow(_) => panic!("somebody leads"),
    }
}

fn follow(flights: &Arc<Flights>, streams: bool) -> Follower {
    match flights.join(key(), (true, streams), ROOM) {
        Joined::Follow(follower) => follower,
        Joined::Lead(_) => panic!("nobody leads"),
    }
}

fn form() -> Form {
    Form::Stream(Provided {
        wire: Wire::OpenAiChat,
        framing: Framing::Sse,
        counts: UsageStyle::Wire,
        names: ToolNames::default(),
    })
}

fn word(text: &str) -> Vec<u8> {
    let chunk = serde_json::json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}]});
    format!("data: {chunk}\n\n").into_bytes()
}

fn said(look: &Look) -> String {
    let Look::Events(events) = look else { return String::new() };
    let text = |event: &Event| match event {
        Event::PartDelta { delta: Delta::Text(text), .. } => Some(text.clone()),
        _ => None,
    };
    events.iter().filter_map(text).collect()
}

fn landed() -> Arc<Landed> {
    Arc::new(Landed {
        id: key().id,
        answer: Answer::Body(Bytes::from_static(b"{}")),
        about: Arc::new(About::default()),
        found: Found::Fresh,
        created_ms: 0,
        expires_ms: 1,
    })
}

fn broken(message: &str) -> Broken {
    Broken {
        class: FaultClass::ServerError,
        failure: Failure {
            status: 500,
            kind: FailureKind::Upstream,
            message: message.to_owned(),
            native_type: None,
            code: None,
            param: None,
        },
        retry_after_ms: None,
    }
}

#[test]
fn followers_have_what_came_from_the_first_byte_on_whenever_they_join() {
    let flights = Arc::new(Flights::default());
    let mut lead = lead(&flights);
    lead.begins(form());
    let mut early = follow(&flights, true);
    assert!(matches!(early.look(), Look::Wait));
    lead.came(&word("The "), true);
    lead.came(&word("answer"), true);
    assert_eq!(said(&early.look()), "The answer");
    let mut late = follow(&flights, true);
    lead.came(&word(" is 42"), true);
    assert_eq!((said(&early.look()), said(&late.look())), (" is 42".into(), "The answer is 42".into()));
    assert!(matches!(late.look(), Look::Wait));
    let (_, bytes, mut landing) = lead.lands().unwrap();
    assert_eq!(bytes.len(), flights.held());
    // What only the end says may still come.
    assert_eq!(said(&early.look()), "");
    assert!(matches!(early.look(), Look::Wait), "it has not landed");
    landing.landed(landed());
    assert!(matches!(early.look(), Look::Landed(_)));
    let mut after = follow(&flights, false);
    assert!(matches!(after.look(), Look::Landed(_)), "until it is in memory it is found here");
    landing.settled();
    assert!(flights.is_empty() && flights.held() == 0);
}

#[test]
fn nothing_is_given_before_the_leads_caller_has_some_of_it() {
    let flights = Arc::new(Flights::default());
    let mut lead = lead(&flights);
    let mut follower = follow(&flights, true);
    lead.begins(form());
    lead.came(&word("of an attempt that fails"), false);
    assert!(matches!(follower.look(), Look::Wait));
    lead.begins(form());
    lead.came(&word("of the next one"), true);
    assert_eq!(said(&follower.look()), "of the next one");
}

#[test]
fn one_follower_takes_over_and_the_others_wait_on() {
    let flights = Arc::new(Flights::default());
    let mut first = lead(&flights);
    let mut followers: Vec<Follower> = (0..5).map(|_| follow(&flights, false)).collect();
    first.fails(Some(broken("one")));
    let looks: Vec<Look> = followers.iter_mut().map(Follower::look).collect();
    let leads = looks.iter().filter(|look| matches!(look, Look::Lead(_))).count();
    let waits = looks.iter().filter(|look| matches!(look, Look::Wait)).count();
    assert_eq!((leads, waits), (1, 4));
    // The second fails too, the third brings it home.
    for look in looks {
        if let Look::Lead(mut lead) = look {
            lead.fails(Some(broken("two")));
        }
    }
    let third = followers.iter_mut().map(Follower::look).find(|look| matches!(look, Look::Lead(_)));
    let Some(Look::Lead(mut third)) = third else { panic!("nobody took over") };
    third.found(landed());
    assert!(followers.iter_mut().all(|follower| matches!(follower.look(), Look::Landed(_))));
    assert!(flights.is_empty());
}

#[test]
fn after_three_that_failed_at_a_provider_all_fail_with_the_last() {
    let flights = Arc::new(Flights::default());
    let mut lead = lead(&flights);
    let mut followers: Vec<Follower> = (0..6).map(|_| follow(&flights, true)).collect();
    for message in ["one", "two"] {
        lead.fails(Some(broken(message)));
        let next = followers.iter_mut().map(Follower::look).find_map(|look| match look {
            Look::Lead(lead) => Some(lead),
            _ => None,
        });
        lead = next.expect("somebody takes over");
    }
    lead.fails(Some(broken("three")));
    for follower in &mut followers {
        let Look::Failed(broken) = follower.look() else { panic!("it does not fail") };
        assert_eq!(broken.failure.message, "three");
    }
    assert!(flights.is_empty());
}

#[test]
fn who_asks_nobody_does_not_count_as_one_that_failed() {
    let flights = Arc::new(Flights::default());
    let mut lead = lead(&flights);
    let mut follower = follow(&flights, false);
    for _ in 0..10 {
        // Refused by a limit of its own, or cut off.
        lead.fails(None);
        let Look::Lead(next) = follower.look() else { panic!("it is its turn") };
        lead = next;
    }
    drop(follower);
    drop(lead);
    assert!(flights.is_empty());
}

#[test]
fn who_has_some_of_a_broken_answer_is_told_and_others_begin_anew() {
    let flights = Arc::new(Flights::default());
    let mut lead = lead(&flights);
    lead.begins(form());
    let (mut begun, mut waits) = (follow(&flights, true), follow(&flights, false));
    lead.came(&word("The "), true);
    assert_eq!(said(&begun.look()), "The ");
    lead.fails(Some(broken("cut")));
    let Look::Lead(mut next) = waits.look() else { panic!("it is its turn") };
    let Look::Failed(told) = begun.look() else { panic!("its stream broke") };
    assert_eq!(told.failure.message, "cut");
    next.begins(form());
    next.came(&word("Another"), true);
    assert!(matches!(begun.look(), Look::Failed(_)));
}

#[test]
fn a_lead_whose_caller_leaves_goes_on_while_somebody_waits() {
    let flights = Arc::new(Flights::default());
    let lead = lead(&flights);
    let watched = lead.watched();
    let follower = follow(&flights, true);
    assert!(watched.goes_on());
    drop(follower);
    assert!(!watched.goes_on());
    // Nobody joins what is being given up.
    let Joined::Lead(_) = flights.join(key(), (true, true), ROOM) else { panic!("it was joined") };
}

#[test]
fn who_does_not_share_asks_alone_and_has_what_landed() {
    let flights = Arc::new(Flights::default());
    let mut lead = lead(&flights);
    lead.begins(form());
    lead.came(&word("x"), true);
    let Joined::Lead(_alone) = flights.join(key(), (false, true), ROOM) else { panic!("it follows") };
    let (_, _, mut landing) = lead.lands().unwrap();
    landing.landed(landed());
    assert!(matches!(flights.join(key(), (false, true), ROOM), Joined::Follow(_)));
}

#[test]
fn what_is_not_kept_is_for_those_who_waited_and_the_next_asks_anew() {
    let flights = Arc::new(Flights::default());
    let mut lead = lead(&flights);
    lead.begins(form());
    lead.came(&word("half"), true);
    let mut waited = follow(&flights, false);
    let (_, _, mut landing) = lead.lands().unwrap();
    let mut late = follow(&flights, false);
    landing.landed(Arc::new(Landed { expires_ms: 0, ..(*landed()).clone() }));
    assert!(matches!(waited.look(), Look::Landed(_)));
    assert!(matches!(late.look(), Look::Alone));
    let Joined::Lead(_next) = flights.join(key(), (true, true), ROOM) else { panic!("it was given") };
}

#[test]
fn an_answer_that_has_no_room_is_for_its_caller_alone() {
    let flights = Arc::new(Flights::default());
    let Joined::Lead(mut lead) = flights.join(key(), (true, true), 100) else { panic!() };
    let mut follower = follow(&flights, false);
    lead.begins(form());
    lead.came(&word("more than a hundred bytes with all that is around it"), true);
    assert!(matches!(follower.look(), Look::Alone));
    assert!(lead.lands().is_none());
    drop((lead, follower));
    assert_eq!((flights.held(), flights.len()), (0, 0));
}
