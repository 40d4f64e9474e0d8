//! Anchors of the audit trail: signed notes, outside the database, of how far it came and with what hash.
//!
//! The last one is written anew after each commit; every so many rows one is kept for good. They are signed with a
//! key that should lie where those who administer the database can't read it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::domain::{AuditFault, AuditVerdict};

/// Rows between two anchors that are kept.
const KEEP_EVERY: i64 = 1_000;
/// What a note says: that the trail came this far, or that it begins after this.
const END: &[u8] = b"end";
const CUT: &[u8] = b"cut";
const SHORTEST_KEY: usize = 32;
/// More than a line ever has: two hashes in hexadecimal, a number and the names of the fields.
const HEAD_BYTES: usize = 256;

/// A row of the trail and its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Anchor {
    pub sequence: i64,
    pub hash: String,
}

#[derive(Serialize, Deserialize)]
struct Signed {
    sequence: i64,
    hash: String,
    signature: String,
}

/// The folder with the anchors, and the key that signs them.
#[derive(Clone)]
pub(super) struct Anchors {
    folder: PathBuf,
    key: Arc<Vec<u8>>,
    last_kept: i64,
}

impl Anchors {
    /// With the key in `key_file`, else one that is made beside the anchors when there is none yet.
    pub fn open(folder: &Path, key_file: Option<&Path>) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let own = folder.join("key");
        let key = match key_file {
            Some(file) => fs::read(file)?,
            None if own.exists() => fs::read(&own)?,
            None => make_key(&own)?,
        };
        if key.len() < SHORTEST_KEY {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the audit key needs at least 32 bytes"));
        }
        let mut anchors = Self { folder: folder.to_owned(), key: Arc::new(key), last_kept: 0 };
        anchors.last_kept = anchors.kept()?.last().map_or(0, |signed| signed.sequence);
        Ok(anchors)
    }

    pub fn exist(&self) -> bool {
        self.folder.join("head").exists()
    }

    /// How far the trail came by the last note, if its signature holds.
    pub fn head(&self) -> io::Result<Option<Anchor>> {
        let noted = parse(&read_if_there(&self.folder.join("head"))?).pop();
        Ok(noted.and_then(|signed| {
            let anchor = Anchor { sequence: signed.sequence, hash: signed.hash };
            self.holds(END, &anchor, &signed.signature).then_some(anchor)
        }))
    }

    /// Notes the new end of the trail.
    pub fn set(&mut self, end: &Anchor) -> io::Result<()> {
        let line = self.line(END, end);
        // Always as long and within one block: one write puts all of it in the place of the one before, or nothing.
        let mut head = OpenOptions::new().create(true).write(true).truncate(false).open(self.folder.join("head"))?;
        head.write_all(padded(&line).as_bytes())?;
        if end.sequence - self.last_kept >= KEEP_EVERY || self.last_kept == 0 {
            let mut kept = OpenOptions::new().create(true).append(true).open(self.folder.join("anchors"))?;
            kept.write_all(line.as_bytes())?;
            kept.sync_data()?;
            self.last_kept = end.sequence;
        }
        Ok(())
    }

    /// A signature over anything else that is to be held against the key.
    pub fn sign(&self, bytes: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes a key of any length");
        mac.update(b"certificate");
        mac.update(bytes);
        hex::encode(mac.finalize().into_bytes())
    }

    /// Every anchor whose signature holds, in order; those whose doesn't are faults of the verdict.
    pub fn read(&self) -> io::Result<(Vec<Anchor>, AuditVerdict)> {
        let mut verdict = AuditVerdict::default();
        let kept = read_if_there(&self.folder.join("anchors"))?;
        let head = read_if_there(&self.folder.join("head"))?;
        if head.is_empty() && !kept.is_empty() {
            verdict.faults.push(AuditFault::Unanchored);
        }
        let mut anchors = Vec::new();
        for line in kept.split_inclusive('\n').chain(head.split_inclusive('\n')) {
            let signed = parse_line(line);
            let anchor = Anchor { sequence: signed.sequence, hash: signed.hash };
            let written = self.line(END, &anchor);
            // Also what means the same must be as it was written.
            let is_as_written = line == written || line == padded(&written);
            if is_as_written && self.holds(END, &anchor, &signed.signature) {
                anchors.push(anchor);
            } else {
                verdict.faults.push(AuditFault::Forged(anchor.sequence));
            }
        }
        anchors.sort_by_key(|anchor| anchor.sequence);
        Ok((anchors, verdict))
    }

    /// Notes that the trail begins after this row, since those before it were past their retention.
    pub fn set_cut(&self, cut: &Anchor) -> io::Result<()> {
        fs::write(self.folder.join("cut"), self.line(CUT, cut))
    }

    /// Whether this cut was noted by whoever holds the key.
    pub fn is_cut(&self, cut: &Anchor) -> io::Result<bool> {
        let noted = parse(&read_if_there(&self.folder.join("cut"))?);
        Ok(noted.iter().any(|signed| {
            signed.sequence == cut.sequence && signed.hash == cut.hash && self.holds(CUT, cut, &signed.signature)
        }))
    }

    fn kept(&self) -> io::Result<Vec<Signed>> {
        Ok(parse(&read_if_there(&self.folder.join("anchors"))?))
    }

    fn line(&self, what: &[u8], anchor: &Anchor) -> String {
        let signature = hex::encode(self.mac(what, anchor).finalize().into_bytes());
        let signed = Signed { sequence: anchor.sequence, hash: anchor.hash.clone(), signature };
        serde_json::to_string(&signed).expect("plain values always serialize") + "\n"
    }

    fn holds(&self, what: &[u8], anchor: &Anchor, signature: &str) -> bool {
        let signature = hex::decode(signature).unwrap_or_default();
        self.mac(what, anchor).verify_slice(&signature).is_ok()
    }

    fn mac(&self, what: &[u8], anchor: &Anchor) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes a key of any length");
        mac.update(what);
        mac.update(&anchor.sequence.to_le_bytes());
        mac.update(anchor.hash.as_bytes());
        mac
    }
}

fn parse(text: &str) -> Vec<Signed> {
    text.lines().map(parse_line).collect()
}

/// A line that can't be read counts as one whose signature doesn't hold.
fn parse_line(line: &str) -> Signed {
    let broken = || Signed { sequence: 0, hash: String::new(), signature: String::new() };
    serde_json::from_str(line).unwrap_or_else(|_| broken())
}

/// The line of the end, as long as every other.
fn padded(line: &str) -> String {
    format!("{:<HEAD_BYTES$}", line.trim_end())
}

fn read_if_there(path: &Path) -> io::Result<String> {
    match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error),
    }
}

fn make_key(path: &Path) -> io::Result<Vec<u8>> {
    let key: Vec<u8> = (0..2).flat_map(|_| uuid::Uuid::new_v4().into_bytes()).collect();
    let mut file = private(path)?;
    file.write_all(&key)?;
    file.sync_all()?;
    Ok(key)
}

#[cfg(unix)]
fn private(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().create_new(true).write(true).open(path)
}
