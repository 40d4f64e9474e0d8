//! A server of the binary that is measured, in a process of its own.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

pub type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const BINARY: &str = env!("CARGO_BIN_EXE_anamnesis");
/// Of no worth: it opens the made-up records of a bench.
const SECRET: &str = "a secret of this bench and of nobody else, forty bytes";

/// A configuration that takes whatever is moved into the folder `drop`, and notes over HTTP.
pub fn configure(work: &Path) -> Outcome<()> {
    std::fs::write(work.join("development.key"), SECRET)?;
    let drop = work.join("drop");
    let text = format!(
        "data_dir = \"data\"\ndevelopment_key_file = \"development.key\"\nfile_roots = [{drop:?}]\n\
         listen = \"127.0.0.1:0\"\noperations_listen = \"127.0.0.1:0\"\nlog_format = \"json\"\n\
         [[source]]\nname = \"notes\"\n[[source]]\nname = \"exports\"\n\
         [source.feed]\nmode = \"files\"\nurl = \"file://{}\"\nevery_s = 1\nsettle_s = 0\n",
        drop.display()
    );
    Ok(std::fs::write(work.join("anamnesis.toml"), text)?)
}

/// A token for scopes of this server.
pub fn token(work: &Path, scopes: &str) -> Outcome<String> {
    let mut minting = Command::new(BINARY);
    minting.args(["token", "--scopes", scopes, "--lifetime-s", "36000", "--config"]).arg(work.join("anamnesis.toml"));
    let output = minting.stderr(Stdio::inherit()).output()?;
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout)?.trim().to_owned()),
        false => Err(format!("{minting:?} ended with {}", output.status).into()),
    }
}

/// Killed when it goes out of scope.
pub struct Server {
    process: Child,
    pub url: String,
    operations: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    pub fn start(work: &Path) -> Outcome<Self> {
        let mut command = Command::new(BINARY);
        command.args(["serve", "--config"]).arg(work.join("anamnesis.toml")).stderr(Stdio::piped());
        let mut process = command.spawn()?;
        let log = process.stderr.take().ok_or("no log")?;
        match addresses(log) {
            Ok((url, operations)) => Ok(Self { process, url, operations }),
            Err(error) => {
                let _ = process.kill();
                Err(error)
            }
        }
    }

    /// A line of `/proc/PID/status`, in KiB.
    pub fn resident_kib(&self, name: &str) -> Outcome<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such line")?;
        Ok(line.trim_matches(|c: char| !c.is_ascii_digit()).parse()?)
    }

    /// What a metric says now.
    pub async fn metric(&self, name: &str) -> Outcome<f64> {
        let text = reqwest::get(format!("{}/metrics", self.operations)).await?.text().await?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(value.ok_or("no such metric")?.parse()?)
    }

    /// Until a metric has reached a value.
    pub async fn until(&self, name: &str, least: u64, look_again: Duration, patience: Duration) -> Outcome<()> {
        let started = Instant::now();
        while (self.metric(name).await? as u64) < least {
            if started.elapsed() > patience {
                return Err(format!("{name} didn't reach {least} in time").into());
            }
            tokio::time::sleep(look_again).await;
        }
        Ok(())
    }
}

/// Where it serves, as its log says; the rest of the log is read and thrown away.
fn addresses(log: ChildStderr) -> Outcome<(String, String)> {
    let mut lines = BufReader::new(log).lines().map_while(Result::ok);
    let fields = lines.by_ref().find_map(|line| {
        let fields = serde_json::from_str::<Value>(&line).ok()?["fields"].take();
        (fields["message"] == "serving").then_some(fields)
    });
    std::thread::spawn(move || lines.for_each(drop));
    let fields = fields.ok_or("the server didn't start")?;
    let address = |name: &str| fields[name].as_str().map(|text| format!("http://{text}")).ok_or("no address");
    Ok((address("address")?, address("operations")?))
}
