//! Whether rows of the audit log are what was written: none changed, none missing, none put in.
//!
//! Each row has the hash of the one before. Who changes one has to write all later ones anew, and then the last hash is
//! another than the one that somebody noted. This file checks; it reads nothing itself.

use super::audit::AuditRow;

/// The number and the hash of a row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// 0: no row yet.
    pub number: u64,
    pub hash: String,
}

/// Where a chain is broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    #[error("row {number} was changed: its hash does not fit what it says")]
    Changed { number: u64 },
    #[error("row {expected} is missing: row {found} follows row {}", expected.saturating_sub(1))]
    Missing { expected: u64, found: u64 },
    #[error("row {number} does not follow the one before: that was changed or replaced")]
    Unlinked { number: u64 },
    #[error("no row has the hash {0}: rows were removed at the end, or the whole log was written anew")]
    NoSuchHead(String),
}

/// Checks rows in their order.
#[derive(Debug, Default)]
pub struct Check {
    last: Option<Head>,
    rows: u64,
    wanted: Option<String>,
    seen: bool,
}

impl Check {
    /// `wanted`: a hash that was noted earlier and must be there.
    #[must_use]
    pub fn new(wanted: Option<String>) -> Self {
        Self { wanted: wanted.map(|hash| hash.to_ascii_lowercase()), ..Self::default() }
    }

    /// The next row. The first one may be any: a part of the log can be checked too.
    ///
    /// # Errors
    /// It does not fit.
    pub fn row(&mut self, row: &AuditRow) -> Result<(), Broken> {
        let number = row.number;
        match &self.last {
            Some(last) if number != last.number.saturating_add(1) => {
                return Err(Broken::Missing { expected: last.number.saturating_add(1), found: number });
            }
            Some(last) if row.previous != last.hash => return Err(Broken::Unlinked { number }),
            None if number == 1 && !row.previous.is_empty() => return Err(Broken::Unlinked { number }),
            _ => {}
        }
        if row.expected_hash() != row.hash {
            return Err(Broken::Changed { number });
        }
        self.seen |= self.wanted.as_ref() == Some(&row.hash);
        self.last = Some(Head { number, hash: row.hash.clone() });
        self.rows = self.rows.saturating_add(1);
        Ok(())
    }

    /// How many rows there were, and the last one.
    ///
    /// # Errors
    /// The hash that must be there was not.
    pub fn end(self) -> Result<(u64, Head), Broken> {
        match self.wanted {
            Some(hash) if !self.seen => Err(Broken::NoSuchHead(hash)),
            _ => Ok((self.rows, self.last.unwrap_or_default())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::audit::Action;
    use serde_json::{Value, json};

    fn action(n: u64) -> Action {
        Action {
            at_ms: 1_700_000_000_000 + n,
            who: "ada".into(),
            address: "127.0.0.1".into(),
            action: "virtual_key.put".into(),
            detail: if n.is_multiple_of(2) { Value::Null } else { json!({"b": 1.5, "a": [n, "ü"]}) },
        }
    }

    fn chain(length: u64) -> Vec<AuditRow> {
        let mut rows: Vec<AuditRow> = Vec::new();
        for n in 0..length {
            let last = rows.last().map(|row| (row.number, row.hash.clone()));
            rows.push(AuditRow::behind(last, &action(n)));
        }
        rows
    }

    fn check(rows: &[AuditRow], wanted: Option<&str>) -> Result<(u64, Head), Broken> {
        let mut check = Check::new(wanted.map(str::to_owned));
        rows.iter().try_for_each(|row| check.row(row))?;
        check.end()
    }

    #[test]
    fn a_chain_that_nobody_touched_holds_also_after_an_export() {
        let rows = chain(5);
        let head = Head { number: 5, hash: rows[4].hash.clone() };
        assert_eq!(check(&rows, None), Ok((5, head.clone())));
        let lines: Vec<String> = rows.iter().map(|row| serde_json::to_string(row).unwrap()).collect();
        let read: Vec<AuditRow> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(check(&read, None), Ok((5, head)));
        assert_eq!(check(&rows[2..], None).unwrap().0, 3, "a part holds as well");
        assert_eq!(check(&[], None), Ok((0, Head::default())));
    }

    #[test]
    fn every_change_of_a_row_is_found() {
        let changes: [fn(&mut AuditRow); 7] = [
            |row| row.at_ms += 1,
            |row| row.who.push('x'),
            |row| row.address.clear(),
            |row| row.action = "virtual_key.delete".into(),
            |row| row.detail = "{}".into(),
            |row| std::mem::swap(&mut row.who, &mut row.address),
            |row| row.hash = "0".repeat(64),
        ];
        for (nth, change) in changes.into_iter().enumerate() {
            let mut rows = chain(4);
            change(&mut rows[1]);
            assert_eq!(check(&rows, None), Err(Broken::Changed { number: 2 }), "change {nth}");
        }
    }

    #[test]
    fn a_row_that_was_removed_moved_or_rewritten_is_found() {
        let whole = chain(5);
        let removed = [&whole[..2], &whole[3..]].concat();
        assert_eq!(check(&removed, None), Err(Broken::Missing { expected: 3, found: 4 }));
        let mut moved = whole.clone();
        moved.swap(1, 2);
        assert!(check(&moved, None).is_err());
        let mut rewritten = whole.clone();
        rewritten[1] = AuditRow::behind(Some((1, whole[0].hash.clone())), &action(77));
        assert_eq!(check(&rewritten, None), Err(Broken::Unlinked { number: 3 }));
        let mut first = whole;
        first[0].previous = "x".into();
        assert_eq!(check(&first, None), Err(Broken::Unlinked { number: 1 }));
    }

    #[test]
    fn a_hash_that_was_noted_shows_rows_that_were_cut_off_at_the_end() {
        let rows = chain(5);
        let noted = rows[3].hash.to_ascii_uppercase();
        assert_eq!(check(&rows, Some(&noted)).unwrap().0, 5);
        assert_eq!(check(&rows[..3], Some(&noted)), Err(Broken::NoSuchHead(rows[3].hash.clone())));
    }
}
