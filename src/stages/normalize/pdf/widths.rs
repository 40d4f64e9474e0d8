//! How wide the letters of the fonts are that a PDF needn't bring along, in thousandths of their size.

/// Helvetica, from the space on.
const SANS: [u16; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556, 556,
    556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833,
    722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556,
    556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334,
    260, 334, 584,
];

/// Times, from the space on.
const SERIF: [u16; 95] = [
    250, 333, 408, 500, 500, 833, 778, 180, 333, 333, 500, 564, 250, 333, 250, 278, 500, 500, 500, 500, 500, 500, 500,
    500, 500, 500, 278, 278, 564, 564, 564, 444, 921, 722, 667, 667, 722, 611, 556, 722, 722, 333, 389, 722, 611, 889,
    722, 722, 556, 722, 667, 556, 611, 722, 722, 944, 722, 722, 611, 333, 278, 333, 469, 500, 333, 444, 500, 444, 500,
    444, 333, 500, 500, 278, 278, 500, 278, 778, 500, 500, 500, 500, 333, 389, 278, 500, 500, 722, 500, 500, 444, 480,
    200, 480, 541,
];

/// The width of `c` in the standard font that the name comes nearest to.
pub(super) fn standard(base_font: &str, c: char) -> f64 {
    let name = base_font.to_ascii_lowercase();
    if name.contains("courier") || name.contains("mono") {
        return 600.0;
    }
    let serif = ["times", "serif", "roman", "georgia"].iter().any(|part| name.contains(part));
    let table = if serif && !name.contains("sans") { &SERIF } else { &SANS };
    let position = u32::from(c).checked_sub(32).and_then(|position| usize::try_from(position).ok());
    position.and_then(|position| table.get(position)).map_or(550.0, |width| f64::from(*width))
}

#[cfg(test)]
mod tests {
    use super::standard;

    #[test]
    fn letters_differ_by_family() {
        assert_eq!(standard("Helvetica-Bold", 'W'), 944.0);
        assert_eq!(standard("Helvetica", '~'), 584.0);
        assert_eq!(standard("ABCDEF+TimesNewRoman", 'a'), 444.0);
        assert_eq!(standard("Courier", 'i'), 600.0);
        assert_eq!(standard("Helvetica", 'ü'), 550.0);
    }
}
