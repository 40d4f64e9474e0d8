//! Runs a page's drawing instructions as far as they place text; everything else is only noticed.

use std::collections::HashMap;
use std::rc::Rc;

use lopdf::content::{Content, Operation};
use lopdf::{Dictionary, Document, Object, ObjectId};

use super::fonts::{Font, dictionary, name, resolved};
use super::layout::{PageText, Place};

/// Drawings within drawings.
const MAX_FORM_DEPTH: usize = 12;
const MAX_SAVED_STATES: usize = 512;
const MAX_PAGE_TEXT_BYTES: usize = 4 * 1024 * 1024;

/// What may be spent on a whole file, so that a small one can't ask for endless work.
#[derive(Debug)]
pub(super) struct Budget {
    pub operations: usize,
    pub bytes: usize,
}

#[derive(Debug, PartialEq)]
pub(super) struct BeyondBudget;

/// What a page showed.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub text: PageText,
    /// Characters whose font says what they mean, and those whose font doesn't.
    pub readable: usize,
    pub meaningless: usize,
    /// Whether a picture was painted.
    pub has_picture: bool,
    /// Whether lines or areas were drawn.
    pub has_drawing: bool,
}

/// The fonts of a file by their object, read once.
#[derive(Default)]
pub(super) struct Fonts {
    read: HashMap<ObjectId, Rc<Font>>,
}

/// `[a b c d e f]`, as the format writes a transformation.
#[derive(Clone, Copy, Debug)]
struct Matrix([f64; 6]);

impl Matrix {
    const IDENTITY: Self = Self([1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);

    fn read(operands: &[Object]) -> Option<Self> {
        let mut numbers = [0.0; 6];
        for (number, operand) in numbers.iter_mut().zip(operands) {
            *number = f64::from(operand.as_float().ok()?);
        }
        (operands.len() >= 6).then_some(Self(numbers))
    }

    /// First this, then `next`.
    fn then(self, next: Self) -> Self {
        let [a, b, c, d, e, f] = self.0;
        let [p, q, r, s, x, y] = next.0;
        Self([a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s, e * p + f * r + x, e * q + f * s + y])
    }

    fn moved(x: f64, y: f64) -> Self {
        Self([1.0, 0.0, 0.0, 1.0, x, y])
    }
}

#[derive(Clone)]
struct State {
    page: Matrix,
    font: Option<Rc<Font>>,
    size: f64,
    character_spacing: f64,
    word_spacing: f64,
    stretch: f64,
    leading: f64,
    rise: f64,
}

pub(super) struct Interpreter<'a> {
    document: &'a Document,
    fonts: &'a mut Fonts,
    budget: &'a mut Budget,
    page: Page,
    state: State,
    text: Matrix,
    line: Matrix,
}

impl<'a> Interpreter<'a> {
    pub fn new(document: &'a Document, fonts: &'a mut Fonts, budget: &'a mut Budget) -> Self {
        let state = State {
            page: Matrix::IDENTITY,
            font: None,
            size: 1.0,
            character_spacing: 0.0,
            word_spacing: 0.0,
            stretch: 1.0,
            leading: 0.0,
            rise: 0.0,
        };
        let (text, line) = (Matrix::IDENTITY, Matrix::IDENTITY);
        Self { document, fonts, budget, page: Page::default(), state, text, line }
    }

    /// Errors: the file asks for more work than is spent on one.
    pub fn page(mut self, id: ObjectId) -> Result<Page, BeyondBudget> {
        let content = self.document.get_page_content_with_limit(id, self.budget.bytes).map_err(|_| BeyondBudget)?;
        self.spend(content.len())?;
        let resources = self.inherited_resources(id);
        self.run(&content, resources, 0)?;
        Ok(self.page)
    }

    fn spend(&mut self, bytes: usize) -> Result<(), BeyondBudget> {
        self.budget.bytes = self.budget.bytes.checked_sub(bytes).ok_or(BeyondBudget)?;
        Ok(())
    }

    /// A page's resources may stand at any of its ancestors.
    fn inherited_resources(&self, page: ObjectId) -> Option<&'a Dictionary> {
        let mut node = self.document.get_dictionary(page).ok()?;
        for _ in 0..64 {
            if let Some(resources) = dictionary(self.document, node, b"Resources") {
                return Some(resources);
            }
            node = dictionary(self.document, node, b"Parent")?;
        }
        None
    }

    fn run(&mut self, content: &[u8], resources: Option<&'a Dictionary>, depth: usize) -> Result<(), BeyondBudget> {
        let mut saved: Vec<State> = Vec::new();
        for operation in Content::decode_iter(content) {
            // What can't be understood ends the page, as viewers do; what came before it stays.
            let Ok(operation) = operation else { break };
            self.budget.operations = self.budget.operations.checked_sub(1).ok_or(BeyondBudget)?;
            if self.page.text.len() > MAX_PAGE_TEXT_BYTES {
                return Err(BeyondBudget);
            }
            match operation.operator.as_str() {
                "q" if saved.len() < MAX_SAVED_STATES => saved.push(self.state.clone()),
                "Q" => {
                    if let Some(state) = saved.pop() {
                        self.state = state;
                    }
                }
                "Do" => self.paint(&operation, resources, depth)?,
                "Tf" => self.choose_font(&operation, resources),
                "BI" => self.page.has_picture = true,
                "S" | "s" | "f" | "F" | "f*" | "B" | "B*" | "b" | "b*" | "sh" => self.page.has_drawing = true,
                _ => self.place(&operation),
            }
        }
        Ok(())
    }

    fn place(&mut self, operation: &Operation) {
        let operands = operation.operands.as_slice();
        let number = |position: usize| operands.get(position).and_then(|o| o.as_float().ok()).map_or(0.0, f64::from);
        let string = |position: usize| operands.get(position).and_then(|operand| operand.as_str().ok());
        match operation.operator.as_str() {
            "cm" => {
                if let Some(matrix) = Matrix::read(operands) {
                    self.state.page = matrix.then(self.state.page);
                }
            }
            "BT" => self.start_line(Matrix::IDENTITY),
            "Tc" => self.state.character_spacing = number(0),
            "Tw" => self.state.word_spacing = number(0),
            "Tz" => self.state.stretch = number(0) / 100.0,
            "TL" => self.state.leading = number(0),
            "Ts" => self.state.rise = number(0),
            "Td" => self.start_line(Matrix::moved(number(0), number(1)).then(self.line)),
            "TD" => {
                self.state.leading = -number(1);
                self.start_line(Matrix::moved(number(0), number(1)).then(self.line));
            }
            "Tm" => {
                if let Some(matrix) = Matrix::read(operands) {
                    self.start_line(matrix);
                }
            }
            "T*" => self.next_line(),
            "Tj" => self.show(string(0).unwrap_or_default()),
            "'" => {
                self.next_line();
                self.show(string(0).unwrap_or_default());
            }
            "\"" => {
                self.state.word_spacing = number(0);
                self.state.character_spacing = number(1);
                self.next_line();
                self.show(string(2).unwrap_or_default());
            }
            "TJ" => {
                for part in operands.first().and_then(|array| array.as_array().ok()).into_iter().flatten() {
                    match part.as_str() {
                        Ok(bytes) => self.show(bytes),
                        Err(_) => self.advance(-f64::from(part.as_float().unwrap_or(0.0)) / 1000.0 * self.state.size),
                    }
                }
            }
            _ => {}
        }
    }

    fn start_line(&mut self, matrix: Matrix) {
        self.line = matrix;
        self.text = matrix;
    }

    fn next_line(&mut self) {
        self.start_line(Matrix::moved(0.0, -self.state.leading).then(self.line));
    }

    fn advance(&mut self, distance: f64) {
        self.text = Matrix::moved(distance * self.state.stretch, 0.0).then(self.text);
    }

    fn choose_font(&mut self, operation: &Operation, resources: Option<&'a Dictionary>) {
        let [font, size] = operation.operands.as_slice() else { return };
        self.state.size = size.as_float().map_or(1.0, f64::from);
        let fonts = resources.and_then(|resources| dictionary(self.document, resources, b"Font"));
        let named = font.as_name().ok().and_then(|name| fonts?.get(name).ok());
        self.state.font = named.and_then(|font| self.font(font));
    }

    fn font(&mut self, font: &'a Object) -> Option<Rc<Font>> {
        let id = font.as_reference().ok();
        if let Some(known) = id.and_then(|id| self.fonts.read.get(&id)) {
            return Some(Rc::clone(known));
        }
        let read = Rc::new(Font::read(self.document, resolved(self.document, font).as_dict().ok()?));
        if let Some(id) = id {
            self.fonts.read.insert(id, Rc::clone(&read));
        }
        Some(read)
    }

    fn show(&mut self, bytes: &[u8]) {
        let Some(font) = self.state.font.clone() else {
            self.page.meaningless += bytes.len();
            return;
        };
        for shown in font.shown(bytes) {
            let width = shown.width * self.state.size;
            match &shown.text {
                Some(text) => {
                    self.page.readable += usize::from(!text.trim().is_empty());
                    self.put(text, width);
                }
                None => self.page.meaningless += 1,
            }
            let spacing = if shown.is_word_space { self.state.word_spacing } else { 0.0 };
            self.advance(width + self.state.character_spacing + spacing);
        }
    }

    fn put(&mut self, text: &str, width: f64) {
        let raised = Matrix::moved(0.0, self.state.rise).then(self.text).then(self.state.page);
        let [a, b, c, d, x, y] = raised.0;
        let reach = a.hypot(b);
        if !(reach.is_finite() && x.is_finite() && y.is_finite()) || reach == 0.0 {
            return;
        }
        let (cosine, sine) = (a / reach, b / reach);
        let angle = sine.atan2(cosine).to_degrees().round();
        let place = Place {
            angle: angle as i16,
            along: x * cosine + y * sine,
            across: y * cosine - x * sine,
            width: width * reach * self.state.stretch,
            size: (self.state.size * c.hypot(d)).abs(),
        };
        self.page.text.put(place, text);
    }

    /// A picture, or a drawing of its own that may hold text.
    fn paint(
        &mut self,
        operation: &Operation,
        resources: Option<&'a Dictionary>,
        depth: usize,
    ) -> Result<(), BeyondBudget> {
        let objects = resources.and_then(|resources| dictionary(self.document, resources, b"XObject"));
        let named = operation.operands.first().and_then(|name| name.as_name().ok());
        let object = named.and_then(|name| objects?.get(name).ok()).map(|object| resolved(self.document, object));
        let Some(stream) = object.and_then(|object| object.as_stream().ok()) else { return Ok(()) };
        match name(self.document, &stream.dict, b"Subtype").as_deref() {
            Some("Image") => self.page.has_picture = true,
            Some("Form") if depth < MAX_FORM_DEPTH => {
                let content =
                    stream.get_plain_content_with_limit(self.budget.bytes).or_else(|error| unreadable(&error))?;
                self.spend(content.len().max(64))?;
                let own = dictionary(self.document, &stream.dict, b"Resources").or(resources);
                let (outside, text, line) = (self.state.clone(), self.text, self.line);
                let matrix = super::fonts::array(self.document, &stream.dict, b"Matrix");
                if let Some(matrix) = matrix.and_then(Matrix::read) {
                    self.state.page = matrix.then(self.state.page);
                }
                self.run(&content, own, depth + 1)?;
                (self.state, self.text, self.line) = (outside, text, line);
            }
            _ => {}
        }
        Ok(())
    }
}

/// A drawing that is damaged is left out; one that is too large ends the reading.
fn unreadable(error: &lopdf::Error) -> Result<Vec<u8>, BeyondBudget> {
    match error {
        lopdf::Error::Decompress(lopdf::DecompressError::MemoryLimitExceeded { .. }) => Err(BeyondBudget),
        _ => Ok(Vec::new()),
    }
}
