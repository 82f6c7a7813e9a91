//! A page of the log: its rows with their details, where it ends, and whether all was looked at.

use std::collections::HashMap;

use super::ask::{Filter, Terms};
use super::driver::{Range, Way};
use super::entry::{Detail, Entry, started_ms};
use super::ranked::{Ranking, ranked};
use super::row::Numbered;
use super::walk::walk;
use super::write::list;
use super::{Requests, StoreError};
use crate::store::sql::Work;

/// An order that is not of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rank {
    Latency,
    /// Input and output.
    Tokens,
    Cost,
}

/// Where a page begins: behind this row. The value is that of the order; 0 in the order of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    pub value: u64,
    pub id: u64,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Question {
    pub filter: Filter,
    /// `None`: by time.
    pub rank: Option<Rank>,
    /// The oldest, or the least, first.
    pub ascending: bool,
    pub after: Option<Cursor>,
    /// The page that ends before `after`.
    pub backwards: bool,
    /// Rows to leave out.
    pub offset: u64,
    pub limit: u64,
}

/// A page.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    pub entries: Vec<Entry<'static>>,
    /// There are more behind, or may be.
    pub more: bool,
    /// Everything was looked at that had to be.
    pub complete: bool,
    /// In the order of time: up to where it was looked, in Unix milliseconds.
    pub searched_to_ms: u64,
    /// Where the page behind this one begins; `None`: there is nothing behind.
    pub next: Option<Cursor>,
    /// Where the page before this one ends; `None`: there is nothing before.
    pub previous: Option<Cursor>,
}

impl Requests {
    /// A page of requests.
    ///
    /// # Errors
    /// The log is not available.
    pub async fn page(&self, question: &Question) -> Result<Page, StoreError> {
        self.reading(async |work| {
            let Some(terms) = self.terms(work, &question.filter).await? else {
                let to = question.filter.ids().0;
                return Ok(Page {
                    entries: Vec::new(),
                    more: false,
                    complete: true,
                    searched_to_ms: started_ms(to),
                    next: None,
                    previous: None,
                });
            };
            match question.rank {
                None => self.by_time(work, question, &terms).await,
                Some(rank) => self.by_rank(work, question, (&terms, rank)).await,
            }
        })
        .await
    }

    async fn by_time(&self, work: &mut Work, question: &Question, terms: &Terms) -> Result<Page, StoreError> {
        let forth = question.ascending != question.backwards;
        let (mut from, mut to) = question.filter.ids();
        if let Some(Cursor { id, .. }) = question.after {
            if forth { from = from.max(id.saturating_add(1)) } else { to = to.min(id) }
        }
        let way = if forth { Way::Forth } else { Way::Back };
        let most = question.limit.saturating_add(question.offset).saturating_add(1);
        let found = walk(work, terms, (Range { from, to }, way), most).await?;
        let more = u64::try_from(found.rows.len()).is_ok_and(|count| count >= most);
        let rows = question.cut(found.rows);
        let place = |row: &Numbered| Cursor { value: 0, id: row.id };
        let near = rows.first().map(place);
        let searched = if forth { found.seen.to } else { found.seen.from };
        let next = match rows.last() {
            Some(last) if more => Some(place(last)),
            // It goes on where it was stopped: the border itself was not looked at.
            _ if !found.complete => {
                Some(Cursor { value: 0, id: if forth { searched.saturating_sub(1) } else { searched } })
            }
            _ => None,
        };
        let page = self.page_of(work, question, (rows, near, next)).await?;
        let complete = more || found.complete;
        Ok(Page { more, complete, searched_to_ms: started_ms(searched), ..page })
    }

    async fn by_rank(
        &self,
        work: &mut Work,
        question: &Question,
        (terms, rank): (&Terms, Rank),
    ) -> Result<Page, StoreError> {
        let (from, to) = question.filter.ids();
        let most = question.limit.saturating_add(question.offset).saturating_add(1);
        let ranking = Ranking {
            terms,
            rank,
            range: Range { from, to },
            descending: question.ascending == question.backwards,
            after: question.after.map(|cursor| (cursor.value, cursor.id)),
            most,
        };
        let (rows, complete) = ranked(work, &ranking).await?;
        let more = u64::try_from(rows.len()).is_ok_and(|count| count >= most);
        let rows = question.cut(rows);
        let place = |row: &Numbered| Cursor { value: rank.value(&row.counts), id: row.id };
        let next = rows.last().filter(|_| more).map(place);
        let near = rows.first().map(place);
        let page = self.page_of(work, question, (rows, near, next)).await?;
        Ok(Page { more, complete, searched_to_ms: started_ms(from), ..page })
    }

    /// The rows with where they begin, as they were found, and where one goes on behind them.
    async fn page_of(
        &self,
        work: &mut Work,
        question: &Question,
        (mut rows, near, far): (Vec<Numbered>, Option<Cursor>, Option<Cursor>),
    ) -> Result<Page, StoreError> {
        let (next, previous) = match question.backwards {
            false => (far, near.or(question.after).filter(|_| question.after.is_some())),
            true => {
                rows.reverse();
                (near, far)
            }
        };
        let entries = self.entries(work, &rows).await?;
        Ok(Page { entries, more: false, complete: true, searched_to_ms: 0, next, previous })
    }

    /// The rows with their details.
    pub(super) async fn entries(
        &self,
        work: &mut Work,
        rows: &[Numbered],
    ) -> Result<Vec<Entry<'static>>, StoreError> {
        if rows.iter().any(|row| row.is_strange(&self.names)) {
            self.names.catch_up(work).await?;
        }
        let text = work.either(
            "SELECT id, body FROM bifrost_request_details WHERE id IN (SELECT value FROM json_each($1))",
            "SELECT id, body FROM bifrost_request_details \
                WHERE id IN (SELECT value::bigint FROM json_array_elements_text($1::json))",
        );
        let ids = list(rows.iter().map(|row| row.id));
        let mut details = HashMap::new();
        for row in work.rows(text, &[(&ids).into()]).await? {
            details.insert(row.number(0)?, detail(&row.text(1)?)?);
        }
        let entry = |row: &Numbered| row.entry(&self.names, details.remove(&row.id).unwrap_or_default());
        Ok(rows.iter().map(entry).collect())
    }
}

impl Question {
    /// The rows of the page among those that were found.
    fn cut(&self, rows: Vec<Numbered>) -> Vec<Numbered> {
        let number = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        rows.into_iter().skip(number(self.offset)).take(number(self.limit)).collect()
    }
}

fn detail(text: &str) -> Result<Detail<'static>, StoreError> {
    serde_json::from_str(text)
        .map_err(|error| StoreError::Unreadable(format!("the detail of a request: {error}")))
}
