//! PDFs of every sort: whole, packed, scanned, locked, filled in, broken, hostile.

use proptest::prelude::*;

use super::read;
use super::writer::{PdfWriter, locked};
use crate::domain::{QuarantineReason, Timestamp};

fn reason(bytes: &[u8]) -> QuarantineReason {
    read(bytes).unwrap_err().reason
}

const PICTURE: &str = "/Type/XObject/Subtype/Image/Width 1/Height 1/ColorSpace/DeviceGray/BitsPerComponent 8";

fn two_pages() -> Vec<u8> {
    let mut pdf = PdfWriter::new()
        .about("Title", "Discharge summary")
        .about("Author", "Dr. Mara Ito")
        .about("ModDate", "D:20240203091500+01'00'");
    pdf = pdf.page_of_lines(&["DISCHARGE SUMMARY", "She was given her usual medica-", "tions and sent home, where"]);
    pdf.compressed_page("BT /F1 11 Tf 72 720 Td (she felt well.) Tj 0 -40 Td (PLAN: Rest \\(a week\\).) Tj ET");
    pdf.write()
}

#[test]
fn pages_are_read_in_order_and_know_where_they_begin() {
    let reading = read(&two_pages()).unwrap();
    assert_eq!(
        reading.text,
        "DISCHARGE SUMMARY\nShe was given her usual medications and sent home, where\nshe felt well.\n\nPLAN: Rest (a week)."
    );
    assert_eq!(reading.pages.len(), 2);
    assert!(reading.text[reading.pages[1]..].starts_with("she felt well."));
    assert_eq!(reading.about.title.as_deref(), Some("Discharge summary"));
    assert_eq!(reading.about.author.as_deref(), Some("Dr. Mara Ito"));
    assert_eq!(reading.about.written, Timestamp::parse("2024-02-03T08:15:00Z"));
    assert!(reading.findings.is_empty());
}

#[test]
fn words_placed_one_by_one_are_parted_and_kerned_ones_are_not() {
    let mut pdf = PdfWriter::new();
    pdf.page(
        "BT /F1 10 Tf 1 0 0 1 72 700 Tm [(W) 80 (arfarin)] TJ 1 0 0 1 116 700 Tm (5 mg) Tj \
         1 0 0 1 300 700 Tm (daily) Tj ET BT /F1 10 Tf 72 686 Td [(no) -300 (space) -250 (is typed)] TJ ET",
    );
    assert_eq!(read(&pdf.write()).unwrap().text, "Warfarin 5 mg | daily\nno space is typed");
}

#[test]
fn a_font_of_numbered_glyphs_is_read_by_its_character_map() {
    let mut pdf = PdfWriter::new();
    let map = pdf.stream("", b"1 begincodespacerange <0000> <ffff> endcodespacerange 3 beginbfchar <0001> <0042> <0002> <00B5> <0003> <006700660069> endbfchar");
    let descendant = pdf.object("<</Type/Font/Subtype/CIDFontType2/BaseFont/X/DW 600/W[1[700 500] 3 3 900]>>");
    let font = pdf.object(format!(
        "<</Type/Font/Subtype/Type0/BaseFont/X/Encoding/Identity-H/DescendantFonts[{descendant} 0 R]/ToUnicode {map} 0 R>>"
    ));
    let content = pdf.stream("", b"BT /F9 12 Tf 72 700 Td <000100020003> Tj ET");
    pdf.page_with(content, &format!("/Font<</F9 {font} 0 R>>"), "");
    assert_eq!(read(&pdf.write()).unwrap().text, "Bµgfi");
}

#[test]
fn text_within_drawings_and_turned_pages_is_read() {
    let mut pdf = PdfWriter::new();
    let form = pdf.stream(
        "/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Matrix[1 0 0 1 50 50]/Resources<</Font<</F1 3 0 R>>>>",
        b"BT /F1 10 Tf (inside) Tj ET",
    );
    let content = pdf.stream("", b"/X1 Do BT /F1 10 Tf 0 1 -1 0 200 100 Tm (turned) Tj ( text) Tj ET");
    pdf.page_with(content, &format!("/Font<</F1 3 0 R>>/XObject<</X1 {form} 0 R>>"), "");
    assert_eq!(read(&pdf.write()).unwrap().text, "inside\n\nturned text");
}

#[test]
fn what_was_filled_in_is_read_with_its_label() {
    let mut pdf = PdfWriter::new();
    let field = pdf.object("<</Type/Annot/Subtype/Widget/FT/Tx/T(allergy)/TU(Known allergies:)/V(latex)>>");
    let off = pdf.object("<</Type/Annot/Subtype/Widget/FT/Btn/T(smoker)/V/Off>>");
    let content = pdf.stream("", b"BT /F1 10 Tf 72 700 Td (Intake form) Tj ET");
    pdf.page_with(content, "/Font<</F1 3 0 R>>", &format!("/Annots[{field} 0 R {off} 0 R]"));
    assert_eq!(read(&pdf.write()).unwrap().text, "Intake form\nKnown allergies: latex");
}

#[test]
fn a_scan_has_no_text_layer_even_with_a_stamp_on_it() {
    for stamp in ["", "BT /F1 8 Tf 500 20 Td (p. 1) Tj ET"] {
        let mut pdf = PdfWriter::new();
        let picture = pdf.stream(PICTURE, b"x");
        let content = pdf.stream("", format!("q 612 0 0 792 0 0 cm /Im Do Q {stamp}").as_bytes());
        pdf.page_with(content, &format!("/Font<</F1 3 0 R>>/XObject<</Im {picture} 0 R>>"), "");
        assert_eq!(reason(&pdf.write()), QuarantineReason::NoTextLayer);
    }
}

#[test]
fn a_scanned_page_among_text_is_found_out() {
    let mut pdf = PdfWriter::new().page_of_lines(&["A cover letter that has quite enough text of its own."]);
    let picture = pdf.stream(PICTURE, b"x");
    let content = pdf.stream("", b"/Im Do");
    pdf.page_with(content, &format!("/XObject<</Im {picture} 0 R>>"), "");
    let reading = read(&pdf.write()).unwrap();
    assert_eq!(reading.findings, [("page_without_text", "page[2]".to_owned())]);
    assert_eq!(reading.pages, [0, reading.text.len()]);
}

#[test]
fn blank_pages_are_empty_and_a_short_letter_is_not() {
    let mut blank = PdfWriter::new();
    blank.page("");
    assert_eq!(reason(&blank.write()), QuarantineReason::EmptyNote);
    assert_eq!(read(&PdfWriter::new().page_of_lines(&["All well."]).write()).unwrap().text, "All well.");
}

#[test]
fn fonts_that_say_nothing_give_no_text() {
    let mut pdf = PdfWriter::new();
    let descendant = pdf.object("<</Type/Font/Subtype/CIDFontType2/BaseFont/X>>");
    let font = pdf.object(format!(
        "<</Type/Font/Subtype/Type0/BaseFont/X/Encoding/Identity-H/DescendantFonts[{descendant} 0 R]>>"
    ));
    let content = pdf.stream("", b"BT /F9 12 Tf 72 700 Td <000100020003> Tj /F1 9 Tf (a) Tj ET");
    pdf.page_with(content, &format!("/Font<</F1 3 0 R/F9 {font} 0 R>>"), "");
    assert_eq!(reason(&pdf.write()), QuarantineReason::NoTextLayer);
}

#[test]
fn the_empty_password_opens_and_another_does_not() {
    let open = two_pages();
    assert_eq!(read(&locked(&open, "")).unwrap().text, read(&open).unwrap().text);
    let unreadable = read(&locked(&open, "secret")).unwrap_err();
    assert_eq!(
        (unreadable.reason, unreadable.detail.as_str()),
        (QuarantineReason::UnreadableFile, "locked by a password")
    );
}

#[test]
fn damage_is_named_or_mended_but_never_breaks_the_reader() {
    let file = two_pages();
    assert_eq!(reason(b"%PDF-1.7\nnothing else"), QuarantineReason::UnreadableFile);
    assert_eq!(reason(b"no PDF at all"), QuarantineReason::UnreadableFile);
    for end in (0..file.len()).step_by(7) {
        let _ = read(&file[..end]);
    }
    let mut lied = file.clone();
    let at = lied.windows(9).position(|window| window == b"startxref").unwrap();
    lied.splice(at.., *b"startxref\n99999999\n%%EOF");
    assert!(read(&lied).unwrap().text.contains("usual medications"));
}

#[test]
fn circles_end() {
    let mut pdf = PdfWriter::new();
    let next = 3 + 1;
    let form = pdf.stream(
        &format!("/Type/XObject/Subtype/Form/Resources<</Font<</F1 3 0 R>>/XObject<</X {next} 0 R>>>>"),
        b"BT /F1 9 Tf (again ) Tj ET /X Do /X Do",
    );
    assert_eq!(form, next);
    let content = pdf.stream("", b"/X Do");
    pdf.page_with(content, &format!("/XObject<</X {form} 0 R>>"), "");
    let page = pdf.object("<</Type/Pages/Parent 2 0 R/Kids[2 0 R]>>");
    pdf.object(format!("{page} 0 R"));
    assert!(read(&pdf.write()).is_ok());
}

#[test]
fn what_unpacks_without_end_is_too_large() {
    let mut pdf = PdfWriter::new();
    pdf.compressed_page(&" ".repeat(super::MAX_CONTENT_BYTES + 1));
    assert_eq!(reason(&pdf.write()), QuarantineReason::TooLarge);
}

#[test]
fn deep_nesting_is_survived() {
    let mut pdf = PdfWriter::new();
    let depth = 100_000;
    pdf.object(format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
    pdf.page(&format!("{} BT /F1 9 Tf (kept) Tj ET", "q ".repeat(depth)));
    assert_eq!(read(&pdf.write()).unwrap().text, "kept");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_files_are_read_or_refused(edits in proptest::collection::vec((0usize..4000, any::<u8>()), 1..12)) {
        let mut file = two_pages();
        for (position, byte) in edits {
            let position = position % file.len();
            file[position] = byte;
        }
        if let Ok(reading) = read(&file) {
            prop_assert!(reading.pages.iter().all(|page| reading.text.is_char_boundary(*page)));
        }
    }
}
