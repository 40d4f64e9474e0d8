//! Writes small PDFs for tests: pages of drawing instructions, by hand, byte by byte.

use lopdf::{Dictionary, Document, EncryptionState, EncryptionVersion, Object, Permissions, Stream};

/// Objects by number from 1; object 1 is the catalog, 2 the page tree, 3 the font `F1`.
pub struct PdfWriter {
    objects: Vec<Vec<u8>>,
    pages: Vec<usize>,
    info: String,
}

impl PdfWriter {
    pub fn new() -> Self {
        let font = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>".to_vec();
        Self { objects: vec![Vec::new(), Vec::new(), font], pages: Vec::new(), info: String::new() }
    }

    pub fn about(mut self, key: &str, value: &str) -> Self {
        self.info.push_str(&format!("/{key}({value})"));
        self
    }

    pub fn object(&mut self, body: impl Into<Vec<u8>>) -> usize {
        self.objects.push(body.into());
        self.objects.len()
    }

    pub fn stream(&mut self, entries: &str, content: &[u8]) -> usize {
        let mut body = format!("<<{entries}/Length {}>>stream\n", content.len()).into_bytes();
        body.extend_from_slice(content);
        body.extend_from_slice(b"\nendstream");
        self.object(body)
    }

    /// A page of lines, 14 apart.
    pub fn page_of_lines(mut self, lines: &[&str]) -> Self {
        let shown: Vec<String> = lines.iter().map(|line| format!("({line}) Tj T*")).collect();
        self.page(&format!("BT /F1 11 Tf 14 TL 72 720 Td {} ET", shown.join(" ")));
        self
    }

    pub fn page(&mut self, content: &str) -> usize {
        let content = self.stream("", content.as_bytes());
        self.page_with(content, "/Font<</F1 3 0 R>>", "")
    }

    pub fn compressed_page(&mut self, content: &str) -> usize {
        // What doesn't shrink is left as it is, so there is something to shrink.
        let content = format!("{content}{}", " ".repeat(500));
        let mut stream = Stream::new(Dictionary::new(), content.into_bytes());
        stream.compress().unwrap();
        assert!(stream.dict.has(b"Filter"));
        let content = self.stream("/Filter/FlateDecode", &stream.content);
        self.page_with(content, "/Font<</F1 3 0 R>>", "")
    }

    pub fn page_with(&mut self, content: usize, resources: &str, entries: &str) -> usize {
        let page = self.object(format!(
            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<<{resources}>>/Contents {content} 0 R{entries}>>"
        ));
        self.pages.push(page);
        page
    }

    pub fn write(mut self) -> Vec<u8> {
        let kids: Vec<String> = self.pages.iter().map(|page| format!("{page} 0 R")).collect();
        self.objects[0] = b"<</Type/Catalog/Pages 2 0 R>>".to_vec();
        self.objects[1] = format!("<</Type/Pages/Count {}/Kids[{}]>>", kids.len(), kids.join(" ")).into_bytes();
        let info = self.object(format!("<<{}>>", self.info.clone()));
        let mut file = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n".to_vec();
        let mut starts = Vec::new();
        for (number, body) in (1..).zip(&self.objects) {
            starts.push(file.len());
            file.extend_from_slice(format!("{number} 0 obj\n").as_bytes());
            file.extend_from_slice(body);
            file.extend_from_slice(b"\nendobj\n");
        }
        let table = file.len();
        let entries: String = starts.iter().map(|start| format!("{start:010} 00000 n \n")).collect();
        let size = starts.len() + 1;
        file.extend_from_slice(
            format!(
                "xref\n0 {size}\n0000000000 65535 f \n{entries}trailer\n<</Size {size}/Root 1 0 R/Info {info} 0 R>>\n\
                 startxref\n{table}\n%%EOF\n"
            )
            .as_bytes(),
        );
        file
    }
}

/// The same file, locked: the empty user password opens it or doesn't.
pub fn locked(file: &[u8], user_password: &str) -> Vec<u8> {
    let mut document = Document::load_mem(file).unwrap();
    let id = Object::string_literal("0123456789abcdef");
    document.trailer.set("ID", Object::Array(vec![id.clone(), id]));
    let version = EncryptionVersion::V2 {
        document: &document,
        owner_password: "owner",
        user_password,
        key_length: 128,
        permissions: Permissions::all(),
    };
    let state = EncryptionState::try_from(version).unwrap();
    document.encrypt(&state).unwrap();
    let mut written = Vec::new();
    document.save_to(&mut written).unwrap();
    written
}
