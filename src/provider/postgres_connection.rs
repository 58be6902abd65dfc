//! `bastion_postgres_connection`: a connection that is proven before it counts as made.

mod id;
mod prove;
mod request;
mod schema;

use std::collections::{BTreeMap, BTreeSet};

use super::Shared;
use super::tunnel::TunnelModel;
use crate::path::route::Port;
use crate::postgres::SslMode;
use crate::secret::Secret;
use crate::tfplugin::diagnostic::Diagnostics;
use crate::tfplugin::kind::{Applied, Apply, Call, Change, Kept, Planned, Private, Resource};
use crate::tfplugin::model::{Attr, model};
use crate::tfplugin::schema::Schema;

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
        /// Ready for logical replication.
        pub replication: Attr<bool>,
        /// This publication exists.
        pub publication: Attr<String>,
        /// SELECT on each of these.
        pub tables: Attr<BTreeSet<Attr<String>>>,
    }
}

model! {
    /// A proven stage.
    pub struct Hop {
        /// Its name.
        pub stage: Attr<String>,
        /// `passed` or `skipped`.
        pub status: Attr<String>,
        /// What is known of it.
        pub note: Attr<String>,
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
    }
    // Absent, empty and default `verify` ask for the same.
    let verify = evidence.verify.known().cloned().unwrap_or_default();
    let or_false = |value: Attr<bool>| if value.is_null() { Attr::Known(false) } else { value };
    evidence.verify = Attr::Known(Verify {
        enabled: if verify.enabled.is_null() { Attr::Known(true) } else { verify.enabled },
        timeout: Attr::Null,
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
        request::validate(config)
    }

    async fn plan(&self, _call: &Call<Model>, change: Change<Model>) -> Result<Planned<Model>, Diagnostics> {
        request::check_key(&self.shared.keyring, &change.config).await?;
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
        } else if change.prior.as_ref().is_none_or(|prior| evidence(prior) != evidence(&model)) {
            (model.server_version, model.path) = (Attr::Unknown, Attr::Unknown);
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

    async fn delete(&self, _call: &Call<Model>, _kept: Kept<Model>) -> Result<(), Diagnostics> {
        Ok(())
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
        // Plan leaves them unknown exactly when the proof in state does not stand any more.
        if model.server_version.is_unknown() || model.path.is_unknown() {
            match prove::prove(&self.shared, &call.cancelled, &apply.config).await {
                Ok(report) => {
                    model.server_version = Attr::Known(report.server_version);
                    model.path = Attr::Known(report.path.into_iter().map(prove::hop).collect());
                }
                Err(diagnostics) => return Applied::Nothing(diagnostics),
            }
        }
        Applied::Done(Kept { model, private: apply.private }, Diagnostics::new())
    }
}
