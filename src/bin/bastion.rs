//! The program `bastion`: hands argv and the environment to the library, nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    bastion::cli::run(std::env::args_os(), &|name| std::env::var(name).ok())
}
