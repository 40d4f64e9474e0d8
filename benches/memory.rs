//! `make bench-memory`: how much memory a server takes while a large file and many small notes come in at once.
//!
//! The file is NDJSON of 2 GiB (`ANAMNESIS_BENCH_MEMORY_MIB` for another size), taken from a drop folder; the notes are
//! 10,000 requests that are all under way together, each sent again when the server has no room for it. The figure
//! is the peak of the process's resident memory, beside what it held when it was ready and idle: the model, mostly.

#[path = "support/server.rs"]
mod server;

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use server::{Outcome, Server, configure, token};

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
    server.until("anamnesis_newest_change", wanted, LOOK_AGAIN, PATIENCE).await?;
    let seconds = started.elapsed().as_secs_f64();
    let peak = server.resident_kib("VmHWM")?;
    let beyond = peak.saturating_sub(idle) / 1024;
    println!("{wanted} records read after {seconds:.0} s; peak {} MiB, {beyond} MiB beyond idle", peak / 1024);
    Ok(json!({
        "file_mib": bytes / MIB, "resources": resources, "notes": NOTES, "refused": refused, "seconds": seconds,
        "idle_mib": idle / 1024, "peak_mib": peak / 1024, "beyond_idle_mib": beyond,
    }))
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
    let token = token(work, "system/*.c")?;
    let address = format!("{url}/v1/sources/notes/records");
    let posts = (0..NOTES).map(|number| {
        let (client, token, address) = (client.clone(), token.clone(), address.clone());
        tokio::spawn(async move {
            let body = format!("---\nid: note-{number}\npatient: p{}\n---\nCough for {number} days.\n", number % 100);
            let mut refused = 0;
            loop {
                let request = client.post(&address).bearer_auth(&token).header("content-type", "text/plain");
                match request.body(body.clone()).send().await {
                    Ok(reply) if reply.status() == 202 => return Ok(refused),
                    // No room, or too many at once for all of them to be heard in time.
                    Ok(reply) if matches!(reply.status().as_u16(), 408 | 429) => refused += 1,
                    // Not even connected, as the system's own queue was full, or let go before an answer.
                    Err(error) if error.is_connect() || error.is_request() => refused += 1,
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
