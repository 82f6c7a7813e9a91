//! The spans that are open, and those that ended and are not stored.
//!
//! A request counts where it began, as in the request log, so a span stays open for [`LATE`] minutes after its end: one
//! that takes longer counts in the oldest minute that is open. Quarters, hours and days are made of minutes that have closed; what
//! is asked of them adds the open ones. Nothing here waits, asks the time or knows where rows are stored.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::page::{Kind, Page};

/// Minutes (and seconds, by as much) that requests can still count in.
pub const LATE: u64 = 15;
/// Kept of ended spans in memory, in bytes, where they cannot be stored.
pub const SHELF: usize = 32 * 1024 * 1024;
/// What could not be stored for so long is given up: by then other processes may have put together what was stored.
const PATIENCE_MS: u64 = 24 * 3_600_000;

/// A length of time that is added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Span {
    Second = 0,
    Minute = 1,
    /// Of an hour.
    Quarter = 2,
    Hour = 3,
    Day = 4,
}

/// One kind of one span, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub span: Span,
    /// In spans since 1970.
    pub start: u64,
    pub kind: Kind,
    pub body: Arc<[u8]>,
    version: u64,
}

/// All open spans.
#[derive(Debug)]
pub struct Book {
    seconds: VecDeque<Sheet>,
    minutes: VecDeque<Sheet>,
    quarters: VecDeque<Sheet>,
    hours: VecDeque<Sheet>,
    days: VecDeque<Sheet>,
    shelf: Shelf,
    /// The latest moment that was seen, in minutes.
    minute: u64,
}

/// All kinds of one span.
#[derive(Debug)]
struct Sheet {
    start: u64,
    leaves: Vec<Leaf>,
}

#[derive(Debug)]
struct Leaf {
    page: Page,
    /// The version that is stored.
    stored: u64,
}

/// Ended spans as bytes.
#[derive(Debug, Default)]
struct Shelf {
    rows: BTreeMap<(Span, Kind, u64), Ended>,
    bytes: usize,
    /// There is no place to store them: they are kept although nobody will.
    keeps: bool,
    most: usize,
    lost: u64,
}

#[derive(Debug)]
struct Ended {
    body: Arc<[u8]>,
    version: u64,
}

/// What is asked of.
#[derive(Debug, Clone, Copy)]
pub struct Ask {
    pub span: Span,
    pub kind: Kind,
    /// From the first up to and without the second, in spans since 1970.
    pub from: u64,
    pub to: u64,
}

impl Span {
    /// The one of this number.
    #[must_use]
    pub fn numbered(number: u8) -> Option<Self> {
        [Self::Second, Self::Minute, Self::Quarter, Self::Hour, Self::Day]
            .into_iter()
            .find(|span| *span as u8 == number)
    }

    #[must_use]
    pub const fn millis(self) -> u64 {
        match self {
            Self::Second => 1_000,
            Self::Minute => 60_000,
            Self::Quarter => 900_000,
            Self::Hour => 3_600_000,
            Self::Day => 86_400_000,
        }
    }

    /// How many minutes it has.
    const fn minutes(self) -> u64 {
        self.millis().div_ceil(60_000)
    }

    /// How many are kept behind the present one.
    #[must_use]
    pub const fn kept(self) -> u64 {
        match self {
            Self::Second => LATE * 60,
            Self::Minute => 48 * 60,
            Self::Quarter => 48 * 4,
            Self::Hour => 400 * 24,
            Self::Day => 400,
        }
    }

    /// The number of the one that a moment is in.
    #[must_use]
    pub const fn of(self, ms: u64) -> u64 {
        ms / self.millis()
    }
}

impl Book {
    /// `keeps`: there is no place to store what has ended, so it is kept in memory. `most`: bytes of what has ended.
    #[must_use]
    pub fn new(keeps: bool, most: usize) -> Self {
        Self {
            seconds: VecDeque::new(),
            minutes: VecDeque::new(),
            quarters: VecDeque::new(),
            hours: VecDeque::new(),
            days: VecDeque::new(),
            shelf: Shelf { keeps, most, ..Shelf::default() },
            minute: 0,
        }
    }

    /// The time has come so far: closes what has ended for good.
    pub fn advance(&mut self, now_ms: u64) {
        let now = Span::Minute.of(now_ms);
        if now <= self.minute {
            return;
        }
        self.minute = now;
        let second = Span::Second.of(now_ms).saturating_sub(Span::Second.kept());
        while self.seconds.front().is_some_and(|sheet| sheet.start < second) {
            self.seconds.pop_front();
        }
        let open = now.saturating_sub(LATE);
        while self.minutes.front().is_some_and(|sheet| sheet.start < open) {
            self.minutes.pop_front().into_iter().for_each(|sheet| self.close_minute(sheet));
        }
        let longer =
            [(Span::Quarter, &mut self.quarters), (Span::Hour, &mut self.hours), (Span::Day, &mut self.days)];
        for (span, sheets) in longer {
            let minutes = span.minutes();
            while sheets.front().is_some_and(|sheet| (sheet.start + 1) * minutes <= open) {
                sheets.pop_front().into_iter().for_each(|sheet| self.shelf.put(span, sheet));
            }
        }
        self.shelf.sweep(now_ms);
    }

    /// The page of a minute that a request of that moment counts in.
    pub fn minute(&mut self, kind: Kind, began_ms: u64) -> Option<&mut Page> {
        let start = Span::Minute.of(began_ms).clamp(self.minute.saturating_sub(LATE), self.minute);
        if self.minutes.iter().rev().all(|sheet| sheet.start != start) {
            // What is running is there, that it can be stored before any of it has closed.
            sheet(&mut self.quarters, start / Span::Quarter.minutes(), &Kind::ALL)?;
            sheet(&mut self.hours, start / Span::Hour.minutes(), &Kind::ALL)?;
            sheet(&mut self.days, start / Span::Day.minutes(), &Kind::ALL)?;
        }
        sheet(&mut self.minutes, start, &Kind::ALL)?.page_mut(kind)
    }

    /// The page of its second; `None`: it began too long ago, or nobody asks for seconds of that kind.
    pub fn second(&mut self, kind: Kind, began_ms: u64) -> Option<&mut Page> {
        const KINDS: [Kind; 3] = [Kind::All, Kind::Target, Kind::Error];
        let start = Span::Second.of(began_ms);
        let oldest = self.minute.saturating_sub(LATE) * 60;
        // One whose clock is ahead is not from here.
        if start < oldest || start >= (self.minute + 2) * 60 || !KINDS.contains(&kind) {
            return None;
        }
        sheet(&mut self.seconds, start, &KINDS)?.page_mut(kind)
    }

    /// Shows the pages of spans that are in memory: the same one in several parts, which add up.
    pub fn look(&self, ask: &Ask, mut look: impl FnMut(u64, &Page)) -> Vec<(u64, Arc<[u8]>)> {
        let range = ask.from..ask.to;
        let mut show = |sheets: &VecDeque<Sheet>, start_of: &dyn Fn(u64) -> u64| {
            for sheet in sheets.iter().filter(|sheet| range.contains(&start_of(sheet.start))) {
                sheet.page(ask.kind).into_iter().for_each(|page| look(start_of(sheet.start), page));
            }
        };
        match ask.span {
            Span::Second => show(&self.seconds, &|start| start),
            Span::Minute => show(&self.minutes, &|start| start),
            Span::Quarter | Span::Hour | Span::Day => {
                show(self.longer(ask.span), &|start| start);
                show(&self.minutes, &|start| start / ask.span.minutes());
            }
        }
        let ended = self.shelf.rows.range((ask.span, ask.kind, ask.from)..(ask.span, ask.kind, ask.to));
        ended.map(|(key, ended)| (key.2, Arc::clone(&ended.body))).collect()
    }

    /// What is to be stored: spans that have ended, and those that have not where `all` is wanted; minutes that are open
    /// are, once they have ended. At most `limit` rows.
    #[must_use]
    pub fn unstored(&self, all: bool, limit: usize) -> Vec<Row> {
        let mut rows: Vec<Row> = self.shelf.rows().take(limit).collect();
        let ended = self.minutes.iter().filter(|sheet| all || sheet.start < self.minute);
        let minutes = ended.flat_map(|sheet| sheet.leaves.iter().map(move |leaf| (sheet.start, leaf)));
        let changed = minutes.filter(|(_, leaf)| leaf.page.version() > leaf.stored);
        rows.extend(changed.map(|(start, leaf)| Row::of(Span::Minute, start, &leaf.page)));
        for span in [Span::Quarter, Span::Hour, Span::Day] {
            for sheet in self.longer(span) {
                rows.extend(sheet.leaves.iter().filter_map(|leaf| self.running(span, sheet.start, leaf)));
            }
        }
        rows.truncate(limit);
        rows
    }

    /// These rows are stored.
    pub fn stored(&mut self, rows: &[Row]) {
        for row in rows {
            let sheets = match row.span {
                Span::Second => continue,
                Span::Minute => &mut self.minutes,
                Span::Quarter => &mut self.quarters,
                Span::Hour => &mut self.hours,
                Span::Day => &mut self.days,
            };
            let sheet = sheets.iter_mut().find(|sheet| sheet.start == row.start);
            match sheet.and_then(|sheet| sheet.leaf_mut(row.kind)) {
                Some(leaf) => leaf.stored = leaf.stored.max(row.version),
                None => self.shelf.stored(row),
            }
        }
    }

    /// Rows that were lost because there was no room for them, and none to store them.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.shelf.lost
    }

    /// Bytes on the shelf.
    #[must_use]
    pub fn shelved(&self) -> usize {
        self.shelf.bytes
    }

    /// Spans that are made of minutes.
    fn longer(&self, span: Span) -> &VecDeque<Sheet> {
        match span {
            Span::Second | Span::Minute | Span::Quarter => &self.quarters,
            Span::Hour => &self.hours,
            Span::Day => &self.days,
        }
    }

    /// A running quarter, hour or day: what has closed of it and what has not. `None`: it is stored as it is.
    fn running(&self, span: Span, start: u64, leaf: &Leaf) -> Option<Row> {
        let minutes = span.minutes();
        let open = self.minutes.iter().filter(|sheet| sheet.start / minutes == start);
        let open: Vec<&Page> = open.filter_map(|sheet| sheet.page(leaf.page.kind())).collect();
        let version = open.iter().fold(leaf.page.version(), |sum, page| sum.saturating_add(page.version()));
        if version <= leaf.stored {
            return None;
        }
        let mut page = leaf.page.clone();
        open.into_iter().for_each(|more| page.merge(more));
        Some(Row::of(span, start, &page))
    }

    /// A minute ends for good: its hour and its day have it from now on.
    fn close_minute(&mut self, minute: Sheet) {
        let longer =
            [(Span::Quarter, &mut self.quarters), (Span::Hour, &mut self.hours), (Span::Day, &mut self.days)];
        for (span, sheets) in longer {
            let Some(whole) = sheet(sheets, minute.start / span.minutes(), &Kind::ALL) else { continue };
            for leaf in &minute.leaves {
                whole.page_mut(leaf.page.kind()).into_iter().for_each(|page| page.merge(&leaf.page));
            }
        }
        self.shelf.put(Span::Minute, minute);
    }
}

impl Sheet {
    fn leaf_mut(&mut self, kind: Kind) -> Option<&mut Leaf> {
        self.leaves.iter_mut().find(|leaf| leaf.page.kind() == kind)
    }

    fn page_mut(&mut self, kind: Kind) -> Option<&mut Page> {
        self.leaf_mut(kind).map(|leaf| &mut leaf.page)
    }

    fn page(&self, kind: Kind) -> Option<&Page> {
        let found = self.leaves.iter().map(|leaf| &leaf.page).find(|page| page.kind() == kind);
        found.filter(|page| !page.is_empty())
    }
}

impl Row {
    fn of(span: Span, start: u64, page: &Page) -> Self {
        Self { span, start, kind: page.kind(), body: page.written().into(), version: page.version() }
    }
}

impl Shelf {
    fn put(&mut self, span: Span, sheet: Sheet) {
        for leaf in sheet.leaves.into_iter().filter(|leaf| !leaf.page.is_empty()) {
            if !self.keeps && leaf.page.version() <= leaf.stored {
                continue;
            }
            let Row { body, version, kind, .. } = Row::of(span, sheet.start, &leaf.page);
            self.bytes += body.len();
            self.rows.insert((span, kind, sheet.start), Ended { body, version });
        }
    }

    /// What waits to be stored.
    fn rows(&self) -> impl Iterator<Item = Row> {
        let waiting = self.rows.iter().filter(|_| !self.keeps);
        waiting.map(|((span, kind, start), ended)| Row {
            span: *span,
            start: *start,
            kind: *kind,
            body: Arc::clone(&ended.body),
            version: ended.version,
        })
    }

    fn stored(&mut self, row: &Row) {
        let key = (row.span, row.kind, row.start);
        if !self.keeps && self.rows.get(&key).is_some_and(|ended| ended.version <= row.version) {
            self.take(key);
        }
    }

    /// Forgets what is too old, then what is too much: the finest and oldest first.
    fn sweep(&mut self, now_ms: u64) {
        let keeps = self.keeps;
        let old = |span: Span, start: u64| match keeps {
            true => start + span.kept() < span.of(now_ms),
            false => (start + 1) * span.millis() + PATIENCE_MS < now_ms,
        };
        let gone: Vec<_> = self.rows.keys().filter(|(span, _, start)| old(*span, *start)).copied().collect();
        self.lost += if keeps { 0 } else { u64::try_from(gone.len()).unwrap_or(0) };
        gone.into_iter().for_each(|key| self.take(key));
        if self.bytes <= self.most {
            return;
        }
        let mut keys: Vec<_> = self.rows.keys().copied().collect();
        keys.sort_unstable_by_key(|(span, kind, start)| (*span, *start, *kind));
        for key in keys {
            if self.bytes <= self.most {
                break;
            }
            self.take(key);
            self.lost += 1;
        }
    }

    fn take(&mut self, key: (Span, Kind, u64)) {
        let gone = self.rows.remove(&key);
        self.bytes -= gone.map_or(0, |ended| ended.body.len()).min(self.bytes);
    }
}

/// The sheet of a span, made where there is none. They stand in the order of time.
fn sheet<'s>(sheets: &'s mut VecDeque<Sheet>, start: u64, kinds: &[Kind]) -> Option<&'s mut Sheet> {
    // The latest ones are asked for most.
    let behind = sheets.iter().rev().take_while(|sheet| sheet.start > start).count();
    let at = sheets.len() - behind;
    let found = at.checked_sub(1).filter(|at| sheets.get(*at).is_some_and(|sheet| sheet.start == start));
    let at = found.unwrap_or_else(|| {
        let leaf = |kind: &Kind| Leaf { page: Page::new(*kind), stored: 0 };
        sheets.insert(at, Sheet { start, leaves: kinds.iter().map(leaf).collect() });
        at
    });
    sheets.get_mut(at)
}
