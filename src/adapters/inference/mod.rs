//! The embedding model: what it is (`manifest`), how its files are had (`fetch`), how they become
//! tensors on a device (`weights`), the forward pass (`network`: `packed` on the CPU, `padded` on accelerators;
//! `grouping` says what is computed together), how texts become tokens (`tokens`) and vectors (`embedder`), and
//! how a query and a passage become a score (`cross_encoder`).

mod cross_encoder;
mod embedder;
mod fetch;
mod grouping;
mod manifest;
mod matrix;
mod network;
mod package;
mod packed;
mod padded;
mod precision;
#[cfg(test)]
#[path = "../../../tests/support/tiny_model.rs"]
mod tiny_model;
mod tokens;
mod weights;

pub use cross_encoder::CrossEncoder;
pub use embedder::{Embedder, Role};
pub use fetch::{Attempt, FetchError, Place, Places, Progress, Silent, SourceError, is_complete, obtain};
pub use manifest::{Architecture, Hub, Manifest, ManifestError, ModelFile, Package, Pooling, Task};
pub use precision::{Precision, PrecisionChoice, UnknownPrecision};
pub use weights::{DeviceChoice, InferenceError};
