//! The tokenizer that a GGUF file of the Gemma and Llama 2 families holds: pieces with scores, after SentencePiece.
//!
//! Of all neighbours that make a piece together, those whose piece has the best score are joined first. The same is
//! said by a list of pairs in the order of their piece's score, which is what `tokenizers` joins by. What no piece
//! covers is spelled in bytes.

use std::cmp::Ordering;

use candle_core::quantized::gguf_file::{Content, Value};
use tokenizers::decoders::DecoderWrapper;
use tokenizers::decoders::byte_fallback::ByteFallback;
use tokenizers::decoders::fuse::Fuse;
use tokenizers::decoders::sequence::Sequence as DecoderSequence;
use tokenizers::decoders::strip::Strip;
use tokenizers::models::bpe::{BPE, Merges, Vocab};
use tokenizers::normalizers::{NormalizerWrapper, Prepend, Replace, Sequence};
use tokenizers::{AddedToken, Tokenizer};

/// Stands for a space.
const SPACE: &str = "\u{2581}";
/// Kinds of pieces, as `tokenizer.ggml.token_type` numbers them.
const NORMAL: i64 = 1;
const UNKNOWN: i64 = 2;
const CONTROL: i64 = 3;
const USER_DEFINED: i64 = 4;

#[derive(Debug, thiserror::Error)]
pub(super) enum PiecesError {
    #[error("the tokenizer's {0} can't be read")]
    Unreadable(&'static str),
    #[error("the tokenizer can't be built: {0}")]
    Unfit(String),
}

/// Whether the file's tokenizer is of this family.
pub(super) fn is_in(content: &Content) -> bool {
    metadata(content, "model").is_some_and(|model| model.to_string().is_ok_and(|model| model == "llama"))
}

pub(super) fn read(content: &Content) -> Result<Tokenizer, PiecesError> {
    let has_space_before = metadata(content, "add_space_prefix").and_then(|value| value.to_bool().ok());
    Pieces::read(content)?.tokenizer(has_space_before.unwrap_or(true))
}

#[derive(Debug)]
struct Piece {
    text: String,
    score: f32,
    kind: i64,
}

/// By their number.
#[derive(Debug)]
struct Pieces(Vec<Piece>);

impl Pieces {
    fn read(content: &Content) -> Result<Self, PiecesError> {
        let list = |name: &'static str| {
            let values = metadata(content, name).and_then(|value| value.to_vec().ok());
            values.ok_or(PiecesError::Unreadable(name))
        };
        let (texts, scores, kinds) = (list("tokens")?, list("scores")?, list("token_type")?);
        if texts.len() != scores.len() || texts.len() != kinds.len() {
            return Err(PiecesError::Unreadable("scores"));
        }
        let piece = |((text, score), kind): ((&Value, &Value), &Value)| {
            Ok(Piece {
                text: text.to_string().map_err(|_| PiecesError::Unreadable("tokens"))?.clone(),
                score: score.to_f32().map_err(|_| PiecesError::Unreadable("scores"))?,
                kind: i64::from(kind.to_i32().map_err(|_| PiecesError::Unreadable("token_type"))?),
            })
        };
        texts.iter().zip(scores).zip(kinds).map(piece).collect::<Result<_, _>>().map(Self)
    }

    fn tokenizer(&self, has_space_before: bool) -> Result<Tokenizer, PiecesError> {
        let numbers: Vocab = self.0.iter().zip(0..).map(|(piece, number)| (piece.text.clone(), number)).collect();
        let merges = self.merges(&numbers);
        let mut bpe = BPE::builder().vocab_and_merges(numbers, merges).byte_fallback(true).fuse_unk(true);
        if let Some(unknown) = self.0.iter().find(|piece| piece.kind == UNKNOWN) {
            bpe = bpe.unk_token(unknown.text.clone());
        }
        let unfit = |error: tokenizers::Error| PiecesError::Unfit(error.to_string());
        let mut tokenizer = Tokenizer::new(bpe.build().map_err(unfit)?);
        let spaces = Replace::new(" ", SPACE).map_err(unfit)?;
        let mut normalizers: Vec<NormalizerWrapper> = vec![spaces.into()];
        let words = Replace::new(SPACE, " ").map_err(unfit)?;
        let mut decoders: Vec<DecoderWrapper> = vec![words.into(), ByteFallback::new().into(), Fuse::new().into()];
        if has_space_before {
            normalizers.insert(0, Prepend::new(SPACE.to_owned()).into());
            decoders.push(Strip::new(' ', 1, 0).into());
        }
        tokenizer.with_normalizer(Some(Sequence::new(normalizers))).map_err(unfit)?;
        tokenizer.with_decoder(Some(DecoderSequence::new(decoders)));
        let of_kind = |kind: i64| self.0.iter().filter(move |piece| piece.kind == kind);
        let whole = of_kind(USER_DEFINED).map(|piece| AddedToken::from(piece.text.clone(), false).normalized(true));
        tokenizer.add_tokens(whole.collect::<Vec<_>>()).map_err(unfit)?;
        let marks = of_kind(CONTROL).map(|piece| AddedToken::from(piece.text.clone(), true));
        tokenizer.add_special_tokens(marks.collect::<Vec<_>>()).map_err(unfit)?;
        Ok(tokenizer)
    }

    /// Every way to make a piece of two others, the best piece first.
    fn merges(&self, numbers: &Vocab) -> Merges {
        let mut made: Vec<(&Piece, u32, u32, (String, String))> = Vec::new();
        for piece in self.0.iter().filter(|piece| piece.kind == NORMAL) {
            for (at, _) in piece.text.char_indices().skip(1) {
                let (left, right) = piece.text.split_at(at);
                if let (Some(first), Some(second)) = (numbers.get(left), numbers.get(right)) {
                    made.push((piece, *first, *second, (left.to_owned(), right.to_owned())));
                }
            }
        }
        made.sort_by(|one, other| {
            let by_score = other.0.score.partial_cmp(&one.0.score).unwrap_or(Ordering::Equal);
            by_score.then((one.1, one.2).cmp(&(other.1, other.2)))
        });
        made.into_iter().map(|(_, _, _, pair)| pair).collect()
    }
}

fn metadata<'a>(content: &'a Content, name: &str) -> Option<&'a Value> {
    content.metadata.get(&format!("tokenizer.ggml.{name}"))
}

#[cfg(test)]
mod tests {
    use super::{CONTROL, NORMAL, Piece, Pieces, UNKNOWN, USER_DEFINED};

    const BYTE: i64 = 6;

    /// "new" and "er" are better than "we", so that the order of joining shows.
    fn pieces() -> Pieces {
        let bytes = (0..=255_u8).map(|byte| (format!("<0x{byte:02X}>"), 0.0, BYTE));
        let marks = [("<unk>", UNKNOWN), ("<s>", CONTROL), ("</s>", CONTROL), ("\n\n", USER_DEFINED)];
        let marks = marks.into_iter().map(|(text, kind)| (text.to_owned(), 0.0, kind));
        let letters = ["\u{2581}", "n", "e", "w", "r", "s"].into_iter().map(|text| (text.to_owned(), -90.0, NORMAL));
        let joined = [("ne", -1.0), ("new", -2.0), ("er", -3.0), ("we", -4.0), ("wer", -5.0), ("\u{2581}new", -6.0)];
        let joined = joined.into_iter().map(|(text, score)| (text.to_owned(), score, NORMAL));
        let all = marks.chain(bytes).chain(letters).chain(joined);
        Pieces(all.map(|(text, score, kind)| Piece { text, score, kind }).collect())
    }

    fn split(text: &str, has_space_before: bool) -> Vec<String> {
        let tokenizer = pieces().tokenizer(has_space_before).unwrap();
        tokenizer.encode(text, false).unwrap().get_tokens().to_vec()
    }

    #[test]
    fn the_best_piece_is_joined_first() {
        assert_eq!(split("newer", false), ["new", "er"]);
        assert_eq!(split("wers", false), ["wer", "s"]);
        assert_eq!(split("we news", false), ["we", "\u{2581}new", "s"]);
    }

    #[test]
    fn a_space_is_put_before_where_the_model_learned_so() {
        assert_eq!(split("new", true), ["\u{2581}new"]);
        assert_eq!(split("new", false), ["new"]);
    }

    #[test]
    fn what_no_piece_covers_is_spelled_in_bytes_and_read_back() {
        assert_eq!(split("n\u{b5}", false), ["n", "<0xC2>", "<0xB5>"]);
        for has_space_before in [false, true] {
            let tokenizer = pieces().tokenizer(has_space_before).unwrap();
            for text in ["newer news", "5 \u{b5}g\n\nnew", " we  re "] {
                let encoded = tokenizer.encode(text, false).unwrap();
                assert_eq!(tokenizer.decode(encoded.get_ids(), true).unwrap(), text);
            }
        }
    }

    #[test]
    fn marks_and_whole_pieces_keep_their_numbers() {
        let tokenizer = pieces().tokenizer(false).unwrap();
        let numbers = |text: &str| tokenizer.encode(text, false).unwrap().get_ids().to_vec();
        assert_eq!((numbers("</s>"), numbers("\n\n")), (vec![2], vec![3]));
        assert_eq!(tokenizer.decode(&[1, 2], true).unwrap(), "");
    }
}
