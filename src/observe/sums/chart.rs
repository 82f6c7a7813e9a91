//! Sums of a time range, by bucket and name: what charts, statistics and facets are made of.

use std::collections::HashMap;

use govern::sketch::Broken;

use super::cell::{Cell, Depth};
use super::cover::Frame;
use super::page::{self, Kind, Name, Named, Page};

/// What is asked.
#[derive(Debug, Clone)]
pub struct Question {
    pub kind: Kind,
    pub frame: Frame,
    pub depth: Depth,
    /// Names that are wanted; `None`: all.
    pub only: Option<Only>,
}

/// Which names are wanted: each word is one of these, or any where there are none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Only {
    pub first: Vec<String>,
    pub second: Vec<String>,
}

/// The answer: cells by name and bucket.
#[derive(Debug)]
pub struct Chart {
    pub frame: Frame,
    /// Where each bucket begins, in Unix milliseconds.
    pub starts: Vec<u64>,
    /// As many cells for each name as there are buckets.
    pub names: HashMap<Name, Vec<Cell>>,
    /// Nothing was missing: `false` while stored sums cannot be read.
    pub complete: bool,
    /// It was counted in the request log: requests that began before (Unix milliseconds) were not looked at, where it is
    /// not complete. `None`: it is from sums.
    pub searched_to_ms: Option<u64>,
    depth: Depth,
    only: Option<Only>,
}

impl Only {
    /// Whether a name is wanted.
    #[must_use]
    pub fn has(&self, (first, second): (&str, &str)) -> bool {
        let one_of = |words: &[String], word: &str| words.is_empty() || words.iter().any(|one| one == word);
        one_of(&self.first, first) && one_of(&self.second, second)
    }
}

impl Chart {
    /// Without anything in it.
    #[must_use]
    pub fn new(question: &Question) -> Self {
        Self {
            frame: question.frame,
            starts: question.frame.starts(),
            names: HashMap::new(),
            complete: true,
            searched_to_ms: None,
            depth: question.depth,
            only: question.only.clone(),
        }
    }

    /// Adds a page of a span that begins there.
    pub fn add_page(&mut self, at_ms: u64, page: &Page) {
        for (name, cell) in page.cells() {
            let depth = self.depth;
            self.with(at_ms, name.words(), |sum| sum.merge(cell, depth));
        }
    }

    /// Adds a page that was written. One that cannot be read makes the answer incomplete.
    pub fn add_written(&mut self, at_ms: u64, bytes: &[u8]) {
        let depth = self.depth;
        let read = page::each_written(bytes, |name, written| {
            let mut read = Ok::<(), Broken>(());
            self.with(at_ms, name, |sum| read = sum.merge_written(written, depth));
            read
        });
        self.complete &= read.is_ok();
    }

    /// Everything of all names and buckets together.
    #[must_use]
    pub fn total(&self) -> Cell {
        let mut total = Cell::default();
        self.names.values().flatten().for_each(|cell| total.merge(cell, self.depth));
        total
    }

    /// All names together, by bucket.
    #[must_use]
    pub fn by_bucket(&self) -> Vec<Cell> {
        let mut sums = vec![Cell::default(); self.starts.len()];
        for cells in self.names.values() {
            sums.iter_mut().zip(cells).for_each(|(sum, cell)| sum.merge(cell, self.depth));
        }
        sums
    }

    /// Names put together by what `group` calls them, by bucket.
    #[must_use]
    pub fn grouped<'c>(&'c self, group: impl Fn(&'c Name) -> &'c str) -> HashMap<&'c str, Vec<Cell>> {
        let mut groups: HashMap<&str, Vec<Cell>> = HashMap::new();
        for (name, cells) in &self.names {
            let sums = groups.entry(group(name)).or_insert_with(|| vec![Cell::default(); self.starts.len()]);
            sums.iter_mut().zip(cells).for_each(|(sum, cell)| sum.merge(cell, self.depth));
        }
        groups
    }

    /// Does something with the cell of a name, in the bucket of a moment.
    pub(super) fn with(&mut self, at_ms: u64, name: (&str, &str), work: impl FnOnce(&mut Cell)) {
        if self.only.as_ref().is_some_and(|only| !only.has(name)) {
            return;
        }
        let bucket = self.frame.bucket(at_ms);
        if let Some(cells) = self.names.get_mut(&name as &dyn Named) {
            cells.get_mut(bucket).map(work);
            return;
        }
        let mut cells = vec![Cell::default(); self.starts.len()];
        cells.get_mut(bucket).map(work);
        self.names.insert(Name(name.0.into(), name.1.into()), cells);
    }
}
