//! The binary: everything it does is a command, see `cli/`.

use std::process::ExitCode;

fn main() -> ExitCode {
    anamnesis::cli::run()
}
