//! The embedding model: what it is (`manifest`), how its files are had (`fetch`), how they become
//! tensors on a device (`weights`), the forward pass (`network`: `packed` on the CPU, `padded` on accelerators;
//! `grouping` says what is computed together), how texts become tokens (`tokens`) and vectors (`embedder`), and
//! how a query and a passage become a score (`cross_encoder`).
//!
//! Language models, if one is configured: `generation` is what each offers, `local` computes one here
//! (`generator_manifest` says which, `sentencepiece` reads the tokenizer of some), `remote` asks one elsewhere, with
//! `breaker` to leave it alone when it fails.

mod breaker;
mod cross_encoder;
mod embedder;
mod fetch;
mod generation;
mod generator_manifest;
mod grouping;
mod local;
mod manifest;
mod matrix;
mod network;
mod package;
mod packed;
mod padded;
mod precision;
mod record;
mod remote;
mod sentencepiece;
#[cfg(test)]
#[path = "../../../tests/support/tiny_model.rs"]
pub(crate) mod tiny_model;
mod tokens;
mod weights;
mod wordpiece;

pub use cross_encoder::CrossEncoder;
pub use embedder::{Embedder, Role, Tokens};
pub use fetch::{Attempt, FetchError, Place, Places, Progress, Silent, SourceError, is_complete, obtain};
pub use generation::{GenerateError, Generation, Generator};
pub use generator_manifest::{ChatTemplate, GeneratorArchitecture, GeneratorManifest};
pub use local::LocalGenerator;
pub use manifest::{Architecture, Hub, Manifest, ManifestError, ModelFile, Package, Part, Pooling, Task};
pub use precision::{Precision, PrecisionChoice, UnknownPrecision};
pub use remote::{RemoteGenerator, RemoteSettings, RemoteSetupError};
pub use weights::{DeviceChoice, InferenceError};
