//! Whether the vectors are right: beside sentence-transformers, whatever travelled along, and whatever the lengths.

use std::time::Instant;

use anamnesis::adapters::inference::{Embedder, Role};
use serde_json::{Value, json};

use crate::peers::Python;
use crate::{Outcome, median};

/// Texts that travel with one that is compared, and alone.
const TOGETHER: usize = 200;
const ROUNDS: usize = 5;
/// Tokens, about, of the words that texts of given length are made of.
const WORD: &str = "pain ";
const EVEN: usize = 64;
const SKEWED: [usize; 8] = [8, 8, 8, 8, 8, 8, 208, 256];

/// The least cosine between our vectors and the peer's.
pub fn with_peer(embedder: &Embedder, peer: &mut Python, texts: &[String]) -> Outcome<f64> {
    let theirs = peer.vectors("agreement")?;
    Ok(least(&embedded(embedder, texts)?, &theirs))
}

/// The least cosine between the vector of a text that was computed alone, and among others.
pub fn alone_and_together(embedder: &Embedder, texts: &[String]) -> Outcome<f64> {
    let texts = &texts[..TOGETHER.min(texts.len())];
    let together = embedded(embedder, texts)?;
    let alone = texts.iter().map(|text| Ok(embedded(embedder, std::slice::from_ref(text))?.swap_remove(0)));
    Ok(least(&together, &alone.collect::<Outcome<Vec<_>>>()?))
}

fn embedded(embedder: &Embedder, texts: &[String]) -> Outcome<Vec<Vec<f32>>> {
    Ok(embedder.embed(&texts.iter().map(String::as_str).collect::<Vec<_>>(), Role::Passage)?)
}

fn least(ones: &[Vec<f32>], others: &[Vec<f32>]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    let cosine = |(a, b): (&Vec<f32>, &Vec<f32>)| dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
    ones.iter().zip(others).map(cosine).fold(1.0, f64::min)
}

/// What a token costs among texts of very different lengths, beside one among texts of the same length. As attention
/// costs more in longer texts, a padded computation isn't the only reason to be above 1.
pub fn skew(embedder: &Embedder) -> Outcome<Value> {
    let of = |lengths: &[usize]| -> Vec<String> {
        lengths.iter().cycle().take(64).map(|tokens| WORD.repeat(tokens - 2)).collect()
    };
    let (even, skewed) = (of(&[EVEN]), of(&SKEWED));
    let tokens = |texts: &[String]| texts.iter().map(|text| embedder.count_tokens(text) + 2).sum::<usize>() as f64;
    let cost = |texts: &[String]| -> Outcome<f64> {
        let started = Instant::now();
        embedded(embedder, texts)?;
        Ok(started.elapsed().as_secs_f64() / tokens(texts) * 1e6)
    };
    let (mut of_even, mut of_skewed) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        of_even.push(cost(&even)?);
        of_skewed.push(cost(&skewed)?);
    }
    let (even, skewed) = (median(&of_even), median(&of_skewed));
    println!(
        "{}: a token of even texts {even:.2} µs, of skewed ones {skewed:.2} µs; ratio {:.3}",
        embedder.precision(),
        skewed / even
    );
    Ok(json!({ "even_us_per_token": even, "skewed_us_per_token": skewed, "ratio": skewed / even }))
}
