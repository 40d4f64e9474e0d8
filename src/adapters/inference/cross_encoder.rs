//! Scores how well a passage answers a query, by reading both together: slower and better than comparing vectors.

use std::path::Path;

use candle_core::{Device, Tensor};
use candle_nn::{Linear, Module, VarBuilder};
use rayon::prelude::*;
use tokenizers::Tokenizer;

use super::manifest::{Manifest, Pooling, Task};
use super::network::{Network, read};
use super::packed::Sequence;
use super::precision::Precision;
use super::tokens::{load_tokenizer, truncating};
use super::weights::{DeviceChoice, InferenceError};

/// A loaded cross-encoder of BERT's form. Cheap to share, costly to load; every method may run on many threads.
pub struct CrossEncoder {
    network: Network,
    /// Of the first token's state, with tanh after it; not all models have one.
    pooler: Option<Linear>,
    classifier: Linear,
    tokenizer: Tokenizer,
    revision: String,
}

impl CrossEncoder {
    /// Reads and verifies the model's files in `folder`, as [`obtain`](super::obtain) returns it. Computes in f32.
    pub fn load(manifest: &Manifest, folder: &Path, device: DeviceChoice) -> Result<Self, InferenceError> {
        if manifest.task != Task::Rank {
            return Err(InferenceError::Unloadable("the manifest's task isn't rank".to_owned()));
        }
        let manifest = &manifest.with_record(folder);
        let (config, weights) = read(manifest, folder, &device.open()?)?;
        let head = Head::load(&weights, config.hidden_size)?;
        Ok(Self {
            network: Network::build(weights, &config, Pooling::Cls, Precision::F32)?,
            pooler: head.pooler,
            classifier: head.classifier,
            tokenizer: truncating(&load_tokenizer(manifest, folder)?, manifest)?,
            revision: manifest.fingerprint(Precision::F32),
        })
    }

    /// One score per passage, in the order of the passages: the model's own number, without bounds, more for better.
    ///
    /// Of a pair beyond the longest input, the end of the longer text is not seen. Computes on rayon's threads and
    /// blocks until it is done.
    pub fn score(&self, query: &str, passages: &[&str]) -> Result<Vec<f32>, InferenceError> {
        if passages.is_empty() {
            return Ok(Vec::new());
        }
        let tokenize = |(position, passage): (usize, &&str)| {
            self.tokenizer.encode_fast((query, *passage), true).map_err(|_| InferenceError::Tokens { position })
        };
        let pairs: Vec<_> = passages.par_iter().enumerate().map(tokenize).collect::<Result<_, _>>()?;
        let sequences: Vec<Sequence> = pairs
            .iter()
            .map(|pair| Sequence {
                ids: pair.get_ids(),
                second_segment: pair.get_type_ids().iter().position(|segment| *segment > 0).unwrap_or(pair.len()),
            })
            .collect();
        Ok(self.judge(self.network.forward(&sequences)?)?)
    }

    /// Scores are comparable only when made under one revision.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    fn judge(&self, states: Vec<Vec<f32>>) -> candle_core::Result<Vec<f32>> {
        let count = states.len();
        let states = Tensor::from_vec(states.concat(), (count, ()), &Device::Cpu)?;
        let states = match &self.pooler {
            Some(pooler) => pooler.forward(&states)?.tanh()?,
            None => states,
        };
        self.classifier.forward(&states)?.flatten_all()?.to_vec1()
    }
}

/// The last layers, on the CPU wherever the model is: one row per pair is nothing to move.
struct Head {
    pooler: Option<Linear>,
    classifier: Linear,
}

impl Head {
    fn load(weights: &VarBuilder, hidden: usize) -> Result<Self, InferenceError> {
        let linear = |name: &str, outputs: usize| -> candle_core::Result<Linear> {
            let tensor =
                |part: &str, shape: &[usize]| weights.get(shape, &format!("{name}.{part}"))?.to_device(&Device::Cpu);
            Ok(Linear::new(tensor("weight", &[outputs, hidden])?, Some(tensor("bias", &[outputs])?)))
        };
        let pooler = ["bert.pooler.dense", "pooler.dense"]
            .into_iter()
            .find(|name| weights.contains_tensor(&format!("{name}.weight")))
            .map(|name| linear(name, hidden))
            .transpose()?;
        // More than one output would be classes, not a score.
        let classifier = linear("classifier", 1)
            .map_err(|error| InferenceError::Unloadable(format!("a cross-encoder needs one output: {error}")))?;
        Ok(Self { pooler, classifier })
    }
}

#[cfg(test)]
mod tests {
    use candle_core::DType;
    use candle_transformers::models::bert::{BertModel, Config};

    use super::super::tiny_model::{write_tiny_cross_encoder, write_tiny_model};
    use super::*;

    fn tiny() -> (CrossEncoder, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let manifest = Manifest::parse(&write_tiny_cross_encoder(folder.path(), 3)).unwrap();
        (CrossEncoder::load(&manifest, folder.path(), DeviceChoice::Cpu).unwrap(), folder)
    }

    const PASSAGES: [&str; 4] = ["the patient takes aspirin daily", "", "no fever", "chest pain and fever, no aspirin"];

    /// One pair at a time through candle's own model and the formula of BERT's paper.
    fn plain(folder: &Path, tokenizer: &Tokenizer, query: &str, passage: &str) -> f32 {
        let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
        let config: Config = serde_json::from_slice(&read("config.json")).unwrap();
        let weights =
            VarBuilder::from_buffered_safetensors(read("model.safetensors"), DType::F32, &Device::Cpu).unwrap();
        let model = BertModel::load(weights.clone(), &config).unwrap();
        let pair = tokenizer.encode((query, passage), true).unwrap();
        let tensor = |values: &[u32]| Tensor::new(values, &Device::Cpu).unwrap().unsqueeze(0).unwrap();
        let states = model.forward(&tensor(pair.get_ids()), &tensor(pair.get_type_ids()), None).unwrap();
        let first = states.narrow(1, 0, 1).unwrap().squeeze(1).unwrap();
        let size = config.hidden_size;
        let pooler = candle_nn::linear(size, size, weights.pp("bert.pooler.dense")).unwrap();
        let classifier = candle_nn::linear(size, 1, weights.pp("classifier")).unwrap();
        let score = classifier.forward(&pooler.forward(&first).unwrap().tanh().unwrap()).unwrap();
        score.flatten_all().unwrap().to_vec1().unwrap()[0]
    }

    #[test]
    fn scores_are_those_of_candles_own_model_pair_by_pair() {
        let (model, folder) = tiny();
        let scores = model.score("has the patient fever", &PASSAGES).unwrap();
        for (passage, score) in PASSAGES.iter().zip(&scores) {
            let expected = plain(folder.path(), &model.tokenizer, "has the patient fever", passage);
            assert!((score - expected).abs() < 1e-4, "{score} {expected}");
        }
        assert!(scores.iter().any(|score| (score - scores[0]).abs() > 1e-3), "{scores:?}");
    }

    #[test]
    fn a_score_does_not_depend_on_the_other_passages() {
        let (model, _folder) = tiny();
        let together = model.score("fever", &PASSAGES).unwrap();
        for (passage, score) in PASSAGES.iter().zip(together) {
            assert!((model.score("fever", &[passage]).unwrap()[0] - score).abs() < 1e-5);
        }
        assert_eq!(model.score("fever", &[]).unwrap(), Vec::<f32>::new());
    }

    #[test]
    fn texts_beyond_the_longest_input_are_cut_not_refused() {
        let (model, _folder) = tiny();
        let long = "pain ".repeat(500);
        assert_eq!(model.score(&long, &[&long, "fever"]).unwrap().len(), 2);
    }

    #[test]
    fn an_embedder_is_no_cross_encoder_and_the_other_way_round() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = Manifest::parse(&write_tiny_model(folder.path(), 3)).unwrap();
        for task in [Task::Embed, Task::Rank] {
            let manifest = Manifest { task, ..manifest.clone() };
            let refused = CrossEncoder::load(&manifest, folder.path(), DeviceChoice::Cpu).err();
            assert!(matches!(refused, Some(InferenceError::Unloadable(_))));
        }
        let ranker = Manifest { task: Task::Rank, ..manifest };
        let refused = super::super::Embedder::load(&ranker, folder.path(), DeviceChoice::Cpu).err();
        assert!(matches!(refused, Some(InferenceError::Unloadable(_))));
    }
}
