//! Vectors that are compared with each other, in rows of memory, and the scan over them.

use crate::packed::{BITS, Code, Packed, Query, WORDS};

/// Rows that are kept together: large enough to be read in one go, small enough to be made at once.
const ROWS: usize = 256;
/// So many of the least different codes are looked at by their values.
const SHORT: usize = 512;
/// Differences that are looked at together: the least of them tells whether any is small enough.
const BLOCK: usize = 64;

/// Vectors of one width, each with a key. An entry has a place, which changes only as [`Partition::remove`] says.
#[derive(Debug, Clone)]
pub struct Partition<K> {
    width: usize,
    keys: Vec<K>,
    chunks: Vec<Chunk>,
}

/// Memory that scans use again and again.
#[derive(Debug, Default)]
pub struct Scratch {
    differences: Vec<i16>,
    places: Vec<usize>,
}

#[derive(Debug, Clone, Default)]
struct Chunk {
    codes: Vec<Code>,
    scales: Vec<f32>,
    values: Vec<i8>,
}

impl<K: Copy> Partition<K> {
    /// Without entries; `width` is that of its vectors' turn.
    #[must_use]
    pub fn new(width: usize) -> Self {
        Self { width, keys: Vec::new(), chunks: Vec::new() }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Bytes that its entries take, with what is kept free for more.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let chunks = self.chunks.iter().map(Chunk::bytes).sum::<usize>();
        chunks + self.keys.capacity() * size_of::<K>() + self.chunks.capacity() * size_of::<Chunk>()
    }

    /// Adds a vector: its place. `None`: it is of another width.
    pub fn add(&mut self, key: K, vector: &Packed) -> Option<usize> {
        if vector.values.len() != self.width {
            return None;
        }
        let place = self.keys.len();
        if place.is_multiple_of(ROWS) {
            self.chunks.push(Chunk::default());
        }
        self.chunks.last_mut()?.push(vector);
        self.keys.push(key);
        Some(place)
    }

    /// Takes away what is at `place`. The last entry has that place then: its key is told, unless it was the last itself.
    pub fn remove(&mut self, place: usize) -> Option<K> {
        if place >= self.keys.len() {
            return None;
        }
        self.keys.swap_remove(place);
        let last = self.chunks.last_mut().and_then(|chunk| chunk.pop(self.width));
        if self.chunks.last().is_some_and(|chunk| chunk.codes.is_empty()) {
            self.chunks.pop();
        }
        let moved = self.keys.get(place).copied()?;
        if let Some((chunk, row)) = last.zip(self.chunks.get_mut(place / ROWS)) {
            row.set(place % ROWS, chunk);
        }
        Some(moved)
    }

    /// The nearest entries to `query` of those that `counts`, the nearest first, at most `most`: key and cosine.
    #[must_use]
    pub fn nearest(
        &self,
        query: &Query,
        most: usize,
        scratch: &mut Scratch,
        counts: impl Fn(K) -> bool,
    ) -> Vec<(K, f32)> {
        if query.values.len() != self.width || most == 0 {
            return Vec::new();
        }
        let Scratch { differences, places } = scratch;
        places.clear();
        if self.len() <= SHORT {
            places.extend(0..self.len());
        } else {
            self.differences(query, differences);
            shortest(differences, places);
        }
        let mut best: Vec<(K, f32)> = Vec::with_capacity(most + 1);
        for place in places.iter().copied() {
            let Some(cosine) = self.cosine(place, query) else { continue };
            let last = best.last().filter(|_| best.len() == most);
            if last.is_some_and(|(_, least)| cosine <= *least) {
                continue;
            }
            let Some(key) = self.keys.get(place).copied().filter(|key| counts(*key)) else { continue };
            let at = best.partition_point(|(_, known)| *known >= cosine);
            best.insert(at, (key, cosine));
            best.truncate(most);
        }
        best
    }

    fn differences(&self, query: &Query, differences: &mut Vec<i16>) {
        differences.clear();
        differences.reserve(self.len());
        for chunk in &self.chunks {
            differences.extend(chunk.codes.iter().map(|code| difference(code, &query.code)));
        }
    }

    fn cosine(&self, place: usize, query: &Query) -> Option<f32> {
        let (chunk, row) = (self.chunks.get(place / ROWS)?, place % ROWS);
        let values = chunk.values.get(row * self.width..(row + 1) * self.width)?;
        #[expect(clippy::cast_precision_loss, reason = "a few digits are enough")]
        let product = product(values, &query.values) as f32;
        Some(product * query.scale * chunk.scales.get(row)?)
    }
}

impl Chunk {
    fn push(&mut self, vector: &Packed) {
        self.codes.push(vector.code());
        self.scales.push(vector.scale);
        // No more than its rows: what a doubling would keep free is megabytes.
        let all = ROWS * vector.values.len();
        let free = self.values.capacity() - self.values.len();
        if free < vector.values.len() {
            let more = self.values.len().max(vector.values.len()).min(all.saturating_sub(self.values.len()));
            self.values.reserve_exact(more);
        }
        self.values.extend_from_slice(&vector.values);
    }

    fn pop(&mut self, width: usize) -> Option<(Code, f32, Vec<i8>)> {
        let at = self.values.len().checked_sub(width)?;
        Some((self.codes.pop()?, self.scales.pop()?, self.values.split_off(at)))
    }

    fn set(&mut self, row: usize, (code, scale, values): (Code, f32, Vec<i8>)) {
        self.codes.iter_mut().skip(row).take(1).for_each(|known| *known = code);
        self.scales.iter_mut().skip(row).take(1).for_each(|known| *known = scale);
        if let Some(known) = self.values.get_mut(row * values.len()..(row + 1) * values.len()) {
            known.copy_from_slice(&values);
        }
    }

    fn bytes(&self) -> usize {
        self.codes.capacity() * size_of::<Code>() + self.scales.capacity() * 4 + self.values.capacity()
    }
}

/// In how many signs two codes differ.
#[expect(clippy::cast_possible_truncation, reason = "512 at most")]
fn difference(one: &Code, other: &Code) -> i16 {
    let mut differ = [0; WORDS];
    for ((word, one), other) in differ.iter_mut().zip(one).zip(other) {
        *word = one ^ other;
    }
    differ.iter().map(|word| word.count_ones()).sum::<u32>() as i16
}

fn product(values: &[i8], query: &[i16]) -> i32 {
    values.iter().zip(query).map(|(value, asked)| i32::from(i16::from(*value)) * i32::from(*asked)).sum()
}

/// The places of the [`SHORT`] smallest differences.
fn shortest(differences: &[i16], places: &mut Vec<usize>) {
    let limit = limit(differences);
    // Of those that are at the limit, as many as there is room for.
    let below = |difference: &&i16| **difference < limit;
    let mut room = SHORT.saturating_sub(differences.iter().filter(below).count());
    for (block, differences) in differences.chunks(BLOCK).enumerate() {
        if differences.iter().fold(i16::MAX, |least, one| least.min(*one)) > limit {
            continue;
        }
        for (row, difference) in differences.iter().enumerate() {
            let fits = *difference < limit || (*difference == limit && room > 0);
            if fits {
                room -= usize::from(*difference == limit);
                places.push(block * BLOCK + row);
            }
        }
    }
}

/// The largest difference that is among the [`SHORT`] smallest, or a little more than that.
fn limit(differences: &[i16]) -> i16 {
    // Four tables: a count that was just written is not read again at once.
    let mut tables = [[0_u32; BITS + 1]; 4];
    for four in differences.chunks(4) {
        for (counts, difference) in tables.iter_mut().zip(four) {
            if let Some(count) = counts.get_mut(usize::from(difference.unsigned_abs())) {
                *count += 1;
            }
        }
    }
    let [first, second, third, fourth] = &tables;
    let counts = first.iter().zip(second).zip(third).zip(fourth);
    let mut below = 0;
    let all = counts.map(|(((one, two), three), four)| one + two + three + four);
    let most = u32::try_from(SHORT).unwrap_or(u32::MAX);
    let limit = all.take_while(|count| {
        below += count;
        below < most
    });
    i16::try_from(limit.count()).unwrap_or(i16::MAX)
}
