//! What can be said on the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

#[derive(Parser)]
#[command(name = "anamnesis", version, about = "Grounded, cited, scoped answers from clinical data")]
pub struct Arguments {
    /// Configuration file (TOML); `ANAMNESIS_*` variables win over it
    #[arg(long, global = true)]
    pub config: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Serve HTTP and keep the index in step with the store
    Serve,
    /// Ingest a small fictional hospital, serve it, and answer a question
    Demo(DemoOptions),
    /// Take files in: land, read, index
    Ingest(IngestOptions),
    /// Search through a server
    Search(AskOptions),
    /// Ask a question through a server
    Ask(AskOptions),
    /// Derive the index again from the store
    Reindex(ReindexOptions),
    /// Measure retrieval on a judged set in BEIR layout
    Eval(EvalOptions),
    /// Measure answers on questions with known answers
    EvalAnswers(EvalAnswersOptions),
    /// Measure what is taken out of texts to hide who they are about
    EvalDeidentify(EvalDeidentifyOptions),
    /// Model weights
    #[command(subcommand)]
    Models(ModelsCommand),
    /// Declared feeds
    #[command(subcommand)]
    Sources(SourcesCommand),
    /// Mint a token of the development key
    Token(TokenOptions),
    /// Erase a patient: from the next request on nobody sees them, then nothing of them is left
    Erase(EraseOptions),
    /// The audit trail
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Print the OpenAPI document
    Openapi,
}

#[derive(Args)]
pub struct DemoOptions {
    /// Where the demo keeps its store and index
    #[arg(long, default_value = "demo/.state")]
    pub data: PathBuf,
    /// The fictional hospital's files
    #[arg(long, default_value = "demo/hospital")]
    pub hospital: PathBuf,
    /// Stop once the question is answered
    #[arg(long)]
    pub once: bool,
}

#[derive(Args)]
pub struct IngestOptions {
    /// Files and folders
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
    /// The source they come from; declared with defaults when it isn't yet
    #[arg(long, default_value = "files")]
    pub source: String,
    /// Patient namespace of a source declared here
    #[arg(long, default_value = "main")]
    pub patients: String,
    /// Mapping file (TOML) for CRM rows (.csv, and .json when given)
    #[arg(long)]
    pub mapping: Option<PathBuf>,
    /// Write the account here as JSON
    #[arg(long)]
    pub report: Option<PathBuf>,
    /// Say what would be added, changed, removed, unchanged and quarantined, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Leave indexing to a server
    #[arg(long)]
    pub no_index: bool,
}

#[derive(Args)]
pub struct AskOptions {
    /// The question or query
    pub text: String,
    #[arg(long)]
    pub patient: Option<String>,
    #[arg(long, env = "ANAMNESIS_URL", default_value = "http://127.0.0.1:8080")]
    pub url: String,
    #[arg(long, env = "ANAMNESIS_TOKEN", hide_env_values = true)]
    pub token: String,
    /// Print the response as it came
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct ReindexOptions {
    /// Only this source
    #[arg(long, group = "target")]
    pub source: Option<String>,
    /// Only this patient
    #[arg(long, group = "target")]
    pub patient: Option<String>,
    /// Only this document
    #[arg(long, group = "target")]
    pub document: Option<String>,
}

#[derive(Args)]
pub struct EvalOptions {
    /// Folder with queries.jsonl, qrels.tsv or qrels/test.tsv, and corpus.jsonl or set.toml
    pub dir: PathBuf,
    /// Judgements to use
    #[arg(long)]
    pub qrels: Option<PathBuf>,
    /// What to measure, once for each: `hybrid`, `keyword`, `dense`, or one of them and settings, as in
    /// `hybrid,fusion=rrf` or `hybrid,dense_weight=0.5,expand=false`. The last is held against the others
    #[arg(long = "run", value_name = "RUN", default_values = ["keyword", "dense", "hybrid"])]
    pub runs: Vec<String>,
    /// Fail when the last run's mean lies below, as in `ndcg_at_10=0.745`
    #[arg(long = "at-least", value_name = "FIGURE=MINIMUM")]
    pub at_least: Vec<String>,
    /// Fail when another run's nDCG@10 lies above the last run's
    #[arg(long)]
    pub best: bool,
    /// Write each query's figures and first ten documents here, a JSON line each
    #[arg(long, value_name = "FILE")]
    pub per_query: Option<PathBuf>,
    /// Hold each run against the one of the same name in a file that --per-query wrote before;
    /// fail when nDCG@10 has become worse by more than chance (p below 0.05)
    #[arg(long, value_name = "FILE")]
    pub against: Option<PathBuf>,
    /// Print the figures as JSON
    #[arg(long)]
    pub json: bool,
    /// Keep store and index here, so that a second run needs no embedding; default: a temporary folder
    #[arg(long)]
    pub work: Option<PathBuf>,
}

#[derive(Args)]
pub struct EvalAnswersOptions {
    /// The fictional hospital's files
    #[arg(long, default_value = "demo/hospital")]
    pub hospital: PathBuf,
    /// Besides: a folder of FHIR Bundles, one patient each
    #[arg(long)]
    pub patients: Option<PathBuf>,
    /// Instead: a judged set in BEIR layout, for its evidence sentences (evidence.jsonl) or its right documents
    #[arg(long)]
    pub evidence: Option<PathBuf>,
    /// Which half of the judged evidence: `train` to tune on, `test` to report
    #[arg(long, default_value = "test")]
    pub split: String,
    /// Questions of the judged set, at most
    #[arg(long, default_value_t = usize::MAX)]
    pub limit: usize,
    /// Print each answer that is wrong
    #[arg(long)]
    pub wrong: bool,
    /// Keep store and index here, so that a second run needs no embedding; default: a temporary folder
    #[arg(long)]
    pub work: Option<PathBuf>,
}

#[derive(Args)]
pub struct EvalDeidentifyOptions {
    /// Sentences with marked spans, as presidio-research publishes them (synth_dataset_v2.json)
    pub sentences: PathBuf,
    /// Besides: FHIR resources before and after a scrubber, in folders `phi-in` and `phi-out` (cumulus-etl)
    #[arg(long, value_name = "DIR")]
    pub pairs: Option<PathBuf>,
}

#[derive(Subcommand)]
pub enum ModelsCommand {
    /// Obtain the model's weights and verify them
    Pull,
    /// Show the model and whether its weights are here
    List,
}

#[derive(Subcommand)]
pub enum SourcesCommand {
    /// Declare the `[[source]]` of a TOML file, or change what was declared
    Declare { file: PathBuf },
    /// Show what is declared and how each feed fares
    List,
}

#[derive(Args)]
pub struct EraseOptions {
    #[arg(long)]
    pub patient: String,
    /// Why, in words that name nobody; kept with the certificate
    #[arg(long)]
    pub reason: String,
}

#[derive(Subcommand)]
pub enum AuditCommand {
    /// Prove that no row was edited, cut, moved or put in
    Verify,
    /// Remove rows that are past their retention
    Prune {
        /// Six years unless the law of the place says otherwise
        #[arg(long, default_value_t = 2_192)]
        older_than_days: u32,
    },
}

#[derive(Args)]
pub struct TokenOptions {
    /// Space-separated: `patient/*.rs`, `user/*.rs`, `system/*.cruds`, `anamnesis/admin.reindex`, ...
    #[arg(long)]
    pub scopes: String,
    #[arg(long, default_value = "developer")]
    pub subject: String,
    /// Default: the configured tenant
    #[arg(long)]
    pub tenant: Option<String>,
    /// The launch patient, for `patient/` scopes
    #[arg(long)]
    pub patient: Option<String>,
    /// Only these patients, for `user/` scopes
    #[arg(long, value_delimiter = ',')]
    pub patients: Vec<String>,
    /// Only these sources, for writes
    #[arg(long, value_delimiter = ',')]
    pub sources: Vec<String>,
    /// Sensitivity codes that it is cleared for: `R`, `V`, `PSY`, `SUD`, ...
    #[arg(long, value_delimiter = ',')]
    pub sensitivity: Vec<String>,
    #[arg(long)]
    pub purpose: Option<String>,
    #[arg(long, default_value_t = 3600)]
    pub lifetime_s: u64,
}
