//! A folder or an object store's prefix that files are dropped into.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt};
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{GetResultPayload, ObjectMeta, ObjectStore, ObjectStoreExt};
use tempfile::NamedTempFile;

use crate::domain::Timestamp;

/// Endings that senders give to files that they are still writing.
const UNFINISHED: [&str; 8] = [".part", ".partial", ".tmp", ".temp", ".filepart", ".crdownload", ".swp", "~"];

#[derive(Debug, thiserror::Error)]
pub enum DropError {
    #[error("the address is neither file:// nor s3://, or names no folder")]
    Address,
    #[error("the folder is outside of those that files may be taken from")]
    Outside,
    #[error("the folder can't be reached")]
    Unreachable(#[source] object_store::Error),
    #[error("a file can't be read")]
    Unreadable(#[source] std::io::Error),
}

/// What it takes to speak to an object store; its keys are secrets.
#[derive(Default)]
pub struct BucketKeys {
    pub access_key: Option<String>,
    pub secret_key: Option<String>,
    pub endpoint: Option<String>,
    pub region: Option<String>,
}

/// A file that lies in the folder now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Below the folder.
    pub name: String,
    pub size: u64,
    pub modified: Timestamp,
    /// Another content has another version.
    pub version: String,
    location: ObjectPath,
}

impl Found {
    /// Whether its sender is still at it, by its name.
    pub fn is_unfinished(&self) -> bool {
        let last = self.name.rsplit('/').next().unwrap_or_default();
        let lower = last.to_ascii_lowercase();
        last.starts_with('.') || UNFINISHED.iter().any(|ending| lower.ends_with(ending))
    }
}

/// Where a file's bytes can be read; a copy is gone when this is dropped.
pub enum Readable {
    InPlace(PathBuf),
    Copied(NamedTempFile),
}

impl Readable {
    pub fn path(&self) -> &Path {
        match self {
            Self::InPlace(path) => path,
            Self::Copied(file) => file.path(),
        }
    }
}

pub struct DropFolder {
    store: Arc<dyn ObjectStore>,
    prefix: Option<ObjectPath>,
    /// Of a local folder: nothing outside of it is read, whatever a link says.
    root: Option<PathBuf>,
}

impl DropFolder {
    /// `roots`: folders of this machine that files may be taken from.
    pub fn open(url: &str, keys: BucketKeys, roots: &[PathBuf]) -> Result<Self, DropError> {
        if let Some(path) = url.strip_prefix("file://") {
            return Self::local(Path::new(path), roots);
        }
        let rest = url.strip_prefix("s3://").ok_or(DropError::Address)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(DropError::Address);
        }
        Self::bucket(bucket, prefix, keys)
    }

    fn local(path: &Path, roots: &[PathBuf]) -> Result<Self, DropError> {
        let folder = path.canonicalize().map_err(DropError::Unreadable)?;
        let within = |root: &PathBuf| root.canonicalize().is_ok_and(|root| folder.starts_with(root));
        if !roots.iter().any(within) {
            return Err(DropError::Outside);
        }
        let store = LocalFileSystem::new_with_prefix(&folder).map_err(DropError::Unreachable)?;
        Ok(Self { store: Arc::new(store), prefix: None, root: Some(folder) })
    }

    fn bucket(bucket: &str, prefix: &str, keys: BucketKeys) -> Result<Self, DropError> {
        let mut builder = AmazonS3Builder::new().with_bucket_name(bucket);
        builder = match (keys.access_key, keys.secret_key) {
            (Some(access), Some(secret)) => builder.with_access_key_id(access).with_secret_access_key(secret),
            _ => builder.with_skip_signature(true),
        };
        if let Some(endpoint) = keys.endpoint {
            let plain = endpoint.starts_with("http://127.0.0.1") || endpoint.starts_with("http://localhost");
            builder = builder.with_endpoint(endpoint).with_allow_http(plain);
        }
        if let Some(region) = keys.region {
            builder = builder.with_region(region);
        }
        let store = builder.build().map_err(DropError::Unreachable)?;
        let prefix = (!prefix.is_empty()).then(|| ObjectPath::from(prefix));
        Ok(Self { store: Arc::new(store), prefix, root: None })
    }

    /// Everything that lies there, the oldest first.
    pub async fn list(&self) -> Result<Vec<Found>, DropError> {
        let listed = self.store.list(self.prefix.as_ref()).map_ok(|meta| self.found(meta));
        let mut found: Vec<Found> = listed.try_collect().await.map_err(DropError::Unreachable)?;
        found.sort_by(|a, b| (a.modified, &a.name).cmp(&(b.modified, &b.name)));
        Ok(found)
    }

    fn found(&self, meta: ObjectMeta) -> Found {
        let whole = meta.location.as_ref();
        let below = self.prefix.as_ref().and_then(|prefix| whole.strip_prefix(prefix.as_ref()));
        let modified = Timestamp::from_micros(meta.last_modified.timestamp_micros());
        let version = meta.e_tag.unwrap_or_else(|| format!("{}-{}", meta.size, modified.as_micros()));
        Found {
            name: below.unwrap_or(whole).trim_start_matches('/').to_owned(),
            size: meta.size,
            modified,
            version,
            location: meta.location,
        }
    }

    /// The file's bytes: a local one where it lies, another one copied beside `work`.
    pub async fn fetch(&self, found: &Found, work: &Path) -> Result<Readable, DropError> {
        let got = self.store.get(&found.location).await.map_err(DropError::Unreachable)?;
        match got.payload {
            GetResultPayload::File(_, path) => self.in_place(&path),
            GetResultPayload::Stream(mut bytes) => {
                let mut copy = NamedTempFile::new_in(work).map_err(DropError::Unreadable)?;
                while let Some(chunk) = bytes.next().await {
                    copy.write_all(&chunk.map_err(DropError::Unreachable)?).map_err(DropError::Unreadable)?;
                }
                copy.flush().map_err(DropError::Unreadable)?;
                Ok(Readable::Copied(copy))
            }
        }
    }

    fn in_place(&self, path: &Path) -> Result<Readable, DropError> {
        let path = path.canonicalize().map_err(DropError::Unreadable)?;
        match &self.root {
            Some(root) if path.starts_with(root) => Ok(Readable::InPlace(path)),
            _ => Err(DropError::Outside),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn folder() -> (tempfile::TempDir, DropFolder) {
        let held = tempfile::tempdir().unwrap();
        let folder = DropFolder::open(
            &format!("file://{}", held.path().display()),
            BucketKeys::default(),
            &[held.path().into()],
        );
        (held, folder.unwrap())
    }

    #[tokio::test]
    async fn files_are_listed_oldest_first_with_a_version_of_their_content() {
        let (held, folder) = folder();
        fs::create_dir(held.path().join("sub")).unwrap();
        for (name, at) in [("sub/late.json", 2_000), ("early.hl7", 1_000)] {
            let file = fs::File::create(held.path().join(name)).unwrap();
            file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(at)).unwrap();
        }
        let found = folder.list().await.unwrap();
        assert_eq!(found.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(), ["early.hl7", "sub/late.json"]);
        assert_eq!(found[0].modified, Timestamp::from_micros(1_000_000_000));
        fs::write(held.path().join("early.hl7"), "MSH|").unwrap();
        let again = folder.list().await.unwrap();
        let changed = again.iter().find(|file| file.name == "early.hl7").unwrap();
        assert_ne!(changed.version, found[0].version);
        assert_eq!(fs::read(folder.fetch(changed, held.path()).await.unwrap().path()).unwrap(), b"MSH|");
    }

    #[tokio::test]
    async fn what_is_still_being_written_says_so_by_its_name() {
        let (held, folder) = folder();
        for name in ["a.ndjson.part", ".hidden.json", "b.json~", "c.TMP", "d.json"] {
            fs::write(held.path().join(name), "x").unwrap();
        }
        let finished = folder.list().await.unwrap().into_iter().filter(|file| !file.is_unfinished());
        assert_eq!(finished.map(|file| file.name).collect::<Vec<_>>(), ["d.json"]);
    }

    #[test]
    fn a_folder_outside_of_the_roots_is_refused() {
        let (held, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let url = format!("file://{}", held.path().display());
        let open = |url: &str, roots: &[PathBuf]| DropFolder::open(url, BucketKeys::default(), roots).err();
        assert!(matches!(open(&url, &[]), Some(DropError::Outside)));
        assert!(matches!(open(&url, &[other.path().into()]), Some(DropError::Outside)));
        let climbing = format!("file://{}/../..", other.path().display());
        assert!(matches!(open(&climbing, &[other.path().into()]), Some(DropError::Outside)));
        assert!(matches!(open("ftp://x/y", &[]), Some(DropError::Address)));
        assert!(matches!(open("s3:///prefix", &[]), Some(DropError::Address)));
    }

    #[tokio::test]
    async fn a_link_out_of_the_folder_is_not_followed() {
        let (held, folder) = folder();
        let secret = tempfile::NamedTempFile::new().unwrap();
        std::os::unix::fs::symlink(secret.path(), held.path().join("link.json")).unwrap();
        let found = folder.list().await.unwrap();
        for file in &found {
            assert!(matches!(folder.fetch(file, held.path()).await, Err(DropError::Outside)));
        }
        assert_eq!(found.len(), 1);
    }
}
