//! How text becomes keyword terms: clinical words, lower case, English stems, no stop words.

use std::collections::HashMap;
use std::sync::LazyLock;

use tantivy::tokenizer::{
    AsciiFoldingFilter, Language, RawTokenizer, RemoveLongFilter, Stemmer, StopWordFilter, TextAnalyzer, Token,
    TokenStream, Tokenizer,
};

use super::words::{Word, words};

/// Part of the recipe: a change of analysis is a new generation.
pub const REVISION: &str = "clinical-english-1";

const LONGEST_TERM_BYTES: usize = 64;

/// Function words only. "no", "not" and "without" stay: in a chart they carry the meaning.
const STOP_WORDS: [&str; 34] = [
    "a", "an", "and", "are", "as", "at", "be", "been", "but", "by", "for", "from", "had", "has", "have", "he", "her",
    "his", "in", "into", "is", "it", "its", "of", "on", "or", "she", "that", "the", "their", "to", "was", "were",
    "with",
];

/// Of texts, and of words alone: made once, as their lists of words are long beside a question.
static OF_TEXTS: LazyLock<TextAnalyzer> = LazyLock::new(|| filtered(ClinicalTokenizer));
static OF_WORDS: LazyLock<TextAnalyzer> = LazyLock::new(|| filtered(RawTokenizer::default()));

pub fn analyzer() -> TextAnalyzer {
    OF_TEXTS.clone()
}

fn filtered(words: impl Tokenizer) -> TextAnalyzer {
    TextAnalyzer::builder(words)
        .filter(RemoveLongFilter::limit(LONGEST_TERM_BYTES))
        .filter(AsciiFoldingFilter)
        .filter(StopWordFilter::remove(STOP_WORDS.map(str::to_owned)))
        .filter(Stemmer::new(Language::English))
        .build()
}

/// A term and where it stands: words count from 0, those left out included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedTerm {
    pub text: String,
    pub position: u32,
}

/// The terms of `text`, in order, repeats kept.
pub fn terms(text: &str) -> Vec<PlacedTerm> {
    let mut analyzer = analyzer();
    let mut stream = analyzer.token_stream(text);
    let mut terms = Vec::new();
    stream.process(&mut |token| {
        terms.push(PlacedTerm { text: token.text.clone(), position: token.position as u32 });
    });
    terms
}

/// The terms of single words, each worked out once: where many texts are gone through for a few terms.
pub struct TermOfWord {
    analyzer: TextAnalyzer,
    known: HashMap<String, Option<String>>,
}

impl TermOfWord {
    pub fn new() -> Self {
        Self { analyzer: OF_WORDS.clone(), known: HashMap::new() }
    }

    /// `None` for a word that is no term.
    pub fn get(&mut self, word: &str) -> Option<&str> {
        if !self.known.contains_key(word) {
            let mut stream = self.analyzer.token_stream(word);
            let term = stream.next().map(|token| token.text.clone());
            self.known.insert(word.to_owned(), term);
        }
        self.known.get(word)?.as_deref()
    }
}

/// [`words`] for tantivy.
#[derive(Clone)]
struct ClinicalTokenizer;

struct ClinicalTokens {
    words: std::vec::IntoIter<Word>,
    token: Token,
}

impl Tokenizer for ClinicalTokenizer {
    type TokenStream<'a> = ClinicalTokens;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> ClinicalTokens {
        ClinicalTokens { words: words(text).into_iter(), token: Token::default() }
    }
}

impl TokenStream for ClinicalTokens {
    fn advance(&mut self) -> bool {
        let Some(word) = self.words.next() else { return false };
        self.token = Token {
            offset_from: word.from,
            offset_to: word.to,
            position: word.position as usize,
            text: word.text,
            position_length: 1,
        };
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}

#[cfg(test)]
mod tests {
    use super::{TermOfWord, terms, words};

    fn texts(text: &str) -> Vec<String> {
        terms(text).into_iter().map(|term| term.text).collect()
    }

    #[test]
    fn words_meet_in_their_stem_and_negations_stay() {
        assert_eq!(texts("The infections were Not treated"), ["infect", "not", "treat"]);
    }

    #[test]
    fn a_word_alone_becomes_the_term_that_it_is_in_a_text() {
        let text = "The infections of Ménière's ear were Not treated: 10mg follow-up on 2024-03-05, E11.9";
        let mut of_word = TermOfWord::new();
        let alone: Vec<String> =
            words(text).iter().filter_map(|word| of_word.get(&word.text).map(str::to_owned)).collect();
        assert_eq!(alone, texts(text));
    }

    #[test]
    fn a_word_left_out_keeps_its_place() {
        let places: Vec<u32> = terms("shortness of breath").iter().map(|term| term.position).collect();
        assert_eq!(places, [0, 2]);
    }

    #[test]
    fn marks_on_letters_make_no_difference() {
        assert_eq!(texts("Ménière Sjögren"), texts("Meniere Sjogren"));
    }
}
