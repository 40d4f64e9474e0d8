//! The forward pass: token ids in, one vector per sequence out.

use std::path::Path;

use candle_core::{DType, Device};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::Config;
use kernels::{Level, mean_of_rows};
use rayon::prelude::*;

use super::grouping::{even_groups, similar_batches};
use super::manifest::{Architecture, CONFIG, Manifest, Pooling, WEIGHTS};
use super::packed::{PackedBert, Sequence};
use super::padded::PaddedBert;
use super::precision::Precision;
use super::weights::{InferenceError, read_verified};

/// A model on its device.
pub(super) struct Network {
    bert: Bert,
    pooling: Pooling,
}

enum Bert {
    Packed(PackedBert),
    Padded(PaddedBert),
}

impl Network {
    /// Accelerators compute in f32 only.
    pub(super) fn load(
        manifest: &Manifest,
        folder: &Path,
        device: &Device,
        precision: Precision,
    ) -> Result<Self, InferenceError> {
        let (config, weights) = read(manifest, folder, device)?;
        Self::build(weights, &config, manifest.pooling, precision)
    }

    pub(super) fn build(
        weights: VarBuilder,
        config: &Config,
        pooling: Pooling,
        precision: Precision,
    ) -> Result<Self, InferenceError> {
        let bert = if weights.device().is_cpu() {
            PackedBert::load(&weights, config, Level::best(), precision).map(Bert::Packed)
        } else {
            PaddedBert::load(weights, config).map(Bert::Padded)
        };
        let bert = bert.map_err(|error| InferenceError::Unloadable(format!("{WEIGHTS}: {error}")))?;
        Ok(Self { bert, pooling })
    }

    /// One vector per sequence, in order. On the CPU it computes on rayon's threads.
    pub(super) fn forward(&self, sequences: &[Sequence]) -> Result<Vec<Vec<f32>>, InferenceError> {
        match &self.bert {
            Bert::Packed(model) => self.forward_packed(model, sequences),
            Bert::Padded(model) => self.forward_padded(model, sequences),
        }
    }

    /// As [`forward`](Self::forward), on the calling thread.
    pub(super) fn forward_here(&self, sequences: &[Sequence]) -> Result<Vec<Vec<f32>>, InferenceError> {
        match &self.bert {
            Bert::Packed(model) => Ok(model.run(sequences, |states| self.pool(model, states))?),
            Bert::Padded(model) => self.forward_padded(model, sequences),
        }
    }

    pub(super) fn is_on_cpu(&self) -> bool {
        matches!(self.bert, Bert::Packed(_))
    }

    fn forward_packed(&self, model: &PackedBert, sequences: &[Sequence]) -> Result<Vec<Vec<f32>>, InferenceError> {
        let compute = |group: &[Sequence]| model.run(group, |states| self.pool(model, states));
        let groups: Vec<Vec<Vec<f32>>> = even_groups(sequences, rayon::current_num_threads())
            .into_par_iter()
            .map(|group| compute(sequences.get(group).unwrap_or_default()))
            .collect::<candle_core::Result<_>>()?;
        Ok(groups.into_iter().flatten().collect())
    }

    /// `states` has a row for each token.
    fn pool(&self, model: &PackedBert, states: &[f32]) -> Vec<f32> {
        let mut vector = vec![0.0; model.hidden()];
        match self.pooling {
            Pooling::Cls => vector.iter_mut().zip(states).for_each(|(value, state)| *value = *state),
            Pooling::Mean if states.is_empty() => {}
            Pooling::Mean => mean_of_rows(model.level(), states, &mut vector),
        }
        vector
    }

    fn forward_padded(&self, model: &PaddedBert, sequences: &[Sequence]) -> Result<Vec<Vec<f32>>, InferenceError> {
        let mut vectors = vec![Vec::new(); sequences.len()];
        for batch in similar_batches(sequences) {
            let of_batch: Vec<Sequence> = batch.iter().filter_map(|at| sequences.get(*at)).copied().collect();
            for (at, vector) in batch.into_iter().zip(model.forward(&of_batch, self.pooling)?) {
                vectors[at] = vector;
            }
        }
        Ok(vectors)
    }
}

pub(super) fn read(
    manifest: &Manifest,
    folder: &Path,
    device: &Device,
) -> Result<(Config, VarBuilder<'static>), InferenceError> {
    let Architecture::Bert = manifest.architecture;
    let config: Config = serde_json::from_slice(&read_verified(manifest, folder, CONFIG)?)
        .map_err(|error| InferenceError::Unloadable(format!("{CONFIG}: {error}")))?;
    if let Some(defect) = defect(&config, manifest) {
        return Err(InferenceError::Unloadable(defect.to_owned()));
    }
    let tensors = candle_core::safetensors::load_buffer(&read_verified(manifest, folder, WEIGHTS)?, device)?;
    Ok((config, VarBuilder::from_tensors(tensors, DType::F32, device)))
}

fn defect(config: &Config, manifest: &Manifest) -> Option<&'static str> {
    if config.hidden_size != manifest.dimension {
        Some("the manifest's dimension isn't the hidden_size of config.json")
    } else if manifest.max_tokens > config.max_position_embeddings {
        Some("the manifest's max_tokens goes beyond the positions of config.json")
    } else if config.num_attention_heads == 0 || !config.hidden_size.is_multiple_of(config.num_attention_heads) {
        Some("config.json has a hidden_size that its attention heads don't divide")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::tiny_model::write_tiny_model;
    use super::*;

    /// The model as on an accelerator, but on the CPU.
    fn padded(manifest: &Manifest, folder: &Path) -> Network {
        let (config, weights) = read(manifest, folder, &Device::Cpu).unwrap();
        Network { bert: Bert::Padded(PaddedBert::load(weights, &config).unwrap()), pooling: manifest.pooling }
    }

    #[test]
    fn the_packed_and_the_padded_model_give_the_same_vectors() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = Manifest::parse(&write_tiny_model(folder.path(), 1)).unwrap();
        let sequences: Vec<Vec<u32>> =
            (1..30).map(|length| (0..length).map(|n| (n * 7 + length) % 80).collect()).collect();
        for pooling in [Pooling::Mean, Pooling::Cls] {
            let manifest = Manifest { pooling, ..manifest.clone() };
            let packed = Network::load(&manifest, folder.path(), &Device::Cpu, Precision::F32).unwrap();
            let padded = padded(&manifest, folder.path());
            // Every third with a second segment, as a cross-encoder has.
            let sequences: Vec<Sequence> = sequences
                .iter()
                .enumerate()
                .map(|(n, ids)| Sequence { ids, second_segment: if n % 3 == 0 { ids.len() / 2 } else { ids.len() } })
                .collect();
            let vectors = packed.forward(&sequences).unwrap();
            for (one, other) in vectors.iter().zip(padded.forward(&sequences).unwrap()) {
                assert!(one.iter().zip(&other).all(|(a, b)| (a - b).abs() < 1e-5), "{one:?} {other:?}");
            }
            assert!(vectors[0].iter().zip(&vectors[28]).any(|(one, other)| (one - other).abs() > 0.01));
        }
    }

    #[test]
    fn the_default_model_packed_is_candles_own() {
        let manifest = Manifest::default_embedder();
        let cache = std::env::var_os("ANAMNESIS_MODEL_DIR").map(std::path::PathBuf::from);
        let Some(folder) = cache.map(|cache| manifest.folder_in(&cache)).filter(|folder| folder.is_dir()) else {
            eprintln!("SKIPPED: ANAMNESIS_MODEL_DIR doesn't hold {}", manifest.name);
            return;
        };
        let packed = Network::load(&manifest, &folder, &Device::Cpu, Precision::F32).unwrap();
        let sequences: Vec<Vec<u32>> =
            [3, 14, 64, 200, 256].iter().map(|length| (0..*length).map(|n| 1000 + n * 97 % 20_000).collect()).collect();
        let sequences: Vec<Sequence> = sequences.iter().map(|ids| Sequence::single(ids)).collect();
        let other = padded(&manifest, &folder).forward(&sequences).unwrap();
        for (one, other) in packed.forward(&sequences).unwrap().iter().zip(&other) {
            let dot = |one: &[f32], other: &[f32]| one.iter().zip(other).map(|(a, b)| a * b).sum::<f32>();
            let cosine = dot(one, other) / (dot(one, one) * dot(other, other)).sqrt();
            assert!(cosine > 0.999_99, "{cosine}");
        }
    }

    #[test]
    fn a_token_the_model_does_not_know_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = Manifest::parse(&write_tiny_model(folder.path(), 1)).unwrap();
        let network = Network::load(&manifest, folder.path(), &Device::Cpu, Precision::F32).unwrap();
        assert!(network.forward(&[Sequence::single(&[2, 100_000, 3])]).is_err());
        assert!(network.forward(&[Sequence::single(&[2; 65])]).is_err(), "more tokens than positions");
        assert_eq!(network.forward(&[Sequence::single(&[2, 3])]).unwrap().len(), 1);
    }

    #[test]
    fn a_manifest_that_describes_another_model_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = Manifest::parse(&write_tiny_model(folder.path(), 1)).unwrap();
        for other in [Manifest { dimension: 64, ..manifest.clone() }, Manifest { max_tokens: 65, ..manifest }] {
            let refused = Network::load(&other, folder.path(), &Device::Cpu, Precision::F32).err();
            assert!(matches!(refused, Some(InferenceError::Unloadable(_))));
        }
    }
}
