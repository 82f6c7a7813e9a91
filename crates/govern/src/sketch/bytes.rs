//! A sketch as bytes: what is stored outlives this program, so the form is fixed here and versioned by whoever stores it.
//!
//! Numbers are LEB128: seven bits per byte, the lowest first. A sketch is its number of slots, the sum, then for each
//! slot the distance from the step before, shifted by one; the lowest bit says whether its count is 1, else the count
//! follows. Anything that no sketch writes is refused, never guessed at.

use super::{ALL, COUNT, SHIFT, Sketch};

/// Bytes that no sketch has written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("these bytes are no sketch")]
pub struct Broken;

/// Appends a number.
pub fn write_number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number.to_le_bytes().first().copied().unwrap_or_default() | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes().first().copied().unwrap_or_default());
}

/// Takes a number from the front.
///
/// # Errors
/// There is none, or it is larger than 64 bits.
pub fn read_number(bytes: &mut &[u8]) -> Result<u64, Broken> {
    let mut number = 0_u64;
    for place in 0..10 {
        let (byte, rest) = bytes.split_first().ok_or(Broken)?;
        *bytes = rest;
        if place == 9 && *byte > 1 {
            return Err(Broken);
        }
        number |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(Broken)
}

impl Sketch {
    /// Appends it.
    pub fn write(&self, out: &mut Vec<u8>) {
        write_number(u64::try_from(self.slots.len()).unwrap_or(u64::MAX), out);
        if self.slots.is_empty() {
            return;
        }
        write_number(self.sum, out);
        let mut before = 0;
        for slot in &self.slots {
            let (step, count) = (slot >> SHIFT, slot & COUNT);
            write_number((step - before) << 1 | u64::from(count == 1), out);
            if count != 1 {
                write_number(count, out);
            }
            before = step;
        }
    }

    /// Takes a sketch from the front of `bytes` and adds it: nothing is made in between.
    ///
    /// # Errors
    /// There is none. What was read before may have been added.
    pub fn merge_written(&mut self, bytes: &mut &[u8]) -> Result<(), Broken> {
        let slots = read_number(bytes)?;
        if slots == 0 {
            return Ok(());
        }
        if slots > ALL {
            return Err(Broken);
        }
        self.sum = self.sum.saturating_add(read_number(bytes)?);
        if self.slots.is_empty() {
            self.slots.reserve_exact(usize::try_from(slots).unwrap_or_default());
        }
        let mut step = 0_u64;
        for number in 0..slots {
            let word = read_number(bytes)?;
            // Each step comes once, in ascending order.
            if number > 0 && word >> 1 == 0 {
                return Err(Broken);
            }
            step = step.saturating_add(word >> 1);
            let count = if word & 1 == 1 { 1 } else { read_number(bytes)? };
            if step >= ALL || count == 0 || count > COUNT {
                return Err(Broken);
            }
            self.put(step, count);
        }
        Ok(())
    }

    /// Goes past a sketch at the front of `bytes`.
    ///
    /// # Errors
    /// There is none.
    pub fn skip_written(bytes: &mut &[u8]) -> Result<(), Broken> {
        let slots = read_number(bytes)?;
        if slots > ALL {
            return Err(Broken);
        }
        if slots > 0 {
            read_number(bytes)?;
        }
        for _ in 0..slots {
            if read_number(bytes)? & 1 == 0 {
                read_number(bytes)?;
            }
        }
        Ok(())
    }
}
