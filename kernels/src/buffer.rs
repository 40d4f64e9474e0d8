//! Memory for vectors: aligned to a cache line, so that no load straddles two, and kept between uses.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

const LINE_BYTES: usize = 64;

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; LINE_BYTES]);

/// A number that any bytes make, and zero bytes make 0.
///
/// # Safety
/// Only for types without padding of which every bit pattern is a value, and no larger than a cache line.
pub unsafe trait Number: Copy {}

// Each is a plain number.
unsafe impl Number for f32 {}
unsafe impl Number for i8 {}
unsafe impl Number for i32 {}
unsafe impl Number for u8 {}
unsafe impl Number for u16 {}
unsafe impl Number for u64 {}

/// A slice of numbers that begins at a cache line.
#[derive(Clone)]
pub struct Buffer<T: Number = f32> {
    lines: Vec<Line>,
    length: usize,
    of: PhantomData<T>,
}

impl<T: Number> Default for Buffer<T> {
    fn default() -> Self {
        Self { lines: Vec::new(), length: 0, of: PhantomData }
    }
}

impl<T: Number> Buffer<T> {
    pub fn zeroed(length: usize) -> Self {
        let mut buffer = Self::default();
        buffer.resize(length);
        buffer
    }

    /// Of this length from now on; what it holds is left over from earlier use. Never gives memory back.
    pub fn resize(&mut self, length: usize) -> &mut [T] {
        let lines = (length * size_of::<T>()).div_ceil(LINE_BYTES);
        if lines > self.lines.len() {
            self.lines.resize(lines, Line([0; LINE_BYTES]));
        }
        self.length = length;
        self
    }
}

impl<T: Number> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // The lines are contiguous, initialized, and hold at least `length` numbers.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.length) }
    }
}

impl<T: Number> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // As above, and borrowed for writing.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.length) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_begins_at_a_cache_line_and_keeps_what_it_holds() {
        let mut buffer: Buffer = Buffer::zeroed(5);
        buffer.copy_from_slice(&[1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(buffer.resize(40).len(), 40);
        assert_eq!(buffer.as_ptr() as usize % 64, 0);
        assert_eq!(buffer[..5], [1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(buffer.resize(3), [1.0, 2.0, 3.0]);
    }
}
