//! Vectors to measure with: real ones, mixed in pairs and perturbed, so that there are as many as wanted.

use std::path::{Path, PathBuf};

use anamnesis::adapters::inference::{DeviceChoice, Embedder, Manifest, Role};
use serde_json::Value;

use crate::Outcome;
use crate::data::shared;

/// Titles that are embedded.
const TITLES: usize = 4_000;
/// How much of a second title is mixed into the first, at most, and how much noise: with these a vector's nearest
/// neighbours among 100,000 lie at cosines from 0.6 to 0.9, as notes of one subject do.
const MIXED: f32 = 0.6;
const NOISE: f32 = 0.35;

pub struct Set {
    pub dimension: usize,
    pub rows: Vec<f32>,
    pub queries: Vec<f32>,
}

impl Set {
    pub fn queries(&self) -> impl Iterator<Item = &[f32]> {
        self.queries.chunks_exact(self.dimension)
    }
}

pub struct Maker {
    real: Vec<f32>,
    dimension: usize,
    origin: &'static str,
}

impl Maker {
    pub fn new(work: &Path) -> Outcome<Self> {
        let kept = work.join("titles.f32");
        let manifest = Manifest::default_embedder();
        let corpus = shared("ir-scifact").join("corpus.jsonl");
        let weights = std::env::var_os("ANAMNESIS_MODEL_DIR").map(|cache| manifest.folder_in(&PathBuf::from(cache)));
        let folder = weights.filter(|folder| folder.exists() && corpus.exists());
        let Some(folder) = folder else {
            println!("SKIPPED: no corpus or no weights, so vectors of random directions are measured");
            return Ok(Self { real: random_directions(384), dimension: 384, origin: "random directions" });
        };
        let embedder = Embedder::load(&manifest, &folder, DeviceChoice::Cpu)?;
        let dimension = embedder.dimension();
        if !kept.exists() {
            let text = std::fs::read_to_string(&corpus)?;
            let titles: Vec<String> = text
                .lines()
                .take(TITLES)
                .filter_map(|line| Some(serde_json::from_str::<Value>(line).ok()?["title"].as_str()?.to_owned()))
                .collect();
            let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
            let vectors = embedder.embed(&titles, Role::Passage)?;
            std::fs::write(&kept, bytes(vectors.iter().flatten()))?;
        }
        Ok(Self {
            real: floats(&std::fs::read(&kept)?),
            dimension,
            origin: "titles embedded by the default model, mixed and perturbed",
        })
    }

    pub fn origin(&self) -> &'static str {
        self.origin
    }

    pub fn make(&self, rows: usize, queries: usize) -> Set {
        let mut random = fastrand::Rng::with_seed(20_26);
        let mut make = |count: usize| {
            let mut vectors = Vec::with_capacity(count * self.dimension);
            for _ in 0..count {
                self.push(&mut random, &mut vectors);
            }
            vectors
        };
        let queries = make(queries);
        Set { dimension: self.dimension, rows: make(rows), queries }
    }

    fn push(&self, random: &mut fastrand::Rng, vectors: &mut Vec<f32>) {
        let count = self.real.len() / self.dimension;
        let mut pick = || random.usize(..count) * self.dimension;
        let (first, second) = (pick(), pick());
        let mixed = random.f32() * MIXED;
        // The sum of two uniform numbers is near enough to normal for noise; its length in all is NOISE.
        let scale = NOISE * (1.5 / self.dimension as f32).sqrt();
        let start = vectors.len();
        for component in 0..self.dimension {
            let noise = (random.f32() + random.f32() - 1.0) * 2.0 * scale;
            vectors.push(self.real[first + component] + mixed * self.real[second + component] + noise);
        }
        let vector = &mut vectors[start..];
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        vector.iter_mut().for_each(|component| *component /= length);
    }
}

pub fn bytes<'a>(components: impl IntoIterator<Item = &'a f32>) -> Vec<u8> {
    components.into_iter().flat_map(|component| component.to_le_bytes()).collect()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

fn random_directions(dimension: usize) -> Vec<f32> {
    let mut random = fastrand::Rng::with_seed(7);
    (0..TITLES * dimension).map(|_| (random.f32() - 0.5) / (dimension as f32 / 12.0).sqrt()).collect()
}
