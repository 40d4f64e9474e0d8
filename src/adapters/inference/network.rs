//! The forward pass: token ids in, one unit vector per sequence out.

use std::path::Path;

use candle_core::{D, DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config};

use super::manifest::{Architecture, CONFIG, Manifest, Pooling, WEIGHTS};
use super::weights::{InferenceError, read_verified};

pub(super) struct Network {
    model: BertModel,
    pooling: Pooling,
    padding: u32,
    device: Device,
}

impl Network {
    pub(super) fn load(manifest: &Manifest, folder: &Path, device: Device) -> Result<Self, InferenceError> {
        let Architecture::Bert = manifest.architecture;
        let config: Config = serde_json::from_slice(&read_verified(manifest, folder, CONFIG)?)
            .map_err(|error| InferenceError::Unloadable(format!("{CONFIG}: {error}")))?;
        if let Some(defect) = defect(&config, manifest) {
            return Err(InferenceError::Unloadable(defect.to_owned()));
        }
        let tensors = candle_core::safetensors::load_buffer(&read_verified(manifest, folder, WEIGHTS)?, &device)?;
        let model = BertModel::load(VarBuilder::from_tensors(tensors, DType::F32, &device), &config)
            .map_err(|error| InferenceError::Unloadable(format!("{WEIGHTS}: {error}")))?;
        let padding = u32::try_from(config.pad_token_id).unwrap_or(0);
        Ok(Self { model, pooling: manifest.pooling, padding, device })
    }

    pub(super) fn is_on_cpu(&self) -> bool {
        self.device.is_cpu()
    }

    /// Sequences of near-equal length waste least: all are padded to the longest.
    pub(super) fn forward(&self, sequences: &[&[u32]]) -> Result<Vec<Vec<f32>>, InferenceError> {
        let longest = sequences.iter().map(|sequence| sequence.len()).max().unwrap_or(0);
        if longest == 0 {
            return Ok(vec![Vec::new(); sequences.len()]);
        }
        let shape = (sequences.len(), longest);
        let padded = |sequence: &&[u32], value: &dyn Fn(u32) -> u32, filler: u32| {
            let missing = longest - sequence.len();
            let real: Vec<u32> = sequence.iter().map(|id| value(*id)).collect();
            [real, vec![filler; missing]].concat()
        };
        let ids: Vec<u32> = sequences.iter().flat_map(|sequence| padded(sequence, &|id| id, self.padding)).collect();
        let mask: Vec<u32> = sequences.iter().flat_map(|sequence| padded(sequence, &|_| 1, 0)).collect();
        let ids = Tensor::from_vec(ids, shape, &self.device)?;
        let mask = Tensor::from_vec(mask, shape, &self.device)?;
        let states = self.model.forward(&ids, &ids.zeros_like()?, Some(&mask))?;
        Ok(unit_vectors(&self.pool(&states, &mask)?)?)
    }

    /// Shapes: `states` (batch, tokens, hidden), `mask` (batch, tokens) -> (batch, hidden).
    ///
    /// The mean leaves padding out. Source: Reimers & Gurevych 2019, section 3.
    fn pool(&self, states: &Tensor, mask: &Tensor) -> candle_core::Result<Tensor> {
        match self.pooling {
            Pooling::Cls => states.narrow(1, 0, 1)?.squeeze(1),
            Pooling::Mean => {
                let mask = mask.to_dtype(DType::F32)?.unsqueeze(2)?;
                states.broadcast_mul(&mask)?.sum(1)?.broadcast_div(&mask.sum(1)?)
            }
        }
    }
}

fn unit_vectors(vectors: &Tensor) -> candle_core::Result<Vec<Vec<f32>>> {
    let length = vectors.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?.maximum(f32::MIN_POSITIVE)?;
    vectors.broadcast_div(&length)?.to_vec2()
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

    #[test]
    fn padding_changes_no_vector() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = Manifest::parse(&write_tiny_model(folder.path(), 1)).unwrap();
        for pooling in [Pooling::Mean, Pooling::Cls] {
            let manifest = Manifest { pooling, ..manifest.clone() };
            let network = Network::load(&manifest, folder.path(), Device::Cpu).unwrap();
            let long: Vec<u32> = (2..42).collect();
            let short = [2, 20, 30, 3];
            let together = network.forward(&[&short, &long]).unwrap();
            let alone = [network.forward(&[&short]).unwrap(), network.forward(&[&long]).unwrap()].concat();
            for (one, other) in together.iter().flatten().zip(alone.iter().flatten()) {
                assert!((one - other).abs() < 1e-5, "{one} {other}");
            }
            assert!(together[0].iter().zip(&together[1]).any(|(one, other)| (one - other).abs() > 0.01));
        }
    }

    #[test]
    fn a_manifest_that_describes_another_model_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = Manifest::parse(&write_tiny_model(folder.path(), 1)).unwrap();
        for other in [Manifest { dimension: 64, ..manifest.clone() }, Manifest { max_tokens: 65, ..manifest }] {
            let refused = Network::load(&other, folder.path(), Device::Cpu).err();
            assert!(matches!(refused, Some(InferenceError::Unloadable(_))));
        }
    }
}
