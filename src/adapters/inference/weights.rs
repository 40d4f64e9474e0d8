//! Reads a model's files, verified once more, and finds the device to compute on.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use candle_core::Device;
use sha2::{Digest, Sha256};

use super::manifest::Manifest;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    #[default]
    Cpu,
    /// By its number, from 0.
    Cuda(usize),
    /// By its number, from 0.
    Metal(usize),
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
            Self::Metal(number) => write!(f, "metal:{number}"),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum InferenceError {
    /// No such device here, or this build can't use it.
    #[error("the device {device} can't be used: {reason}")]
    Device { device: DeviceChoice, reason: String },
    #[error("the model file {file} can't be read: {source}")]
    File { file: String, source: io::Error },
    #[error("the model file {file} has other bytes than its manifest says")]
    Mismatch { file: String },
    /// The files are those of the manifest, but they don't make a model that it describes.
    #[error("the model can't be loaded: {0}")]
    Unloadable(String),
    /// Its position among the texts given, not its content.
    #[error("text {position} can't be split into tokens")]
    Tokens { position: usize },
    #[error("the model can't compute: {0}")]
    Compute(#[from] candle_core::Error),
}

impl DeviceChoice {
    /// An absent device is an error; there is no silent fallback.
    pub(super) fn open(self) -> Result<Device, InferenceError> {
        let opened = match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda(number) => Device::new_cuda(number),
            Self::Metal(number) => Device::new_metal(number),
        };
        opened.map_err(|error| InferenceError::Device { device: self, reason: first_line(&error.to_string()) })
    }
}

/// The bytes of one of the model's files, exactly as the manifest pins them.
pub(super) fn read_verified(manifest: &Manifest, folder: &Path, name: &str) -> Result<Vec<u8>, InferenceError> {
    let file = name.to_owned();
    let bytes = match fs::read(folder.join(name)) {
        Ok(bytes) => bytes,
        Err(source) => return Err(InferenceError::File { file, source }),
    };
    let pinned = manifest.with_record(folder).files.into_iter().find(|file| file.name == name);
    match pinned.is_some_and(|pinned| pinned.sha256 == Some(hex::encode(Sha256::digest(&bytes)))) {
        true => Ok(bytes),
        false => Err(InferenceError::Mismatch { file }),
    }
}

/// Without the backtrace that candle may append.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(not(any(feature = "cuda", feature = "metal")))]
    #[test]
    fn an_absent_device_is_a_clear_error() {
        for device in [DeviceChoice::Cuda(0), DeviceChoice::Metal(1)] {
            let error = device.open().expect_err("not built in").to_string();
            assert!(error.contains(&device.to_string()) && !error.contains('\n'), "{error}");
        }
    }
}
