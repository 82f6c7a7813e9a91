//! One request of a caller, and the one right answer to it. Both follow from the seed and the request's
//! number, so provider and caller agree on the text without talking to each other.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::dice::Dice;
use super::providers::{PROVIDERS, Provider};
use crate::client::Dialect;

/// What a caller does besides reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Reads as fast as it comes.
    Reads,
    /// Reads in small pieces with pauses.
    Dawdles,
    /// Leaves after this time, whatever has come.
    Leaves(Duration),
}

/// A request to be made.
#[derive(Debug, Clone)]
pub struct Errand {
    pub id: u64,
    pub dialect: Dialect,
    pub stream: bool,
    /// Providers in the order asked, with the index of the model at each.
    pub route: Vec<(usize, usize)>,
    pub manner: Manner,
    /// Words of the answer.
    pub words: usize,
    /// Milliseconds between the words of a stream.
    pub pace_ms: u64,
    /// Bytes of ballast in the prompt.
    pub ballast: usize,
    /// Value of `x-bf-stream-recovery`.
    pub recovery: Option<&'static str>,
    /// By the drop-in route of the dialect instead of `/v1`.
    pub drop_in: bool,
}

impl Errand {
    /// The request with this number.
    #[must_use]
    pub fn of(seed: u64, id: u64) -> Self {
        let mut dice = Dice::of(&[seed, id, 1]);
        let dialect = if dice.chance(500) { Dialect::OpenAi } else { Dialect::Anthropic };
        let stream = dice.chance(650);
        let manner = match dice.below(100) {
            0..=5 => Manner::Leaves(Duration::from_millis(dice.between(5, 1_500))),
            6..=10 => Manner::Dawdles,
            _ => Manner::Reads,
        };
        // One in two hundred answers is large: 500 to 2,500 kB.
        let words = if dice.chance(5) { dice.between(5_000, 25_000) } else { dice.between(1, 40) };
        let recovery = match dice.below(20) {
            0 => Some("error"),
            1 => Some("buffered"),
            _ => None,
        };
        Self {
            id,
            dialect,
            stream,
            route: route(&mut dice),
            manner,
            words: usize::try_from(words).unwrap_or(1),
            pace_ms: if words > 100 { 0 } else { dice.below(25) },
            ballast: if dice.chance(20) { 700_000 } else { 0 },
            recovery,
            drop_in: dice.chance(150),
        }
    }

    /// The words of the right answer; each knows its number and its request's, so nothing can be
    /// missing, double or another's unseen.
    #[must_use]
    pub fn answer(id: u64, words: usize) -> Vec<String> {
        (0..words)
            .map(|nth| {
                let space = if nth == 0 { "" } else { " " };
                // What streams are bad at: characters of several bytes, escapes, and words of their own.
                match Dice::of(&[id, 2]).throw().wrapping_add(nth as u64) % 9 {
                    0 => format!("{space}wörd-{nth}.{id}-ß"),
                    1 => format!("{space}\u{8a9e}\u{5f59}-{nth}.{id}"),
                    2 => format!("{space}\u{1f980}-{nth}.{id}-\u{1f468}\u{200d}\u{1f469}"),
                    3 => format!("{space}\"q\\{nth}.{id}\""),
                    4 => format!("{space}data: [DONE]-{nth}.{id}"),
                    5 => format!("{space}line-{nth}.{id}\n"),
                    6 => format!("{space}{{\"k\":{nth}.{id}}}"),
                    _ if words > 100 => format!("{space}word-{nth}.{id}-{}", "x".repeat(80)),
                    _ => format!("{space}word-{nth}.{id}"),
                }
            })
            .collect()
    }

    /// The text of the right answer.
    #[must_use]
    pub fn text(&self) -> String {
        Self::answer(self.id, self.words).concat()
    }

    /// The body to be sent, to the gateway or (`direct`) to the first provider itself.
    #[must_use]
    pub fn body(&self, direct: bool) -> Value {
        let mut models = self.route.iter().filter_map(|(provider, model)| {
            let provider = PROVIDERS.get(*provider)?;
            let model = provider.models.get(*model)?;
            Some(if direct { (*model).to_owned() } else { format!("{}/{model}", provider.name) })
        });
        let prompt = format!(
            "chaos id={} words={} pace={} {}",
            self.id,
            self.words,
            self.pace_ms,
            "ballast ".repeat(self.ballast / 8)
        );
        let mut fields = Map::new();
        fields.insert("model".to_owned(), json!(models.next()));
        fields.insert("max_tokens".to_owned(), json!(60_000));
        fields.insert("messages".to_owned(), json!([{"role": "user", "content": prompt}]));
        if self.stream {
            fields.insert("stream".to_owned(), json!(true));
        }
        if !direct {
            fields.insert("fallbacks".to_owned(), models.collect());
        }
        Value::Object(fields)
    }

    /// The path that is asked.
    #[must_use]
    pub fn path(&self, direct: bool) -> &'static str {
        match (self.dialect, self.drop_in && !direct) {
            (Dialect::OpenAi, true) => "/openai/v1/chat/completions",
            (Dialect::OpenAi, false) => "/v1/chat/completions",
            (Dialect::Anthropic, true) => "/anthropic/v1/messages",
            (Dialect::Anthropic, false) => "/v1/messages",
        }
    }

    /// Another provider follows this one.
    #[must_use]
    pub fn has_after(&self, provider: usize) -> bool {
        self.route.last().is_some_and(|last| last.0 != provider)
    }

    /// For a run without a gateway: the first provider that speaks the caller's dialect.
    pub fn go_direct(&mut self) {
        let speaks = |provider: &Provider| provider.wire == self.dialect;
        let first = PROVIDERS.iter().position(speaks).unwrap_or(0);
        self.route = vec![(first, 0)];
    }
}

/// Any provider first; the others as fallbacks, for one in five fewer or none.
fn route(dice: &mut Dice) -> Vec<(usize, usize)> {
    let mut order: Vec<usize> = (0..PROVIDERS.len()).collect();
    for last in (1..order.len()).rev() {
        order.swap(last, dice.index(last + 1));
    }
    let steps = match dice.below(10) {
        0 => 1,
        1 => 2,
        _ => order.len(),
    };
    order.truncate(steps);
    order
        .into_iter()
        .map(|provider| (provider, dice.index(PROVIDERS.get(provider).map_or(1, |p| p.models.len()))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::Errand;

    #[test]
    fn a_request_and_its_answer_follow_from_their_number() {
        assert_eq!(format!("{:?}", Errand::of(1, 9)), format!("{:?}", Errand::of(1, 9)));
        assert_ne!(format!("{:?}", Errand::of(1, 9)), format!("{:?}", Errand::of(2, 9)));
        let words = Errand::answer(9, 40);
        let distinct: std::collections::HashSet<_> = words.iter().collect();
        assert_eq!((words.len(), distinct.len()), (40, 40));
        assert!(!words.iter().any(|word| Errand::answer(10, 40).contains(word)));
    }
}
