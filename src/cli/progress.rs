//! Progress bars on standard error, for a person who watches; nothing when nobody does.

use indicatif::{ProgressBar, ProgressStyle};

use crate::adapters::inference::{Attempt, Place, Progress};

pub fn counting(what: &'static str, total: u64) -> ProgressBar {
    styled(what, total, "{msg:>10} {bar:32} {pos}/{len} {elapsed}")
}

/// For work whose size isn't known before.
pub fn spinning(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    bar.set_style(
        ProgressStyle::with_template("{msg:>10} {spinner} {pos} {elapsed}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner()),
    );
    bar.set_message(what);
    bar
}

fn styled(what: &'static str, total: u64, template: &str) -> ProgressBar {
    let bar = ProgressBar::new(total);
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_message(what);
    bar
}

/// A download bar that follows a model fetch.
pub struct FetchBar {
    bar: ProgressBar,
}

impl FetchBar {
    pub fn new() -> Self {
        Self { bar: styled("model", 0, "{msg:>10} {bar:32} {bytes}/{total_bytes} {elapsed}") }
    }

    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Progress for FetchBar {
    fn trying(&self, place: &Place) {
        self.bar.println(format!("     model asking {place}"));
    }

    fn advanced(&self, _what: &str, done: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(done);
    }

    fn passed_over(&self, attempt: &Attempt) {
        self.bar.println(format!("     model {}: {}", attempt.place, attempt.error));
    }

    fn recorded(&self, file: &str, sha256: &str) {
        self.bar
            .println(format!("     model {file}: no hash in the manifest; recorded {sha256}, which holds from now on"));
    }
}
