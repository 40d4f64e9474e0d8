//! Counters, gauges and histograms, and the log's form. Holds ids, counts and durations only.

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use tracing::Level;
use tracing_subscriber::filter::{FilterExt, LevelFilter, filter_fn};
use tracing_subscriber::layer::{Filter, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct SourceLabel {
    pub source: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReasonLabel {
    pub source: String,
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RefusalLabel {
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutcomeLabel {
    pub outcome: String,
}

/// What was recorded: `read`, `write`, `admin`, `break_glass` or `refusal`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ClassLabel {
    pub class: String,
}

/// `urgent` (somebody waits) or `bulk`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LaneLabel {
    pub lane: String,
}

/// How the embedding model computes: its precision, and the vector instructions of its kernels.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ModelLabel {
    pub precision: String,
    pub vectors: String,
}

type LaneFamily = Family<LaneLabel, Histogram, fn() -> Histogram>;
type AuditFamily = Family<ClassLabel, Histogram, fn() -> Histogram>;
type LatencyFamily = Family<OutcomeLabel, Histogram, fn() -> Histogram>;

/// All that is counted, in one registry. Shared behind an `Arc`.
pub struct Metrics {
    registry: Registry,
    /// Deliveries landed.
    pub received: Family<SourceLabel, Counter>,
    /// Records that ended as documents, unchanged, removed or carrying nothing.
    pub accepted: Family<SourceLabel, Counter>,
    pub quarantined: Family<ReasonLabel, Counter>,
    /// Deliveries set aside since the start: each needs somebody to look.
    pub set_aside: Counter<u64, AtomicU64>,
    /// Deliveries that are set aside.
    pub deliveries_failed: Gauge<i64, AtomicI64>,
    /// Deliveries, and their bytes, that have landed and wait to be read.
    pub backlog_deliveries: Gauge<i64, AtomicI64>,
    pub backlog_bytes: Gauge<i64, AtomicI64>,
    /// Seconds since each source was last heard from.
    pub source_age: Family<SourceLabel, Gauge<i64, AtomicI64>>,
    /// From landing to the first snapshot that shows it.
    pub event_to_searchable: Histogram,
    pub search_latency: LatencyFamily,
    pub answer_latency: LatencyFamily,
    /// How long requests waited for their rows of the audit trail.
    pub audit_time: AuditFamily,
    pub index_chunks: Gauge<i64, AtomicI64>,
    pub index_watermark: Gauge<i64, AtomicI64>,
    pub newest_change: Gauge<i64, AtomicI64>,
    /// Age of the oldest change that the index doesn't show.
    pub index_lag: Gauge<i64, AtomicI64>,
    pub tokens_refused: Family<RefusalLabel, Counter>,
    pub passages_embedded: Counter<u64, AtomicU64>,
    /// Always 1; its labels tell how the model computes.
    embedding_model: Family<ModelLabel, Gauge<i64, AtomicI64>>,
    /// Texts that wait for the model.
    pub embedding_waiting: Family<LaneLabel, Gauge<i64, AtomicI64>>,
    pub embedding_queue_time: LaneFamily,
    /// Of the texts of one request or batch.
    pub tokenize_time: Histogram,
    /// Of one group of texts.
    pub embedding_compute_time: Histogram,
    pub embedding_tokens: Counter<u64, AtomicU64>,
    /// Texts longer than the model's window.
    pub texts_cut: Counter<u64, AtomicU64>,
    /// Questions whose vector was held from the time before.
    pub questions_remembered: Counter<u64, AtomicU64>,
}

fn fast_histogram() -> Histogram {
    Histogram::new([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0])
}

/// A row of a read takes some hundredths of a millisecond, one that waits for the disk as long as that takes.
fn row_histogram() -> Histogram {
    Histogram::new([0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1.0])
}

fn slow_histogram() -> Histogram {
    Histogram::new([0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0])
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("anamnesis"),
            received: Family::default(),
            accepted: Family::default(),
            quarantined: Family::default(),
            set_aside: Counter::default(),
            deliveries_failed: Gauge::default(),
            backlog_deliveries: Gauge::default(),
            backlog_bytes: Gauge::default(),
            source_age: Family::default(),
            event_to_searchable: slow_histogram(),
            search_latency: Family::new_with_constructor(fast_histogram as fn() -> Histogram),
            answer_latency: Family::new_with_constructor(fast_histogram as fn() -> Histogram),
            audit_time: Family::new_with_constructor(row_histogram as fn() -> Histogram),
            index_chunks: Gauge::default(),
            index_watermark: Gauge::default(),
            newest_change: Gauge::default(),
            index_lag: Gauge::default(),
            tokens_refused: Family::default(),
            passages_embedded: Counter::default(),
            embedding_model: Family::default(),
            embedding_waiting: Family::default(),
            embedding_queue_time: Family::new_with_constructor(fast_histogram as fn() -> Histogram),
            tokenize_time: fast_histogram(),
            embedding_compute_time: fast_histogram(),
            embedding_tokens: Counter::default(),
            texts_cut: Counter::default(),
            questions_remembered: Counter::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("deliveries_received", "Deliveries landed", self.received.clone());
        registry.register("records_accepted", "Records read and taken in", self.accepted.clone());
        registry.register("records_quarantined", "Records that could not be read", self.quarantined.clone());
        registry.register("deliveries_set_aside", "Deliveries given up on", self.set_aside.clone());
        registry.register("deliveries_failed", "Deliveries that are set aside", self.deliveries_failed.clone());
        registry.register("backlog_deliveries", "Deliveries that wait to be read", self.backlog_deliveries.clone());
        registry.register_with_unit(
            "backlog",
            "Landed bytes that wait to be read",
            Unit::Bytes,
            self.backlog_bytes.clone(),
        );
        registry.register_with_unit(
            "source_age",
            "Time since the source was last heard from",
            Unit::Seconds,
            self.source_age.clone(),
        );
        registry.register_with_unit(
            "event_to_searchable",
            "Time from landing to searchable",
            Unit::Seconds,
            self.event_to_searchable.clone(),
        );
        registry.register_with_unit("search_latency", "Search", Unit::Seconds, self.search_latency.clone());
        registry.register_with_unit("answer_latency", "Answer", Unit::Seconds, self.answer_latency.clone());
        registry.register_with_unit("audit", "Wait for the audit row", Unit::Seconds, self.audit_time.clone());
        registry.register("index_chunks", "Chunks in the index", self.index_chunks.clone());
        registry.register("index_watermark", "Last change that the index shows", self.index_watermark.clone());
        registry.register("newest_change", "Last change in the store", self.newest_change.clone());
        registry.register_with_unit(
            "index_lag",
            "Age of the oldest change not yet shown",
            Unit::Seconds,
            self.index_lag.clone(),
        );
        registry.register("tokens_refused", "Tokens refused", self.tokens_refused.clone());
        registry.register("passages_embedded", "Passages through the model", self.passages_embedded.clone());
        self.register_embedding();
    }

    fn register_embedding(&mut self) {
        let registry = &mut self.registry;
        registry.register("embedding_model", "How the embedding model computes", self.embedding_model.clone());
        registry.register("embedding_waiting", "Texts that wait for the model", self.embedding_waiting.clone());
        registry.register_with_unit(
            "embedding_queue_time",
            "Wait for the model",
            Unit::Seconds,
            self.embedding_queue_time.clone(),
        );
        for (name, help, histogram) in [
            ("tokenize_time", "Splitting texts into tokens, per request", &self.tokenize_time),
            ("embedding_compute_time", "The model's pass over a group of texts", &self.embedding_compute_time),
        ] {
            registry.register_with_unit(name, help, Unit::Seconds, histogram.clone());
        }
        registry.register("embedding_tokens", "Tokens through the model", self.embedding_tokens.clone());
        registry.register("texts_cut", "Texts longer than the model's window", self.texts_cut.clone());
        registry.register("questions_remembered", "Questions not computed again", self.questions_remembered.clone());
    }

    pub fn describe_model(&self, precision: &str, vectors: &str) {
        let label = ModelLabel { precision: precision.to_owned(), vectors: vectors.to_owned() };
        self.embedding_model.get_or_create(&label).set(1);
    }

    /// The OpenMetrics text.
    pub fn render(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

pub fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

/// Logs where a panic happened and nothing else: its message may quote the record that was being read.
pub fn keep_panics_silent() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place = place.as_deref().unwrap_or("unknown"), "panicked");
    }));
}

/// What others write is cut, whatever is asked for.
const CUT: [&str; 2] = [
    // It writes an error for each request that it can't parse: whoever sends more must not fill the disk with them.
    "actix_http::h1=off",
    // The PDF library's warnings quote the file that is being read.
    "lopdf=off",
];

/// Which lines are written, of those that `asked` names, as in `info,anamnesis=debug`; `info` when it can't be read.
///
/// Below `info` only our own: what others write there quotes paths with ids of patients, and pages that are read.
pub fn lines_written<S>(asked: &str) -> impl Filter<S> + use<S> {
    let filter = EnvFilter::try_new(asked).unwrap_or_else(|_| "info".into());
    let filter = CUT.iter().fold(filter, |filter, cut| filter.add_directive(cut.parse().expect("a fixed directive")));
    // Without word of the lowest level that is written, each line of others is made and then thrown away, and the
    // tokenizer has several for each word.
    let lowest = EnvFilter::max_level_hint(&filter).unwrap_or(LevelFilter::TRACE);
    let ours = filter_fn(|line| line.target().starts_with("anamnesis") || *line.level() <= Level::INFO);
    filter.and(ours.with_max_level_hint(lowest))
}

/// Structured lines on standard error; `filter` as [`lines_written`] takes it.
pub fn start_logging(filter: &str, json: bool) {
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    // A second start (tests in one process) keeps the first.
    let _ = match json {
        true => tracing_subscriber::registry().with(lines.json().with_filter(lines_written(filter))).try_init(),
        false => tracing_subscriber::registry().with(lines.with_filter(lines_written(filter))).try_init(),
    };
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::Registry;

    use super::*;

    #[test]
    fn a_line_that_will_not_be_written_is_not_made() {
        let lowest = |asked: &str| Filter::<Registry>::max_level_hint(&lines_written::<Registry>(asked));
        assert_eq!(lowest("info"), Some(LevelFilter::INFO));
        assert_eq!(lowest("info,anamnesis=debug"), Some(LevelFilter::DEBUG));
    }
}
