//! The embedding model: what it is (`manifest`), how its files are had (`fetch`), how they become
//! tensors on a device (`weights`), the forward pass (`network`), and how texts become vectors (`embedder`).

mod embedder;
mod fetch;
mod manifest;
mod network;
mod package;
#[cfg(test)]
#[path = "../../../tests/support/tiny_model.rs"]
mod tiny_model;
mod weights;

pub use embedder::{Embedder, Role};
pub use fetch::{Attempt, FetchError, Place, Places, Progress, Silent, SourceError, is_complete, obtain};
pub use manifest::{Architecture, Hub, Manifest, ManifestError, ModelFile, Package, Pooling};
pub use weights::{DeviceChoice, InferenceError};
