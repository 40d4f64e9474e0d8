//! How text becomes keyword terms: lower case, English stems, no stop words.

use tantivy::tokenizer::{
    Language, LowerCaser, RemoveLongFilter, SimpleTokenizer, Stemmer, StopWordFilter, TextAnalyzer,
};

/// Part of the recipe: a change of analysis is a new generation.
pub const REVISION: &str = "english-1";

const LONGEST_TERM_BYTES: usize = 64;

/// Function words only. "no", "not" and "without" stay: in a chart they carry the meaning.
const STOP_WORDS: [&str; 34] = [
    "a", "an", "and", "are", "as", "at", "be", "been", "but", "by", "for", "from", "had", "has", "have", "he", "her",
    "his", "in", "into", "is", "it", "its", "of", "on", "or", "she", "that", "the", "their", "to", "was", "were",
    "with",
];

pub fn analyzer() -> TextAnalyzer {
    TextAnalyzer::builder(SimpleTokenizer::default())
        .filter(RemoveLongFilter::limit(LONGEST_TERM_BYTES))
        .filter(LowerCaser)
        .filter(StopWordFilter::remove(STOP_WORDS.map(str::to_owned)))
        .filter(Stemmer::new(Language::English))
        .build()
}

/// The terms of `text`, in order, repeats kept.
pub fn terms(text: &str) -> Vec<String> {
    let mut analyzer = analyzer();
    let mut stream = analyzer.token_stream(text);
    let mut terms = Vec::new();
    stream.process(&mut |token| terms.push(token.text.clone()));
    terms
}

#[cfg(test)]
mod tests {
    use super::terms;

    #[test]
    fn words_meet_in_their_stem_and_negations_stay() {
        assert_eq!(terms("The infections were Not treated"), ["infect", "not", "treat"]);
    }
}
