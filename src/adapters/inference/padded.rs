//! BERT as candle-transformers has it, for accelerators: sequences padded to the longest, one tensor for each step.

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config};

use super::manifest::Pooling;
use super::packed::Sequence;

pub(super) struct PaddedBert {
    model: BertModel,
    padding: u32,
    device: Device,
}

impl PaddedBert {
    pub(super) fn load(weights: VarBuilder, config: &Config) -> candle_core::Result<Self> {
        let device = weights.device().clone();
        let padding = u32::try_from(config.pad_token_id).unwrap_or(0);
        Ok(Self { model: BertModel::load(weights, config)?, padding, device })
    }

    /// One row per sequence. Sequences of near-equal length waste least: all are padded to the longest.
    pub(super) fn forward(&self, sequences: &[Sequence], pooling: Pooling) -> candle_core::Result<Vec<Vec<f32>>> {
        let longest = sequences.iter().map(|sequence| sequence.ids.len()).max().unwrap_or(0);
        if longest == 0 {
            return Ok(vec![Vec::new(); sequences.len()]);
        }
        let tensor = |value: &dyn Fn(&Sequence, usize) -> u32| {
            let values: Vec<u32> =
                sequences.iter().flat_map(|sequence| (0..longest).map(|at| value(sequence, at))).collect();
            Tensor::from_vec(values, (sequences.len(), longest), &self.device)
        };
        let ids = tensor(&|sequence, at| sequence.ids.get(at).copied().unwrap_or(self.padding))?;
        let segments = tensor(&|sequence, at| u32::from(at >= sequence.second_segment && at < sequence.ids.len()))?;
        let mask = tensor(&|sequence, at| u32::from(at < sequence.ids.len()))?;
        let states = self.model.forward(&ids, &segments, Some(&mask))?;
        pool(&states, &mask, pooling)?.to_vec2()
    }
}

/// Shapes: `states` (batch, tokens, hidden), `mask` (batch, tokens) -> (batch, hidden).
///
/// The mean leaves padding out. Source: Reimers & Gurevych 2019, section 3.
fn pool(states: &Tensor, mask: &Tensor, pooling: Pooling) -> candle_core::Result<Tensor> {
    match pooling {
        Pooling::Cls => states.narrow(1, 0, 1)?.squeeze(1),
        Pooling::Mean => {
            let mask = mask.to_dtype(DType::F32)?.unsqueeze(2)?;
            states.broadcast_mul(&mask)?.sum(1)?.broadcast_div(&mask.sum(1)?)
        }
    }
}
