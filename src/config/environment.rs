//! The environment variables a configuration may refer to: the real ones, or a fixed set for tests.

use std::collections::HashMap;
use std::sync::Arc;

/// Where variables are looked up.
#[derive(Debug, Clone, Default)]
pub enum Environment {
    /// Those of this program.
    #[default]
    Real,
    /// These and no others.
    Fixed(Arc<HashMap<String, String>>),
}

impl Environment {
    /// A fixed set.
    #[must_use]
    pub fn fixed<const N: usize>(variables: [(&str, &str); N]) -> Self {
        let owned = variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self::Fixed(Arc::new(owned.collect()))
    }

    /// The variable's value; `None` when unset or not Unicode.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        match self {
            Self::Real => std::env::var(name).ok(),
            Self::Fixed(variables) => variables.get(name).cloned(),
        }
    }

    /// The variable's value when it is set and not empty.
    #[must_use]
    pub fn filled(&self, name: &str) -> Option<String> {
        self.get(name).filter(|value| !value.trim().is_empty())
    }
}
