//! The plain forms, for processors without the vector instructions, and what the others are tested against.

use super::{Line, row_of};

/// Sixteen running sums, so that the compiler can keep them in whatever vector registers there are.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let length = a.len().min(b.len());
    let mut sums = [0.0_f32; LANES];
    let (a_blocks, a_rest) = a[..length].as_chunks::<LANES>();
    let (b_blocks, b_rest) = b[..length].as_chunks::<LANES>();
    for (x, y) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * y[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f32>() + rest
}

pub fn byte_dots(query: &[Line], lines: &[Line], positions: &[u32], sums: &mut [i32]) {
    for (sum, position) in sums.iter_mut().zip(positions) {
        *sum = row_of(lines, query.len(), *position).map_or(i32::MIN, |row| byte_dot(row, query));
    }
}

fn byte_dot(row: &[Line], query: &[Line]) -> i32 {
    let mut sum = 0;
    for (x, y) in row.iter().zip(query) {
        for lane in 0..64 {
            sum += i32::from(x.0[lane]) * i32::from(y.0[lane] as i8);
        }
    }
    sum
}
