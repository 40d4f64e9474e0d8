//! The innermost loop: a tile of a matrix product, held in registers along the whole depth.
//!
//! The right matrix lies in *panels*: the columns in groups as wide as a tile, and within a panel
//! row after row, so that it is read from front to back.

use std::hint::black_box;

use crate::lanes::{Lanes, Portable};
#[cfg(target_arch = "x86_64")]
use crate::lanes_x86::{Avx2, Avx512};
use crate::level::{Kind, Level};

/// The most rows a tile has at any level.
pub(crate) const MOST_ROWS: usize = 12;

/// Columns of a tile, and of a panel: two registers.
#[inline(always)]
pub(crate) const fn panel_width<L: Lanes>() -> usize {
    2 * L::WIDTH
}

impl Level {
    pub(crate) const fn panel_width(self) -> usize {
        match self.0 {
            Kind::Portable => panel_width::<Portable>(),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => panel_width::<Avx2>(),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => panel_width::<Avx512>(),
        }
    }
}

/// So far before its turn a panel's part is asked for: memory answers while the tile is at work. The weights of all
/// layers don't fit the nearer caches, and a question comes when the last one's are long gone from them.
const AHEAD_BYTES: usize = 8_192;
const LINE_BYTES: usize = 64;

/// Has `bytes` of a panel, somewhat after `at`, brought near.
#[inline(always)]
pub(crate) fn fetch_ahead<T>(at: *const T, bytes: usize) {
    #[cfg(target_arch = "x86_64")]
    for line in (0..bytes).step_by(LINE_BYTES) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // Beyond the end of the panels there is nothing to be read, and nothing comes of asking.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast::<i8>().wrapping_add(AHEAD_BYTES + line)) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (at, bytes);
}

/// The rows of a tile's left side, each at the same place of its depth.
///
/// Held as the first of every four: the others are up to three strides on, which an address adds by itself. Where
/// they come from is kept from the compiler, which would else compute all twelve anew, from the tile's number, at each
/// step of the depth.
#[derive(Clone, Copy)]
pub(crate) struct Lines<T> {
    fours: [*const T; MOST_ROWS / 4],
    stride: usize,
}

impl<T> Lines<T> {
    /// Rows `stride` apart.
    #[inline(always)]
    pub(crate) fn new(from: *const T, stride: usize) -> Self {
        let fours = [0, 4, 8].map(|row| black_box(from.wrapping_add(row * stride)));
        Self { fours, stride: black_box(stride) }
    }

    #[inline(always)]
    pub(crate) fn row(&self, row: usize) -> *const T {
        self.fours[row / 4].wrapping_add(row % 4 * self.stride)
    }

    #[inline(always)]
    pub(crate) fn advance(&mut self, depth: usize) {
        self.fours = self.fours.map(|four| four.wrapping_add(depth));
    }
}

/// An expression with a number of rows, from 1 to the most given, as a constant.
macro_rules! by_rows {
    ($rows:expr, $most:expr, $count:ident => $call:expr) => {
        by_rows!(@ $rows, $most, $count => $call, 1 2 3 4 5 6 7 8 9 10 11 12)
    };
    (@ $rows:expr, $most:expr, $count:ident => $call:expr, $($number:literal)*) => {
        match $rows {
            // Left out where tiles are smaller, so that it isn't compiled.
            $($number if $number <= $most => {
                const $count: usize = $number;
                $call
            })*
            rows => unreachable!("a tile of {rows} rows"),
        }
    };
}
pub(crate) use by_rows;

/// `rows` rows of a matrix times one panel: `to[row][column] = sum over depth of from[row][depth] * panel[depth][column]`,
/// or as much more where the tile `goes_on`.
///
/// # Safety
/// At least 1 and at most `L::TILE_ROWS` rows. `from` has `rows` rows of `depth` values, `from_stride`
/// apart; `panel` has `depth` rows of [`panel_width`]; `to` takes `rows` rows of [`panel_width`],
/// `to_stride` apart.
#[inline(always)]
pub(crate) unsafe fn tile<L: Lanes>(
    rows: usize,
    (from, from_stride): (*const f32, usize),
    panel: *const f32,
    depth: usize,
    (to, to_stride): (*mut f32, usize),
    goes_on: bool,
) {
    by_rows!(rows, L::TILE_ROWS, ROWS => unsafe {
        tile_of::<L, ROWS>((from, from_stride), panel, depth, (to, to_stride), goes_on)
    });
}

#[inline(always)]
unsafe fn tile_of<L: Lanes, const ROWS: usize>(
    (from, from_stride): (*const f32, usize),
    panel: *const f32,
    depth: usize,
    (to, to_stride): (*mut f32, usize),
    goes_on: bool,
) {
    let mut sums = [[L::splat(0.0); 2]; ROWS];
    if goes_on {
        for (row, sums) in sums.iter_mut().enumerate() {
            let at = to.wrapping_add(row * to_stride);
            *sums = unsafe { [L::load(at), L::load(at.add(L::WIDTH))] };
        }
    }
    let mut lines = Lines::new(from, from_stride);
    let mut at = panel;
    for _ in 0..depth {
        fetch_ahead(at, 2 * L::WIDTH * size_of::<f32>());
        let right = unsafe { [L::load(at), L::load(at.add(L::WIDTH))] };
        for (row, sums) in sums.iter_mut().enumerate() {
            let left = L::splat(unsafe { *lines.row(row) });
            sums[0] = left.mul_add(right[0], sums[0]);
            sums[1] = left.mul_add(right[1], sums[1]);
        }
        lines.advance(1);
        at = at.wrapping_add(2 * L::WIDTH);
    }
    for (row, sums) in sums.into_iter().enumerate() {
        unsafe {
            let at = to.add(row * to_stride);
            sums[0].store(at);
            sums[1].store(at.add(L::WIDTH));
        }
    }
}

/// Splits `rows` into tiles that differ by one row at most: a small last one would waste the processor.
#[inline(always)]
pub(crate) fn even_tiles(rows: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
    let tiles = rows.div_ceil(most).max(1);
    let (short, longer) = (rows / tiles, rows % tiles);
    (0..tiles)
        .map(move |tile| {
            let start = tile * short + tile.min(longer);
            (start, short + usize::from(tile < longer))
        })
        .filter(|(_, rows)| *rows > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_every_row_once_and_are_even() {
        for rows in 0..100 {
            let tiles: Vec<_> = even_tiles(rows, MOST_ROWS).collect();
            let mut next = 0;
            for (start, count) in &tiles {
                assert_eq!(*start, next);
                next += count;
            }
            assert_eq!(next, rows);
            let sizes = tiles.iter().map(|(_, count)| *count);
            assert!(sizes.clone().max().unwrap_or(0) <= sizes.min().unwrap_or(0) + 1);
        }
    }
}
