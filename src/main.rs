//! The binary: everything it does is a command, see `cli/`.

use std::process::ExitCode;

/// The model allocates a tensor per operation; this allocator keeps their pages instead of giving them back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    anamnesis::cli::run()
}
