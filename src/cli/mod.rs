//! The program `bastion`: the check of a path, the scan of a bastion, its keys, and what was left behind in AWS, by hand.

#[cfg(feature = "aws")]
mod admit;
mod arguments;
mod check;
mod endpoint;
mod error;
mod exit;
mod input;
mod json;
mod keys;
#[cfg(feature = "aws")]
mod leftovers;
mod live;
mod mermaid;
mod request;
mod scan;
mod url;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use self::error::CliError;
use self::exit::Exit;

/// What the environment says; empty values count as none.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The path from here through an SSH bastion to a private Postgres: prove it, stage by stage.
#[derive(Parser)]
#[command(name = "bastion", version, max_term_width = 120, subcommand_required = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Walk the path to a database and say where it breaks, what was heard, and what to change.
    #[command(after_help = arguments::AFTER_HELP)]
    Check(Box<arguments::CheckArguments>),
    /// Print the host keys that a bastion presents, as known_hosts lines to be compared and pinned.
    Scan(scan::ScanArguments),
    /// Make and read the keys of a bastion login.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// List what bears this provider's mark in a security group or a bucket, by owner, and take an owner's claims away.
    #[cfg(feature = "aws")]
    #[command(after_help = leftovers::AFTER_HELP)]
    Leftovers(leftovers::LeftoversArguments),
}

/// Does what argv says.
pub fn run(arguments: impl IntoIterator<Item = OsString>, environment: Environment<'_>) -> ExitCode {
    let arguments: Vec<_> = arguments.into_iter().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(wrong) if wrong.use_stderr() && arguments.iter().any(|argument| argument == "--json") => {
            // Its first line says what is wrong; usage and tips are for people.
            let text = wrong.to_string();
            let first = text.lines().next().unwrap_or_default();
            let refused = say(&json::refused("configure/usage", first.strip_prefix("error: ").unwrap_or(first)));
            return refused.map_or_else(|error| error.exit(), |()| Exit::Usage).into();
        }
        Err(asked) => {
            // Help and the version are asked for; everything else is a wrong use.
            let exit = if asked.use_stderr() { Exit::Usage } else { Exit::Proven };
            return if asked.print().is_ok() { exit.into() } else { Exit::Fault.into() };
        }
    };
    let ended = match cli.command {
        Command::Check(arguments) => check::run(&arguments, environment),
        Command::Scan(arguments) => scan::run(&arguments, environment),
        Command::Keys(command) => keys::run(&command, environment),
        #[cfg(feature = "aws")]
        Command::Leftovers(arguments) => leftovers::run(&arguments),
    };
    match ended {
        Ok(exit) => exit.into(),
        Err(error) => {
            // Where nobody can read it, nothing can be done.
            let _told = writeln!(io::stderr(), "error: {error}");
            error.exit().into()
        }
    }
}

/// Text for whoever asked. Who has gone without hearing it out wanted no more.
fn say(text: &str) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(CliError::Output(error)),
        _ => Ok(()),
    }
}

fn runtime() -> Result<Runtime, CliError> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CliError::Runtime)
}

/// Runs a walk; Ctrl-C and a polite kill end it at once, with what is known by then.
fn block_on<T>(work: impl AsyncFnOnce(CancellationToken) -> T) -> Result<T, CliError> {
    let runtime = runtime()?;
    let cancelled = CancellationToken::new();
    let done = runtime.block_on(async {
        for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
            let (mut received, cancelled) = (signal(kind).map_err(CliError::Runtime)?, cancelled.clone());
            tokio::spawn(async move {
                received.recv().await;
                cancelled.cancel();
            });
        }
        Ok(work(cancelled.clone()).await)
    });
    // Not waiting for a resolver that hangs.
    runtime.shutdown_background();
    done
}
