//! Turns vectors so that none of their numbers means more than the others.
//!
//! Models of embeddings have numbers that are always large, or always of one sign: a code of signs would learn nothing of
//! them. A turn by random signs and Hadamard transforms spreads each over all, and changes no angle. The turn is made of the
//! length alone and must stay the same for good: what is kept was turned by it.

use crate::LARGEST;

/// The turn of vectors of one length.
#[derive(Debug, Clone, PartialEq)]
pub struct Rotation {
    dimension: usize,
    /// A power of two that divides the width: so many numbers are mixed at once.
    block: usize,
    /// Signs before the first mixing, and before the second.
    signs: [Box<[f32]>; 2],
    /// Where each number goes between the two.
    order: Box<[u32]>,
}

impl Rotation {
    /// For vectors of `dimension` numbers; `None`: of none, or of more than [`LARGEST`].
    #[must_use]
    pub fn of(dimension: usize) -> Option<Self> {
        if dimension == 0 || dimension > LARGEST {
            return None;
        }
        let width = dimension.next_multiple_of(64);
        let block = 1 << width.trailing_zeros();
        let mut random = Random(u64::try_from(dimension).unwrap_or_default());
        let mut signs = || -> Box<[f32]> {
            (0..width).map(|_| if random.next() >> 63 == 0 { 1.0 } else { -1.0 }).collect()
        };
        let signs = [signs(), signs()];
        let mut order: Vec<(u64, u32)> = (0_u32..).take(width).map(|at| (random.next(), at)).collect();
        order.sort_unstable();
        Some(Self { dimension, block, signs, order: order.into_iter().map(|(_, at)| at).collect() })
    }

    /// Numbers of a vector before it is turned.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Numbers of a turned vector: a few more, up to a multiple of 64.
    #[must_use]
    pub fn width(&self) -> usize {
        self.order.len()
    }

    /// `vector`, turned and of length 1; `None`: it has another number of numbers, no length, or one that is none.
    #[must_use]
    pub fn turn(&self, vector: &[f32]) -> Option<Vec<f32>> {
        let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
        if vector.len() != self.dimension || !length.is_normal() {
            return None;
        }
        let [first, second] = &self.signs;
        let mut turned: Vec<f32> = vector.iter().map(|value| value / length).collect();
        turned.resize(self.width(), 0.0);
        self.mix(&mut turned, first);
        let mut moved: Vec<f32> = Vec::with_capacity(turned.len());
        moved.extend(self.order.iter().filter_map(|at| turned.get(usize::try_from(*at).ok()?)));
        self.mix(&mut moved, second);
        Some(moved)
    }

    fn mix(&self, values: &mut [f32], signs: &[f32]) {
        values.iter_mut().zip(signs).for_each(|(value, sign)| *value *= sign);
        #[expect(clippy::cast_precision_loss, reason = "a power of two below 2^14")]
        let scale = 1.0 / (self.block as f32).sqrt();
        for block in values.chunks_exact_mut(self.block) {
            hadamard(block);
            block.iter_mut().for_each(|value| *value *= scale);
        }
    }
}

/// Sums and differences of all: each number becomes one of all numbers. The length is a power of two.
fn hadamard(values: &mut [f32]) {
    let mut half = 1;
    while half < values.len() {
        for pair in values.chunks_exact_mut(half * 2) {
            let (left, right) = pair.split_at_mut(half);
            for (one, other) in left.iter_mut().zip(right) {
                (*one, *other) = (*one + *other, *one - *other);
            }
        }
        half *= 2;
    }
}

/// SplitMix64: the same for good, on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}
