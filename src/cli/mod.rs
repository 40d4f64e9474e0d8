//! The command line. Commands for operators work on the store of this machine; commands for readers
//! (`search`, `ask`) go through a server with a token, as anybody else does.

mod arguments;
mod ask;
mod audit;
mod demo;
mod erase;
mod eval;
mod eval_answers;
mod eval_deidentify;
mod files;
mod hospital;
mod ingest;
mod models;
mod progress;
mod reindex;
mod serve;
mod sources;
mod token;

use std::process::ExitCode;

use clap::Parser;

use crate::config::Config;
use crate::{http, telemetry};
use arguments::{Arguments, Command};

/// What went wrong, in words for the person at the terminal.
#[derive(Debug)]
pub struct Failure(String);

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            if !text.contains(&cause_text) {
                text = format!("{text}: {cause_text}");
            }
            source = cause.source();
        }
        Self(text)
    }
}

impl Failure {
    fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

type Done = Result<(), Failure>;

/// Parses the command line, runs the command, and says how it went by the exit code: 0, 1 for a failure,
/// 2 for a command that can't be understood.
pub fn run() -> ExitCode {
    match start(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(text)) => {
            eprintln!("anamnesis: {text}");
            ExitCode::FAILURE
        }
    }
}

fn start(arguments: Arguments) -> Done {
    let config = Config::load(arguments.config.as_deref())?;
    let quiet = !matches!(arguments.command, Command::Serve);
    // A command that draws progress bars keeps its terminal; what fails is still said.
    let filter = if quiet { "error" } else { config.log.as_str() };
    telemetry::start_logging(filter, config.log_format == "json");
    telemetry::keep_panics_silent();
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(dispatch(arguments.command, config))
}

async fn dispatch(command: Command, config: Config) -> Done {
    match command {
        Command::Serve => serve::run(config).await,
        Command::Demo(options) => demo::run(config, options).await,
        Command::Ingest(options) => ingest::run(config, options).await,
        Command::Search(options) => ask::search(options).await,
        Command::Ask(options) => ask::ask(options).await,
        Command::Reindex(options) => reindex::run(config, options).await,
        Command::Eval(options) => eval::run(config, options).await,
        Command::EvalAnswers(options) => eval_answers::run(config, options).await,
        Command::EvalDeidentify(options) => eval_deidentify::run(options),
        Command::Models(command) => models::run(config, command).await,
        Command::Sources(command) => sources::run(config, command).await,
        Command::Token(options) => token::run(config, options),
        Command::Erase(options) => erase::run(config, options).await,
        Command::Audit(command) => audit::run(config, command).await,
        Command::Openapi => {
            println!("{}", http::openapi_document().to_pretty_json()?);
            Ok(())
        }
    }
}
