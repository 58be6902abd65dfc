//! `data "bastion_postgres_check"`: the check of a connection without a connection. A path that fails is a result, not an error.

mod schema;

use std::collections::BTreeSet;
use std::time::Duration;

use super::postgres_path::{Arguments, NOTHING, Wait, Wanted};
use super::tunnel::TunnelModel;
use super::tunnel_key::{KeyNames, TunnelKey};
use super::walk::{self, Hop};
use super::{Shared, of_diagnosis};
use crate::check::{Patience, Survey, survey_with};
use crate::path::cause::Cause;
use crate::path::route::Port;
use crate::postgres::SslMode;
use crate::secret::Secret;
use crate::tfplugin::attribute_path::AttributePath;
use crate::tfplugin::diagnostic::Diagnostics;
use crate::tfplugin::kind::{Call, DataSource};
use crate::tfplugin::model::{Attr, model};
use crate::tfplugin::schema::Schema;
use crate::tfplugin::value::Value;

model! {
    /// The data source's configuration and result.
    pub struct Model {
        /// The database server, as the last hop sees it.
        pub host: Attr<String>,
        /// Its port.
        pub port: Attr<i64>,
        /// The role.
        pub user: Attr<String>,
        /// The role's password.
        pub password: Attr<Secret<String>>,
        /// The database.
        pub database: Attr<String>,
        /// As in libpq.
        pub sslmode: Attr<String>,
        /// Authorities, PEM or `system`.
        pub sslrootcert: Attr<String>,
        /// Client certificate, PEM.
        pub sslcert: Attr<String>,
        /// Its key, PEM.
        pub sslkey: Attr<Secret<String>>,
        /// The bastion; absent: connect directly.
        pub ssh_tunnel: Attr<TunnelModel>,
        /// Opens the tunnel's private key.
        pub ssh_passphrase: Attr<Secret<String>>,
        /// The tunnel's private key, where it was supplied.
        pub ssh_private_key: Attr<Secret<String>>,
        /// The version of the bastion's key object.
        pub keys: Attr<Value>,
        /// What to prove.
        pub verify: Attr<Verify>,
        /// Whether the path is proven.
        pub ok: Attr<bool>,
        /// Where it broke.
        pub failed_stage: Attr<String>,
        /// Such as `forward/prohibited`.
        pub code: Attr<String>,
        /// One line.
        pub summary: Attr<String>,
        /// What that means.
        pub means: Attr<String>,
        /// What was heard of it.
        pub heard: Attr<String>,
        /// All of it, drawn.
        pub report: Attr<String>,
        /// What to change, the likeliest first.
        pub remedies: Attr<Vec<Attr<String>>>,
        /// The stages that were walked.
        pub path: Attr<Vec<Hop>>,
        /// Such as `15.18`.
        pub server_version: Attr<String>,
    }
}

model! {
    /// What to prove.
    pub struct Verify {
        /// Bounds the check.
        pub timeout: Attr<String>,
        /// How long what comes into being by itself is waited for.
        pub wait: Attr<Wait>,
        /// Ready for logical replication.
        pub replication: Attr<bool>,
        /// This publication exists.
        pub publication: Attr<String>,
        /// SELECT on each of these.
        pub tables: Attr<BTreeSet<Attr<String>>>,
    }
}

/// How long a check may take unless told otherwise. It asks whether the path holds now: a key that has not reached the bastion is an answer,
/// while a minute bridges a restart.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// That of every check, without the wait for a key.
const PATIENCE: Patience = Patience { key_window: Duration::ZERO, ..Patience::DEFAULT };

/// Unlike a diagnosis, a proven path has no words of its own.
const PROVEN: &str = "The path is proven";

const KEY_NAMES: KeyNames = KeyNames { passphrase: "ssh_passphrase", private_key: "ssh_private_key" };

impl Model {
    fn arguments(&self) -> Arguments<'_> {
        let verify = match &self.verify {
            Attr::Null => Attr::Known(NOTHING),
            given => given.as_ref().map(|verify| Wanted {
                timeout: &verify.timeout,
                wait: &verify.wait,
                replication: &verify.replication,
                publication: &verify.publication,
                tables: &verify.tables,
            }),
        };
        let (tunnel, passphrase, private_key) = (&self.ssh_tunnel, &self.ssh_passphrase, &self.ssh_private_key);
        Arguments {
            host: &self.host,
            port: &self.port,
            user: &self.user,
            password: &self.password,
            database: &self.database,
            sslmode: &self.sslmode,
            sslrootcert: &self.sslrootcert,
            sslcert: &self.sslcert,
            sslkey: &self.sslkey,
            sslkey_name: "sslkey",
            key: TunnelKey { names: &KEY_NAMES, tunnel, passphrase, private_key },
            keys: &self.keys,
            verify,
            default_timeout: DEFAULT_TIMEOUT,
        }
    }

    /// Without what nobody has to keep: Terraform writes a data source's result into state, and wants no argument back.
    fn without_secrets(mut self) -> Self {
        self.password = Attr::Null;
        self.sslkey = Attr::Null;
        self.ssh_passphrase = Attr::Null;
        self.ssh_private_key = Attr::Null;
        self.ssh_tunnel = self.ssh_tunnel.map(|tunnel| TunnelModel { private_key: Attr::Null, ..tunnel });
        self
    }
}

/// The data source.
pub(super) struct PostgresCheck {
    shared: Shared,
}

impl PostgresCheck {
    pub(super) fn new(shared: &Shared) -> Self {
        Self { shared: shared.clone() }
    }
}

impl DataSource for PostgresCheck {
    type Model = Model;

    fn type_name(&self) -> &'static str {
        "bastion_postgres_check"
    }

    fn schema(&self) -> Schema {
        schema::schema()
    }

    fn validate(&self, config: &Model) -> Diagnostics {
        config.arguments().validate()
    }

    async fn read(&self, call: &Call<Model>, config: Model) -> Result<(Model, Diagnostics), Diagnostics> {
        let request = config.arguments().request(&self.shared).await?;
        let name = config.database.known().cloned().unwrap_or_default();
        let Survey { path, verdict } = survey_with(&request, &PATIENCE, &self.shared.sessions, &walk::log(&name), &call.cancelled).await;
        let mut model = config.without_secrets();
        model.port = model.port.or(i64::from(Port::POSTGRES.get()));
        model.sslmode = model.sslmode.or(SslMode::Require.to_string());
        model.path = Hop::all(path);
        match verdict {
            Ok(report) => {
                model.ok = Attr::Known(true);
                (model.summary, model.report) = (PROVEN.into(), PROVEN.into());
                model.remedies = Attr::Known(Vec::new());
                model.server_version = Attr::Known(report.server_version().unwrap_or_default().to_owned());
            }
            // Whoever stops Terraform has not broken the path.
            Err(diagnosis) if matches!(diagnosis.cause, Cause::Interrupted { .. }) => {
                return Err(of_diagnosis(&diagnosis, AttributePath::root()));
            }
            Err(diagnosis) => {
                model.ok = Attr::Known(false);
                model.failed_stage = diagnosis.stage().name().into();
                model.code = Attr::Known(diagnosis.code());
                model.summary = diagnosis.summary().into();
                model.means = Attr::Known(diagnosis.means());
                model.heard = Attr::Known(diagnosis.heard.to_string());
                model.report = Attr::Known(format!("{}\n\n{diagnosis}", diagnosis.summary()));
                model.remedies = Attr::Known(diagnosis.remedies().into_iter().map(Attr::Known).collect());
            }
        }
        Ok((model, Diagnostics::new()))
    }
}
