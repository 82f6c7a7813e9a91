//! What can be listened to.

/// One kind of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// Finished requests.
    Request,
    /// Requests under way.
    Flight,
    /// Each second in numbers.
    Metrics,
    /// Keys and targets that rest, and that are back.
    Health,
    /// Configurations that came into force, or did not.
    Config,
}

/// Some of them, as bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Topics(pub u8);

impl Topic {
    pub const ALL: [Self; 5] = [Self::Request, Self::Flight, Self::Metrics, Self::Health, Self::Config];

    /// In `topics=`, and the name of its events.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Request => "req",
            Self::Flight => "flight",
            Self::Metrics => "metrics",
            Self::Health => "health",
            Self::Config => "config",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl Topics {
    #[must_use]
    pub fn of(topics: &[Topic]) -> Self {
        Self(topics.iter().fold(0, |bits, topic| bits | topic.bit()))
    }

    /// `req,metrics`.
    ///
    /// # Errors
    /// The name that is none.
    pub fn read(text: &str) -> Result<Self, &str> {
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        names.into_iter().try_fold(Self::default(), |all, name| {
            let topic = Topic::ALL.into_iter().find(|topic| topic.name() == name).ok_or(name)?;
            Ok(all.and(Self::of(&[topic])))
        })
    }

    #[must_use]
    pub fn has(self, topic: Topic) -> bool {
        self.0 & topic.bit() != 0
    }

    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        Topic::ALL.into_iter().filter(|topic| self.has(*topic)).map(Topic::name).collect()
    }
}
