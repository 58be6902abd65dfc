//! From configuration to what is checked: the one place that parses the arguments, for validation and for apply.

use std::sync::Arc;
use std::time::Duration;

use super::{Model, Verify};
use crate::check::Request;
use crate::key::{self, KeyError, PrivateKey};
use crate::path::heard::Heard;
use crate::path::route::{Database, Port, Route};
use crate::postgres::{Readiness, SslMode, TlsSettings, TlsSettingsError, is_table_name};
use crate::provider::keyring::Keyring;
use crate::provider::tunnel::{self, TunnelModel, sentence};
use crate::provider::{duration, fault};
use crate::secret::Secret;
use crate::tfplugin::attribute_path::AttributePath;
use crate::tfplugin::diagnostic::Diagnostics;
use crate::tfplugin::model::Attr;

/// How long a check may take unless told otherwise: a bastion that syncs its keys takes up to five minutes, and a new one some to start.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// Postgres's own limit on role and database names, in bytes (NAMEDATALEN - 1).
const LONGEST_NAME: usize = 63;

/// Judges a configuration; values that are not known yet are not judged.
pub(super) fn validate(config: &Model) -> Diagnostics {
    let mut diagnostics = Diagnostics::new();
    if config.name.known().is_some_and(|name| name.trim().is_empty()) {
        diagnostics.error(AttributePath::of("name"), "The name is empty", "Give the connection a name.");
    }
    database(config, &mut diagnostics);
    tls(config, &mut diagnostics);
    timeout(config, &mut diagnostics);
    readiness(config, &mut diagnostics);
    if let Attr::Known(tunnel) = &config.ssh_tunnel {
        diagnostics.append(tunnel::validate(tunnel, &AttributePath::of("ssh_tunnel")));
    }
    key_arguments(config, &mut diagnostics);
    diagnostics
}

/// Builds the check's request out of a wholly known configuration.
pub(super) async fn build(keyring: &Keyring, config: &Model) -> Result<Request, Diagnostics> {
    let mut diagnostics = Diagnostics::new();
    let database = database(config, &mut diagnostics);
    let tls = tls(config, &mut diagnostics);
    let timeout = timeout(config, &mut diagnostics);
    let readiness = readiness(config, &mut diagnostics);
    let (mut bastion, mut key) = (None, None);
    if let Attr::Known(tunnel) = &config.ssh_tunnel {
        bastion = tunnel::parse(tunnel, &AttributePath::of("ssh_tunnel"), &mut diagnostics);
        key = open_key(keyring, config, tunnel).await?;
    }
    if diagnostics.has_errors() {
        return Err(diagnostics);
    }
    let (Some(database), Some(tls), Some(timeout), Some(readiness)) = (database, tls, timeout, readiness) else {
        return Err(fault("apply was called with unknown values"));
    };
    let route = Route { bastion, database };
    Ok(Request { route, key, password: config.password_wo.known().cloned(), tls, readiness, timeout })
}

/// Refuses, at plan, a passphrase or a key that cannot work.
pub(super) async fn check_key(keyring: &Keyring, config: &Model) -> Result<(), Diagnostics> {
    match &config.ssh_tunnel {
        Attr::Known(tunnel) => open_key(keyring, config, tunnel).await.map(drop),
        _ => Ok(()),
    }
}

fn database(config: &Model, diagnostics: &mut Diagnostics) -> Option<Database> {
    let host = tunnel::host(&config.host, &AttributePath::of("host"), diagnostics);
    let port = tunnel::port(&config.port, Port::POSTGRES, &AttributePath::of("port"), diagnostics);
    let user = name(&config.user, "user", diagnostics);
    let name = name(&config.database, "database", diagnostics);
    Some(Database { host: host?, port: port?, user: user?, name: name? })
}

fn name(value: &Attr<String>, attribute: &str, diagnostics: &mut Diagnostics) -> Option<String> {
    let name = value.known()?;
    if name.is_empty() || name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
        diagnostics.error(
            AttributePath::of(attribute),
            format!("The {attribute} is not a Postgres name"),
            format!("A name has 1 to {LONGEST_NAME} bytes and no control characters; this one has {} bytes.", name.len()),
        );
        return None;
    }
    Some(name.clone())
}

fn tls(config: &Model, diagnostics: &mut Diagnostics) -> Option<TlsSettings> {
    let mode = match &config.sslmode {
        Attr::Unknown => return None,
        Attr::Null => SslMode::Require,
        Attr::Known(mode) => match mode.parse() {
            Ok(mode) => mode,
            Err(_) => {
                diagnostics.error(
                    AttributePath::of("sslmode"),
                    "The sslmode is not one of libpq's",
                    "It is disable, allow, prefer, require, verify-ca or verify-full.",
                );
                return None;
            }
        },
    };
    if config.sslrootcert.is_unknown() || config.sslcert.is_unknown() || config.sslkey_wo.is_unknown() {
        return None;
    }
    let client = match (config.sslcert.known(), config.sslkey_wo.known()) {
        (Some(certificate), Some(key)) => Some((certificate.as_str(), key)),
        (None, None) => None,
        (certificate, _) => {
            let missing = if certificate.is_some() { "sslkey_wo" } else { "sslcert" };
            diagnostics.error(
                AttributePath::of(missing),
                "Half of the client certificate is missing",
                "`sslcert` and `sslkey_wo` belong together: give both or neither.",
            );
            return None;
        }
    };
    match TlsSettings::new(mode, config.sslrootcert.known().map(String::as_str), client) {
        Ok(settings) => Some(settings),
        Err(error) => {
            let (attribute, summary, why) = match &error {
                TlsSettingsError::RootCertMissing => (
                    "sslrootcert",
                    "The certificate's authority is not given",
                    format!("`sslmode = \"{mode}\"` verifies the certificate: give its authority as `sslrootcert`, in PEM, or `system`."),
                ),
                TlsSettingsError::RootCert(error) => ("sslrootcert", "The authority's certificate cannot be used", sentence(error)),
                TlsSettingsError::ClientCert(error) => ("sslcert", "The client certificate cannot be used", sentence(error)),
                TlsSettingsError::ClientKey(error) => ("sslkey_wo", "The client certificate's key cannot be used", sentence(error)),
            };
            diagnostics.error(AttributePath::of(attribute), summary, why);
            None
        }
    }
}

fn timeout(config: &Model, diagnostics: &mut Diagnostics) -> Option<Duration> {
    let verify = verify(config)?;
    match &verify.timeout {
        Attr::Unknown => None,
        Attr::Null => Some(DEFAULT_TIMEOUT),
        Attr::Known(text) => match duration::parse(text) {
            Ok(timeout) => Some(timeout),
            Err(error) => {
                diagnostics.error(AttributePath::of("verify").attribute("timeout"), "The timeout is not a duration", sentence(&error));
                None
            }
        },
    }
}

fn readiness(config: &Model, diagnostics: &mut Diagnostics) -> Option<Readiness> {
    let verify = verify(config)?;
    let at = |attribute: &str| AttributePath::of("verify").attribute(attribute);
    if verify.publication.known().is_some_and(|publication| publication.is_empty() || publication.len() > LONGEST_NAME) {
        diagnostics.error(at("publication"), "The publication is not a Postgres name", format!("A name has 1 to {LONGEST_NAME} bytes."));
    }
    if verify.replication.is_unknown() || verify.publication.is_unknown() || verify.tables.is_unknown() {
        return None;
    }
    let tables = verify.tables.known().cloned().unwrap_or_default();
    let unnamed = tables.iter().find(|table| table.is_null() || table.known().is_some_and(|table| !is_table_name(table)));
    if let Some(table) = unnamed {
        let shown = table.known().map_or_else(|| "null".to_owned(), |table| format!("\"{}\"", Heard::from_text(table)));
        diagnostics.error(
            at("tables"),
            "A table has no name",
            format!("It is {shown}: give each table as `schema.table` or `table`, quoted as SQL quotes it."),
        );
        return None;
    }
    let tables: Vec<_> = tables.into_iter().map(|table| table.known().cloned()).collect::<Option<_>>()?;
    Some(Readiness { replication: verify.replication.known() == Some(&true), publication: verify.publication.known().cloned(), tables })
}

fn verify(config: &Model) -> Option<Verify> {
    match &config.verify {
        Attr::Unknown => None,
        Attr::Null => Some(Verify::default()),
        Attr::Known(verify) => Some(verify.clone()),
    }
}

/// Whether the arguments about the tunnel's key fit together.
fn key_arguments(config: &Model, diagnostics: &mut Diagnostics) {
    let (passphrase, supplied) = (&config.ssh_passphrase_wo, &config.ssh_private_key_wo);
    match &config.ssh_tunnel {
        Attr::Unknown => {}
        Attr::Null => {
            for (attribute, given) in [("ssh_passphrase_wo", !passphrase.is_null()), ("ssh_private_key_wo", !supplied.is_null())] {
                if given {
                    diagnostics.error(
                        AttributePath::of(attribute),
                        "There is no tunnel to use this for",
                        "Give `ssh_tunnel` too, or connect directly without a key.",
                    );
                }
            }
        }
        Attr::Known(tunnel) => match (&tunnel.private_key, supplied) {
            (Attr::Known(_), Attr::Known(_)) => diagnostics.error(
                AttributePath::of("ssh_private_key_wo"),
                "The tunnel has a private key already",
                "`ssh_private_key_wo` is for a tunnel whose key was supplied and is not in the tunnel object.",
            ),
            (Attr::Null, Attr::Null) => diagnostics.error(
                AttributePath::of("ssh_private_key_wo"),
                "The tunnel's private key is missing",
                "The tunnel object holds none, because its key was supplied: give it as `ssh_private_key_wo` as well.",
            ),
            (Attr::Known(text), Attr::Null) | (Attr::Null, Attr::Known(text)) => judge_key(tunnel, text, passphrase, diagnostics),
            _ => {}
        },
    }
}

/// What can be judged without deriving a key from a passphrase; the rest waits for the plan.
fn judge_key(tunnel: &TunnelModel, text: &Secret<String>, passphrase: &Attr<Secret<String>>, diagnostics: &mut Diagnostics) {
    if key::is_encrypted(text) && !passphrase.is_null() {
        return;
    }
    if let Err(error) = PrivateKey::parse(text, None) {
        refuse(&error, key_argument(tunnel), diagnostics);
    }
}

/// Where the tunnel's key comes from.
fn key_argument(tunnel: &TunnelModel) -> AttributePath {
    if tunnel.private_key.is_null() {
        AttributePath::of("ssh_private_key_wo")
    } else {
        AttributePath::of("ssh_tunnel").attribute("private_key")
    }
}

async fn open_key(keyring: &Keyring, config: &Model, tunnel: &TunnelModel) -> Result<Option<Arc<PrivateKey>>, Diagnostics> {
    let text = match (&tunnel.private_key, &config.ssh_private_key_wo) {
        (Attr::Known(text), _) | (Attr::Null, Attr::Known(text)) => text,
        _ => return Ok(None),
    };
    if config.ssh_passphrase_wo.is_unknown() && key::is_encrypted(text) {
        return Ok(None);
    }
    keyring.open(text, config.ssh_passphrase_wo.known()).await.map(Some).map_err(|error| {
        let mut diagnostics = Diagnostics::new();
        refuse(&error, key_argument(tunnel), &mut diagnostics);
        diagnostics
    })
}

fn refuse(error: &KeyError, key: AttributePath, diagnostics: &mut Diagnostics) {
    let passphrase = AttributePath::of("ssh_passphrase_wo");
    match error {
        KeyError::PassphraseMissing => {
            diagnostics.error(passphrase, "The tunnel's private key is encrypted", "Give its passphrase as `ssh_passphrase_wo`.");
        }
        KeyError::WrongPassphrase => diagnostics.error(passphrase, "The passphrase is wrong", sentence(error)),
        _ => diagnostics.error(key, "The tunnel's private key cannot be used", sentence(error)),
    }
}
