//! RTF as programs write it, and as nobody should.

use proptest::prelude::*;

use super::*;

fn text(rtf: &[u8]) -> String {
    read(rtf).unwrap().text
}

#[test]
fn paragraphs_and_escapes_are_read() {
    let rtf = br"{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0\fswiss Arial;}{\f1\fcharset204 Times;}}{\colortbl;\red0;}
{\stylesheet{\s1 heading 1;}}{\*\generator Msftedit;}\pard\b PLAN:\b0\par
It\rquote s 38 \'b0C \{sic\} \u8211? \u181 ?g, \uc2\u233xxte\uc1\par {\f1 \'e6\'e8\'f2\'fc}\tab end\par}";
    assert_eq!(text(rtf), "PLAN:\nIt’s 38 °C {sic} – µg, éte\nжить end");
}

#[test]
fn a_row_is_one_line_and_hidden_or_deleted_text_is_none() {
    let rtf = br"{\rtf1 {\v secret}{\deleted gone}\trowd\pard\intbl Drug\cell Dose\par daily\cell\row
\trowd\intbl Aspirin\cell 81 mg\cell\row\pard After{\footnote\pard Small print.}\par}";
    assert_eq!(text(rtf), "Drug | Dose daily\nAspirin | 81 mg\nAfter [Footnote: Small print.]");
}

#[test]
fn what_the_file_says_of_itself_is_no_text() {
    let rtf = br"{\rtf1{\info{\title Discharge summary}{\author Mara It\'f4}{\revtim\yr2024\mo2\dy3\hr9\min15}{\company X}}Body}";
    let reading = read(rtf).unwrap();
    assert_eq!(reading.text, "Body");
    assert_eq!(reading.about.title.as_deref(), Some("Discharge summary"));
    assert_eq!(reading.about.author.as_deref(), Some("Mara Itô"));
    assert_eq!(reading.about.written, Timestamp::parse("2024-02-03T09:15:00Z"));
}

#[test]
fn pages_pictures_fields_and_pairs_of_surrogates_are_understood() {
    let rtf = br"{\rtf1 One\page Two {\pict\wmetafile8 0102}{\field{\*\fldinst HYPERLINK x}{\fldrslt link}} \u-10179?\u-8702?}";
    let reading = read(rtf).unwrap();
    assert_eq!(reading.text, "One\n\nTwo link \u{1f602}");
    assert_eq!(reading.pages, [0, 5]);
}

#[test]
fn binary_parts_are_passed_over() {
    assert_eq!(text(b"{\\rtf1 a{\\pict\\bin5 }}}{{}b\\bin-7 c"), "abc");
}

#[test]
fn what_holds_no_text_says_why() {
    assert_eq!(read(b"{\\rtf1 \\par}").unwrap_err().reason, QuarantineReason::EmptyNote);
    assert_eq!(read(b"{\\rtf1{\\pict 00}}").unwrap_err().reason, QuarantineReason::NoTextLayer);
    assert_eq!(read(b"plain").unwrap_err().reason, QuarantineReason::UnreadableFile);
}

#[test]
fn braces_without_end_are_survived() {
    let mut rtf = b"{\\rtf1 a".to_vec();
    rtf.extend_from_slice(&b"{".repeat(200_000));
    rtf.extend_from_slice(b"b");
    rtf.extend_from_slice(&b"}".repeat(200_001));
    assert_eq!(text(&rtf), "ab");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&[b"{\\rtf1 ".as_slice(), &body].concat());
    }

    #[test]
    fn any_row_of_words_is_read_or_refused(words in proptest::collection::vec(
        proptest::sample::select(vec!["{", "}", "\\par ", "\\cell ", "\\row ", "\\u55357 ?", "\\'e9", "\\*", "\\info",
            "\\title ", "\\page ", "\\uc-3 ", "\\f1 ", "\\fonttbl", "\\bin3 ", "text ", "\\deleted ", "\\v0 ", "\\intbl "]),
        0..80,
    )) {
        let rtf = format!("{{\\rtf1 {}", words.concat());
        if let Ok(reading) = read(rtf.as_bytes()) {
            prop_assert!(reading.pages.iter().all(|page| reading.text.is_char_boundary(*page)));
        }
    }
}
