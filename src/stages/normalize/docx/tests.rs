//! DOCX files packed by hand: edited, numbered, tabulated, damaged, hostile.

use std::io::{Cursor, Write};

use proptest::prelude::*;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::read;
use crate::domain::{QuarantineReason, Timestamp};

/// A file of these parts.
pub fn packed(parts: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in parts {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(content.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

pub fn document(body: &str) -> Vec<u8> {
    packed(&[("word/document.xml", &with_root(body))])
}

fn with_root(body: &str) -> String {
    format!(r#"<?xml version="1.0"?><w:document xmlns:w="w"><w:body>{body}</w:body></w:document>"#)
}

fn paragraph(text: &str) -> String {
    format!("<w:p><w:r><w:t>{text}</w:t></w:r></w:p>")
}

fn text(body: &str) -> String {
    read(&document(body)).unwrap().text
}

#[test]
fn text_reads_as_it_now_stands() {
    let body = r#"<w:p><w:r><w:t xml:space="preserve">Take </w:t></w:r><w:del><w:r><w:delText>10</w:delText></w:r></w:del>
        <w:ins><w:r><w:t>5</w:t></w:r></w:ins><w:r><w:t xml:space="preserve"> mg &amp; rest&#46;</w:t></w:r>
        <w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r><w:moveFrom><w:r><w:t>moved</w:t></w:r></w:moveFrom>
        <w:r><w:instrText>PAGE</w:instrText><w:br/><w:t>Next</w:t><w:tab/><w:t>line</w:t></w:r></w:p>"#;
    assert_eq!(text(body), "Take 5 mg & rest.\nNext line");
}

#[test]
fn headings_lists_and_tables_keep_their_shape() {
    let styles =
        r#"<w:styles xmlns:w="w"><w:style w:styleId="berschrift1"><w:name w:val="heading 1"/></w:style></w:styles>"#;
    let body = format!(
        r#"<w:p><w:pPr><w:pStyle w:val="berschrift1"/></w:pPr><w:r><w:t>Plan</w:t></w:r></w:p>
        <w:p><w:pPr><w:numPr><w:ilvl w:val="0"/><w:numId w:val="3"/></w:numPr></w:pPr><w:r><w:t>Rest</w:t></w:r></w:p>
        <w:tbl><w:tr><w:tc>{}{}</w:tc><w:tc>{}</w:tc></w:tr><w:tr><w:tc>{}</w:tc><w:tc><w:tbl><w:tr><w:tc>{}</w:tc>
        <w:tc>{}</w:tc></w:tr></w:tbl></w:tc></w:tr></w:tbl>"#,
        paragraph("Drug"),
        paragraph("name"),
        paragraph("Dose"),
        paragraph("Aspirin"),
        paragraph("81 mg"),
        paragraph("daily")
    );
    let reading = read(&packed(&[("word/document.xml", &with_root(&body)), ("word/styles.xml", styles)])).unwrap();
    assert_eq!(reading.text, "# Plan\n- Rest\nDrug name | Dose\nAspirin\n81 mg | daily");
    assert!(reading.pages.is_empty());
}

#[test]
fn pages_begin_where_the_file_says() {
    let rendered = "<w:p><w:r><w:t>runs </w:t><w:lastRenderedPageBreak/><w:t>over.</w:t></w:r></w:p>";
    let own = r#"<w:p><w:r><w:br w:type="page"/></w:r></w:p><w:p><w:r><w:lastRenderedPageBreak/><w:t>Three.</w:t></w:r></w:p>"#;
    let reading = read(&document(&format!("{}{rendered}{}{own}", paragraph("One."), paragraph("Two.")))).unwrap();
    assert_eq!(reading.text, "One.\nruns over.\n\nTwo.\n\nThree.");
    let begins: Vec<&str> = reading.pages.iter().map(|page| &reading.text[*page..*page + 3]).collect();
    assert_eq!(begins, ["One", "Two", "Thr"]);
}

#[test]
fn margins_notes_comments_and_properties_are_read() {
    let body =
        r#"<w:p><w:r><w:t>Seen today.</w:t><w:footnoteReference w:id="2"/><w:commentReference w:id="0"/></w:r></w:p>"#;
    let notes = r#"<w:footnotes xmlns:w="w"><w:footnote w:type="separator" w:id="0"><w:p/></w:footnote>
        <w:footnote w:id="2"><w:p><w:r><w:t>By phone &lt;5 min.</w:t></w:r></w:p></w:footnote></w:footnotes>"#;
    let comments = r#"<w:comments xmlns:w="w"><w:comment w:id="0" w:author="Ito"><w:p><w:r><w:t>Check.</w:t></w:r></w:p></w:comment></w:comments>"#;
    let core = r#"<c:coreProperties xmlns:c="c" xmlns:dc="d" xmlns:dcterms="t"><dc:title>Visit</dc:title><dc:creator>Dr. Ito</dc:creator>
        <dcterms:modified>2024-02-03T08:15:00Z</dcterms:modified></c:coreProperties>"#;
    let custom =
        r#"<Properties xmlns:vt="v"><property name="patient"><vt:lpwstr>p-7</vt:lpwstr></property></Properties>"#;
    let reading = read(&packed(&[
        ("word/document.xml", &with_root(body)),
        ("word/header1.xml", &with_root(&paragraph("Riverside Clinic"))),
        ("word/header2.xml", &with_root(&paragraph("Riverside Clinic"))),
        ("word/footer1.xml", &with_root(&paragraph("Page 1 of 2"))),
        ("word/footnotes.xml", notes),
        ("word/comments.xml", comments),
        ("docProps/core.xml", core),
        ("docProps/custom.xml", custom),
    ]))
    .unwrap();
    assert_eq!(reading.text, "Riverside Clinic\n\nSeen today.\n[Footnote: By phone <5 min.]\n[Comment: Ito: Check.]");
    assert_eq!(reading.about.title.as_deref(), Some("Visit"));
    assert_eq!(reading.about.author.as_deref(), Some("Dr. Ito"));
    assert_eq!(reading.about.written, Timestamp::parse("2024-02-03T08:15:00Z"));
    assert_eq!(reading.about.patient.as_deref(), Some("p-7"));
}

#[test]
fn what_cannot_be_read_says_why() {
    let reason = |bytes: &[u8]| read(bytes).unwrap_err().reason;
    assert_eq!(reason(b"PK\x03\x04 cut off"), QuarantineReason::UnreadableFile);
    assert_eq!(reason(&packed(&[("xl/workbook.xml", "<a/>")])), QuarantineReason::UnreadableFile);
    assert_eq!(reason(&packed(&[("word/document.xml", "<a><b></a>")])), QuarantineReason::UnreadableFile);
    assert_eq!(reason(b"\xd0\xcf\x11\xe0\xa1\xb1"), QuarantineReason::UnreadableFile);
    assert_eq!(reason(&document("<w:p/>")), QuarantineReason::EmptyNote);
    let scan =
        [("word/document.xml", &*with_root("<w:p><w:r><w:drawing/></w:r></w:p>")), ("word/media/image1.png", "x")];
    assert_eq!(reason(&packed(&scan)), QuarantineReason::NoTextLayer);
}

#[test]
fn bombs_are_too_large() {
    let deep = "<w:p>".repeat(100_000);
    assert_eq!(read(&document(&deep)).unwrap_err().reason, QuarantineReason::TooLarge);
    let long = paragraph(&"a".repeat(super::super::reading::MAX_TEXT_BYTES + 1));
    assert_eq!(read(&document(&long)).unwrap_err().reason, QuarantineReason::TooLarge);
    let wide = " ".repeat(129 * 1024 * 1024);
    assert_eq!(read(&packed(&[("word/document.xml", &wide)])).unwrap_err().reason, QuarantineReason::TooLarge);
}

#[test]
fn entities_that_the_file_declares_itself_are_not_expanded() {
    let xml = r#"<!DOCTYPE a [<!ENTITY b "boom"><!ENTITY c SYSTEM "file:///etc/passwd">]><w:p><w:r><w:t>a&b;&c;d</w:t></w:r></w:p>"#;
    assert_eq!(read(&packed(&[("word/document.xml", xml)])).unwrap().text, "ad");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_archives_are_read_or_refused(edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut file = document(&paragraph("Seen today."));
        for (position, byte) in edits {
            let position = position.index(file.len());
            file[position] = byte;
        }
        let _ = read(&file);
    }

    #[test]
    fn any_row_of_elements_is_read_or_refused(parts in proptest::collection::vec(
        proptest::sample::select(vec!["<w:p>", "</w:p>", "<w:r>", "</w:r>", "<w:t>a b", "</w:t>", "<w:tbl>", "</w:tbl>",
            "<w:tr>", "</w:tr>", "<w:tc>", "</w:tc>", "<w:del>", "</w:del>", "<w:lastRenderedPageBreak/>", "<w:br/>", "&amp;"]),
        0..60,
    )) {
        if let Ok(reading) = read(&document(&parts.concat())) {
            prop_assert!(reading.pages.iter().all(|page| reading.text.is_char_boundary(*page)));
        }
    }
}
