//! The others: candle's own BERT in this process, and Python's in processes of their own.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config};
use tokenizers::Tokenizer;

use crate::{Outcome, Side};

/// candle-transformers' BERT as it comes: padded batches, mean pooling.
pub struct Candle {
    model: BertModel,
    tokenizer: Tokenizer,
}

impl Candle {
    pub fn load(folder: &Path, max_tokens: usize) -> Outcome<Self> {
        let config: Config = serde_json::from_slice(&std::fs::read(folder.join("config.json"))?)?;
        let weights = std::fs::read(folder.join("model.safetensors"))?;
        let weights = VarBuilder::from_buffered_safetensors(weights, DType::F32, &Device::Cpu)?;
        let mut tokenizer = Tokenizer::from_file(folder.join("tokenizer.json")).map_err(|error| error.to_string())?;
        let truncation = tokenizers::TruncationParams { max_length: max_tokens, ..Default::default() };
        tokenizer.with_truncation(Some(truncation)).map_err(|error| error.to_string())?;
        tokenizer.with_padding(Some(tokenizers::PaddingParams::default()));
        Ok(Self { model: BertModel::load(weights, &config)?, tokenizer })
    }
}

impl Side for Candle {
    fn seconds(&mut self, _set: &str, texts: &[String], batch: usize) -> Outcome<f64> {
        let started = Instant::now();
        // Longest first, so that little is padded: the peer at its best.
        let mut texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
        for batch in texts.chunks(batch) {
            let encodings = self.tokenizer.encode_batch(batch.to_vec(), true).map_err(|error| error.to_string())?;
            let rows = |row: fn(&tokenizers::Encoding) -> &[u32]| -> Outcome<Tensor> {
                let rows: Vec<Vec<u32>> = encodings.iter().map(|encoding| row(encoding).to_vec()).collect();
                Ok(Tensor::new(rows, &Device::Cpu)?)
            };
            let (ids, mask) = (rows(|e| e.get_ids())?, rows(|e| e.get_attention_mask())?);
            let states = self.model.forward(&ids, &ids.zeros_like()?, Some(&mask))?;
            let weights = mask.to_dtype(DType::F32)?.unsqueeze(2)?;
            let means = states.broadcast_mul(&weights)?.sum(1)?.broadcast_div(&weights.sum(1)?)?;
            means.flatten_all()?.to_vec1::<f32>()?;
        }
        Ok(started.elapsed().as_secs_f64())
    }
}

/// `peer.py`, told by line what to compute.
pub struct Python {
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Python {
    /// `None` where the peer isn't installed: its own words are on standard error.
    pub fn start(python: &Path, name: &str, folder: &Path, texts: &Path) -> Outcome<Option<Self>> {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches/embed/peer.py");
        let mut process = Command::new(python)
            .arg(script)
            .arg(name)
            .arg(folder.join("tokenizer.json"))
            .arg(texts)
            .env("PEER_MODEL", folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (Some(requests), Some(answers)) = (process.stdin.take(), process.stdout.take()) else {
            return Err("the peer has no pipes".into());
        };
        let mut peer = Self { process, requests, answers: BufReader::new(answers) };
        Ok((peer.answer()? == "ready").then_some(peer))
    }

    /// The vectors of a set.
    pub fn vectors(&mut self, set: &str) -> Outcome<Vec<Vec<f32>>> {
        writeln!(self.requests, "{set} vectors")?;
        Ok(serde_json::from_str(&self.answer()?)?)
    }

    fn answer(&mut self) -> Outcome<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }
}

impl Side for Python {
    fn seconds(&mut self, set: &str, _texts: &[String], batch: usize) -> Outcome<f64> {
        writeln!(self.requests, "{set} {batch}")?;
        Ok(self.answer()?.parse()?)
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
