//! From configuration to what is checked: the one place that parses the arguments, for validation and for the walk.

use std::time::Duration;

use super::Arguments;
use crate::check::{Postgres, Request, Waits};
use crate::path::duration;
use crate::path::heard::Heard;
use crate::path::route::{Address, Login, Port, Route, Target};
use crate::postgres::{Readiness, SslMode, TlsSettings, TlsSettingsError, is_table_name};
use crate::provider::fault;
use crate::provider::keys;
use crate::provider::tunnel::{self, sentence};
use crate::provider::{Shared, admit};
use crate::tfplugin::attribute_path::AttributePath;
use crate::tfplugin::diagnostic::Diagnostics;
use crate::tfplugin::model::Attr;

/// Postgres's own limit on role and database names, in bytes (NAMEDATALEN - 1).
const LONGEST_NAME: usize = 63;

impl Arguments<'_> {
    /// Judges what is given together, and what nobody computes.
    pub(in crate::provider) fn validate(&self) -> Diagnostics {
        let mut diagnostics = Diagnostics::new();
        sslmode(self, &mut diagnostics);
        timeout(self, &mut diagnostics);
        readiness(self, &mut diagnostics);
        if let Attr::Known(tunnel) = self.key.tunnel {
            diagnostics.append(tunnel::validate(tunnel, &AttributePath::of("ssh_tunnel")));
        }
        self.key.validate(&mut diagnostics);
        diagnostics
    }

    /// Judges the values; those that are not known yet are not judged.
    pub(in crate::provider) fn judge(&self) -> Diagnostics {
        let mut diagnostics = Diagnostics::new();
        target(self, &mut diagnostics);
        tls(self, &mut diagnostics);
        let mut hop = None;
        if let Attr::Known(tunnel) = self.key.tunnel {
            hop = tunnel::parse(tunnel, &AttributePath::of("ssh_tunnel"), &mut diagnostics);
        }
        keys::judge(self.keys, hop.as_ref(), &mut diagnostics);
        self.key.judge(&mut diagnostics);
        diagnostics
    }

    /// Builds the check's request, once all of them are known.
    pub(in crate::provider) async fn request(&self, shared: &Shared) -> Result<Request, Diagnostics> {
        let mut diagnostics = Diagnostics::new();
        self.key.judge(&mut diagnostics);
        let target = target(self, &mut diagnostics);
        let tls = tls(self, &mut diagnostics);
        let timeout = timeout(self, &mut diagnostics);
        let readiness = readiness(self, &mut diagnostics);
        let mut hop = None;
        if let Attr::Known(tunnel) = self.key.tunnel {
            hop = tunnel::parse(tunnel, &AttributePath::of("ssh_tunnel"), &mut diagnostics);
        }
        keys::judge(self.keys, hop.as_ref(), &mut diagnostics);
        let hop = hop.map(|hop| keys::demand(self.keys, hop, &mut diagnostics));
        if diagnostics.has_errors() {
            return Err(diagnostics);
        }
        let admit = self.key.tunnel.known().map_or(&Attr::Null, |tunnel| &tunnel.admit);
        let admission = admit::admission(shared, admit, &AttributePath::of("ssh_tunnel").attribute("admit"))?;
        let key = self.key.open(&shared.keyring).await?;
        let (Some(target), Some(tls), Some((timeout, waits)), Some(readiness)) = (target, tls, timeout, readiness) else {
            return Err(fault("a path was to be walked with unknown values"));
        };
        let postgres = Postgres { password: self.password.known().cloned(), tls, readiness };
        let (hops, keys) = (hop.into_iter().collect(), key.into_iter().collect());
        Ok(Request { keys, postgres, timeout, waits, admission, ..Request::new(Route::new(hops, target)) })
    }
}

fn target(arguments: &Arguments<'_>, diagnostics: &mut Diagnostics) -> Option<Target> {
    let host = tunnel::host(arguments.host, &AttributePath::of("host"), diagnostics);
    let port = tunnel::port(arguments.port, Port::POSTGRES, &AttributePath::of("port"), diagnostics);
    let user = name(arguments.user, "user", diagnostics);
    let database = name(arguments.database, "database", diagnostics);
    Some(Target::Postgres { at: Address::new(host?, port?), login: Some(Login { user: user?, database: database? }) })
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

fn sslmode(arguments: &Arguments<'_>, diagnostics: &mut Diagnostics) -> Option<SslMode> {
    let mode = match arguments.sslmode {
        Attr::Unknown => return None,
        Attr::Null => return Some(SslMode::Require),
        Attr::Known(mode) => mode,
    };
    let mode = mode.parse().ok();
    if mode.is_none() {
        diagnostics.error(
            AttributePath::of("sslmode"),
            "The sslmode is not one of libpq's",
            "It is disable, allow, prefer, require, verify-ca or verify-full.",
        );
    }
    mode
}

fn tls(arguments: &Arguments<'_>, diagnostics: &mut Diagnostics) -> Option<TlsSettings> {
    let mode = sslmode(arguments, diagnostics)?;
    if arguments.sslrootcert.is_unknown() || arguments.sslcert.is_unknown() || arguments.sslkey.is_unknown() {
        return None;
    }
    let client = match (arguments.sslcert.known(), arguments.sslkey.known()) {
        (Some(certificate), Some(key)) => Some((certificate.as_str(), key)),
        (None, None) => None,
        (certificate, _) => {
            let missing = if certificate.is_some() { arguments.sslkey_name } else { "sslcert" };
            diagnostics.error(
                AttributePath::of(missing),
                "Half of the client certificate is missing",
                format!("`sslcert` and `{}` belong together: give both or neither.", arguments.sslkey_name),
            );
            return None;
        }
    };
    match TlsSettings::new(mode, arguments.sslrootcert.known().map(String::as_str), client) {
        Ok(settings) => Some(settings),
        Err(error) => {
            let (attribute, summary, why) = match &error {
                TlsSettingsError::RootCertMissing => (
                    "sslrootcert",
                    "The certificate's authority is not given",
                    format!("`sslmode = \"{mode}\"` verifies the certificate: give its authority as `sslrootcert`, in PEM, or `system`."),
                ),
                TlsSettingsError::SystemNeedsVerifyFull => {
                    ("sslrootcert", "The authority's certificate cannot be used", "\"system\" needs sslmode verify-full.".to_owned())
                }
                TlsSettingsError::RootCert(error) => ("sslrootcert", "The authority's certificate cannot be used", sentence(error)),
                TlsSettingsError::ClientCert(error) => ("sslcert", "The client certificate cannot be used", sentence(error)),
                TlsSettingsError::ClientKey(error) => {
                    (arguments.sslkey_name, "The client certificate's key cannot be used", sentence(error))
                }
            };
            diagnostics.error(AttributePath::of(attribute), summary, why);
            None
        }
    }
}

/// The time for the whole, and for what comes into being by itself. What is given for the parts is added to a whole that is not given.
fn timeout(arguments: &Arguments<'_>, diagnostics: &mut Diagnostics) -> Option<(Duration, Waits)> {
    let verify = arguments.verify.known()?;
    let at = || AttributePath::of("verify");
    let whole = given(verify.timeout, &at().attribute("timeout"), diagnostics);
    let (reach, key) = match verify.wait {
        Attr::Unknown => (None, None),
        Attr::Null => (Some(None), Some(None)),
        Attr::Known(wait) => {
            let at = |name: &str| at().attribute("wait").attribute(name);
            (given(&wait.reach, &at("reach"), diagnostics), given(&wait.key, &at("key"), diagnostics))
        }
    };
    let (whole, reach, key) = (whole?, reach?, key?);
    let parts = reach.unwrap_or_default().saturating_add(key.unwrap_or_default());
    let timeout = whole.unwrap_or_else(|| arguments.default_timeout.saturating_add(parts));
    Some((timeout, Waits { whole, reach, key }))
}

/// A duration; the outer `None` while it is unknown or wrong.
fn given(text: &Attr<String>, at: &AttributePath, diagnostics: &mut Diagnostics) -> Option<Option<Duration>> {
    match text {
        Attr::Unknown => None,
        Attr::Null => Some(None),
        Attr::Known(text) => match duration::parse(text) {
            Ok(duration) => Some(Some(duration)),
            Err(error) => {
                diagnostics.error(at.clone(), "This is not a duration", sentence(&error));
                None
            }
        },
    }
}

fn readiness(arguments: &Arguments<'_>, diagnostics: &mut Diagnostics) -> Option<Readiness> {
    let verify = arguments.verify.known()?;
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
