//! Several servers behind one provider or key: one that is down is gone round, found again, and blamed on nobody else.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::rig::{provider, request};
use crate::support::answers::{healthy, json_answer, raw_answer, refusal};
use crate::support::client::{Request, Response};
use crate::support::gateway::{Gateway, write_config};
use crate::support::tls::{CA, Leaf};
use crate::support::upstream::{Act, Gate, Hit, Script, Upstream};
use crate::support::{Wire, for_each, until};

/// An address where nobody listens.
fn nobody() -> String {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    format!("http://127.0.0.1:{port}")
}

/// A provider of `wire` with these base URLs, shared as their weights say: the tests' prompts are all alike.
fn group(wire: Wire, urls: &[Value], network: &Value) -> Value {
    let mut group = provider(wire, "", &["own-key"]);
    let fields = group["network_config"].as_object_mut().unwrap();
    fields.remove("base_url");
    fields.insert("base_urls".to_owned(), json!(urls));
    // Nobody is slow here, but for the machine.
    fields.insert("connect_timeout_in_seconds".to_owned(), json!(10));
    fields.insert("default_request_timeout_in_seconds".to_owned(), json!(20));
    fields.insert("ttft_timeout_in_seconds".to_owned(), json!(20));
    fields.insert("stream_idle_timeout_in_seconds".to_owned(), json!(20));
    fields.extend(network.as_object().unwrap().clone());
    group["affinity"] = json!("session");
    group
}

fn ask(gateway: &Gateway, wire: Wire, model: &str, stream: bool) -> Response {
    gateway.ask(&Request::json(wire.path(), &request(model, stream)))
}

fn ok(answer: &Response) {
    assert!(answer.status() == 200 && answer.text().contains("42"), "{}", answer.text());
}

/// How `/health` shows a server.
fn status(gateway: &Gateway, url: &str) -> String {
    let name = url.split("//").nth(1).unwrap();
    let health = gateway.health();
    let mut servers = health["backends"].as_array().unwrap().iter();
    let found = servers.find(|server| server["backend"] == name).unwrap_or_else(|| panic!("{health}"));
    found["status"].as_str().unwrap().to_owned()
}

fn wait_until(gateway: &Gateway, url: &str, wanted: &str) {
    until(&format!("{url} to be {wanted}"), || (status(gateway, url) == wanted).then_some(()));
}

fn is_check(hit: &Hit) -> bool {
    hit.path == "/health"
}

fn requests(upstream: &Upstream) -> usize {
    upstream.hits().iter().filter(|hit| !is_check(hit)).count()
}

fn attempts(gateway: &Gateway, answer: &Response) -> Vec<Value> {
    gateway.request_line(answer.header("x-request-id").unwrap())["attempts"].as_array().unwrap().clone()
}

#[test]
fn a_server_that_cannot_be_reached_costs_one_connection_and_no_request() {
    for_each(&[Wire::OpenAi, Wire::Anthropic], |wire| {
        let (one, two, dead) = (Upstream::start(healthy), Upstream::start(healthy), nobody());
        let urls = [json!({"url": dead, "weight": 100}), json!(one.url()), json!(two.url())];
        let spare = Upstream::start(healthy);
        let network = json!({"max_retries": 0});
        let gateway = Gateway::start(&json!({"providers": {
            "own": group(wire, &urls, &network),
            "spare": provider(wire, &spare.url(), &["spare-key"]),
        }}));
        let began = Instant::now();
        let answers: Vec<Response> =
            (0..12).map(|nth| ask(&gateway, wire, "own/m", nth % 2 == 0)).inspect(ok).collect();
        let met: Vec<Vec<Value>> = answers.iter().map(|answer| attempts(&gateway, answer)).collect();
        let dead_name = dead.split("//").nth(1).unwrap();
        let refused: Vec<&Value> = met.iter().flatten().filter(|a| a["backend"] == dead_name).collect();
        // A rest lasts two seconds at first.
        let rests = began.elapsed().as_secs() / 2;
        assert!((1..=1 + rests).contains(&(refused.len() as u64)), "{met:?}");
        assert_eq!((&refused[0]["outcome"], &refused[0]["key"]), (&json!("connect"), &json!("own-key")));
        assert!(met.iter().flatten().all(|attempt| attempt["backend"].is_string()), "{met:?}");
        assert_eq!((one.hits().len() + two.hits().len(), spare.hits().len()), (12, 0));
        // Neither the key nor the model is to blame.
        gateway.wait_for_log(&format!("server {dead_name} of own is left alone"));
        assert!(!gateway.health()["keys"].to_string().contains("cooling"), "{}", gateway.health());
        assert_eq!(gateway.metric("bifrost_circuit_state", &[("provider", "own")]), 0.0);
    });
}

#[test]
fn with_every_server_down_the_fallback_answers_at_once_and_alone_one_is_tried_all_the_same() {
    for_each(&[(Wire::OpenAi, false), (Wire::Anthropic, true)], |(wire, stream)| {
        let spare = Upstream::start(healthy);
        let gateway = Gateway::start(&json!({"providers": {
            "own": group(wire, &[json!(nobody()), json!(nobody())], &json!({})),
            "spare": provider(wire, &spare.url(), &["spare-key"]),
        }}));
        let mut body = request("own/m", stream);
        body["fallbacks"] = json!(["spare/m"]);
        let began = Instant::now();
        for expected in [3, 2] {
            let answer = gateway.ask(&Request::json(wire.path(), &body));
            ok(&answer);
            // The second request does not even try, unless the rest was over.
            let met = attempts(&gateway, &answer);
            assert!(met.len() == expected || began.elapsed() >= Duration::from_secs(2), "{met:?}");
        }
        let alone = ask(&gateway, wire, "own/m", stream);
        assert!(alone.status() >= 500, "{}", alone.text());
        assert!(!attempts(&gateway, &alone).is_empty());
    });
}

#[test]
fn a_server_that_fails_is_passed_over_within_the_retries() {
    let broken = |hit: &Hit| refusal(hit, 500, "server_error", "broken", &[]);
    for_each(&[Wire::OpenAi, Wire::Anthropic], |wire| {
        // Whoever works at this request breaks: it does not go round them all.
        let upstreams: Vec<Upstream> = (0..5).map(|_| Upstream::start(broken)).collect();
        let urls: Vec<Value> = upstreams.iter().map(|upstream| json!(upstream.url())).collect();
        let gateway = Gateway::start(&json!({"providers": {"own": group(wire, &urls, &json!({}))}}));
        let answer = ask(&gateway, wire, "own/m", false);
        assert_eq!(answer.status(), 500, "{}", answer.text());
        let hits: Vec<usize> = upstreams.iter().map(|upstream| upstream.hits().len()).collect();
        assert_eq!((hits.iter().sum::<usize>(), hits.iter().max()), (3, Some(&1)), "{hits:?}");

        let well = Upstream::start(healthy);
        let urls = [json!({"url": upstreams[0].url(), "weight": 100}), json!(well.url())];
        let gateway = Gateway::start(&json!({"providers": {"own": group(wire, &urls, &json!({}))}}));
        for nth in 0..8 {
            ok(&ask(&gateway, wire, "own/m", nth % 2 == 0));
        }
        // Three in a row, and it is left alone.
        assert!(upstreams[0].hits().len() <= 1 + 3, "{}", upstreams[0].hits().len());
        assert_eq!(gateway.metric("bifrost_circuit_state", &[("provider", "own")]), 0.0);
    });
}

#[test]
fn a_server_that_answers_with_nonsense_is_left_alone_although_it_can_be_reached() {
    let broken = Upstream::start(|_| raw_answer(200, "text/html", &[], b"<html>a login page</html>"));
    let well = Upstream::start(healthy);
    let urls = [json!({"url": broken.url(), "weight": 100}), json!(well.url())];
    let gateway = Gateway::start(&json!({"providers": {"own": group(Wire::Anthropic, &urls, &json!({}))}}));
    let began = Instant::now();
    for nth in 0..12 {
        ok(&ask(&gateway, Wire::Anthropic, "own/m", nth % 2 == 0));
    }
    let rests = began.elapsed().as_secs() / 2;
    let asked = broken.hits().len() as u64;
    assert!((3..=3 + rests).contains(&asked), "asked {asked} times");
    gateway.wait_for_log("is left alone");
}

#[test]
fn a_key_that_is_not_accepted_is_no_fault_of_the_server() {
    let upstream = Upstream::start(|hit| match hit.key() {
        "bad" => refusal(hit, 401, "invalid_api_key", "no such key", &[]),
        _ => healthy(hit),
    });
    let other = Upstream::start(|hit| match hit.key() {
        "bad" => refusal(hit, 401, "invalid_api_key", "no such key", &[]),
        _ => healthy(hit),
    });
    let mut own = group(Wire::OpenAi, &[json!(upstream.url()), json!(other.url())], &json!({}));
    own["keys"] = json!([{"name": "bad", "value": "bad", "weight": 1000}, {"name": "good", "value": "good"}]);
    let gateway = Gateway::start(&json!({"providers": {"own": own}}));
    for _ in 0..6 {
        ok(&ask(&gateway, Wire::OpenAi, "own/m", false));
    }
    let refused = [&upstream, &other].iter().flat_map(|u| u.hits()).filter(|hit| hit.key() == "bad").count();
    assert_eq!(refused, 1);
    assert_eq!(
        (status(&gateway, &upstream.url()), status(&gateway, &other.url())),
        ("ready".into(), "ready".into())
    );
    assert_eq!(gateway.metric("bifrost_key_healthy", &[("key", "bad")]), 0.0);
}

/// A server whose health is as the switch says; requests are answered in any case.
fn switched(well: &Arc<AtomicBool>) -> impl Fn(&Hit) -> Script + Send + Sync + 'static {
    let well = Arc::clone(well);
    move |hit| match (is_check(hit), well.load(Ordering::SeqCst)) {
        (true, false) => json_answer(503, &[], &json!({})),
        (true, true) => json_answer(200, &[], &json!({})),
        (false, _) => healthy(hit),
    }
}

#[test]
fn a_server_that_fails_its_checks_is_not_asked_until_it_passes_them() {
    let well = Arc::new(AtomicBool::new(false));
    let (ill, fine) =
        (Upstream::start(switched(&well)), Upstream::start(switched(&Arc::new(AtomicBool::new(true)))));
    let check = json!({"health_check": {"interval_in_seconds": 0.05, "unhealthy_after": 2, "headers": {"x-probe": "yes"}}});
    let urls = [json!({"url": ill.url(), "weight": 50}), json!(fine.url())];
    let gateway = Gateway::start(&json!({"providers": {"own": group(Wire::OpenAi, &urls, &check)}}));
    wait_until(&gateway, &ill.url(), "down");
    let asked = |upstream: &Upstream| {
        let name = upstream.url().split("//").nth(1).unwrap().to_owned();
        gateway.metric("bifrost_backend_healthy", &[("provider", "own"), ("backend", &name)])
    };
    assert_eq!((asked(&ill), asked(&fine)), (0.0, 1.0));
    for _ in 0..10 {
        ok(&ask(&gateway, Wire::OpenAi, "own/other", false));
    }
    assert_eq!((ill.hits_for("other").len(), fine.hits_for("other").len()), (0, 10));
    let checks: Vec<Hit> = ill.hits().into_iter().filter(is_check).collect();
    assert!(checks.len() >= 2 && checks.iter().all(|hit| hit.header("x-probe") == Some("yes")));
    // Checks show no key.
    assert!(checks.iter().all(|hit| hit.key().is_empty() && hit.method == "GET"));
    well.store(true, Ordering::SeqCst);
    wait_until(&gateway, &ill.url(), "ready");
    until("a request at the server that is back", || {
        ok(&ask(&gateway, Wire::OpenAi, "own/back", false));
        (!ill.hits_for("back").is_empty()).then_some(())
    });
}

#[test]
fn a_check_of_the_connection_finds_servers_with_and_without_tls() {
    let tls = Upstream::start_tls(Leaf::Good.server(), healthy);
    let wrong = Upstream::start_tls(Leaf::WrongName.server(), healthy);
    for_each(&["tcp", "http"], |kind| {
        let dead = nobody();
        let at = |upstream: &Upstream| format!("https://localhost:{}", upstream.port);
        let check = json!({"type": kind, "path": "/up", "interval_in_seconds": 0.05, "unhealthy_after": 1});
        let network = json!({"ca_cert_pem": CA, "health_check": check});
        let urls = [json!(dead), json!(at(&tls)), json!(at(&wrong))];
        let gateway = Gateway::start(&json!({"providers": {"own": group(Wire::OpenAi, &urls, &network)}}));
        wait_until(&gateway, &dead, "down");
        wait_until(&gateway, &at(&wrong), "down");
        for _ in 0..6 {
            let answer = ask(&gateway, Wire::OpenAi, "own/m", false);
            ok(&answer);
            assert_eq!(attempts(&gateway, &answer).len(), 1);
        }
        assert_eq!(status(&gateway, &at(&tls)), "ready");
    });
}

#[test]
fn a_server_that_could_not_be_reached_comes_back_with_its_first_good_check() {
    // The port is free at first: a listener comes later.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (url, fine) = (format!("http://{address}"), Upstream::start(healthy));
    // So many failed checks in a row never come: only requests find out.
    let check =
        json!({"health_check": {"type": "tcp", "interval_in_seconds": 0.05, "unhealthy_after": 1000}});
    let urls = [json!({"url": url, "weight": 100}), json!(fine.url())];
    let gateway = Gateway::start(&json!({"providers": {"own": group(Wire::OpenAi, &urls, &check)}}));
    until("a request to meet the server that is down", || {
        ok(&ask(&gateway, Wire::OpenAi, "own/m", false));
        (status(&gateway, &url) == "resting").then_some(())
    });
    let _back = TcpListener::bind(address).unwrap();
    let since = Instant::now();
    wait_until(&gateway, &url, "ready");
    assert!(since.elapsed() < Duration::from_millis(1_900), "it waited for the end of the rest");
}

#[test]
fn requests_are_shared_as_the_selection_says() {
    let gate = Gate::shut();
    let start = || {
        let held = gate.clone();
        Upstream::start(move |hit| {
            let mut script = if hit.model() == "held" { vec![Act::Wait(held.clone())] } else { Vec::new() };
            script.extend(healthy(hit));
            script
        })
    };
    let (one, three) = (start(), start());
    let of = |selection: &str| {
        let urls = [json!(one.url()), json!({"url": three.url(), "weight": 3})];
        let own = group(Wire::OpenAi, &urls, &json!({"selection": selection}));
        Gateway::start(&json!({"providers": {"own": own}}))
    };
    let gateway = of("round_robin");
    for _ in 0..8 {
        ok(&ask(&gateway, Wire::OpenAi, "own/turn", false));
    }
    assert_eq!((one.hits_for("turn").len(), three.hits_for("turn").len()), (2, 6));
    let gateway = of("weighted");
    for _ in 0..60 {
        ok(&ask(&gateway, Wire::OpenAi, "own/chance", false));
    }
    // 15 are expected; fewer than 3 or more than 31 come once in 100,000 runs.
    assert!((3..=31).contains(&one.hits_for("chance").len()), "{} of 60", one.hits_for("chance").len());
    let gateway = of("least_inflight");
    std::thread::scope(|scope| {
        let waiting: Vec<_> = (1..=8)
            .map(|nth| {
                let asked = scope.spawn(|| ask(&gateway, Wire::OpenAi, "own/held", false));
                until("the call", || {
                    (one.hits_for("held").len() + three.hits_for("held").len() == nth).then_some(())
                });
                asked
            })
            .collect();
        assert_eq!((one.hits_for("held").len(), three.hits_for("held").len()), (2, 6));
        gate.open();
        waiting.into_iter().for_each(|asked| ok(&asked.join().unwrap()));
    });
}

#[test]
fn sessions_stay_with_their_server_and_move_only_when_it_is_down() {
    let well: Vec<Arc<AtomicBool>> = (0..3).map(|_| Arc::new(AtomicBool::new(true))).collect();
    let servers: Vec<Upstream> = well.iter().map(|well| Upstream::start(switched(well))).collect();
    let urls: Vec<Value> = servers.iter().map(|server| json!(server.url())).collect();
    let check = json!({"health_check": {"interval_in_seconds": 0.05, "unhealthy_after": 1}});
    let gateway = Gateway::start(&json!({"providers": {"own": group(Wire::Anthropic, &urls, &check)}}));
    let place = |session: usize, round: &str| {
        let body = request(&format!("own/{round}-{session}"), false);
        let asked =
            Request::json(Wire::Anthropic.path(), &body).header("x-bf-session-id", &format!("s{session}"));
        ok(&gateway.ask(&asked));
        let model = format!("{round}-{session}");
        servers.iter().position(|server| !server.hits_for(&model).is_empty()).unwrap()
    };
    let first: Vec<usize> = (0..24).map(|session| place(session, "a")).collect();
    assert!((0..3).all(|server| first.contains(&server)), "{first:?}");
    let again: Vec<usize> = (0..24).map(|session| place(session, "b")).collect();
    assert_eq!(first, again);
    well[0].store(false, Ordering::SeqCst);
    wait_until(&gateway, &servers[0].url(), "down");
    let moved: Vec<usize> = (0..24).map(|session| place(session, "c")).collect();
    for (before, after) in first.iter().zip(&moved) {
        assert!(*after != 0 && (*before == 0 || before == after), "{first:?} {moved:?}");
    }
    well[0].store(true, Ordering::SeqCst);
    wait_until(&gateway, &servers[0].url(), "ready");
    assert_eq!((0..24).map(|session| place(session, "d")).collect::<Vec<_>>(), first);
}

#[test]
fn servers_of_one_host_differ_by_their_paths() {
    let upstream = Upstream::start(|hit| {
        if hit.path.starts_with("/b/") { refusal(hit, 503, "overloaded", "full", &[]) } else { healthy(hit) }
    });
    let urls = [
        json!(format!("{}/a/v1", upstream.url())),
        json!({"url": format!("{}/b", upstream.url()), "weight": 20}),
    ];
    let gateway = Gateway::start(&json!({"providers": {"own": group(Wire::OpenAi, &urls, &json!({}))}}));
    for _ in 0..6 {
        ok(&ask(&gateway, Wire::OpenAi, "own/m", false));
    }
    let paths: Vec<String> = upstream.hits().iter().map(|hit| hit.path.clone()).collect();
    assert_eq!(paths.iter().filter(|path| *path == "/a/v1/chat/completions").count(), 6);
    let refused = paths.iter().filter(|path| *path == "/b/v1/chat/completions").count();
    assert!((1..=3).contains(&refused), "{paths:?}");
}

#[test]
fn keys_may_have_servers_of_their_own() {
    let (one, two, three) = (Upstream::start(healthy), Upstream::start(healthy), Upstream::start(healthy));
    let mut own = provider(Wire::OpenAi, "", &[]);
    own["network_config"].as_object_mut().unwrap().remove("base_url");
    own["keys"] = json!([
        {"name": "a", "value": "key-a", "vllm_key_config": {"urls": [one.url(), two.url()]}},
        {"name": "b", "value": "key-b", "vllm_key_config": {"url": three.url()}},
    ]);
    own["affinity"] = json!("none");
    let gateway = Gateway::start(&json!({"providers": {"own": own}}));
    until("every server to be asked", || {
        ok(&ask(&gateway, Wire::OpenAi, "own/m", true));
        [&one, &two, &three].iter().all(|server| !server.hits().is_empty()).then_some(())
    });
    for (server, key) in [(&one, "key-a"), (&two, "key-a"), (&three, "key-b")] {
        assert!(server.hits().iter().all(|hit| hit.key() == key));
    }
}

#[test]
fn a_reload_keeps_what_is_known_of_servers_that_stay_and_ends_the_checks_of_those_that_go() {
    let ill = Arc::new(AtomicBool::new(false));
    let (kept, gone) = (Upstream::start(switched(&ill)), Upstream::start(switched(&ill)));
    let fine = Upstream::start(healthy);
    let check = json!({"health_check": {"interval_in_seconds": 0.05, "unhealthy_after": 3}});
    let own = group(Wire::OpenAi, &[json!(kept.url()), json!(fine.url())], &check);
    let gateway = Gateway::start(&json!({"providers": {
        "own": own,
        "old": group(Wire::OpenAi, &[json!(gone.url()), json!(fine.url())], &check),
    }}));
    wait_until(&gateway, &kept.url(), "down");
    wait_until(&gateway, &gone.url(), "down");
    write_config(gateway.folder.path(), &json!({"providers": {"own": own}}));
    gateway.signal(libc::SIGHUP);
    until("the reload", || (gateway.health()["config"]["version"] == 2).then_some(()));
    assert_eq!(status(&gateway, &kept.url()), "down");
    assert_eq!(gateway.health()["backends"].as_array().unwrap().len(), 2);
    // One check may be under way; after that there are none.
    let checks = |upstream: &Upstream| upstream.hits().len() - requests(upstream);
    let more =
        |count: usize| until("more checks of the one that stays", || (checks(&kept) >= count).then_some(()));
    more(checks(&kept) + 2);
    let before = checks(&gone);
    more(checks(&kept) + 5);
    assert_eq!(checks(&gone), before);
}

/// A server with a prompt cache: what it has met once costs little. Tells it in `usage`.
fn caching() -> impl Fn(&Hit) -> Script + Send + Sync + 'static {
    let met = std::sync::Mutex::new(std::collections::HashSet::new());
    move |hit| {
        let beginning = (hit.key().to_owned(), hit.json["messages"][0].to_string());
        let known = !met.lock().unwrap().insert(beginning);
        let mut body = crate::support::answers::whole(hit.wire(), hit.model());
        body["usage"] = json!({"prompt_tokens": 1000, "completion_tokens": 4, "total_tokens": 1004,
            "prompt_tokens_details": {"cached_tokens": if known { 900 } else { 0 }}});
        json_answer(200, &[], &body)
    }
}

/// The share of input tokens that caches had, of conversations of several turns.
fn cached_share(gateway: &Gateway) -> f64 {
    const CONVERSATIONS: usize = 16;
    const TURNS: usize = 6;
    let mut histories: Vec<Vec<Value>> = (0..CONVERSATIONS)
        .map(|nth| vec![json!({"role": "user", "content": format!("question number {nth}")})])
        .collect();
    for turn in 0..TURNS {
        for history in &mut histories {
            let body = json!({"model": "own/m", "messages": history});
            let answer = gateway.ask(&Request::json("/v1/chat/completions", &body));
            ok(&answer);
            let met = attempts(gateway, &answer);
            assert_eq!(met.len(), 1, "{met:?}");
            history.push(json!({"role": "assistant", "content": "42"}));
            history.push(json!({"role": "user", "content": format!("and then, {turn}?")}));
        }
    }
    gateway.metric("bifrost_cached_input_tokens_total", &[])
        / gateway.metric("bifrost_input_tokens_total", &[])
}

#[test]
fn prompts_that_begin_alike_find_their_cache() {
    // Servers with a cache each, and one service that keeps a cache per key.
    for_each(&[false, true], |keys| {
        let share = |affinity: &str| {
            let servers: Vec<Upstream> = (0..4).map(|_| Upstream::start(caching())).collect();
            let urls: Vec<Value> = servers.iter().map(|server| json!(server.url())).collect();
            let mut own = match keys {
                true => provider(Wire::OpenAi, &servers[0].url(), &["a", "b", "c", "d"]),
                false => group(Wire::OpenAi, &urls, &json!({})),
            };
            own["affinity"] = json!(affinity);
            cached_share(&Gateway::start(&json!({"providers": {"own": own}})))
        };
        let (without, with) = (share("none"), share("prompt"));
        // All but each conversation's first turn.
        assert!((with - 0.9 * 5.0 / 6.0).abs() < 1e-9, "with affinity {with}");
        assert!(without < with - 0.1, "without affinity {without}, with it {with}");
    });
}

#[test]
fn prompts_and_sessions_count_among_keys_where_that_is_asked_for_and_may_help() {
    let upstream = Upstream::start(healthy);
    let keys = |affinity: &str, model: &str| {
        let mut openai = provider(Wire::OpenAi, &upstream.url(), &["a", "b", "c"]);
        openai.as_object_mut().unwrap().remove("custom_provider_config");
        openai["affinity"] = json!(affinity);
        let gateway = Gateway::start(&json!({"providers": {"openai": openai}}));
        let before = upstream.hits().len();
        for _ in 0..16 {
            let body = request(&format!("openai/{model}"), false);
            let asked = Request::json("/v1/chat/completions", &body);
            // A session is asked for where prompts must not count.
            let asked = if affinity == "prompt" { asked } else { asked.header("x-bf-session-id", "one") };
            ok(&gateway.ask(&asked));
        }
        let mut keys: Vec<String> =
            upstream.hits()[before..].iter().map(|hit| hit.key().to_owned()).collect();
        keys.sort();
        keys.dedup();
        keys.len()
    };
    // Cached input is cheaper at the first, not at the second; of the third nothing is known.
    assert_eq!((keys("prompt", "gpt-4.1"), keys("prompt", "ft:of-our-own")), (1, 1));
    // All 16 with one key by chance: once in 14 million runs.
    assert!(keys("prompt", "gpt-4-32k") > 1);
    assert_eq!(keys("session", "gpt-4.1"), 1);
    assert!(keys("none", "gpt-4.1") > 1);
}

#[test]
fn checks_speak_http_2_where_requests_do() {
    // A gateway speaks it without TLS, and has a path for checks.
    let server = Gateway::start(&json!({}));
    let (url, dead) = (format!("http://{}", server.address()), nobody());
    let check =
        json!({"enforce_http2": true, "health_check": {"interval_in_seconds": 0.05, "unhealthy_after": 1}});
    let urls = [json!(url), json!(dead)];
    let gateway = Gateway::start(&json!({"providers": {"own": group(Wire::OpenAi, &urls, &check)}}));
    wait_until(&gateway, &dead, "down");
    for _ in 0..3 {
        let answer = ask(&gateway, Wire::OpenAi, "own/mock/echo", false);
        assert_eq!(answer.status(), 200, "{}", answer.text());
        assert_eq!(attempts(&gateway, &answer).len(), 1);
    }
    assert_eq!(status(&gateway, &url), "ready");
    drop(server);
    wait_until(&gateway, &url, "down");
}
