//! Numbers as the bytes they are in memory and in files, without copying. Files are little-endian; on a processor that
//! is not, nothing is viewed.

use crate::distance::Line;

/// Types of which every pattern of bytes is a value, and which have no padding.
trait Plain: Copy {}
impl Plain for f32 {}
impl Plain for u32 {}
impl Plain for u64 {}
impl Plain for Line {}

fn view<T: Plain>(bytes: &[u8]) -> Option<&[T]> {
    if cfg!(target_endian = "big") {
        return None;
    }
    // SAFETY: `Plain` types have no invalid pattern, and `align_to` sees to the alignment.
    let (before, values, after) = unsafe { bytes.align_to::<T>() };
    (before.is_empty() && after.is_empty()).then_some(values)
}

fn as_bytes<T: Plain>(values: &[T]) -> &[u8] {
    // SAFETY: `Plain` types have no padding, so every byte of them is initialised.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}

/// `None` when the bytes are not aligned, or are no whole number of floats.
pub fn floats(bytes: &[u8]) -> Option<&[f32]> {
    view(bytes)
}

pub fn lines(bytes: &[u8]) -> Option<&[Line]> {
    view(bytes)
}

pub fn words(bytes: &[u8]) -> Option<&[u32]> {
    view(bytes)
}

pub fn long_words(bytes: &[u8]) -> Option<&[u64]> {
    view(bytes)
}

pub fn of_floats(values: &[f32]) -> &[u8] {
    as_bytes(values)
}

pub fn of_lines(values: &[Line]) -> &[u8] {
    as_bytes(values)
}

pub fn of_words(values: &[u32]) -> &[u8] {
    as_bytes(values)
}

pub fn of_long_words(values: &[u64]) -> &[u8] {
    as_bytes(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_from_their_bytes_and_crooked_bytes_are_refused() {
        let values = [1.5_f32, -0.0, f32::MAX];
        assert_eq!(floats(of_floats(&values)), Some(&values[..]));
        assert_eq!(words(of_words(&[7, u32::MAX])), Some(&[7, u32::MAX][..]));
        assert_eq!(floats(&of_floats(&values)[1..5]), None);
        assert_eq!(floats(&of_floats(&values)[..5]), None);
    }
}
