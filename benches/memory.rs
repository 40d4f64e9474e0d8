//! `make bench-memory`: how much memory a server takes while a large file and many small notes come in at once.
//!
//! The file is NDJSON of 2 GiB (`ANAMNESIS_BENCH_MEMORY_MIB` for another size), taken from a drop folder; the notes are
//! 10,000 requests that are all under way together, each sent again when the server has no room for it. The figure
//! is the peak of the process's resident memory, beside what it held when it was ready and idle: the model, mostly.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const BINARY: &str = env!("CARGO_BIN_EXE_anamnesis");
const SECRET: &str = "a secret of this bench and of nobody else, forty bytes";
const NOTES: usize = 10_000;
const MIB: u64 = 1024 * 1024;
/// Observations for each note of the file.
const OBSERVATIONS: usize = 9;
/// Sentences of a note: about 16 KiB of text.
const SENTENCES: usize = 160;
const LOOK_AGAIN: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(3 * 3600);

fn main() -> Outcome<()> {
    let work = Path::new(env!("CARGO_TARGET_TMPDIR")).join("memory");
    let _ = std::fs::remove_dir_all(&work);
    std::fs::create_dir_all(work.join("drop"))?;
    let figures = tokio::runtime::Runtime::new()?.block_on(measure(&work));
    let _ = std::fs::remove_dir_all(&work);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/results");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("memory.json"), format!("{:#}\n", figures?))?;
    Ok(())
}

async fn measure(work: &Path) -> Outcome<Value> {
    let bytes = std::env::var("ANAMNESIS_BENCH_MEMORY_MIB").ok().map_or(Ok(2048), |text| text.parse::<u64>())? * MIB;
    configure(work)?;
    let server = Server::start(work)?;
    let idle = server.resident_kib("VmRSS")?;
    println!("ready and idle: {} MiB resident", idle / 1024);
    let part = work.join("drop/hospital.ndjson.part");
    let resources = write_resources(&part, bytes)?;
    std::fs::rename(part, work.join("drop/hospital.ndjson"))?;
    println!("{resources} resources in {} MiB; {NOTES} notes beside them", bytes / MIB);
    let started = Instant::now();
    let refused = send_notes(work, &server.url).await?;
    println!(
        "{NOTES} notes acknowledged after {:.0} s, {refused} refusals on the way",
        started.elapsed().as_secs_f64()
    );
    let wanted = resources + NOTES as u64;
    let seconds = server.until_read(wanted, started).await?;
    let peak = server.resident_kib("VmHWM")?;
    let beyond = peak.saturating_sub(idle) / 1024;
    println!("{wanted} records read after {seconds:.0} s; peak {} MiB, {beyond} MiB beyond idle", peak / 1024);
    Ok(json!({
        "file_mib": bytes / MIB, "resources": resources, "notes": NOTES, "refused": refused, "seconds": seconds,
        "idle_mib": idle / 1024, "peak_mib": peak / 1024, "beyond_idle_mib": beyond,
    }))
}

fn configure(work: &Path) -> Outcome<()> {
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

/// Observations and long notes in turn, until the file is as large as wanted; how many there are.
fn write_resources(path: &Path, bytes: u64) -> Outcome<u64> {
    let mut file = BufWriter::new(File::create(path)?);
    let (mut written, mut resources) = (0_u64, 0_u64);
    while written < bytes {
        let line =
            if resources.is_multiple_of(OBSERVATIONS as u64 + 1) { note(resources) } else { observation(resources) };
        let line = format!("{line}\n");
        file.write_all(line.as_bytes())?;
        written += line.len() as u64;
        resources += 1;
    }
    file.flush()?;
    Ok(resources)
}

fn observation(number: u64) -> Value {
    json!({
        "resourceType": "Observation", "id": format!("o{number}"), "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "2823-3", "display": "Potassium"}], "text": "Potassium"},
        "subject": {"reference": format!("Patient/p{}", number % 5000)},
        "effectiveDateTime": "2024-05-01T10:00:00Z",
        "valueQuantity": {"value": 3.0 + (number % 300) as f64 / 100.0, "unit": "mmol/L", "code": "mmol/L"},
    })
}

fn note(number: u64) -> Value {
    let mut text = String::new();
    for sentence in 0..SENTENCES as u64 {
        let _ = writeln!(
            text,
            "On day {sentence} of stay {number} the wound {} was dry and without redness.",
            number * sentence
        );
    }
    json!({
        "resourceType": "DocumentReference", "id": format!("n{number}"), "status": "current",
        "type": {"text": "Progress note"}, "date": "2024-05-01T10:00:00Z",
        "subject": {"reference": format!("Patient/p{}", number % 5000)},
        "content": [{"attachment": {"contentType": "text/plain", "data": STANDARD.encode(text)}}],
    })
}

/// All at once; says how often one was told to come again.
async fn send_notes(work: &Path, url: &str) -> Outcome<usize> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let token = run(Command::new(BINARY)
        .args(["token", "--scopes", "system/*.c", "--config"])
        .arg(work.join("anamnesis.toml")))?;
    let address = format!("{url}/v1/sources/notes/records");
    let posts = (0..NOTES).map(|number| {
        let (client, token, address) = (client.clone(), token.trim().to_owned(), address.clone());
        tokio::spawn(async move {
            let body = format!("---\nid: note-{number}\npatient: p{}\n---\nCough for {number} days.\n", number % 100);
            let mut refused = 0;
            loop {
                let request = client.post(&address).bearer_auth(&token).header("content-type", "text/plain");
                match request.body(body.clone()).send().await {
                    Ok(reply) if reply.status() == 202 => return Ok(refused),
                    // No room, or too many at once for all of them to be heard in time.
                    Ok(reply) if matches!(reply.status().as_u16(), 408 | 429) => refused += 1,
                    // Not even connected: the system's own queue was full.
                    Err(error) if error.is_connect() => refused += 1,
                    Ok(reply) => return Err(reply.status().to_string()),
                    Err(error) => return Err(format!("{error:?}")),
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        })
    });
    let mut refused = 0;
    for post in posts.collect::<Vec<_>>() {
        refused += post.await??;
    }
    Ok(refused)
}

fn run(command: &mut Command) -> Outcome<String> {
    let output = command.stderr(Stdio::inherit()).output()?;
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout)?),
        false => Err(format!("{command:?} ended with {}", output.status).into()),
    }
}

/// Killed when it goes out of scope.
struct Server {
    process: Child,
    url: String,
    operations: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    fn start(work: &Path) -> Outcome<Self> {
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
    fn resident_kib(&self, name: &str) -> Outcome<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such line")?;
        Ok(line.trim_matches(|c: char| !c.is_ascii_digit()).parse()?)
    }

    /// Until the store holds so many changes; seconds since `started`.
    async fn until_read(&self, changes: u64, started: Instant) -> Outcome<f64> {
        loop {
            let text = reqwest::get(format!("{}/metrics", self.operations)).await?.text().await?;
            let line = text.lines().find_map(|line| line.strip_prefix("anamnesis_newest_change "));
            if line.ok_or("no such metric")?.parse::<f64>()? as u64 >= changes {
                return Ok(started.elapsed().as_secs_f64());
            }
            if started.elapsed() > PATIENCE {
                return Err("the records were not read in time".into());
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
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
