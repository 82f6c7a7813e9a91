//! All names of one kind in one span: a bounded number of them, the rest together.
//!
//! What a caller can name (models, mostly) may not fill the memory, nor push out the names that matter: a name that
//! nothing has succeeded with gets a cell of its own only while half of the places are free.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use govern::sketch::{Broken, read_number, write_number};

use super::cell::{Cell, Depth};

/// What names are of. The number of each is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Every request: one name, which is empty.
    All = 0,
    /// Provider and model, of the attempt that answered or was tried last.
    Target = 1,
    /// Provider and the name of its key.
    Key = 2,
    /// Id and name.
    VirtualKey = 3,
    /// Id and name.
    Team = 4,
    /// Id and name.
    Customer = 5,
    /// The rule's name.
    Rule = 6,
    /// What was asked: `chat_completion`, …
    Object = 7,
    /// `success`, `error`, `cancelled`.
    Status = 8,
    /// Label of the fault.
    Error = 9,
}

/// A name of a kind: two words, of which the second may be empty. Both are: all the rest.
#[derive(Debug, Clone)]
pub struct Name(pub Arc<str>, pub Arc<str>);

/// A name, owned or not.
pub trait Named {
    fn words(&self) -> (&str, &str);
}

/// All names of a kind in a span.
#[derive(Debug, Clone)]
pub struct Page {
    kind: Kind,
    cells: HashMap<Name, Cell>,
    /// Grows with each change.
    version: u64,
}

/// The version of the written form.
const FORM: u8 = 1;

impl Kind {
    pub const ALL: [Self; 10] = [
        Self::All,
        Self::Target,
        Self::Key,
        Self::VirtualKey,
        Self::Team,
        Self::Customer,
        Self::Rule,
        Self::Object,
        Self::Status,
        Self::Error,
    ];

    /// Names with a cell of their own.
    #[must_use]
    const fn most(self) -> usize {
        match self {
            Self::All => 1,
            Self::Target | Self::Key | Self::Team | Self::Customer | Self::Rule => 256,
            Self::VirtualKey => 1_024,
            Self::Object | Self::Error => 64,
            Self::Status => 8,
        }
    }

    /// Callers can think of names.
    #[must_use]
    const fn is_open(self) -> bool {
        matches!(self, Self::Target)
    }

    /// The kind of this number.
    #[must_use]
    pub fn numbered(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number)
    }

    /// Whether times of its names are kept, beside their sum.
    #[must_use]
    pub const fn has_times(self) -> bool {
        matches!(self, Self::All | Self::Target)
    }
}

impl Page {
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self { kind, cells: HashMap::new(), version: 0 }
    }

    /// Does something with the cell of a name, or that of all the rest. `answered`: something has succeeded with it.
    pub fn with(&mut self, name: (&str, &str), answered: bool, work: impl FnOnce(&mut Cell)) {
        self.version = self.version.saturating_add(1);
        if let Some(cell) = self.cells.get_mut(&name as &dyn Named) {
            return work(cell);
        }
        let sure = answered || !self.kind.is_open();
        let places = if sure { self.kind.most() } else { self.kind.most() / 2 };
        let own = self.cells.len() < places;
        let name = if own { Name(name.0.into(), name.1.into()) } else { Name::rest() };
        work(self.cells.entry(name).or_default());
    }

    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Grows with each change; added up where pages are.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    pub fn cells(&self) -> impl Iterator<Item = (&Name, &Cell)> {
        self.cells.iter()
    }

    /// Adds all that another one of its kind has, within the same bounds.
    pub fn merge(&mut self, other: &Self) {
        let version = self.version.saturating_add(other.version);
        for (name, cell) in &other.cells {
            self.with(name.words(), cell.answered() > 0, |sum| sum.merge(cell, Depth::Times));
        }
        self.version = version;
    }

    /// Adds one that was written.
    ///
    /// # Errors
    /// It is no page. Part of it may have been added.
    pub fn merge_written(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        each_written(bytes, |name, written| {
            let mut cell = Cell::default();
            cell.merge_written(written, Depth::Times)?;
            self.with(name, cell.answered() > 0, |sum| sum.merge(&cell, Depth::Times));
            Ok(())
        })
    }

    /// As it is stored.
    #[must_use]
    pub fn written(&self) -> Vec<u8> {
        let mut out = vec![FORM];
        write_number(u64::try_from(self.cells.len()).unwrap_or(u64::MAX), &mut out);
        let mut cells: Vec<(&Name, &Cell)> = self.cells.iter().collect();
        cells.sort_unstable_by_key(|(name, _)| name.words());
        let mut body = Vec::new();
        for (name, cell) in cells {
            write_word(&name.0, &mut out);
            write_word(&name.1, &mut out);
            body.clear();
            cell.write(&mut body);
            write_number(u64::try_from(body.len()).unwrap_or(u64::MAX), &mut out);
            out.extend_from_slice(&body);
        }
        out
    }
}

/// Shows every name of a written page with its cell, which is read only where somebody wants it.
///
/// # Errors
/// It is no page, or of a later form.
pub fn each_written(
    bytes: &[u8],
    mut look: impl FnMut((&str, &str), &[u8]) -> Result<(), Broken>,
) -> Result<(), Broken> {
    let (form, mut rest) = bytes.split_first().ok_or(Broken)?;
    if *form != FORM {
        return Err(Broken);
    }
    for _ in 0..read_number(&mut rest)? {
        let name = (read_word(&mut rest)?, read_word(&mut rest)?);
        let cell = read_bytes(&mut rest)?;
        look(name, cell)?;
    }
    Ok(())
}

impl Name {
    /// All names that have no cell of their own.
    #[must_use]
    pub fn rest() -> Self {
        Self("".into(), "".into())
    }

    /// It is all names that have no cell of their own.
    #[must_use]
    pub fn is_rest(&self) -> bool {
        self.0.is_empty() && self.1.is_empty()
    }
}

impl Named for Name {
    fn words(&self) -> (&str, &str) {
        (&self.0, &self.1)
    }
}

impl Named for (&str, &str) {
    fn words(&self) -> (&str, &str) {
        (self.0, self.1)
    }
}

impl Hash for dyn Named + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.words().hash(state);
    }
}

impl PartialEq for dyn Named + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.words() == other.words()
    }
}

impl Eq for dyn Named + '_ {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.words().hash(state);
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.words() == other.words()
    }
}

impl Eq for Name {}

/// So that a name is looked up without making one.
impl<'a> Borrow<dyn Named + 'a> for Name {
    fn borrow(&self) -> &(dyn Named + 'a) {
        self
    }
}

fn write_word(word: &str, out: &mut Vec<u8>) {
    write_number(u64::try_from(word.len()).unwrap_or(u64::MAX), out);
    out.extend_from_slice(word.as_bytes());
}

fn read_word<'b>(bytes: &mut &'b [u8]) -> Result<&'b str, Broken> {
    std::str::from_utf8(read_bytes(bytes)?).map_err(|_| Broken)
}

fn read_bytes<'b>(bytes: &mut &'b [u8]) -> Result<&'b [u8], Broken> {
    let length = usize::try_from(read_number(bytes)?).map_err(|_| Broken)?;
    let (taken, rest) = bytes.split_at_checked(length).ok_or(Broken)?;
    *bytes = rest;
    Ok(taken)
}
