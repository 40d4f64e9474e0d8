//! A folder with all that the binary needs, and a look at what it left there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;

use anamnesis::access::{DevelopmentKey, TokenGrant};
use anamnesis::domain::TenantId;
use serde_json::Value;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use tempfile::TempDir;

use crate::server::PATIENCE;
use crate::tiny_model::{NAME, REVISION, write_tiny_model};

pub const SOURCE: &str = "ehr";
const SECRET: &[u8] = b"a secret of the tests and of nobody else, forty bytes";
const EVERYTHING: &str = "user/*.rs system/*.cruds anamnesis/admin.reindex anamnesis/admin.quarantine \
    anamnesis/admin.sources anamnesis/admin.quality";

pub struct Home {
    folder: TempDir,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    #[track_caller]
    pub fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }

    /// Failed, with one line for the person at the terminal and no trace of our insides.
    #[track_caller]
    pub fn failed_plainly(self, words: &[&str]) -> Self {
        assert_eq!(self.code, Some(1), "{self:?}");
        for word in words {
            assert!(self.stderr.contains(word), "nothing says {word:?}: {self:?}");
        }
        assert!(!self.stderr.contains("panicked"), "{self:?}");
        self
    }
}

impl Home {
    pub fn new() -> Self {
        let home = Self { folder: TempDir::new().unwrap() };
        let manifest = write_tiny_model(&home.path().join("models").join(NAME).join(REVISION), 1);
        fs::write(home.path().join("model.toml"), manifest).unwrap();
        fs::write(home.path().join("development.key"), SECRET).unwrap();
        home.configure("");
        home
    }

    /// Writes the configuration, with `more` of it.
    pub fn configure(&self, more: &str) {
        let text = format!(
            "data_dir = \"data\"\ndevelopment_key_file = \"development.key\"\n{more}\n[[source]]\nname = \"{SOURCE}\"\n"
        );
        fs::write(self.config_path(), text).unwrap();
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn config_path(&self) -> PathBuf {
        self.path().join("anamnesis.toml")
    }

    pub fn index(&self) -> PathBuf {
        self.path().join("data/index")
    }

    /// The binary with our configuration and nothing of the surroundings' own.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_anamnesis"));
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("ANAMNESIS_CONFIG", self.config_path())
            .env("ANAMNESIS_MODEL_DIR", self.path().join("models"))
            .env("ANAMNESIS_MODEL_MANIFEST", self.path().join("model.toml"))
            .env("ANAMNESIS_LISTEN", "127.0.0.1:0")
            .env("ANAMNESIS_OPERATIONS_LISTEN", "127.0.0.1:0")
            .env("ANAMNESIS_LOG_FORMAT", "json")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        ended(self.command(arguments))
    }

    /// Takes in a folder and returns the account as it was written.
    pub fn ingest(&self, folder: &Path, more: &[&str]) -> Value {
        let report = self.path().join("report.json");
        let arguments = [&["ingest", folder.to_str().unwrap(), "--report", report.to_str().unwrap()], more].concat();
        let ran = self.run(&arguments).succeeded();
        let account: Value = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
        let printed: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(printed, account, "what is printed is what is written");
        account
    }

    /// A token for everything.
    pub fn token(&self) -> String {
        let key = DevelopmentKey::new(SECRET).unwrap();
        key.mint(&TokenGrant::new("tester", TenantId::new("main"), EVERYTHING))
    }

    /// Generations on disk.
    pub fn generations(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.index()).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.is_dir()).collect()
    }

    /// The folder of the generation in service.
    pub fn generation(&self) -> PathBuf {
        let name = fs::read_to_string(self.index().join("in-service")).unwrap();
        self.index().join(name.trim())
    }

    /// What lies on disk, read from a copy so that nothing is repaired by looking.
    pub async fn remains(&self) -> Remains {
        let copy = TempDir::new().unwrap();
        for name in ["store.sqlite", "store.sqlite-wal"] {
            let from = self.path().join("data").join(name);
            if from.exists() {
                fs::copy(from, copy.path().join(name)).unwrap();
            }
        }
        let options = SqliteConnectOptions::new().filename(copy.path().join("store.sqlite"));
        let store = SqlitePool::connect_with(options).await.unwrap();
        let count = async |select: &'static str| -> i64 { sqlx::query_scalar(select).fetch_one(&store).await.unwrap() };
        let remains = Remains {
            documents: count("SELECT COUNT(DISTINCT id) FROM document").await,
            versions: count("SELECT COUNT(*) FROM document").await,
            changes: count("SELECT COUNT(*) FROM change").await,
            newest_change: count("SELECT COALESCE(MAX(sequence), 0) FROM change").await,
            unread: count("SELECT COUNT(*) FROM delivery WHERE state = 'landed'").await,
            held: count("SELECT COUNT(*) FROM quarantine").await,
            jobs_under_way: count("SELECT COUNT(*) FROM job WHERE state IN ('queued', 'running')").await,
            watermark: self.watermark(),
        };
        store.close().await;
        remains
    }

    /// Of the last commit of the generation in service; 0 when there is none.
    fn watermark(&self) -> i64 {
        let Ok(name) = fs::read_to_string(self.index().join("in-service")) else { return 0 };
        let Ok(text) = fs::read_to_string(self.index().join(name.trim()).join("meta.json")) else { return 0 };
        let meta: Value = serde_json::from_str(&text).unwrap();
        let payload = meta["payload"].as_str().map(|payload| serde_json::from_str::<Value>(payload).unwrap());
        payload.and_then(|payload| payload["watermark"].as_i64()).unwrap_or(0)
    }
}

/// Runs a command to its end; one that doesn't end is killed.
pub fn ended(mut command: Command) -> Ran {
    let child = command.spawn().unwrap();
    let process = child.id().to_string();
    let (sender, ending) = channel();
    std::thread::spawn(move || sender.send(child.wait_with_output().unwrap()));
    let Ok(output) = ending.recv_timeout(PATIENCE) else {
        let _ = Command::new("kill").args(["-KILL", &process]).status();
        panic!("the command doesn't end: {command:?}");
    };
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Counts of what is held on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remains {
    pub documents: i64,
    pub versions: i64,
    pub changes: i64,
    pub newest_change: i64,
    pub unread: i64,
    pub held: i64,
    pub jobs_under_way: i64,
    pub watermark: i64,
}
