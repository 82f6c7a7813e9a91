//! Limits of requests and tokens against the ideal sliding window, and of requests at once.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::shop::{COUNTS, Shop, ask, key, request, serve};
use crate::support::client::Connection;
use crate::support::until;
use crate::support::upstream::{Act, Gate};
use crate::wires;

fn limited(limit: Value) -> Value {
    json!({"reservations": "strict", "virtual_keys": [key("a", &json!({"rate_limit": limit}))]})
}

/// The most that began within `span` of each other.
fn most_within(moments: &[Instant], span: Duration) -> usize {
    let mut moments = moments.to_vec();
    moments.sort();
    let within = |start: &Instant| moments.iter().filter(|at| **at >= *start && **at < *start + span).count();
    moments.iter().map(within).max().unwrap_or(0)
}

#[test]
fn requests_are_held_to_a_window_that_slides() {
    const MAX: usize = 12;
    let limit = json!({"request_max_limit": MAX, "request_reset_duration": "1s"});
    let shop = Shop::open(&limited(limit), serve);
    let start = Instant::now();
    let (mut refused, mut answered) = (0_usize, 0_usize);
    // Bursts and pauses: a window that resets lets twice as many through at its edge.
    while start.elapsed() < Duration::from_millis(3_400) {
        match shop.ask("a", answered % 2 == 0).status {
            200 => answered += 1,
            429 => refused += 1,
            status => panic!("{status}"),
        }
    }
    let moments: Vec<Instant> = shop.provider.upstream.hits().iter().map(|hit| hit.at).collect();
    // The gateway's clock and the provider's see a request some milliseconds apart.
    let most = most_within(&moments, Duration::from_millis(980));
    assert!(most <= MAX + 1, "{most} within a second, {MAX} are allowed");
    assert!(refused > 0);
    // The ideal window lets so many through in that time.
    assert!((4 * MAX - 1..=4 * MAX + 1).contains(&answered), "{answered}");
}

#[test]
fn a_limit_of_one_is_one_and_one_of_three_is_three() {
    for max in [1, 3] {
        let limit = json!({"request_max_limit": max, "request_reset_duration": "1h"});
        let shop = Shop::open(&limited(limit), serve);
        for number in 0..max {
            assert_eq!(shop.ask("a", number % 2 == 0).status, 200, "{number} of {max}");
        }
        assert_eq!(shop.ask("a", false).status, 429);
    }
}

#[test]
fn retry_after_is_the_moment_from_which_on_it_works() {
    let limit = json!({"request_max_limit": 2, "request_reset_duration": "2s"});
    let shop = Shop::open(&limited(limit), serve);
    assert_eq!((shop.ask("a", false).status, shop.ask("a", true).status), (200, 200));
    let reply = shop.ask("a", false);
    assert_eq!(reply.status, 429, "{reply:?}");
    let told: u64 = reply.header("retry-after").expect("retry-after").parse().unwrap();
    assert!((1..=2).contains(&told), "{told}");
    let body = reply.response.json();
    assert!(body.to_string().contains("request_limited"), "{body}");
    let refused = Instant::now();
    until("the limit to let through", || (shop.ask("a", false).status == 200).then_some(()));
    assert!(refused.elapsed() <= Duration::from_millis(told * 1_000 + 300), "{:?}", refused.elapsed());
}

#[test]
fn tokens_are_held_to_their_limit_and_what_was_held_too_much_comes_back() {
    let each = COUNTS.input + COUNTS.output;
    let limit = json!({"token_max_limit": 10 * each + 400, "token_reset_duration": "1h"});
    let shop = Shop::open(&limited(limit), serve);
    let mut answered = 0;
    let refused = loop {
        let reply = shop.ask("a", answered % 2 == 1);
        match reply.status {
            200 => answered += 1,
            _ => break reply,
        }
    };
    assert_eq!(refused.status, 429, "{refused:?}");
    assert!(refused.response.text().contains("token_limited"), "{}", refused.response.text());
    // 400 tokens are the most that a request may be expected to have: fewer than ten would be a hold that stayed.
    assert!((10..=16).contains(&answered), "{answered}");
}

#[test]
fn so_many_at_once_and_not_one_more() {
    let gate = Gate::shut();
    let wait = gate.clone();
    let limit = json!({"max_concurrent_requests": 3});
    let shop = Shop::open(&limited(limit), move |hit, bill| {
        bill.add("m", crate::shop::price());
        let mut script = vec![Act::Wait(wait.clone())];
        script.extend(wires::answer(hit, COUNTS));
        script
    });
    let open = |number: usize| -> Connection {
        let mut connection = shop.gateway.connect();
        connection.send(&request("a", "house-oa/m", number.is_multiple_of(2))).unwrap();
        connection
    };
    let waiting: Vec<Connection> = (0..3).map(open).collect();
    crate::shop::until_asked(&shop, 3);
    let refused = ask(&mut shop.gateway.connect(), &request("a", "house-oa/m", false)).unwrap();
    assert_eq!(refused.status, 429, "{refused:?}");
    gate.open();
    for mut connection in waiting {
        assert_eq!(connection.response().unwrap().status(), 200);
    }
    // One after the other there is always a place: it is free before the caller has its answer.
    for number in 0..20 {
        assert_eq!(shop.ask("a", number % 2 == 0).status, 200, "{number}");
    }
}

#[test]
fn answers_say_what_is_left() {
    let limit = json!({"request_max_limit": 5, "request_reset_duration": "1h",
        "token_max_limit": 100_000, "token_reset_duration": "1h"});
    let shop = Shop::open(&limited(limit), serve);
    for number in 1..=3_u64 {
        let reply = shop.ask("a", number % 2 == 0);
        assert_eq!(reply.status, 200, "{reply:?}");
        let read = |name: &str| reply.header(name).and_then(|text| text.parse::<u64>().ok());
        assert_eq!(read("x-ratelimit-limit-requests"), Some(5), "{:?}", reply.response.head);
        assert_eq!(read("x-ratelimit-remaining-requests"), Some(5 - number), "{:?}", reply.response.head);
        assert_eq!(read("x-ratelimit-limit-tokens"), Some(100_000));
    }
}
