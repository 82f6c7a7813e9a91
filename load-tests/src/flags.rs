//! `--name value` flags for the bench binaries: they have a handful each and start in bulk, so a full
//! command-line crate would cost more build time than it saves. An unknown flag is an error.

use std::collections::BTreeMap;
use std::str::FromStr;

/// The flags as typed. `optional` and `value` take a flag out; `finish` refuses what is left.
pub struct Flags(BTreeMap<String, String>);

impl Flags {
    /// Reads pairs of `--name value`.
    ///
    /// # Errors
    /// A word that is no flag, or a flag without a value.
    pub fn read(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut words = words;
        let mut flags = BTreeMap::new();
        while let Some(word) = words.next() {
            let name = word.strip_prefix("--").ok_or_else(|| format!("not a flag: {word}"))?;
            let value = words.next().ok_or_else(|| format!("--{name} needs a value"))?;
            flags.insert(name.to_owned(), value);
        }
        Ok(Self(flags))
    }

    /// The value of `--name`, if it was given.
    ///
    /// # Errors
    /// The value does not parse.
    pub fn optional<T: FromStr>(&mut self, name: &str) -> Result<Option<T>, String> {
        let Some(text) = self.0.remove(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| format!("--{name}: cannot read {text:?}"))
    }

    /// The value of `--name`, or `default`.
    ///
    /// # Errors
    /// The value does not parse.
    pub fn value<T: FromStr>(&mut self, name: &str, default: T) -> Result<T, String> {
        Ok(self.optional(name)?.unwrap_or(default))
    }

    /// The value of `--name`, which must be there.
    ///
    /// # Errors
    /// It is missing or does not parse.
    pub fn required<T: FromStr>(&mut self, name: &str) -> Result<T, String> {
        self.optional(name)?.ok_or_else(|| format!("--{name} is required"))
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// A flag nobody asked for was given.
    pub fn finish(self) -> Result<(), String> {
        match self.0.keys().next() {
            Some(name) => Err(format!("unknown flag --{name}")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Flags;

    fn flags(text: &str) -> Result<Flags, String> {
        Flags::read(text.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn reads_values_and_defaults() {
        let mut read = flags("--port 8080").unwrap();
        assert_eq!(read.value("port", 0u16), Ok(8080));
        assert_eq!(read.value("threads", 1usize), Ok(1));
        assert_eq!(read.finish(), Ok(()));
    }

    #[test]
    fn refuses_unknown_flags_bad_values_and_missing_values() {
        assert!(flags("--prot 1").unwrap().finish().is_err());
        assert!(flags("--port x").unwrap().value("port", 0u16).is_err());
        assert!(flags("--port").is_err());
        assert!(flags("port 1").is_err());
        assert!(flags("").unwrap().required::<u16>("port").is_err());
    }
}
