//! A model's tokenizer, with the manifest's own limit instead of the file's.

use std::path::Path;

use tokenizers::{Tokenizer, TruncationParams};

use super::manifest::{Manifest, TOKENIZER};
use super::weights::{InferenceError, read_verified};

/// The tokenizer with its file's own truncation and padding taken off, and `[SEP]` in a text read as text.
pub(super) fn load_tokenizer(manifest: &Manifest, folder: &Path) -> Result<Tokenizer, InferenceError> {
    let mut tokenizer = Tokenizer::from_bytes(read_verified(manifest, folder, TOKENIZER)?).map_err(unloadable)?;
    tokenizer.with_truncation(None).map_err(unloadable)?.with_padding(None);
    tokenizer.set_encode_special_tokens(true);
    Ok(tokenizer)
}

/// Cut off at the manifest's longest input; of a pair, the longer text is cut first.
pub(super) fn truncating(tokenizer: &Tokenizer, manifest: &Manifest) -> Result<Tokenizer, InferenceError> {
    let mut tokenizer = tokenizer.clone();
    let truncation = TruncationParams { max_length: manifest.max_tokens, ..TruncationParams::default() };
    tokenizer.with_truncation(Some(truncation)).map_err(unloadable)?;
    Ok(tokenizer)
}

pub(super) fn unloadable(error: tokenizers::Error) -> InferenceError {
    InferenceError::Unloadable(format!("{TOKENIZER}: {error}"))
}
