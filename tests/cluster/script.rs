//! The script in Redis does what the pool in `govern` does, whatever comes.

use std::time::Duration;

use bifrost::cluster::redis::{Link, Question};
use bifrost::config::cluster::Cluster;
use bifrost::config::snapshot::Secret;
use govern::lease::pool::Pool;
use govern::lease::{Grant, OnLoss, Report, Span, Terms};

use crate::server::Redis;

fn settings(redis: &Redis) -> Cluster {
    Cluster {
        url: Secret::new(redis.url()),
        prefix: "test:".into(),
        on_loss: OnLoss::Local,
        lease: Duration::from_secs(10),
        timeout: Duration::from_secs(5),
    }
}

/// What a node remembers between two reports.
#[derive(Default, Clone)]
struct Node {
    number: u64,
    epoch: u64,
}

fn report(random: &mut fastrand::Rng, node: &mut Node) -> Report {
    if random.u8(..) > 20 {
        node.number += 1;
    }
    let parts = |random: &mut fastrand::Rng| {
        (0..random.usize(..3)).map(|_| (random.u64(..70_000), random.u64(1..2_000))).collect()
    };
    let epoch = if random.u8(..) < 10 { random.u64(..3) } else { node.epoch };
    Report {
        number: node.number,
        spent: parts(random),
        need: random.u64(..3_000),
        short: if random.bool() { random.u64(..2_000) } else { 0 },
        spare: random.u64(..20_000),
        epoch,
        known: (epoch == 0 || random.u8(..) < 30).then(|| parts(random)),
    }
}

/// The pool's own epoch is the server's moment: which one it is does not matter, only when it changes.
fn alike(grant: &Grant) -> Grant {
    Grant { epoch: 0, ..grant.clone() }
}

#[tokio::test]
async fn the_script_and_the_pool_answer_the_same() {
    let Some(redis) = Redis::start() else { return };
    let links: Vec<Link> =
        (0..3).map(|node| Link::new(&settings(&redis), format!("node-{node}")).unwrap()).collect();
    for seed in 0..40 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut now = 1_800_000_000_000 + random.u64(..100_000);
        let mut pool: Option<Pool> = None;
        let mut nodes = vec![Node::default(); 3];
        for step in 0..120 {
            now += if random.u8(..) < 10 { random.u64(..20_000) } else { random.u64(..500) };
            let at = random.usize(..3);
            let mut report = report(&mut random, &mut nodes[at]);
            let span = match seed % 2 {
                0 => Span::Rolling { length_ms: 60_000, grain_ms: 1_000 },
                _ => Span::Calendar { start_ms: now / 60_000 * 60_000, left_ms: 60_000 - now % 60_000 },
            };
            let terms = Terms { max: 100_000, span, lease_ms: 10_000 };
            let question = Question { key: format!("{seed}"), report: report.clone(), terms };
            links[at].set_clock(now);
            let found = links[at].ask(std::slice::from_ref(&question)).await.unwrap().remove(0);
            if pool.is_none() && found.tell {
                // There is none yet: nobody has told it anything.
                continue;
            }
            // The epoch that a pool has here is known from the first answer on.
            let pool = pool.get_or_insert_with(|| Pool::new(found.epoch));
            if report.epoch == 0 && report.known.is_none() {
                report.known = Some(Vec::new());
            }
            let mut expected = pool.take(at as u64, &report, &terms, now);
            if let Some(known) = &mut expected.known {
                known.sort_unstable_by(|a, b| b.cmp(a));
            }
            assert_eq!(alike(&found), alike(&expected), "seed {seed}, step {step}: {report:?}");
            assert_eq!(found.epoch, expected.epoch);
            if !found.tell {
                nodes[at].epoch = found.epoch;
            }
        }
    }
}

#[tokio::test]
async fn a_server_that_was_restarted_is_given_the_script_again() {
    let Some(mut redis) = Redis::start() else { return };
    let link = Link::new(&settings(&redis), "a".to_owned()).unwrap();
    let terms = Terms { max: 100, span: Span::never(), lease_ms: 10_000 };
    let report = Report {
        number: 1,
        spent: Vec::new(),
        need: 1,
        short: 0,
        spare: 0,
        epoch: 0,
        known: Some(Vec::new()),
    };
    let question = [Question { key: "k".to_owned(), report, terms }];
    assert_eq!(link.ask(&question).await.unwrap()[0].lease, 1);
    redis.stop();
    assert!(link.ask(&question).await.is_err());
    redis.start_again();
    assert_eq!(link.ask(&question).await.unwrap()[0].lease, 1);
}
