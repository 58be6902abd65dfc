//! Why nothing was tried: every way in which arguments, files or this machine can be at fault.

use std::io;
use std::path::PathBuf;

use super::endpoint::EndpointError;
use super::exit::Exit;
use super::url::UrlError;
use crate::key::{KeyError, PermitOpenError, PublicKeyError};
use crate::path::route::{Host, HostError};
use crate::postgres::TlsSettingsError;
use crate::ssh::known_hosts::KnownHostsError;

/// What stops the program before, or instead of, a verdict. Never quotes a secret.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    #[error("{flag}: {error}")]
    Host { flag: &'static str, error: HostError },
    #[error("{flag}: a port is a whole number from 1 to 65535")]
    Port { flag: &'static str },
    #[error("{flag}: {error}")]
    Endpoint { flag: &'static str, error: EndpointError },
    #[error("--bastion: write USER@HOST or USER@HOST:PORT")]
    BastionUser,
    #[error("the database URL: {0}")]
    Url(UrlError),
    #[error("{what} is missing: give {flags}")]
    Missing { what: &'static str, flags: &'static str },
    #[error("{flag} goes with --bastion USER@HOST: without a bastion there is nothing to use it for")]
    NoBastion { flag: &'static str },
    #[error("sslmode: it is disable, allow, prefer, require, verify-ca or verify-full")]
    SslMode,
    #[error("sslcert and sslkey belong together: give both or neither")]
    HalfCertificate,
    #[error("TLS: {0}; authorities are given with --sslrootcert FILE")]
    Tls(TlsSettingsError),
    #[error("--table: \"{0}\" is no table; write schema.table or table, quoted as SQL quotes it")]
    Table(String),
    #[error(
        "no host key is pinned, so nobody can tell the bastion from somebody in between: give --host-key or --known-hosts \
         (`bastion scan {host}` shows what it presents, to be compared on the bastion itself)"
    )]
    NothingPinned { host: Host },
    #[error("the bastion's host key: {0}")]
    HostKeys(KnownHostsError),
    #[error("{path}: no host key of the bastion is in it; `bastion scan` prints the line, to be compared on the bastion itself", path = path.display())]
    NotInFile { path: PathBuf },
    #[error("{path}: {error}", path = path.display())]
    Key { path: PathBuf, error: KeyError },
    #[error("{path}: {error}", path = path.display())]
    PublicKey { path: PathBuf, error: PublicKeyError },
    #[error(transparent)]
    Generate(KeyError),
    #[error("--permit-open: {0}")]
    PermitOpen(PermitOpenError),
    #[error("{path}: {error}", path = path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("{path}: it is too large to be what is needed here", path = path.display())]
    TooLarge { path: PathBuf },
    #[error("{path} is there already; nothing is overwritten", path = path.display())]
    Exists { path: PathBuf },
    #[error("there is no terminal to ask for the {what} on: give {instead}")]
    NoTerminal { what: &'static str, instead: &'static str },
    #[error("the two passphrases differ")]
    PassphrasesDiffer,
    #[error("the key would be kept in plain text: give a passphrase with {instead}, or say --no-passphrase")]
    NoPassphrase { instead: &'static str },
    #[error("could not write the answer: {0}")]
    Output(io::Error),
    #[error("could not start: {0}")]
    Runtime(io::Error),
}

impl CliError {
    pub(super) const fn exit(&self) -> Exit {
        match self {
            Self::Output(_) | Self::Runtime(_) => Exit::Fault,
            _ => Exit::Usage,
        }
    }
}
