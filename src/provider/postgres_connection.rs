//! `bastion_postgres_connection`: a connection that is proven before it counts as made.

mod id;
mod prove;
mod schema;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Shared;
use super::postgres_path::{Arguments, NOTHING, Wait, Wanted};
use super::tunnel::TunnelModel;
use super::tunnel_key::{KeyNames, TunnelKey};
use super::walk::Hop;
use crate::path::route::Port;
use crate::postgres::SslMode;
use crate::secret::Secret;
use crate::tfplugin::attribute_path::AttributePath;
use crate::tfplugin::diagnostic::Diagnostics;
use crate::tfplugin::kind::{Applied, Apply, Call, Change, Kept, Planned, Private, Resource};
use crate::tfplugin::model::{Attr, model};
use crate::tfplugin::schema::Schema;
use crate::tfplugin::value::Value;

model! {
    /// The resource's configuration and state.
    pub struct Model {
        /// The connection as a URL, without secrets.
        pub id: Attr<String>,
        /// What it is called.
        pub name: Attr<String>,
        /// The database server, as the last hop sees it.
        pub host: Attr<String>,
        /// Its port.
        pub port: Attr<i64>,
        /// The role.
        pub user: Attr<String>,
        /// The role's password.
        pub password_wo: Attr<Secret<String>>,
        /// Raised with a new password.
        pub password_wo_version: Attr<i64>,
        /// The database.
        pub database: Attr<String>,
        /// As in libpq.
        pub sslmode: Attr<String>,
        /// Authorities, PEM or `system`.
        pub sslrootcert: Attr<String>,
        /// Client certificate, PEM.
        pub sslcert: Attr<String>,
        /// Its key, PEM.
        pub sslkey_wo: Attr<Secret<String>>,
        /// The bastion; absent: connect directly.
        pub ssh_tunnel: Attr<TunnelModel>,
        /// Opens the tunnel's private key.
        pub ssh_passphrase_wo: Attr<Secret<String>>,
        /// The tunnel's private key, where it was supplied.
        pub ssh_private_key_wo: Attr<Secret<String>>,
        /// The version of the bastion's key object.
        pub keys: Attr<Value>,
        /// What to prove.
        pub verify: Attr<Verify>,
        /// Any change proves again.
        pub triggers: Attr<BTreeMap<String, Attr<String>>>,
        /// Such as `15.18`.
        pub server_version: Attr<String>,
        /// The stages as they were proven.
        pub path: Attr<Vec<Hop>>,
    }
}

model! {
    /// What to prove.
    pub struct Verify {
        /// Whether to prove anything.
        pub enabled: Attr<bool>,
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

/// How long a check may take unless told otherwise: a bastion that syncs its keys takes up to five minutes, and a new one some to start.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10 * 60);

const KEY_NAMES: KeyNames = KeyNames { passphrase: "ssh_passphrase_wo", private_key: "ssh_private_key_wo" };

impl Model {
    fn tunnel_key(&self) -> TunnelKey<'_> {
        let (tunnel, passphrase, private_key) = (&self.ssh_tunnel, &self.ssh_passphrase_wo, &self.ssh_private_key_wo);
        TunnelKey { names: &KEY_NAMES, tunnel, passphrase, private_key }
    }

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
        Arguments {
            host: &self.host,
            port: &self.port,
            user: &self.user,
            password: &self.password_wo,
            database: &self.database,
            sslmode: &self.sslmode,
            sslrootcert: &self.sslrootcert,
            sslcert: &self.sslcert,
            sslkey: &self.sslkey_wo,
            sslkey_name: "sslkey_wo",
            key: self.tunnel_key(),
            keys: &self.keys,
            verify,
            default_timeout: DEFAULT_TIMEOUT,
        }
    }
}

/// The resource.
pub(super) struct PostgresConnection {
    shared: Shared,
}

impl PostgresConnection {
    pub(super) fn new(shared: &Shared) -> Self {
        Self { shared: shared.clone() }
    }
}

/// Kept beside a state whose proof does not stand any more, though no argument says so.
const UNPROVEN: &[u8] = b"unproven";

/// What becomes of a connection that could not be proven. What the bastion was to know changed all the same: who goes back to the arguments
/// before has to prove them again.
fn unproven(prior: Option<Model>, planned: &Model, diagnostics: Diagnostics) -> Applied<Model> {
    match prior {
        Some(prior) if prior.keys != planned.keys || prior.triggers != planned.triggers => {
            Applied::Partial(Kept { model: prior, private: Private(UNPROVEN.to_vec()) }, diagnostics)
        }
        _ => Applied::Nothing(diagnostics),
    }
}

/// Whether the connection is to be proven at all; unknown counts as yes.
fn enabled(model: &Model) -> bool {
    model.verify.known().and_then(|verify| verify.enabled.known()) != Some(&false)
}

/// The part of a model that a proof depends on. The name and the patience do not matter to a path.
fn evidence(model: &Model) -> Model {
    let mut evidence = model.clone();
    (evidence.id, evidence.name) = (Attr::Null, Attr::Null);
    (evidence.server_version, evidence.path) = (Attr::Null, Attr::Null);
    if let Attr::Known(tunnel) = &mut evidence.ssh_tunnel {
        tunnel.name = Attr::Null;
        // Who lets this machine in does not matter to the path that it walks then.
        tunnel.admit = Attr::Null;
    }
    if evidence.verify.is_unknown() {
        return evidence;
    }
    // Absent, empty and default `verify` ask for the same.
    let verify = evidence.verify.into_known().unwrap_or_default();
    let or_false = |value: Attr<bool>| if value.is_null() { Attr::Known(false) } else { value };
    evidence.verify = Attr::Known(Verify {
        enabled: if verify.enabled.is_null() { Attr::Known(true) } else { verify.enabled },
        timeout: Attr::Null,
        wait: Attr::Null,
        replication: or_false(verify.replication),
        publication: verify.publication,
        tables: verify.tables,
    });
    evidence
}

impl Resource for PostgresConnection {
    type Model = Model;

    fn type_name(&self) -> &'static str {
        "bastion_postgres_connection"
    }

    fn schema(&self) -> Schema {
        schema::schema()
    }

    fn validate(&self, config: &Model) -> Diagnostics {
        let mut diagnostics = Diagnostics::new();
        if config.name.known().is_some_and(|name| name.trim().is_empty()) {
            diagnostics.error(AttributePath::of("name"), "The name is empty", "Give the connection a name.");
        }
        if !enabled(config) {
            diagnostics.warning(
                AttributePath::of("verify").attribute("enabled"),
                "Nothing is proven of this connection",
                "`verify.enabled` is false: it is recorded as it is written, whether the path holds or not. Where the bastion does not let this \
                 machine in, `admit` in the tunnel does so for the time of the proof.",
            );
        }
        diagnostics.append(config.arguments().validate());
        diagnostics
    }

    fn judge(&self, config: &Model) -> Diagnostics {
        config.arguments().judge()
    }

    async fn plan(&self, _call: &Call<Model>, change: Change<Model>) -> Result<Planned<Model>, Diagnostics> {
        let mut model = change.proposed;
        if change.config.port.is_null() {
            model.port = Attr::Known(i64::from(Port::POSTGRES.get()));
        }
        if change.config.sslmode.is_null() {
            model.sslmode = Attr::Known(SslMode::Require.to_string());
        }
        model.id = id::of(&model);
        if !enabled(&model) {
            (model.server_version, model.path) = (Attr::Null, Attr::Known(Vec::new()));
        } else if change.private.0 == UNPROVEN || change.prior.as_ref().is_none_or(|prior| evidence(prior) != evidence(&model)) {
            (model.server_version, model.path) = (Attr::Unknown, Attr::Unknown);
            // A passphrase or a key that cannot work is refused now, not after other things were made.
            change.config.tunnel_key().try_open(&self.shared.keyring).await?;
        }
        Ok(Planned::new(model, change.private))
    }

    async fn create(&self, call: &Call<Model>, apply: Apply<Model>) -> Applied<Model> {
        self.make(call, apply).await
    }

    async fn read(&self, _call: &Call<Model>, kept: Kept<Model>) -> Result<Option<Kept<Model>>, Diagnostics> {
        Ok(Some(kept))
    }

    async fn update(&self, call: &Call<Model>, apply: Apply<Model>) -> Applied<Model> {
        self.make(call, apply).await
    }

    async fn delete(&self, _call: &Call<Model>, _kept: Kept<Model>) -> Result<Diagnostics, Diagnostics> {
        Ok(Diagnostics::new())
    }

    async fn import(&self, _call: &Call<Model>, id: &str) -> Result<(Kept<Model>, Diagnostics), Diagnostics> {
        let (model, warnings) = id::import(id)?;
        Ok((Kept { model, private: Private::default() }, warnings))
    }
}

impl PostgresConnection {
    /// Proves what was planned. A failure leaves nothing new behind: create makes nothing, update keeps the prior state.
    async fn make(&self, call: &Call<Model>, apply: Apply<Model>) -> Applied<Model> {
        let mut model = apply.planned;
        model.id = id::of(&model);
        // Whether to prove at all may have been unknown to the plan.
        if !enabled(&model) {
            (model.server_version, model.path) = (Attr::Null, Attr::Known(Vec::new()));
        }
        // Plan leaves them unknown exactly when the proof in state does not stand any more.
        if model.server_version.is_unknown() || model.path.is_unknown() {
            match prove::prove(&self.shared, &call.cancelled, &model, apply.prior.as_ref()).await {
                Ok(report) => {
                    model.server_version = Attr::Known(report.server_version().unwrap_or_default().to_owned());
                    model.path = Hop::all(report.path);
                }
                Err(diagnostics) => return unproven(apply.prior, &model, diagnostics),
            }
        }
        Applied::Done(Kept { model, private: Private::default() }, Diagnostics::new())
    }
}
