//! `bastion keys`: make a login's key pair, show a fingerprint, write the bastion's line.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::error::CliError;
use super::exit::Exit;
use super::{Environment, input, say};
use crate::cidr::Cidr;
use crate::key::{Comment, Expiry, LineOptions, PermitOpen, PrivateKey, PublicKey, PublicKeyError, authorized_keys_line};
use crate::secret::Secret;

/// A private key is its owner's alone; sshd and ssh refuse others.
const PRIVATE: u32 = 0o600;
/// A public key is for everybody to read.
const PUBLIC: u32 = 0o644;

const INSTEAD: &str = "--passphrase-file or BASTION_PASSPHRASE";
const INSTEAD_OF_TYPING: &str = "--passphrase-file, BASTION_PASSPHRASE or --no-passphrase";

#[derive(Subcommand)]
pub(super) enum KeysCommand {
    /// Make an ed25519 key pair: FILE (mode 0600) and FILE.pub. Nothing is overwritten.
    Generate(GenerateArguments),
    /// Print the fingerprint of a public or private key, as `ssh-keygen -l` does.
    Fingerprint(KeyArguments),
    /// Print the line for the bastion's authorized_keys that narrows a key to forwarding.
    AuthorizedKey(AuthorizedKeyArguments),
}

#[derive(Args)]
pub(super) struct GenerateArguments {
    /// The private key's file.
    file: PathBuf,
    /// Stands behind the public key.
    #[arg(long, default_value = "")]
    comment: String,
    /// The passphrase, alone in a file; without it BASTION_PASSPHRASE, else it is asked for on the terminal.
    #[arg(long, value_name = "FILE", conflicts_with = "no_passphrase")]
    passphrase_file: Option<PathBuf>,
    /// Keep the private key in plain text.
    #[arg(long)]
    no_passphrase: bool,
}

#[derive(Args)]
pub(super) struct KeyArguments {
    /// A public or a private key; `-` reads stdin.
    file: PathBuf,
    /// The private key's passphrase, alone in a file; without it BASTION_PASSPHRASE, else it is asked for on the terminal.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

#[derive(Args)]
pub(super) struct AuthorizedKeyArguments {
    #[command(flatten)]
    key: KeyArguments,
    /// A target that may be forwarded to, spelled as the connection spells it; several allowed. Without one: any.
    #[arg(long, value_name = "HOST:PORT")]
    permit_open: Vec<PermitOpen>,
    /// An address, IP or CIDR, that the key is accepted from; several allowed. Without one: any.
    #[arg(long, value_name = "ADDRESS")]
    from: Vec<Cidr>,
    /// Until when the key is accepted, in RFC 3339: needs OpenSSH 7.7, which reads it in its machine's time zone.
    #[arg(long, value_name = "TIME")]
    expires: Option<Expiry>,
    /// Stands behind the key.
    #[arg(long)]
    comment: Option<Comment>,
}

pub(super) fn run(command: &KeysCommand, environment: Environment<'_>) -> Result<Exit, CliError> {
    match command {
        KeysCommand::Generate(arguments) => generate(arguments, environment)?,
        KeysCommand::Fingerprint(arguments) => {
            let key = public_key(arguments, environment)?;
            say(&format!("{} {}\n", key.fingerprint(), key.algorithm()))?;
        }
        KeysCommand::AuthorizedKey(arguments) => {
            let key = public_key(&arguments.key, environment)?;
            let permit_open = Some(arguments.permit_open.clone()).filter(|targets| !targets.is_empty());
            let from = arguments.from.iter().copied().collect();
            let options = LineOptions { permit_open, from, expires: arguments.expires, comment: arguments.comment.clone() };
            say(&format!("{}\n", authorized_keys_line(&key, &options)))?;
        }
    }
    Ok(Exit::Proven)
}

fn generate(arguments: &GenerateArguments, environment: Environment<'_>) -> Result<(), CliError> {
    let file = &arguments.file;
    let public_file = PathBuf::from(format!("{}.pub", file.display()));
    // Before a passphrase is asked for; the files are made in a way that overwrites nothing all the same.
    for path in [file, &public_file] {
        if path.symlink_metadata().is_ok() {
            return Err(CliError::Exists { path: path.clone() });
        }
    }
    let passphrase = new_passphrase(arguments, environment)?;
    let key = PrivateKey::generate_ed25519().map_err(CliError::Generate)?;
    let text = match &passphrase {
        Some(passphrase) => key.to_openssh_encrypted(passphrase),
        None => key.to_openssh(),
    };
    let text = text.map_err(CliError::Generate)?;
    // A comment is one line, whatever is in it.
    let comment: String = arguments.comment.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let public = format!("{} {}", key.public(), comment.trim());
    create(file, text.expose(), PRIVATE)?;
    if let Err(error) = create(&public_file, &format!("{}\n", public.trim()), PUBLIC) {
        // Half a pair is of no use, and would be in the way of the next try.
        let _removed = fs::remove_file(file);
        return Err(error);
    }
    say(&format!("{}\n{}\n", key.public().fingerprint(), public.trim()))
}

fn new_passphrase(arguments: &GenerateArguments, environment: Environment<'_>) -> Result<Option<Secret<String>>, CliError> {
    if arguments.no_passphrase {
        return Ok(None);
    }
    let given = match input::passphrase(arguments.passphrase_file.as_deref(), environment)? {
        Some(given) => given,
        None => {
            let first = input::ask("passphrase", "Passphrase of the new key: ", INSTEAD_OF_TYPING)?;
            if input::ask("passphrase", "The same again: ", INSTEAD_OF_TYPING)? != first {
                return Err(CliError::PassphrasesDiffer);
            }
            first
        }
    };
    if given.expose().is_empty() { Err(CliError::NoPassphrase { instead: INSTEAD }) } else { Ok(Some(given)) }
}

/// Makes a file that was not there.
fn create(path: &Path, text: &str, mode: u32) -> Result<(), CliError> {
    let failed = |error| CliError::File { flag: "FILE", path: path.to_owned(), error };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(failed)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    written.map_err(|error| {
        // It is ours, and not whole.
        let _removed = fs::remove_file(path);
        failed(error)
    })
}

/// The public half of whatever key is in a file.
fn public_key(arguments: &KeyArguments, environment: Environment<'_>) -> Result<PublicKey, CliError> {
    let text = input::file_or_stdin("FILE", &arguments.file)?;
    match text.expose().trim().parse() {
        Ok(key) => Ok(key),
        Err(PublicKeyError::Private) => {
            input::private_key(&text, &arguments.file, arguments.passphrase_file.as_deref(), environment).map(|key| key.public())
        }
        Err(error) => Err(CliError::PublicKey { path: arguments.file.clone(), error }),
    }
}
