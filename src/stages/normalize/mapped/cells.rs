//! The cells of a CSV row, by the mapping's form.

use crate::domain::mapping::{CsvForm, Encoding, Quote, Ragged};
use crate::domain::{QuarantineReason, Unreadable};

use super::super::charset;
use super::super::json::Json;

/// What separates the cells of this header: the commonest of comma, semicolon, tab and bar.
fn delimiter(bytes: &[u8]) -> u8 {
    let header = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    let count = |wanted: u8| header.iter().filter(|b| **b == wanted).count();
    // Of equals the last is taken, so the comma stands last.
    [b'|', b'\t', b';', b','].into_iter().max_by_key(|candidate| count(*candidate)).unwrap_or(b',')
}

/// A reader of all rows, the header among them; `bytes` begin with the header.
pub(in crate::stages) fn reader<'a>(form: &CsvForm, bytes: &'a [u8]) -> csv::Reader<&'a [u8]> {
    let byte = |character: char| u8::try_from(character).ok();
    let mut builder = csv::ReaderBuilder::new();
    builder
        .has_headers(false)
        .flexible(true)
        .delimiter(form.delimiter.and_then(byte).unwrap_or_else(|| delimiter(bytes)));
    match form.quote {
        Quote::Double => {}
        Quote::Single => {
            builder.quote(b'\'');
        }
        Quote::None => {
            builder.quoting(false);
        }
    }
    if let Some(escape) = form.escape.and_then(byte) {
        builder.escape(Some(escape)).double_quote(false);
    }
    builder.from_reader(bytes)
}

/// Bytes to text. Errors: they aren't in the mapping's encoding.
pub(super) fn decode(encoding: Encoding, bytes: &[u8]) -> Result<String, Unreadable> {
    match encoding {
        Encoding::Utf8 => std::str::from_utf8(bytes)
            .map(str::to_owned)
            .map_err(|error| Unreadable::new(QuarantineReason::InvalidUtf8, format!("byte {}", error.valid_up_to()))),
        Encoding::Windows1252 => Ok(charset::windows_1252(bytes)),
    }
}

/// Whether a row of `cells` cells belongs to a header of `width`; `tail_is_empty`: the cells beyond it are.
///
/// Errors: the two widths.
pub(in crate::stages) fn fit(ragged: Ragged, cells: usize, width: usize, tail_is_empty: bool) -> Result<(), String> {
    let fits = match ragged {
        Ragged::Refuse => cells == width,
        Ragged::Pad => cells <= width || tail_is_empty,
    };
    if fits { Ok(()) } else { Err(format!("{cells} fields, header has {width}")) }
}

/// The row below the header as an object; `None` when there is none.
pub(super) fn object(form: &CsvForm, bytes: &[u8]) -> Result<Option<Json>, Unreadable> {
    let malformed = |detail: String| Unreadable::new(QuarantineReason::MalformedCsv, detail);
    let text = decode(form.encoding, bytes)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut records = reader(form, text.as_bytes()).into_records();
    let header = records.next().and_then(Result::ok).ok_or_else(|| malformed("header".to_owned()))?;
    let Some(row) = records.next() else { return Ok(None) };
    let row = row.map_err(|_| malformed("row".to_owned()))?;
    let tail_is_empty = row.iter().skip(header.len()).all(|cell| cell.trim().is_empty());
    fit(form.ragged, row.len(), header.len(), tail_is_empty).map_err(malformed)?;
    let cells = row.iter().chain(std::iter::repeat("")).map(|cell| Json::Text(cell.to_owned()));
    Ok(Some(Json::Object(names(&header).into_iter().zip(cells).collect())))
}

/// The header's names; of a name given twice the second is called `name (2)`.
fn names(header: &csv::StringRecord) -> Vec<String> {
    let mut seen = std::collections::HashMap::<&str, u32>::new();
    header
        .iter()
        .map(|name| {
            let name = name.trim();
            let times = seen.entry(name).or_default();
            *times += 1;
            if *times == 1 { name.to_owned() } else { format!("{name} ({times})") }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(form: &CsvForm, bytes: &[u8], name: &str) -> Option<String> {
        object(form, bytes).unwrap().unwrap().scalar(name).map(str::to_owned)
    }

    #[test]
    fn quotes_can_be_text_like_any_other() {
        let form = CsvForm { quote: Quote::None, ..CsvForm::default() };
        assert_eq!(cell(&form, b"a|b\nIN \\|\"x", "a").as_deref(), Some("IN \\"));
        assert_eq!(cell(&form, b"a|b\nIN \\|\"x", "b").as_deref(), Some("\"x"));
    }

    #[test]
    fn an_escape_keeps_a_quote_within_the_text() {
        let form = CsvForm { escape: Some('\\'), ..CsvForm::default() };
        assert_eq!(
            cell(
                &form,
                br#"a,b
"say \"ah\", please",2"#,
                "a"
            )
            .as_deref(),
            Some(r#"say "ah", please"#)
        );
    }

    #[test]
    fn names_given_twice_are_told_apart() {
        assert_eq!(cell(&CsvForm::default(), b"code,code\n1,2", "code").as_deref(), Some("1"));
        assert_eq!(cell(&CsvForm::default(), b"code,code\n1,2", "code (2)").as_deref(), Some("2"));
    }

    #[test]
    fn windows_1252_is_read_where_it_is_declared() {
        let form = CsvForm { encoding: Encoding::Windows1252, ..CsvForm::default() };
        assert_eq!(cell(&form, b"a\n38 \xb0C", "a").as_deref(), Some("38 °C"));
        assert_eq!(object(&CsvForm::default(), b"a\n38 \xb0C").unwrap_err().reason, QuarantineReason::InvalidUtf8);
    }

    #[test]
    fn ragged_rows_are_padded_only_where_it_is_declared_and_nothing_can_have_slipped() {
        let pad = CsvForm { ragged: Ragged::Pad, ..CsvForm::default() };
        assert_eq!(cell(&pad, b"a,b\n1", "b"), None);
        assert_eq!(cell(&pad, b"a,b\n1,2,,", "b").as_deref(), Some("2"));
        assert_eq!(object(&pad, b"a,b\n1,2,3").unwrap_err().reason, QuarantineReason::MalformedCsv);
        assert_eq!(object(&CsvForm::default(), b"a,b\n1").unwrap_err().detail, "1 fields, header has 2");
    }
}
