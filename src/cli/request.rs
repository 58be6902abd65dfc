//! From argv, URL and environment to what is checked. A flag wins over the URL, the URL over the environment.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::arguments::CheckArguments;
use super::error::CliError;
use super::url::{self, Url, UrlError};
use super::{Environment, endpoint, input};
use crate::check::{Postgres, Request, Waits};
use crate::key::HostKeys;
use crate::path::route::{Address, Hop, Host, Login, Port, Route, Target};
use crate::path::stage::Stage;
use crate::postgres::{Readiness, SslMode, TlsSettings, is_table_name};
use crate::secret::Secret;
use crate::ssh::known_hosts::{self, KnownHostsError};

/// What was understood, and what of the URL means nothing here.
pub(super) struct Understood {
    pub(super) request: Request,
    pub(super) ignored: Vec<String>,
}

/// A check's inputs.
struct Inputs<'a> {
    arguments: &'a CheckArguments,
    url: Url,
    environment: Environment<'a>,
}

pub(super) fn understand(arguments: &CheckArguments, environment: Environment<'_>) -> Result<Understood, CliError> {
    let url = match &arguments.url {
        Some(text) => {
            let url = url::parse(text).map_err(CliError::Url)?;
            if url.password.is_some() || url.secret {
                return Err(CliError::Url(UrlError::Password));
            }
            url
        }
        None => input::variable(environment, "BASTION_URL")
            .map_or_else(|| Ok(Url::default()), |text| url::parse(&text))
            .map_err(CliError::Url)?,
    };
    let inputs = Inputs { arguments, url, environment };
    inputs.supported()?;
    let hop = inputs.hop()?;
    let target = if hop.is_some() && !inputs.reaches(Stage::Forward) { None } else { Some(inputs.target(hop.is_none())?) };
    let keys = if hop.is_some() && inputs.reaches(Stage::Authenticate) { vec![Arc::new(inputs.key()?)] } else { Vec::new() };
    let route = Route::new(hop.into_iter().collect(), target);
    let until = match arguments.until {
        Some(stage) => Some(inputs.asked(stage).map(|()| route.position(stage))?.ok_or(CliError::NoSuchStage(stage))?),
        None => None,
    };
    let postgres = Postgres {
        password: if inputs.reaches(Stage::Login) { inputs.password()? } else { None },
        tls: if inputs.reaches(Stage::Tls) { inputs.tls()? } else { TlsSettings::default() },
        readiness: inputs.readiness()?,
    };
    let (timeout, waits) = (arguments.timeout, Waits::until(arguments.timeout));
    let request = Request { keys, postgres, timeout, waits, until, ..Request::new(route) };
    Ok(Understood { request, ignored: inputs.url.ignored })
}

impl Inputs<'_> {
    /// Refuses to end at a stage that only an argument of its own brings about, without that argument.
    fn asked(&self, stage: Stage) -> Result<(), CliError> {
        match stage {
            #[cfg(feature = "aws")]
            Stage::Admit if self.arguments.admit.is_none() => Err(CliError::NotWalked(stage, "--admit")),
            Stage::Sync if self.arguments.keys.is_none() => Err(CliError::NotWalked(stage, "--keys")),
            _ => Ok(()),
        }
    }

    fn reaches(&self, stage: Stage) -> bool {
        let place = |stage| Stage::ALL.iter().position(|of_all| *of_all == stage);
        self.arguments.until.is_none_or(|until| place(until) >= place(stage))
    }

    fn variable(&self, name: &str) -> Option<String> {
        input::variable(self.environment, name)
    }

    /// What psql would heed of the environment, and a check does not.
    fn supported(&self) -> Result<(), CliError> {
        let demands = [
            ("channel_binding", "PGCHANNELBINDING"),
            ("gssencmode", "PGGSSENCMODE"),
            ("hostaddr", "PGHOSTADDR"),
            ("require_auth", "PGREQUIREAUTH"),
            ("sslcertmode", "PGSSLCERTMODE"),
            ("sslcrl", "PGSSLCRL"),
            ("sslcrldir", "PGSSLCRLDIR"),
            ("sslnegotiation", "PGSSLNEGOTIATION"),
            ("ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION"),
            ("target_session_attrs", "PGTARGETSESSIONATTRS"),
        ];
        let given = |(name, variable): (&str, _)| {
            self.variable(variable).and_then(|value| url::changes_the_verdict(name, &value)).map(|_| variable)
        };
        demands.into_iter().find_map(given).map_or(Ok(()), |name| Err(CliError::Unsupported { name }))
    }

    /// A text from a flag, else from the URL, else from the environment.
    fn text(&self, flag: Option<&String>, url: Option<&String>, variable: &str) -> Option<String> {
        flag.or(url).cloned().or_else(|| self.variable(variable))
    }

    /// A file's path, and who named it: a flag, else the environment.
    fn path(&self, given: Option<&PathBuf>, flag: &'static str, variable: &'static str) -> Option<(&'static str, PathBuf)> {
        given.map(|path| (flag, path.clone())).or_else(|| self.variable(variable).map(|path| (variable, path.into())))
    }

    fn target(&self, is_direct: bool) -> Result<Target, CliError> {
        // Between these two a direct path has no stages.
        if let Some(until) = self.arguments.until.filter(|_| is_direct && self.reaches(Stage::Handshake) && !self.reaches(Stage::Tls)) {
            return Err(CliError::NoSuchStage(until));
        }
        let flag = |text: &String| text.parse::<Host>().map_err(|error| CliError::Host { flag: "--host", error });
        let host = match (&self.arguments.host, &self.url.host, self.variable("PGHOST")) {
            (Some(text), ..) => flag(text)?,
            (None, Some(host), _) => host.clone(),
            (None, None, Some(text)) => text.parse().map_err(|error| CliError::Host { flag: "PGHOST", error })?,
            (None, None, None) => return Err(CliError::Missing { what: "the database's host", flags: "a URL, --host or PGHOST" }),
        };
        let port = |flag, text: &str| endpoint::port(text).map_err(|_| CliError::Port { flag });
        let port = match (&self.arguments.port, self.url.port, self.variable("PGPORT")) {
            (Some(text), ..) => port("--port", text)?,
            (None, Some(port), _) => port,
            (None, None, Some(text)) => port("PGPORT", &text)?,
            (None, None, None) => Port::POSTGRES,
        };
        if !self.reaches(Stage::Login) {
            return Ok(Target::Postgres { at: Address::new(host, port), login: None });
        }
        let user = self.text(self.arguments.user.as_ref(), self.url.user.as_ref(), "PGUSER");
        let database = self.text(self.arguments.database.as_ref(), self.url.database.as_ref(), "PGDATABASE");
        let user = user.ok_or(CliError::Missing { what: "the role", flags: "a URL, --user or PGUSER" })?;
        let database = database.ok_or(CliError::Missing { what: "the database's name", flags: "a URL, --database or PGDATABASE" })?;
        Ok(Target::Postgres { at: Address::new(host, port), login: Some(Login { user, database }) })
    }

    fn password(&self) -> Result<Option<Secret<String>>, CliError> {
        if self.arguments.ask_password {
            return input::ask("password", "Password of the role: ", "--password-file or BASTION_PASSWORD").map(Some);
        }
        if let Some(path) = &self.arguments.password_file {
            return input::secret_file("--password-file", path).map(Some);
        }
        let variables = || self.variable("BASTION_PASSWORD").or_else(|| self.variable("PGPASSWORD"));
        Ok(self.url.password.clone().or_else(|| variables().map(Secret::from)))
    }

    fn tls(&self) -> Result<TlsSettings, CliError> {
        let Self { arguments, url, .. } = self;
        let mode = match self.text(arguments.sslmode.as_ref(), url.sslmode.as_ref(), "PGSSLMODE") {
            Some(mode) => mode.parse().map_err(|_| CliError::SslMode)?,
            None => SslMode::Require,
        };
        let roots = match self.text(arguments.sslrootcert.as_ref(), url.sslrootcert.as_ref(), "PGSSLROOTCERT") {
            Some(word) if word == "system" => Some(Secret::from(word)),
            Some(path) => Some(input::file("sslrootcert", Path::new(&path))?),
            None => None,
        };
        let certificate = self.text(arguments.sslcert.as_ref(), url.sslcert.as_ref(), "PGSSLCERT");
        let key = self.text(arguments.sslkey.as_ref(), url.sslkey.as_ref(), "PGSSLKEY");
        let client = match (certificate, key) {
            (Some(certificate), Some(key)) => {
                Some((input::file("sslcert", Path::new(&certificate))?, input::file("sslkey", Path::new(&key))?))
            }
            (None, None) => None,
            _ => return Err(CliError::HalfCertificate),
        };
        let client = client.as_ref().map(|(certificate, key)| (certificate.expose().as_str(), key));
        TlsSettings::new(mode, roots.as_ref().map(|roots| roots.expose().as_str()), client).map_err(CliError::Tls)
    }

    fn readiness(&self) -> Result<Readiness, CliError> {
        let CheckArguments { replication, publication, table, .. } = self.arguments;
        if !self.reaches(Stage::Ready) && (*replication || publication.is_some() || !table.is_empty()) {
            return Err(CliError::NotAsked);
        }
        match table.iter().find(|table| !is_table_name(table)) {
            Some(table) => Err(CliError::Table(table.clone())),
            None => Ok(Readiness { replication: *replication, publication: publication.clone(), tables: table.clone() }),
        }
    }

    fn hop(&self) -> Result<Option<Hop>, CliError> {
        let Some(text) = self.arguments.bastion.clone().or_else(|| self.variable("BASTION")) else {
            let CheckArguments { identity, host_key, known_hosts, keys, insecure_ignore_host_key, .. } = self.arguments;
            let flags = [
                ("--identity", identity.is_some()),
                ("--host-key", !host_key.is_empty()),
                ("--known-hosts", known_hosts.is_some()),
                ("--keys", keys.is_some()),
                ("--insecure-ignore-host-key", *insecure_ignore_host_key),
            ];
            return match flags.into_iter().find(|(_, given)| *given) {
                Some((flag, _)) => Err(CliError::NoBastion { flag }),
                None => Ok(None),
            };
        };
        let text = text.strip_prefix("ssh://").unwrap_or(&text);
        let (user, address) = text.rsplit_once('@').filter(|(user, _)| is_login(user)).ok_or(CliError::BastionUser)?;
        let (host, port) = endpoint::parse(address).map_err(|error| CliError::Endpoint { flag: "--bastion", error })?;
        let at = Address::new(host, port.unwrap_or(Port::SSH));
        let host_keys = if self.reaches(Stage::Handshake) { self.host_keys(&at)? } else { HostKeys::Any };
        let canary = match &self.arguments.keys {
            Some(version) if version.user != user => {
                return Err(CliError::OtherLogin { of: version.user.clone(), user: user.to_owned() });
            }
            version => version.as_ref().map(|version| version.canary.clone()),
        };
        Ok(Some(Hop { canary, ..Hop::new(at, user, host_keys) }))
    }

    fn host_keys(&self, at: &Address) -> Result<HostKeys, CliError> {
        if self.arguments.insecure_ignore_host_key {
            return Ok(HostKeys::Any);
        }
        let given = &self.arguments.host_key;
        let file = self.path(self.arguments.known_hosts.as_ref(), "--known-hosts", "BASTION_KNOWN_HOSTS");
        // Both count: what the file has revoked is not taken, whoever gives it.
        let lines = file.as_ref().map_or_else(|| Ok(Vec::new()), |(flag, path)| readable_lines(flag, path, at))?;
        let texts: Vec<_> = given.iter().chain(&lines).map(String::as_str).collect();
        match (known_hosts::from_texts(&texts, &at.host, at.port), file) {
            (Err(KnownHostsError::Empty), Some((flag, path))) if given.is_empty() => {
                Err(CliError::NotInFile { flag, path, at: at.clone() })
            }
            (Err(KnownHostsError::Empty), None) if given.is_empty() => Err(CliError::NothingPinned { at: at.clone() }),
            (read, _) => read.map_err(CliError::HostKeys),
        }
    }

    fn key(&self) -> Result<crate::key::PrivateKey, CliError> {
        let (flag, path) = self.path(self.arguments.identity.as_ref(), "--identity", "BASTION_IDENTITY").ok_or(CliError::NoKey)?;
        let text = input::file(flag, &path)?;
        input::private_key(&text, &path, self.arguments.passphrase_file.as_deref(), self.environment)
    }
}

fn is_login(user: &str) -> bool {
    !user.is_empty() && !user.chars().any(|c| c.is_whitespace() || c.is_control() || c == ':' || c == '@')
}

/// A known_hosts file has lines for many hosts, and some that cannot be read here. Leaving those out trusts nobody.
fn readable_lines(flag: &'static str, path: &Path, at: &Address) -> Result<Vec<String>, CliError> {
    let text = input::file(flag, path)?;
    let is_read = |line: &&str| match known_hosts::from_texts(&[line], &at.host, at.port) {
        // Empty: a revoked key alone.
        Ok(_) | Err(KnownHostsError::Empty) => true,
        Err(_) => false,
    };
    Ok(text.expose().lines().filter(is_read).map(str::to_owned).collect())
}
