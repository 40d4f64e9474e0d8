//! All that the services of these tests log is read as it is written: a word of a record, a token or a secret in it ends
//! the whole run.

use std::io;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use anamnesis::telemetry::lines_written;
use regex::bytes::Regex;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// More than an operator would ask for: all but the statements of the database, which are always the same.
const FILTER: &str = "debug,anamnesis=trace,sqlx=info";

/// Names and made-up words of the tests' records, ids of their patients, tokens, and secrets.
static PRIVATE: LazyLock<Regex> = LazyLock::new(|| {
    let words = [
        r"[a-z]+word\b",
        "canary",
        "ruiz",
        "okoro",
        "meadow",
        "zebrafinch",
        "quillon",
        "marrowby",
        "oxbowine",
        "tamarillo",
        "fernwort",
        "dulcimerate",
        "gorsepollen",
        "lanternfish",
        "wickerham",
        "vexillol",
        "southernmark",
        "alvarez",
        "zq(north|south)",
        "migraine",
        "p-figure",
        "erased-1",
        r"eyj[a-z0-9]{8}",
        "of the tests",
        "bearer ",
    ];
    Regex::new(&format!("(?i){}", words.join("|"))).unwrap()
});

static LINES: AtomicUsize = AtomicUsize::new(0);

/// Begins to read what is logged, once for the process.
pub fn watch() {
    static BEGUN: LazyLock<()> = LazyLock::new(|| {
        let lines = tracing_subscriber::fmt::layer().json().with_writer(|| Reader).with_filter(lines_written(FILTER));
        tracing_subscriber::registry().with(lines).try_init().expect("nothing else logs in these tests");
    });
    LazyLock::force(&BEGUN);
}

/// How many lines were read until now.
pub fn lines() -> usize {
    LINES.load(Ordering::Relaxed)
}

/// The first private word in a text.
pub fn private_word(text: &[u8]) -> Option<String> {
    let mut words = PRIVATE.find_iter(text).map(|found| String::from_utf8_lossy(found.as_bytes()).to_lowercase());
    words.find(|word| !["keyword", "password"].contains(&word.as_str()))
}

struct Reader;

impl io::Write for Reader {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        LINES.fetch_add(1, Ordering::Relaxed);
        if let Some(word) = private_word(line) {
            // A panic here would be caught by whatever was being done.
            eprintln!("{word} stands in the log: {}", String::from_utf8_lossy(line));
            std::process::exit(101);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
