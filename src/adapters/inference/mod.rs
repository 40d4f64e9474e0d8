//! The embedding model: what it is (`manifest`), how its files are had (`fetch`), how they become
//! tensors on a device (`weights`), the forward pass (`network`), and how texts become vectors (`embedder`).
//!
//! Language models, if one is configured: `generation` is what each offers, `local` computes one here (`generator_manifest`
//! says which), `remote` asks one elsewhere, with `breaker` to leave it alone when it fails.

mod breaker;
mod embedder;
mod fetch;
mod generation;
mod generator_manifest;
mod local;
mod manifest;
mod network;
mod package;
mod remote;
#[cfg(test)]
#[path = "../../../tests/support/tiny_model.rs"]
mod tiny_model;
mod weights;

pub use embedder::{Embedder, Role};
pub use fetch::{Attempt, FetchError, Place, Places, Progress, Silent, SourceError, is_complete, obtain};
pub use generation::{GenerateError, Generation, Generator};
pub use generator_manifest::{ChatTemplate, GeneratorArchitecture, GeneratorManifest};
pub use local::LocalGenerator;
pub use manifest::{Architecture, Hub, Manifest, ManifestError, ModelFile, Package, Pooling};
pub use remote::{RemoteGenerator, RemoteSettings, RemoteSetupError};
pub use weights::{DeviceChoice, InferenceError};
