//! Where secrets and files come from: bounded, never from argv.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::path::Path;

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::error::CliError;
use super::{Environment, runtime};
use crate::key::{self, KeyError, PrivateKey};
use crate::secret::Secret;

/// The largest file read: the bundle of all of Amazon's authorities has some 200 kB.
const LARGEST: u64 = 1024 * 1024;

/// The terminal that the program was started from, wherever its channels lead.
const TERMINAL: &str = "/dev/tty";

/// A variable's value, unless it is empty.
pub(super) fn variable(environment: Environment<'_>, name: &str) -> Option<String> {
    environment(name).filter(|value| !value.is_empty())
}

/// The text of a file that an argument or a variable named.
pub(super) fn file(flag: &'static str, path: &Path) -> Result<Secret<String>, CliError> {
    read(flag, path, File::open(path))
}

/// As [`file`]; `-` is what comes in on stdin.
pub(super) fn file_or_stdin(flag: &'static str, path: &Path) -> Result<Secret<String>, CliError> {
    if path == Path::new("-") { read(flag, path, Ok(io::stdin().lock())) } else { file(flag, path) }
}

fn read(flag: &'static str, path: &Path, opened: io::Result<impl Read>) -> Result<Secret<String>, CliError> {
    let failed = |error| CliError::File { flag, path: path.to_owned(), error };
    let mut text = Zeroizing::new(String::new());
    opened.map_err(failed)?.take(LARGEST + 1).read_to_string(&mut text).map_err(failed)?;
    if u64::try_from(text.len()).is_ok_and(|length| length > LARGEST) {
        return Err(CliError::TooLarge { flag, path: path.to_owned() });
    }
    Ok(Secret::from(text.as_str()))
}

/// A file that holds one secret; the line's end that editors add is no part of it.
pub(super) fn secret_file(flag: &'static str, path: &Path) -> Result<Secret<String>, CliError> {
    let text = file(flag, path)?;
    let secret = text.expose().strip_suffix('\n').map_or(text.expose().as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
    Ok(Secret::from(secret))
}

/// Asks on the terminal, without echo.
pub(super) fn ask(what: &'static str, prompt: &str, instead: &'static str) -> Result<Secret<String>, CliError> {
    typed(what, prompt, instead, |modes| {
        modes.remove(LocalModes::ECHO);
        modes.insert(LocalModes::ECHONL);
    })
}

/// Asks on the terminal for a yes.
#[cfg(feature = "aws")]
pub(super) fn confirm(prompt: &str) -> Result<(), CliError> {
    let answer = typed("confirmation", prompt, "--yes", |_| {})?;
    if answer.expose().trim() == "yes" { Ok(()) } else { Err(CliError::NotConfirmed) }
}

/// A line that is typed on the terminal in some modes. Ctrl-C and a polite kill end it, and whatever ends it leaves the terminal as it was.
fn typed(
    what: &'static str,
    prompt: &str,
    instead: &'static str,
    change: impl FnOnce(&mut LocalModes),
) -> Result<Secret<String>, CliError> {
    let no_terminal = || CliError::NoTerminal { what, instead };
    let mut terminal = File::options().read(true).write(true).open(TERMINAL).map_err(|_| no_terminal())?;
    let before = tcgetattr(&terminal).map_err(|_| no_terminal())?;
    let mut changed = before.clone();
    change(&mut changed.local_modes);
    let runtime = runtime()?;
    let typed = runtime.block_on(async {
        // First, so that a signal cannot come between: it would end the program with the echo off.
        let mut interrupt = signal(SignalKind::interrupt()).map_err(CliError::Runtime)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(CliError::Runtime)?;
        // What was typed ahead counts.
        tcsetattr(&terminal, OptionalActions::Now, &changed).map_err(|_| no_terminal())?;
        // Last: who sees the prompt may type.
        write!(terminal, "{prompt}").map_err(|_| no_terminal())?;
        tokio::select! {
            typed = line(&terminal) => typed.ok_or(CliError::NothingTyped { what }),
            _ = interrupt.recv() => Err(CliError::Interrupted),
            _ = terminate.recv() => Err(CliError::Interrupted),
        }
    });
    let restored = tcsetattr(&terminal, OptionalActions::Now, &before);
    if typed.is_err() {
        // The prompt's line is not ended yet.
        let _ended = writeln!(terminal);
    }
    restored.map_err(|_| no_terminal())?;
    typed
}

/// One line of the terminal; none at its end. A thread reads it, which nobody waits for once the line is not wanted any more.
async fn line(terminal: &File) -> Option<Secret<String>> {
    let terminal = terminal.try_clone().ok()?;
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || {
        let mut text = Zeroizing::new(String::new());
        let read = BufReader::new(terminal.take(LARGEST)).read_line(&mut text);
        let typed = read.is_ok_and(|length| length > 0).then(|| Secret::from(text.trim_end_matches(['\n', '\r'])));
        // The receiver is gone where the wait was ended.
        let _unwanted = sender.send(typed);
    });
    receiver.await.ok().flatten()
}

/// The passphrase of a key, as far as it is given: a file, else the environment.
pub(super) fn passphrase(from: Option<&Path>, environment: Environment<'_>) -> Result<Option<Secret<String>>, CliError> {
    match from {
        Some(path) => secret_file("--passphrase-file", path).map(Some),
        None => Ok(variable(environment, "BASTION_PASSPHRASE").map(Secret::from)),
    }
}

/// A private key. The passphrase of an encrypted one is asked for, if it is not given and somebody is there.
pub(super) fn private_key(
    text: &Secret<String>,
    path: &Path,
    from: Option<&Path>,
    environment: Environment<'_>,
) -> Result<PrivateKey, CliError> {
    let mut given = passphrase(from, environment)?;
    if given.is_none() && key::is_encrypted(text) {
        if !io::stdin().is_terminal() {
            return Err(CliError::Key { path: path.to_owned(), error: KeyError::PassphraseMissing });
        }
        let prompt = format!("Passphrase of {}: ", path.display());
        given = Some(ask("passphrase", &prompt, "--passphrase-file or BASTION_PASSPHRASE")?);
    }
    PrivateKey::parse(text, given.as_ref()).map_err(|error| CliError::Key { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_ends_before_its_lines_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        for (text, secret) in [("hunter2\n", "hunter2"), ("hunter2\r\n", "hunter2"), (" hunter2 ", " hunter2 "), ("a\n\n", "a\n"), ("", "")]
        {
            std::fs::write(&path, text).unwrap();
            assert_eq!(secret_file("--password-file", &path).unwrap().expose(), secret);
        }
        std::fs::write(&path, vec![b'a'; 1024 * 1024 + 1]).unwrap();
        assert!(matches!(secret_file("--password-file", &path), Err(CliError::TooLarge { .. })));
        assert!(matches!(secret_file("--password-file", folder.path()), Err(CliError::File { .. })));
    }
}
