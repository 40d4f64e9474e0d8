//! Turns texts into unit vectors: tokenizes and computes.

use std::path::Path;

use kernels::{Level, to_unit_length};
use rayon::prelude::*;
use tokenizers::Tokenizer;

use super::manifest::{Manifest, Task};
use super::network::Network;
use super::packed::Sequence;
use super::precision::{Precision, PrecisionChoice};
use super::tokens::{load_tokenizer, truncating, unloadable};
use super::weights::{DeviceChoice, InferenceError};
use super::wordpiece::WordPiece;

/// What a text is to the model: some models were trained with a prefix for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Query,
    Passage,
}

/// A text as the model takes it.
#[derive(Clone, Debug)]
pub struct Tokens {
    ids: Vec<u32>,
    cut: usize,
}

impl Tokens {
    #[cfg(test)]
    pub(crate) fn from_ids(ids: Vec<u32>) -> Self {
        Self { ids, cut: 0 }
    }

    /// Special tokens included.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Tokens of the text's end that the model doesn't see.
    pub fn cut(&self) -> usize {
        self.cut
    }
}

/// A loaded embedding model. Cheap to share, costly to load; every method may run on many threads.
pub struct Embedder {
    network: Network,
    /// Truncates to the model's longest input.
    tokenizer: Tokenizer,
    /// Sees all of a text.
    counter: Tokenizer,
    /// Faster, where the model's rules and the text allow it.
    pieces: Option<WordPiece>,
    /// What stands before and after each text.
    specials: Specials,
    query_prefix: String,
    passage_prefix: String,
    dimension: usize,
    max_tokens: usize,
    /// The longest input, special tokens included.
    window: usize,
    revision: String,
    precision: Precision,
}

impl Embedder {
    /// Reads and verifies the model's files in `folder`, as [`obtain`](super::obtain) returns it.
    ///
    /// In the fastest precision that [`PrecisionChoice::Fastest`] allows.
    pub fn load(manifest: &Manifest, folder: &Path, device: DeviceChoice) -> Result<Self, InferenceError> {
        Self::load_in(PrecisionChoice::Fastest, manifest, folder, device)
    }

    /// Reads and verifies the model's files in `folder`, to compute in the precision that is asked for.
    pub fn load_in(
        precision: PrecisionChoice,
        manifest: &Manifest,
        folder: &Path,
        device: DeviceChoice,
    ) -> Result<Self, InferenceError> {
        if manifest.task != Task::Embed {
            return Err(InferenceError::Unloadable("the manifest's task isn't embed".to_owned()));
        }
        let manifest = &manifest.with_record(folder);
        let precision = precision.choose(manifest, device)?;
        let device = device.open()?;
        let counter = load_tokenizer(manifest, folder)?;
        let specials = Specials::of(&counter)?;
        let prefix = counter.encode_fast(manifest.passage_prefix.as_str(), false).map_err(unloadable)?.len();
        if manifest.max_tokens <= specials.len() + prefix {
            return Err(InferenceError::Unloadable("max_tokens leaves no room for text".to_owned()));
        }
        let tokenizer = truncating(&counter, manifest)?;
        Ok(Self {
            network: Network::load(manifest, folder, &device, precision)?,
            pieces: WordPiece::of(&counter),
            tokenizer,
            counter,
            query_prefix: manifest.query_prefix.clone(),
            passage_prefix: manifest.passage_prefix.clone(),
            dimension: manifest.dimension,
            max_tokens: manifest.max_tokens - specials.len() - prefix,
            specials,
            window: manifest.max_tokens,
            revision: manifest.fingerprint(precision),
            precision,
        })
    }

    /// One vector of unit length per text, in the order of the texts.
    ///
    /// What goes beyond the longest input is not seen. Computes on rayon's threads and blocks
    /// until it is done.
    pub fn embed(&self, texts: &[&str], role: Role) -> Result<Vec<Vec<f32>>, InferenceError> {
        let sequences = self.tokenize(texts, role)?;
        let sequences: Vec<Sequence> = sequences.iter().map(|text| Sequence::single(&text.ids)).collect();
        Ok(unit(self.network.forward(&sequences)?))
    }

    /// Tokens of the whole text, without the special ones; what can't be tokenized counts its bytes.
    pub fn count_tokens(&self, text: &str) -> usize {
        if let Some(ids) = self.pieces.as_ref().and_then(|pieces| pieces.ids(text)) {
            return ids.len();
        }
        self.counter.encode_fast(text, false).map_or(text.len(), |encoding| encoding.len())
    }

    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Tokens of a passage that the model sees, as [`count_tokens`](Self::count_tokens) counts them.
    pub fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Vectors are comparable only when made under one revision.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// One per text, in order, on rayon's threads: what [`compute`](Self::compute) takes.
    pub fn tokenize(&self, texts: &[&str], role: Role) -> Result<Vec<Tokens>, InferenceError> {
        let prefix = match role {
            Role::Query => &self.query_prefix,
            Role::Passage => &self.passage_prefix,
        };
        let tokenize = |(position, text): (usize, &&str)| {
            self.tokens(&format!("{prefix}{text}")).map_err(|_| InferenceError::Tokens { position })
        };
        match texts {
            // Sooner done than another thread is awake.
            [text] => Ok(vec![tokenize((0, text))?]),
            _ => texts.par_iter().enumerate().map(tokenize).collect(),
        }
    }

    fn tokens(&self, text: &str) -> Result<Tokens, tokenizers::Error> {
        if let Some(ids) = self.pieces.as_ref().and_then(|pieces| pieces.ids(text)) {
            return Ok(self.specials.around(ids, self.window));
        }
        let ids = self.tokenizer.encode_fast(text, true)?.get_ids().to_vec();
        // Only a text that fills the window can have been cut: few are looked at twice.
        let cut = if ids.len() < self.window { 0 } else { self.counter.encode_fast(text, true)?.len() - ids.len() };
        Ok(Tokens { ids, cut })
    }

    /// One vector of unit length per text, in order, on the calling thread.
    pub fn compute(&self, texts: &[&Tokens]) -> Result<Vec<Vec<f32>>, InferenceError> {
        let sequences: Vec<Sequence> = texts.iter().map(|text| Sequence::single(&text.ids)).collect();
        Ok(unit(self.network.forward_here(&sequences)?))
    }

    pub fn is_on_cpu(&self) -> bool {
        self.network.is_on_cpu()
    }

    /// The processor's vector instructions that the kernels use.
    pub fn vector_level(&self) -> &'static str {
        Level::best().name()
    }
}

/// The tokens that the model wants around each text.
struct Specials {
    before: Vec<u32>,
    after: Vec<u32>,
}

impl Specials {
    fn of(tokenizer: &Tokenizer) -> Result<Self, InferenceError> {
        let ids = |with: bool| {
            let encoding = tokenizer.encode_fast("a", with).map_err(unloadable)?;
            Ok::<_, InferenceError>(encoding.get_ids().to_vec())
        };
        let (whole, text) = (ids(true)?, ids(false)?);
        let at = whole.windows(text.len().max(1)).position(|window| window == text).unwrap_or_default();
        let after = whole.get(at + text.len()..).unwrap_or_default();
        Ok(Self { before: whole.get(..at).unwrap_or_default().to_vec(), after: after.to_vec() })
    }

    fn len(&self) -> usize {
        self.before.len() + self.after.len()
    }

    /// A text's tokens with these around it, cut to the window.
    fn around(&self, text: Vec<u32>, window: usize) -> Tokens {
        let kept = text.len().min(window - self.len());
        let seen = text.get(..kept).unwrap_or_default();
        Tokens { ids: [&self.before, seen, &self.after].concat(), cut: text.len() - kept }
    }
}

fn unit(mut vectors: Vec<Vec<f32>>) -> Vec<Vec<f32>> {
    vectors.iter_mut().for_each(|vector| to_unit_length(Level::best(), vector));
    vectors
}

#[cfg(test)]
mod tests {
    use super::super::tiny_model::{DIMENSION, MAX_TOKENS, write_tiny_model};
    use super::*;

    fn tiny() -> (Embedder, Manifest, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let manifest = Manifest::parse(&write_tiny_model(folder.path(), 7)).unwrap();
        (Embedder::load(&manifest, folder.path(), DeviceChoice::Cpu).unwrap(), manifest, folder)
    }

    /// The default model, where its files are there already.
    fn real() -> Option<Embedder> {
        real_in(Precision::F32)
    }

    fn real_in(precision: Precision) -> Option<Embedder> {
        let manifest = Manifest::default_embedder();
        let folder = std::env::var_os("ANAMNESIS_MODEL_DIR").map(|cache| manifest.folder_in(Path::new(&cache)));
        match folder.filter(|folder| folder.is_dir()) {
            Some(folder) => {
                let choice = PrecisionChoice::Fixed(precision);
                Some(Embedder::load_in(choice, &manifest, &folder, DeviceChoice::Cpu).unwrap())
            }
            None => {
                eprintln!("SKIPPED: ANAMNESIS_MODEL_DIR doesn't hold {}", manifest.name);
                None
            }
        }
    }

    fn dot(one: &[f32], other: &[f32]) -> f32 {
        one.iter().zip(other).map(|(a, b)| a * b).sum()
    }

    fn cosine(embedder: &Embedder, one: &str, other: &str) -> f32 {
        let vectors = embedder.embed(&[one, other], Role::Passage).unwrap();
        dot(&vectors[0], &vectors[1])
    }

    /// Texts of very different lengths, none like another.
    fn assorted() -> Vec<String> {
        (0..60).map(|n: usize| format!("patient {n} ") + &"has chest pain, no fever ".repeat(n * 7 % 13)).collect()
    }

    fn assert_batching_changes_nothing(embedder: &Embedder) {
        let texts = assorted();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let together = embedder.embed(&texts, Role::Passage).unwrap();
        assert_eq!(together.len(), texts.len());
        for (text, vector) in texts.iter().zip(&together) {
            let alone = &embedder.embed(&[text], Role::Passage).unwrap()[0];
            assert_eq!(alone.len(), embedder.dimension());
            assert!((dot(alone, alone) - 1.0).abs() < 1e-5);
            assert!(alone.iter().zip(vector).all(|(one, other)| (one - other).abs() < 1e-5));
        }
    }

    #[test]
    fn vectors_are_of_unit_length_in_the_order_of_the_texts_and_alike_however_batched() {
        let (embedder, ..) = tiny();
        assert_eq!(embedder.dimension(), DIMENSION);
        assert_batching_changes_nothing(&embedder);
    }

    #[test]
    fn no_texts_have_no_vectors_and_an_empty_text_has_one() {
        let (embedder, ..) = tiny();
        assert_eq!(embedder.embed(&[], Role::Query).unwrap().len(), 0);
        assert_eq!(embedder.embed(&["", "fever"], Role::Query).unwrap().len(), 2);
    }

    #[test]
    fn the_manifest_decides_where_a_text_is_cut_off() {
        let (embedder, ..) = tiny();
        assert_eq!(embedder.max_tokens(), MAX_TOKENS - 2);
        let filled = |count: usize| "pain ".repeat(count);
        let same = |at: usize| {
            let (one, other) = (filled(at) + "fever", filled(at) + "aspirin");
            cosine(&embedder, &one, &other) > 0.999_999
        };
        assert!(!same(8), "the tokenizer file's own limit still holds");
        assert!(!same(embedder.max_tokens() - 1));
        assert!(same(embedder.max_tokens()));
    }

    #[test]
    fn what_is_cut_off_is_told() {
        let (embedder, ..) = tiny();
        for (words, cut) in [(3, 0), (embedder.max_tokens(), 0), (embedder.max_tokens() + 1, 1), (500, 454)] {
            let text = "pain ".repeat(words);
            let tokens = embedder.tokenize(&[&text], Role::Passage).unwrap();
            assert_eq!((tokens[0].cut(), tokens[0].len()), (cut, words.min(MAX_TOKENS - 2) + 2));
        }
    }

    #[test]
    fn a_thread_of_ones_own_computes_the_same() {
        let (embedder, ..) = tiny();
        let texts = ["fever", "", "the patient has no chest pain"];
        let tokens = embedder.tokenize(&texts, Role::Passage).unwrap();
        let here = embedder.compute(&tokens.iter().collect::<Vec<_>>()).unwrap();
        for (one, other) in here.iter().zip(embedder.embed(&texts, Role::Passage).unwrap()) {
            assert!(dot(one, &other) > 0.999_99);
        }
    }

    #[test]
    fn a_text_has_the_tokens_that_the_general_tokenizer_gives_it() {
        let (embedder, ..) = tiny();
        for text in ["", "pain", "no fever, [SEP] no pain", &"pain ".repeat(500), "na\u{ef}ve pain"] {
            let expected = embedder.tokenizer.encode_fast(text, true).unwrap().get_ids().to_vec();
            assert_eq!(embedder.tokens(text).unwrap().ids, expected, "{text}");
        }
    }

    #[test]
    fn tokens_are_counted_to_the_end_and_without_the_special_ones() {
        let (embedder, ..) = tiny();
        assert_eq!(embedder.count_tokens(&"pain ".repeat(500)), 500);
        assert_eq!(embedder.count_tokens(""), 0);
        assert!(embedder.count_tokens("[SEP]") > 1, "text that looks like a special token is text");
    }

    #[test]
    fn prefixes_go_before_their_texts_and_take_room() {
        let (plain, manifest, folder) = tiny();
        let manifest = Manifest { query_prefix: "no ".into(), passage_prefix: "daily mg ".into(), ..manifest };
        let prefixed = Embedder::load(&manifest, folder.path(), DeviceChoice::Cpu).unwrap();
        for (role, written_out) in [(Role::Query, "no fever"), (Role::Passage, "daily mg fever")] {
            let expected = plain.embed(&[written_out], role).unwrap();
            assert!(dot(&prefixed.embed(&["fever"], role).unwrap()[0], &expected[0]) > 0.999_99);
        }
        assert_eq!(prefixed.max_tokens(), plain.max_tokens() - 2);
        assert_ne!(prefixed.revision(), plain.revision());
    }

    #[test]
    fn files_with_other_bytes_are_refused() {
        let (_, manifest, folder) = tiny();
        write_tiny_model(folder.path(), 8);
        let refused = Embedder::load(&manifest, folder.path(), DeviceChoice::Cpu).err();
        assert!(matches!(refused, Some(InferenceError::Mismatch { file }) if file == "model.safetensors"));
    }

    #[test]
    fn the_default_model_knows_a_paraphrase() {
        let Some(embedder) = real() else { return };
        assert_eq!((embedder.dimension(), embedder.max_tokens()), (384, 254));
        for (text, paraphrase, unrelated) in [
            ("The patient denies chest pain.", "No pain in the chest was reported.", "The invoice was paid in May."),
            ("She takes metformin for diabetes.", "Her diabetes is treated with metformin.", "The knee was swollen."),
            ("Blood pressure is too high.", "The patient is hypertensive.", "The parcel arrived yesterday."),
        ] {
            let (near, far) = (cosine(&embedder, text, paraphrase), cosine(&embedder, text, unrelated));
            assert!(near > far + 0.3, "{near} {far}: {text}");
        }
    }

    #[test]
    fn the_default_model_sees_256_tokens() {
        let Some(embedder) = real() else { return };
        let ended = |count: usize, end: &str| "pain ".repeat(count) + end;
        assert_eq!(embedder.count_tokens(&ended(300, "fever")), 301);
        for (count, seen) in [(150, true), (253, true), (254, false)] {
            let similarity = cosine(&embedder, &ended(count, "invoice"), &ended(count, "fever"));
            assert_eq!(similarity < 0.999_999, seen, "after {count} words: {similarity}");
        }
    }

    #[test]
    fn the_default_model_is_alike_however_batched() {
        let Some(embedder) = real() else { return };
        assert_batching_changes_nothing(&embedder);
    }

    /// The least cosine between the vectors of the same texts.
    fn least_cosine(one: &Embedder, other: &Embedder) -> f32 {
        let texts = assorted();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let embed = |embedder: &Embedder| embedder.embed(&texts, Role::Passage).unwrap();
        embed(one).iter().zip(embed(other)).map(|(one, other)| dot(one, &other)).fold(1.0, f32::min)
    }

    #[test]
    fn in_fewer_bits_a_vector_is_near_the_reference_and_alike_however_batched() {
        let (full, manifest, folder) = tiny();
        for (precision, least) in [(Precision::Int8, 0.995), (Precision::Int7, 0.99)] {
            let choice = PrecisionChoice::Fixed(precision);
            let reduced = Embedder::load_in(choice, &manifest, folder.path(), DeviceChoice::Cpu).unwrap();
            assert_ne!(full.revision(), reduced.revision());
            assert!(least_cosine(&full, &reduced) > least, "{precision}");
            assert_batching_changes_nothing(&reduced);
        }
    }

    #[test]
    fn the_default_model_in_fewer_bits_is_near_the_reference() {
        for (precision, least) in [(Precision::Int8, 0.99), (Precision::Int7, 0.98)] {
            let (Some(full), Some(reduced)) = (real(), real_in(precision)) else { return };
            let cosine = least_cosine(&full, &reduced);
            assert!(cosine > least, "{precision}: {cosine}");
        }
    }
}
