//! Why nothing was tried: every way in which arguments, files or this machine can be at fault.

use std::io;
use std::path::PathBuf;

use super::endpoint::EndpointError;
use super::exit::Exit;
use super::url::UrlError;
#[cfg(feature = "aws")]
use crate::aws::authorized_keys::NameError;
#[cfg(feature = "aws")]
use crate::aws::security_group_rules::IdError;
use crate::key::{KeyError, PublicKeyError};
use crate::path::cause::Cause;
use crate::path::route::{Address, HostError};
use crate::path::stage::Stage;
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
    #[error("the login's private key is missing: give --identity FILE or BASTION_IDENTITY")]
    NoKey,
    #[error("{flag} goes with --bastion USER@HOST: without a bastion there is nothing to use it for")]
    NoBastion { flag: &'static str },
    #[error("--keys: it is a version of the login `{of}`, and --bastion names `{user}`: give the version of that login's keys")]
    OtherLogin { of: String, user: String },
    #[error("sslmode: it is disable, allow, prefer, require, verify-ca or verify-full")]
    SslMode,
    #[error("sslcert and sslkey belong together: give both or neither")]
    HalfCertificate,
    #[error("TLS: {0}{hint}", hint = where_to_give(.0))]
    Tls(TlsSettingsError),
    #[error("--until {0}: without --bastion the path has no such stage; it has configure, resolve, connect, tls, login, open and ready")]
    NoSuchStage(Stage),
    #[error("--until {0}: without {1} nothing is asked there")]
    NotWalked(Stage, &'static str),
    #[error("--replication, --publication and --table are asked at `ready`, and --until ends before it: leave one of them out")]
    NotAsked,
    #[error("{name} changes what a client would do here, and is not supported by a check: leave it out, or check without it knowingly")]
    Unsupported { name: &'static str },
    #[error("--table: \"{0}\" is no table; write schema.table or table, quoted as SQL quotes it")]
    Table(String),
    #[error(
        "no host key is pinned, so nobody can tell the bastion from somebody in between: give --host-key or --known-hosts \
         (`bastion scan {endpoint}` shows what it presents, to be compared on the bastion itself)", endpoint = .at
    )]
    NothingPinned { at: Address },
    #[error("the bastion's host key: {0}")]
    HostKeys(KnownHostsError),
    #[error(
        "{flag}: {path}: no host key of the bastion is in it; `bastion scan {endpoint}` prints the line, to be compared on the bastion itself",
        path = path.display(), endpoint = .at
    )]
    NotInFile { flag: &'static str, path: PathBuf, at: Address },
    #[error("{path}: {error}", path = path.display())]
    Key { path: PathBuf, error: KeyError },
    #[error("{path}: {error}", path = path.display())]
    PublicKey { path: PathBuf, error: PublicKeyError },
    #[error(transparent)]
    Generate(KeyError),
    #[error("{flag}: {path}: {error}", path = path.display(), error = words(.error))]
    File { flag: &'static str, path: PathBuf, error: io::Error },
    #[error("{flag}: {path}: it is too large to be what is needed here", path = path.display())]
    TooLarge { flag: &'static str, path: PathBuf },
    #[error("{path} is there already; nothing is overwritten", path = path.display())]
    Exists { path: PathBuf },
    #[error("there is no terminal to ask for the {what} on: give {instead}")]
    NoTerminal { what: &'static str, instead: &'static str },
    #[error("no {what} was typed")]
    NothingTyped { what: &'static str },
    #[error("interrupted")]
    Interrupted,
    #[cfg(feature = "aws")]
    #[error("it was not confirmed: nothing was removed")]
    NotConfirmed,
    #[cfg(feature = "aws")]
    #[error("SG|BUCKET: {0}")]
    Group(IdError),
    #[cfg(feature = "aws")]
    #[error("SG|BUCKET: {0}")]
    Bucket(NameError),
    #[cfg(feature = "aws")]
    #[error("--owner: {0}")]
    NoSuchOwner(String),
    #[cfg(feature = "aws")]
    #[error("--prefix: a security group has none; it belongs to a bucket")]
    PrefixOfGroup,
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
            Self::Interrupted => Exit::Ended,
            #[cfg(feature = "aws")]
            Self::NotConfirmed => Exit::Ended,
            _ => Exit::Usage,
        }
    }

    /// As a diagnosis has one. What a walk would find out too has the walk's code; the rest is the program's own `configure/usage`.
    pub(super) fn code(&self) -> String {
        let slug = match self {
            Self::NothingPinned { .. } | Self::NotInFile { .. } => Cause::NothingPinned.slug(),
            Self::NoKey => Cause::NoKey.slug(),
            Self::Interrupted => Cause::Interrupted { stage: Stage::Configure }.slug(),
            _ => "usage",
        };
        format!("{}/{slug}", Stage::Configure)
    }
}

/// The flag for what is missing; what is wrong names itself.
const fn where_to_give(error: &TlsSettingsError) -> &'static str {
    match error {
        TlsSettingsError::RootCertMissing => "; authorities are given with --sslrootcert FILE",
        TlsSettingsError::SystemNeedsVerifyFull
        | TlsSettingsError::RootCert(_)
        | TlsSettingsError::ClientCert(_)
        | TlsSettingsError::ClientKey(_) => "",
    }
}

/// What the operating system says, without its number.
fn words(error: &io::Error) -> String {
    let text = error.to_string();
    text.split_once(" (os error").map_or(text.clone(), |(words, _)| words.to_owned())
}
