//! How much is logged: a level for each target, changeable while the process runs.
//!
//! Every line asks, request lines included: the look is lock-free. What a line says is not known here.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use log::{Level, LevelFilter, Metadata};

/// What Pingora notes of each connection is for its developers: kept to errors, unless it is asked for.
const QUIET: [&str; 3] = ["pingora", "pingora_core", "pingora_proxy"];
/// The target that all of ours begin with.
pub const OURS: &str = "bifrost";

/// A level for what is not named, and for each target that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Levels {
    rest: LevelFilter,
    /// The longest name first: of two that fit, the nearer one counts.
    targets: Vec<(Box<str>, LevelFilter)>,
}

/// A text that names no levels.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no level: use error, warn, info, debug, trace or off")]
pub struct BadLevel(pub String);

impl Levels {
    /// The levels of one word: ours are logged up to it, others up to warnings.
    #[must_use]
    pub fn of(level: LevelFilter) -> Self {
        let quiet = QUIET.iter().map(|target| (Box::from(*target), LevelFilter::Error));
        let mut levels = Self { rest: LevelFilter::Warn, targets: quiet.collect() };
        levels.set(OURS, Some(level));
        levels
    }

    /// Up to which level our own lines are logged, where no nearer target says otherwise.
    #[must_use]
    pub fn own(&self) -> LevelFilter {
        self.level_of(OURS)
    }

    /// Gives a target its own level; `None`: it has that of what is around it.
    pub fn set(&mut self, target: &str, level: Option<LevelFilter>) {
        self.targets.retain(|(known, _)| **known != *target);
        self.targets.extend(level.map(|level| (Box::from(target), level)));
        self.targets.sort_by(|(one, _), (other, _)| other.len().cmp(&one.len()).then(one.cmp(other)));
    }

    /// The targets that have their own level.
    pub fn targets(&self) -> impl Iterator<Item = (&str, LevelFilter)> {
        self.targets.iter().map(|(target, level)| (&**target, *level))
    }

    /// A line of this level at this target is logged.
    #[must_use]
    pub fn allow(&self, target: &str, level: Level) -> bool {
        level <= self.level_of(target)
    }

    fn level_of(&self, target: &str) -> LevelFilter {
        let fits = |name: &str| {
            target.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        let nearest = self.targets.iter().find(|(name, _)| fits(name));
        nearest.map_or(self.rest, |(_, level)| *level)
    }

    fn most(&self) -> LevelFilter {
        self.targets.iter().map(|(_, level)| *level).fold(self.rest, Ord::max)
    }
}

impl Default for Levels {
    fn default() -> Self {
        Self::of(LevelFilter::Info)
    }
}

/// A level alone, or `level,target=level,…`.
impl FromStr for Levels {
    type Err = BadLevel;

    fn from_str(text: &str) -> Result<Self, BadLevel> {
        let read = |word: &str| level(word.trim());
        if !text.contains([',', '=']) {
            return read(text).map(Self::of);
        }
        let mut levels = Self { rest: LevelFilter::Error, targets: Vec::new() };
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                Some((target, word)) => levels.set(target.trim(), Some(read(word)?)),
                None => levels.rest = read(part)?,
            }
        }
        Ok(levels)
    }
}

/// As it is read.
impl fmt::Display for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(word(self.rest))?;
        self.targets.iter().try_for_each(|(target, level)| write!(f, ",{target}={}", word(*level)))
    }
}

/// Reads a level.
///
/// # Errors
/// It is none.
pub fn level(text: &str) -> Result<LevelFilter, BadLevel> {
    text.parse().map_err(|_| BadLevel(text.to_owned()))
}

/// A level as it is written.
#[must_use]
pub fn word(level: LevelFilter) -> &'static str {
    match level {
        LevelFilter::Off => "off",
        LevelFilter::Error => "error",
        LevelFilter::Warn => "warn",
        LevelFilter::Info => "info",
        LevelFilter::Debug => "debug",
        LevelFilter::Trace => "trace",
    }
}

static CURRENT: OnceLock<ArcSwap<Levels>> = OnceLock::new();

/// The levels in force.
#[must_use]
pub fn current() -> Arc<Levels> {
    in_force().load_full()
}

/// Puts `levels` in force.
pub fn put(levels: Levels) {
    let most = levels.most();
    in_force().store(Arc::new(levels));
    log::set_max_level(most);
}

/// The line is logged.
pub(super) fn allowed(line: &Metadata<'_>) -> bool {
    in_force().load().allow(line.target(), line.level())
}

fn in_force() -> &'static ArcSwap<Levels> {
    CURRENT.get_or_init(|| ArcSwap::from_pointee(Levels::default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_is_for_our_own_lines() {
        let levels: Levels = "debug".parse().unwrap();
        assert!(levels.allow("bifrost::proxy::retry", Level::Debug));
        assert!(!levels.allow("bifrost", Level::Trace));
        assert!(levels.allow("hyper::client", Level::Warn) && !levels.allow("hyper::client", Level::Info));
        assert!(!levels.allow("pingora_proxy::x", Level::Warn), "for its developers");
    }

    #[test]
    fn the_nearest_target_counts() {
        let levels: Levels = "warn,bifrost=info,bifrost::proxy=trace,bifrost::request=off".parse().unwrap();
        assert!(levels.allow("bifrost::proxy::hedge", Level::Trace));
        assert!(!levels.allow("bifrost::proxying", Level::Debug), "a beginning is no module");
        assert!(!levels.allow("bifrost::request", Level::Error));
        assert_eq!(levels.own(), LevelFilter::Info);
        assert_eq!(levels.to_string().parse::<Levels>().unwrap(), levels);
    }

    #[test]
    fn a_target_loses_its_level_again() {
        let mut levels = Levels::of(LevelFilter::Info);
        levels.set("bifrost::store", Some(LevelFilter::Debug));
        assert!(levels.allow("bifrost::store::sql", Level::Debug));
        levels.set("bifrost::store", None);
        assert!(!levels.allow("bifrost::store::sql", Level::Debug));
    }

    #[test]
    fn what_is_no_level_is_said() {
        for text in ["loud", "info,bifrost=loud", "bifrost="] {
            assert!(text.parse::<Levels>().is_err(), "{text}");
        }
    }
}
