//! Writes a BERT with random weights, small enough to make in a test, and its manifest.
//!
//! Included by path from unit and integration tests alike, so it names nothing of the crate.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use candle_core::{Device, Tensor};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub const DIMENSION: usize = 32;
pub const MAX_TOKENS: usize = 48;
/// `manifest.folder_in(cache)` is `<cache>/tiny/1`.
pub const NAME: &str = "tiny";
pub const REVISION: &str = "1";

const LAYERS: usize = 2;
const INTERMEDIATE: usize = 64;
const WORDS: &[&str] =
    &["the", "patient", "has", "pain", "chest", "fever", "no", "and", "takes", "aspirin", "daily", "mg"];

/// As [`write_tiny_model`], with a head that makes a score of two texts.
#[allow(dead_code)]
pub fn write_tiny_cross_encoder(folder: &Path, seed: u64) -> String {
    write_tiny_model(folder, seed);
    let encoder = weights(vocabulary().len(), seed);
    let mut tensors: HashMap<_, _> =
        encoder.into_iter().map(|(name, tensor)| (format!("bert.{name}"), tensor)).collect();
    let mut random = Random::seeded(seed ^ 0x5c0e);
    for (name, shape) in [
        ("bert.pooler.dense.weight", &[DIMENSION, DIMENSION][..]),
        ("bert.pooler.dense.bias", &[DIMENSION]),
        ("classifier.weight", &[1, DIMENSION]),
        ("classifier.bias", &[1]),
    ] {
        tensors.insert(name.to_owned(), random.tensor(shape, 0.0));
    }
    candle_core::safetensors::save(&tensors, folder.join("model.safetensors")).unwrap();
    manifest(folder).replace("dimension =", "task = \"rank\"\ndimension =")
}

/// Writes `config.json`, `tokenizer.json` and `model.safetensors`; returns the manifest as TOML.
///
/// One seed, one model. The tokenizer file asks for truncation and padding to 8, as real ones do.
pub fn write_tiny_model(folder: &Path, seed: u64) -> String {
    fs::create_dir_all(folder).unwrap();
    let vocabulary = vocabulary();
    fs::write(folder.join("config.json"), config(vocabulary.len()).to_string()).unwrap();
    fs::write(folder.join("tokenizer.json"), tokenizer(&vocabulary).to_string()).unwrap();
    candle_core::safetensors::save(&weights(vocabulary.len(), seed), folder.join("model.safetensors")).unwrap();
    manifest(folder)
}

fn manifest(folder: &Path) -> String {
    let mut text = format!(
        "name = \"{NAME}\"\nrevision = \"{REVISION}\"\narchitecture = \"bert\"\ndimension = {DIMENSION}\n\
         max_tokens = {MAX_TOKENS}\npooling = \"mean\"\nnormalize = true\nquery_prefix = \"\"\n\
         passage_prefix = \"\"\nlicence = \"CC0-1.0\"\n"
    );
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        let bytes = fs::read(folder.join(name)).unwrap();
        let sha256 = hex::encode(Sha256::digest(&bytes));
        let length = bytes.len();
        text += &format!("\n[[files]]\nname = \"{name}\"\nbytes = {length}\nsha256 = \"{sha256}\"\n");
    }
    text
}

fn vocabulary() -> Vec<String> {
    let characters: Vec<char> = ('a'..='z').chain('0'..='9').collect();
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", ".", ",", "-", ":"].map(str::to_owned);
    let single = characters.iter().map(char::to_string);
    let continuing = characters.iter().map(|c| format!("##{c}"));
    let words = WORDS.iter().map(|word| (*word).to_owned());
    special.into_iter().chain(single).chain(continuing).chain(words).collect()
}

fn config(vocabulary: usize) -> Value {
    json!({
        "architectures": ["BertModel"], "model_type": "bert", "vocab_size": vocabulary, "hidden_size": DIMENSION,
        "num_hidden_layers": LAYERS, "num_attention_heads": 4, "intermediate_size": INTERMEDIATE, "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1, "max_position_embeddings": 64,
        "type_vocab_size": 2, "initializer_range": 0.02, "layer_norm_eps": 1e-12, "pad_token_id": 0
    })
}

fn tokenizer(vocabulary: &[String]) -> Value {
    let ids: serde_json::Map<_, _> = (0..).zip(vocabulary).map(|(id, word)| (word.clone(), json!(id))).collect();
    let special = |id: u32, content: &str| {
        json!({"id": id, "content": content, "special": true, "single_word": false, "lstrip": false,
               "rstrip": false, "normalized": false})
    };
    let template = |id: &str| json!({"SpecialToken": {"id": id, "type_id": 0}});
    json!({
        "version": "1.0",
        "truncation": {"max_length": 8, "strategy": "LongestFirst", "stride": 0},
        "padding": {"strategy": {"Fixed": 8}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
                    "pad_type_id": 0, "pad_token": "[PAD]"},
        "added_tokens": [special(0, "[PAD]"), special(1, "[UNK]"), special(2, "[CLS]"), special(3, "[SEP]")],
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                       "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [template("[CLS]"), {"Sequence": {"id": "A", "type_id": 0}}, template("[SEP]")],
            "pair": [template("[CLS]"), {"Sequence": {"id": "A", "type_id": 0}}, template("[SEP]"),
                     {"Sequence": {"id": "B", "type_id": 1}}, {"SpecialToken": {"id": "[SEP]", "type_id": 1}}],
            "special_tokens": {
                "[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]},
                "[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]}
            }
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": ids}
    })
}

fn weights(vocabulary: usize, seed: u64) -> HashMap<String, Tensor> {
    let mut random = Random::seeded(seed);
    let mut tensors = HashMap::new();
    let mut add = |name: String, shape: &[usize], around: f32| {
        tensors.insert(name, random.tensor(shape, around));
    };
    let hidden = DIMENSION;
    for (table, rows) in [("word", vocabulary), ("position", 64), ("token_type", 2)] {
        add(format!("embeddings.{table}_embeddings.weight"), &[rows, hidden], 0.0);
    }
    let mut norms = vec!["embeddings.LayerNorm".to_owned()];
    for layer in (0..LAYERS).map(|layer| format!("encoder.layer.{layer}")) {
        let maps = [
            ("attention.self.query", hidden, hidden),
            ("attention.self.key", hidden, hidden),
            ("attention.self.value", hidden, hidden),
            ("attention.output.dense", hidden, hidden),
            ("intermediate.dense", INTERMEDIATE, hidden),
            ("output.dense", hidden, INTERMEDIATE),
        ];
        for (map, rows, columns) in maps {
            add(format!("{layer}.{map}.weight"), &[rows, columns], 0.0);
            add(format!("{layer}.{map}.bias"), &[rows], 0.0);
        }
        norms.push(format!("{layer}.attention.output.LayerNorm"));
        norms.push(format!("{layer}.output.LayerNorm"));
    }
    for norm in norms {
        add(format!("{norm}.weight"), &[hidden], 1.0);
        add(format!("{norm}.bias"), &[hidden], 0.0);
    }
    tensors
}

/// Xorshift, scaled to -0.5..0.5: enough for weights that only have to differ.
struct Random(u64);

impl Random {
    fn seeded(seed: u64) -> Self {
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn tensor(&mut self, shape: &[usize], around: f32) -> Tensor {
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| around + 0.4 * self.next()).collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    }
}
