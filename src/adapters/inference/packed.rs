//! BERT on the CPU without padding: the tokens of several sequences lie one after the other, and a row is a token.
//!
//! Candle reads the weights and holds the embedding tables; the matrices are packed once for the processor at hand
//! (`kernels`). A group of sequences is computed by one thread, which waits for no other and uses memory that was
//! used before. What a sequence becomes doesn't depend on the others of its group.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use candle_core::{CpuStorage, Storage, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{Config, HiddenAct};
use kernels::{
    AttentionMemory, Buffer, ByteRows, Finish, Level, add_rows, attention, attention_in_bytes, layer_norm, query_scale,
};

use super::matrix::Matrix;
use super::precision::Precision;

/// Rows taken through a layer's feed-forward part together, so that the wide states between stay in the cache.
const BLOCK_ROWS: usize = 96;
/// Sequences are taken together until they have so many rows: fewer would wait for the weights, and the projections of
/// many more don't stay in the cache until attention reads them.
const SPAN_ROWS: usize = 96;

/// The tokens of one input.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sequence<'a> {
    pub(super) ids: &'a [u32],
    /// Tokens from here on are of the second segment.
    pub(super) second_segment: usize,
}

impl<'a> Sequence<'a> {
    pub(super) fn single(ids: &'a [u32]) -> Self {
        Self { ids, second_segment: ids.len() }
    }
}

pub(super) struct PackedBert {
    level: Level,
    precision: Precision,
    hidden: usize,
    heads: usize,
    intermediate: usize,
    epsilon: f32,
    activation: Finish,
    words: Table,
    positions: Table,
    segments: Table,
    embedding_norm: Norm,
    layers: Vec<Layer>,
    /// Memory that no thread uses just now.
    idle: Mutex<Vec<Memory>>,
}

struct Layer {
    /// Query, key and value side by side.
    projections: Matrix,
    attention_output: Matrix,
    attention_norm: Norm,
    widen: Matrix,
    narrow: Matrix,
    output_norm: Norm,
}

struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

/// Rows of an embedding, in Candle's memory.
struct Table {
    rows: Tensor,
    width: usize,
}

/// What a group needs while it is computed.
#[derive(Default)]
struct Memory {
    states: Buffer,
    projections: Buffer,
    context: Buffer,
    wide: Buffer,
    attention: AttentionMemory,
    bytes: ByteRows,
}

impl PackedBert {
    /// `weights` is at the root of the file; tensors may be below `bert.` or the model's type.
    pub(super) fn load(
        weights: &VarBuilder,
        config: &Config,
        level: Level,
        precision: Precision,
    ) -> candle_core::Result<Self> {
        let prefixes = [Some("bert"), config.model_type.as_deref()];
        let is_below = |prefix: &&str| weights.contains_tensor(&format!("{prefix}.{WORDS}.weight"));
        let weights = prefixes.into_iter().flatten().find(is_below).map_or(weights.clone(), |at| weights.pp(at));
        let hidden = config.hidden_size;
        let (embeddings, encoder) = (weights.pp("embeddings"), weights.pp("encoder.layer"));
        let table = |name: &str, rows: usize| {
            let rows = embeddings.pp(name).get((rows, hidden), "weight")?.contiguous()?;
            candle_core::Result::Ok(Table { rows, width: hidden })
        };
        Ok(Self {
            level,
            precision,
            hidden,
            heads: config.num_attention_heads,
            intermediate: config.intermediate_size,
            epsilon: config.layer_norm_eps as f32,
            activation: match config.hidden_act {
                HiddenAct::Gelu => Finish::Gelu,
                HiddenAct::GeluApproximate => Finish::GeluTanh,
                HiddenAct::Relu => Finish::Relu,
            },
            words: table("word_embeddings", config.vocab_size)?,
            positions: table("position_embeddings", config.max_position_embeddings)?,
            segments: table("token_type_embeddings", config.type_vocab_size)?,
            embedding_norm: Norm::load(&embeddings.pp("LayerNorm"), hidden)?,
            layers: (0..config.num_hidden_layers)
                .map(|layer| Layer::load(&encoder.pp(layer), config, level, precision))
                .collect::<candle_core::Result<_>>()?,
            idle: Mutex::default(),
        })
    }

    /// Computes the states of all tokens and hands those of each sequence, (tokens, hidden), to `read`, in order.
    pub(super) fn run<T>(
        &self,
        sequences: &[Sequence],
        mut read: impl FnMut(&[f32]) -> T,
    ) -> candle_core::Result<Vec<T>> {
        let mut memory = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        let ranges = ranges(sequences);
        let tokens = ranges.last().map_or(0, |range| range.end);
        memory.states.resize(tokens * self.hidden);
        self.embed(sequences, &ranges, &mut memory.states)?;
        for layer in &self.layers {
            self.advance(layer, &ranges, &mut memory);
        }
        let rows = ranges.iter().map(|range| self.rows(range));
        let results = rows.map(|rows| read(memory.states.get(rows).unwrap_or_default())).collect();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(memory);
        Ok(results)
    }

    pub(super) fn hidden(&self) -> usize {
        self.hidden
    }

    pub(super) fn level(&self) -> Level {
        self.level
    }

    fn rows(&self, tokens: &Range<usize>) -> Range<usize> {
        tokens.start * self.hidden..tokens.end * self.hidden
    }

    /// The sum of a token's word, position and segment, normalized.
    fn embed(&self, sequences: &[Sequence], ranges: &[Range<usize>], states: &mut [f32]) -> candle_core::Result<()> {
        self.words.with(|words| {
            self.positions.with(|positions| {
                self.segments.with(|segments| {
                    for (sequence, range) in sequences.iter().zip(ranges) {
                        let rows = states[self.rows(range)].chunks_exact_mut(self.hidden);
                        for (at, (id, row)) in sequence.ids.iter().zip(rows).enumerate() {
                            let segment = usize::from(at >= sequence.second_segment);
                            let word = self.words.row(words, *id as usize)?;
                            let (position, segment) =
                                (self.positions.row(positions, at)?, self.segments.row(segments, segment)?);
                            add_rows(self.level, row, word, position, segment);
                        }
                    }
                    Ok(())
                })
            })
        })?;
        self.embedding_norm.apply(self, states);
        Ok(())
    }

    fn advance(&self, layer: &Layer, ranges: &[Range<usize>], memory: &mut Memory) {
        let Memory { states, projections, context, wide, attention, bytes } = memory;
        let context = context.resize(states.len());
        for together in spans(ranges) {
            let start = together.first().map_or(0, |range| self.rows(range).start);
            let end = together.last().map_or(0, |range| self.rows(range).end);
            let projections = projections.resize(3 * (end - start));
            layer.projections.forward(&states[start..end], projections, Finish::Store, bytes);
            for rows in together.iter().map(|range| self.rows(range)) {
                let of_sequence = &projections[3 * (rows.start - start)..3 * (rows.end - start)];
                self.attend(of_sequence, &mut context[rows], attention);
            }
        }
        let blocks = states.chunks_mut(BLOCK_ROWS * self.hidden).zip(context.chunks(BLOCK_ROWS * self.hidden));
        for (states, context) in blocks {
            layer.attention_output.forward(context, states, Finish::Add, bytes);
            layer.attention_norm.apply(self, states);
            let wide = wide.resize(states.len() / self.hidden * self.intermediate);
            layer.widen.forward(states, wide, self.activation, bytes);
            layer.narrow.forward(wide, states, Finish::Add, bytes);
            layer.output_norm.apply(self, states);
        }
    }

    fn attend(&self, projections: &[f32], context: &mut [f32], memory: &mut AttentionMemory) {
        match self.precision {
            Precision::Int8 => attention_in_bytes(self.level, projections, self.heads, context, self.hidden, memory),
            Precision::F32 | Precision::Int7 => {
                attention(self.level, projections, self.heads, context, self.hidden, &mut memory.floats);
            }
        }
    }
}

const WORDS: &str = "embeddings.word_embeddings";

fn ranges(sequences: &[Sequence]) -> Vec<Range<usize>> {
    let mut end = 0;
    let mut next = |sequence: &Sequence| {
        let start = end;
        end += sequence.ids.len();
        start..end
    };
    sequences.iter().map(&mut next).collect()
}

/// Sequences that follow each other, in runs that end with the one by which they have [`SPAN_ROWS`].
fn spans(mut ranges: &[Range<usize>]) -> impl Iterator<Item = &[Range<usize>]> {
    std::iter::from_fn(move || {
        let start = ranges.first()?.start;
        let before = ranges.iter().take_while(|range| range.end - start < SPAN_ROWS).count();
        let (together, rest) = ranges.split_at((before + 1).min(ranges.len()));
        ranges = rest;
        Some(together)
    })
}

impl Layer {
    fn load(weights: &VarBuilder, config: &Config, level: Level, precision: Precision) -> candle_core::Result<Self> {
        let (hidden, intermediate) = (config.hidden_size, config.intermediate_size);
        let own = weights.pp("attention.self");
        let square = |name: &str| matrix(&own.pp(name), hidden, hidden);
        let (mut weight, mut bias) = square("query")?;
        // The scale of the scores goes into the queries, once and for all.
        let scale = query_scale(hidden / config.num_attention_heads);
        weight.iter_mut().chain(&mut bias).for_each(|value| *value *= scale);
        for (more_weight, more_bias) in [square("key")?, square("value")?] {
            weight.extend(more_weight);
            bias.extend(more_bias);
        }
        let pack = |weights: VarBuilder, inputs: usize, outputs: usize| {
            let (weight, bias) = matrix(&weights, inputs, outputs)?;
            candle_core::Result::Ok(Matrix::pack(level, precision, &weight, &bias, inputs))
        };
        Ok(Self {
            projections: Matrix::pack(level, precision, &weight, &bias, hidden),
            attention_output: pack(weights.pp("attention.output.dense"), hidden, hidden)?,
            attention_norm: Norm::load(&weights.pp("attention.output.LayerNorm"), hidden)?,
            widen: pack(weights.pp("intermediate.dense"), hidden, intermediate)?,
            narrow: pack(weights.pp("output.dense"), intermediate, hidden)?,
            output_norm: Norm::load(&weights.pp("output.LayerNorm"), hidden)?,
        })
    }
}

/// Weight (outputs, inputs) and bias.
fn matrix(weights: &VarBuilder, inputs: usize, outputs: usize) -> candle_core::Result<(Vec<f32>, Vec<f32>)> {
    let weight = weights.get((outputs, inputs), "weight")?.flatten_all()?.to_vec1()?;
    Ok((weight, weights.get(outputs, "bias")?.to_vec1()?))
}

impl Norm {
    fn load(weights: &VarBuilder, size: usize) -> candle_core::Result<Self> {
        // Finds the names of older files, too.
        let norm = candle_nn::layer_norm(size, 0.0, weights.clone())?;
        let bias = match norm.bias() {
            Some(bias) => bias.to_vec1()?,
            None => vec![0.0; size],
        };
        Ok(Self { weight: norm.weight().to_vec1()?, bias })
    }

    fn apply(&self, model: &PackedBert, rows: &mut [f32]) {
        layer_norm(model.level, rows, &self.weight, &self.bias, model.epsilon);
    }
}

impl Table {
    fn with<T>(&self, read: impl FnOnce(&[f32]) -> candle_core::Result<T>) -> candle_core::Result<T> {
        let (storage, layout) = self.rows.storage_and_layout();
        match (&*storage, layout.contiguous_offsets()) {
            (Storage::Cpu(CpuStorage::F32(values)), Some((start, end))) => read(&values[start..end]),
            _ => candle_core::bail!("an embedding isn't f32 in the processor's memory"),
        }
    }

    fn row<'a>(&self, values: &'a [f32], number: usize) -> candle_core::Result<&'a [f32]> {
        match values.get(number * self.width..(number + 1) * self.width) {
            Some(row) => Ok(row),
            None => candle_core::bail!("the model has no embedding {number}"),
        }
    }
}
