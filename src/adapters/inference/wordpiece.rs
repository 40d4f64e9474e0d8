//! Token ids of ASCII text for BERT's tokenizers.
//!
//! The general tokenizer keeps where each token stands in the text, and makes a string of each piece that it tries in
//! vain. Here only ids are asked for, and nearly all clinical text is ASCII; what isn't goes the general way.
//! Source: Wu et al. 2016, section 4.1, and the rules of BERT's `BasicTokenizer` (Devlin et al. 2019).

use std::collections::HashMap;

use tokenizers::models::ModelWrapper;
use tokenizers::normalizers::NormalizerWrapper;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::{Model, Tokenizer};

type Pieces = HashMap<Box<[u8]>, u32>;

pub(super) struct WordPiece {
    /// What a word may begin with.
    beginnings: Pieces,
    /// What it may go on with.
    continuations: Pieces,
    /// Bytes of the longest piece.
    longest: usize,
    unknown: u32,
    /// A longer word isn't looked at.
    longest_word: usize,
    has_case: bool,
}

impl WordPiece {
    /// `None` for a tokenizer that goes by other rules.
    pub(super) fn of(tokenizer: &Tokenizer) -> Option<Self> {
        let ModelWrapper::WordPiece(model) = tokenizer.get_model() else { return None };
        let Some(NormalizerWrapper::BertNormalizer(normalizer)) = tokenizer.get_normalizer() else { return None };
        let Some(PreTokenizerWrapper::BertPreTokenizer(_)) = tokenizer.get_pre_tokenizer() else { return None };
        // A special token in a text is text to us; others would have to be looked for first.
        if !normalizer.clean_text || tokenizer.get_added_tokens_decoder().values().any(|token| !token.special) {
            return None;
        }
        let (mut beginnings, mut continuations) = (Pieces::new(), Pieces::new());
        for (piece, id) in model.get_vocab() {
            match piece.strip_prefix(&model.continuing_subword_prefix) {
                Some(rest) => continuations.insert(rest.as_bytes().into(), id),
                None => beginnings.insert(piece.as_bytes().into(), id),
            };
        }
        Some(Self {
            longest: beginnings.keys().chain(continuations.keys()).map(|piece| piece.len()).max()?,
            unknown: *beginnings.get(model.unk_token.as_bytes())?,
            beginnings,
            continuations,
            longest_word: model.max_input_chars_per_word,
            has_case: !normalizer.lowercase,
        })
    }

    /// Those of the whole text, without the special ones; `None` when it isn't ASCII.
    pub(super) fn ids(&self, text: &str) -> Option<Vec<u32>> {
        if !text.is_ascii() {
            return None;
        }
        let mut ids = Vec::with_capacity(text.len() / 4);
        let mut word = Vec::new();
        for byte in text.bytes() {
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' => self.end_word(&mut word, &mut ids),
                // Taken out, as if what stands around it stood together.
                _ if byte.is_ascii_control() => {}
                _ if byte.is_ascii_punctuation() => {
                    self.end_word(&mut word, &mut ids);
                    word.push(byte);
                    self.end_word(&mut word, &mut ids);
                }
                _ if self.has_case => word.push(byte),
                _ => word.push(byte.to_ascii_lowercase()),
            }
        }
        self.end_word(&mut word, &mut ids);
        Some(ids)
    }

    fn end_word(&self, word: &mut Vec<u8>, ids: &mut Vec<u32>) {
        let before = ids.len();
        if !word.is_empty() && !self.cut_up(word, ids) {
            ids.truncate(before);
            ids.push(self.unknown);
        }
        word.clear();
    }

    /// The longest piece that fits, again and again; false when none does.
    fn cut_up(&self, word: &[u8], ids: &mut Vec<u32>) -> bool {
        if word.len() > self.longest_word {
            return false;
        }
        let (mut rest, mut pieces) = (word, &self.beginnings);
        while !rest.is_empty() {
            let lengths = (1..=rest.len().min(self.longest)).rev();
            let Some((length, id)) =
                lengths.into_iter().find_map(|length| Some((length, *pieces.get(&rest[..length])?)))
            else {
                return false;
            };
            ids.push(id);
            (rest, pieces) = (&rest[length..], &self.continuations);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::manifest::Manifest;
    use super::super::tiny_model::write_tiny_model;
    use super::super::tokens::load_tokenizer;
    use super::*;

    fn tiny() -> Tokenizer {
        let folder = tempfile::tempdir().unwrap();
        let manifest = Manifest::parse(&write_tiny_model(folder.path(), 7)).unwrap();
        load_tokenizer(&manifest, folder.path()).unwrap()
    }

    /// The default model's, where it is there already.
    fn real() -> Option<Tokenizer> {
        let manifest = Manifest::default_embedder();
        let cache = std::env::var_os("ANAMNESIS_MODEL_DIR");
        let folder =
            cache.map(|cache| manifest.folder_in(std::path::Path::new(&cache))).filter(|folder| folder.is_dir());
        if folder.is_none() {
            eprintln!("SKIPPED: ANAMNESIS_MODEL_DIR doesn't hold {}", manifest.name);
        }
        folder.map(|folder| load_tokenizer(&manifest, &folder).unwrap())
    }

    fn general(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
        tokenizer.encode_fast(text, false).unwrap().get_ids().to_vec()
    }

    proptest! {
        #[test]
        fn ids_are_those_of_the_general_tokenizer(
            texts in prop::collection::vec("[\\x00-\\x7f]{0,60}|[a-zA-Z]{0,120}|( ?(pain|FEVER|chest|no|[a-e]{1,9}|\\[SEP\\]|##[a-e]|[.,#'-]))*", 1..8),
        ) {
            thread_local! {
                static TOKENIZERS: Vec<(Tokenizer, WordPiece)> =
                    [Some(tiny()), real()].into_iter().flatten().map(|general| {
                        let pieces = WordPiece::of(&general).expect("a tokenizer of BERT's");
                        (general, pieces)
                    }).collect();
            }
            TOKENIZERS.with(|tokenizers| {
                for ((tokenizer, pieces), text) in tokenizers.iter().flat_map(|each| texts.iter().map(move |text| (each, text))) {
                    prop_assert_eq!(pieces.ids(text), Some(general(tokenizer, text)), "{:?}", text);
                }
                Ok(())
            })?;
        }
    }

    #[test]
    fn other_text_goes_the_general_way() {
        assert_eq!(WordPiece::of(&tiny()).unwrap().ids("naïve"), None);
    }
}
