//! `bastion_ssh_tunnel_connection`: the key pairs of one bastion login. Never talks to the network, so no check can taint it.

mod generated;
mod rotation;
mod schema;
mod supplied;

use std::collections::BTreeSet;
use std::sync::Arc;

use ring::rand::SecureRandom;

use super::admit::AdmitModel;
use super::keyring::Keyring;
use super::tunnel::{self, TunnelModel};
use super::{Shared, fault};
use crate::path::route::Port;
use crate::secret::Secret;
use crate::tfplugin::attribute_path::AttributePath;
use crate::tfplugin::diagnostic::Diagnostics;
use crate::tfplugin::kind::{Applied, Apply, Call, Change, Kept, Planned, Private, Resource};
use crate::tfplugin::model::{Attr, model};
use crate::tfplugin::schema::Schema;

model! {
    /// The resource's configuration and state.
    pub struct Model {
        /// Made at creation, never changed.
        pub id: Attr<String>,
        /// What it is called.
        pub name: Attr<String>,
        /// The bastion.
        pub host: Attr<String>,
        /// sshd's port.
        pub port: Attr<i64>,
        /// The login.
        pub user: Attr<String>,
        /// Pinned host keys.
        pub host_keys: Attr<BTreeSet<Attr<String>>>,
        /// Take any host key.
        pub insecure_ignore_host_key: Attr<bool>,
        /// Lets this machine in while it walks.
        pub admit: Attr<AdmitModel>,
        /// Generated keys …
        pub key_pairs: Attr<KeyPairs>,
        /// … or the user's own.
        pub supplied_key: Attr<SuppliedKey>,
        /// The key in use.
        pub public_key_1: Attr<String>,
        /// The key that stands by.
        pub public_key_2: Attr<String>,
        /// All of them, the key in use first.
        pub public_keys: Attr<Vec<Attr<String>>>,
        /// Of key 1.
        pub fingerprint_1: Attr<String>,
        /// Of key 2.
        pub fingerprint_2: Attr<String>,
        /// The key before the last rotation, while it is kept.
        pub previous_public_key: Attr<String>,
        /// Of that key.
        pub previous_fingerprint: Attr<String>,
        /// Where a rotation stands.
        pub phase: Attr<String>,
        /// The login and its standby key, as `keys` takes it.
        pub keys_version: Attr<String>,
        /// Of key 1; absent where the key was supplied.
        pub private_key: Attr<Secret<String>>,
        /// Of key 2, likewise. An attribute, because Terraform drops what is kept beside the state when a provider dies in an update.
        pub private_key_2: Attr<Secret<String>>,
        /// What a connection takes as `ssh_tunnel`.
        pub tunnel: Attr<TunnelModel>,
    }
}

model! {
    /// How generated keys are kept.
    pub struct KeyPairs {
        /// Encrypts the private keys in state.
        pub passphrase_wo: Attr<Secret<String>>,
        /// Raised with a new passphrase.
        pub passphrase_wo_version: Attr<i64>,
        /// The passphrase before, given once with a new one.
        pub previous_passphrase_wo: Attr<Secret<String>>,
        /// Keep the private keys unencrypted.
        pub allow_plaintext_in_state: Attr<bool>,
        /// Raised to rotate.
        pub rotation: Attr<i64>,
        /// Keep the key before authorised.
        pub keep_previous: Attr<bool>,
        /// Give up the keys from before this rotation.
        pub retire: Attr<i64>,
    }
}

model! {
    /// A key of the user's own.
    pub struct SuppliedKey {
        /// The key.
        pub private_key_wo: Attr<Secret<String>>,
        /// Raised with a new key.
        pub private_key_wo_version: Attr<i64>,
        /// Opens the key.
        pub passphrase_wo: Attr<Secret<String>>,
    }
}

/// The resource.
pub(super) struct SshTunnelConnection {
    keyring: Arc<Keyring>,
}

impl SshTunnelConnection {
    pub(super) fn new(shared: &Shared) -> Self {
        Self { keyring: Arc::clone(&shared.keyring) }
    }

    /// The keys that a change leads to; unknown where only apply can tell.
    async fn keys(&self, change: &Change<Model>, warnings: &mut Diagnostics) -> Result<Keys, Diagnostics> {
        match (&change.config.key_pairs, &change.config.supplied_key) {
            (Attr::Known(pairs), _) => generated::plan(&self.keyring, change, pairs, warnings).await,
            (_, Attr::Known(key)) => supplied::plan(&self.keyring, change, key, warnings).await,
            // Not known yet which of the two it will be.
            _ => Ok(Keys::unknown()),
        }
    }
}

/// The computed part of the model, and what is kept beside it.
struct Keys {
    public: [Attr<String>; 2],
    fingerprints: [Attr<String>; 2],
    /// The public key before the last rotation; null where none is kept.
    previous: Attr<String>,
    private_keys: [Attr<Secret<String>>; 2],
}

impl Keys {
    fn unknown() -> Self {
        Self {
            public: [Attr::Unknown, Attr::Unknown],
            fingerprints: [Attr::Unknown, Attr::Unknown],
            previous: Attr::Unknown,
            private_keys: [Attr::Unknown, Attr::Unknown],
        }
    }

    /// Those in state.
    fn of(prior: &Model) -> Self {
        Self {
            public: [prior.public_key_1.clone(), prior.public_key_2.clone()],
            fingerprints: [prior.fingerprint_1.clone(), prior.fingerprint_2.clone()],
            previous: prior.previous_public_key.clone(),
            private_keys: [prior.private_key.clone(), prior.private_key_2.clone()],
        }
    }

    /// Fills the computed attributes of a model.
    fn fill(self, model: &mut Model) {
        let [public_1, public_2] = self.public;
        let [fingerprint_1, fingerprint_2] = self.fingerprints;
        let all = [&public_1, &public_2, &self.previous].into_iter().filter(|key| !key.is_null()).cloned().collect();
        // Until it is known which keys there are, not even the length is.
        let undecided = self.previous.is_unknown() || public_2.is_unknown() && !matches!(model.key_pairs, Attr::Known(_));
        model.public_keys = if undecided { Attr::Unknown } else { Attr::Known(all) };
        model.previous_public_key = self.previous;
        (model.public_key_1, model.public_key_2) = (public_1, public_2);
        (model.fingerprint_1, model.fingerprint_2) = (fingerprint_1, fingerprint_2);
        [model.private_key, model.private_key_2] = self.private_keys;
        model.tell_phase();
        model.tunnel = Attr::Known(as_tunnel(model));
    }
}

fn as_tunnel(model: &Model) -> TunnelModel {
    // How many keys there will be is not known either: two that are not known yet may turn out to be one.
    let undecided = model.host_keys.known().is_some_and(|keys| keys.iter().any(Attr::is_unknown));
    TunnelModel {
        name: model.name.clone(),
        host: model.host.clone(),
        port: model.port.clone(),
        user: model.user.clone(),
        host_keys: if undecided { Attr::Unknown } else { model.host_keys.clone() },
        insecure_ignore_host_key: model.insecure_ignore_host_key.clone(),
        admit: model.admit.clone(),
        private_key: model.private_key.clone(),
    }
}

fn refuse_both(diagnostics: &mut Diagnostics) {
    diagnostics.error(
        AttributePath::of("supplied_key"),
        "Keys are both generated and supplied",
        "Give `key_pairs` to have key pairs generated, or `supplied_key` to use a key of your own, not both. An argument that `ignore_changes` \
         names stays as it is in state.",
    );
}

impl Resource for SshTunnelConnection {
    type Model = Model;

    fn type_name(&self) -> &'static str {
        "bastion_ssh_tunnel_connection"
    }

    fn schema(&self) -> Schema {
        schema::schema()
    }

    fn validate(&self, config: &Model) -> Diagnostics {
        let mut diagnostics = tunnel::validate(&as_tunnel(config), &AttributePath::root());
        if config.name.known().is_some_and(|name| name.trim().is_empty()) {
            diagnostics.error(AttributePath::of("name"), "The name is empty", "Give the tunnel a name.");
        }
        match (&config.key_pairs, &config.supplied_key) {
            (Attr::Known(_), Attr::Known(_)) => refuse_both(&mut diagnostics),
            (Attr::Null, Attr::Null) => diagnostics.error(
                AttributePath::root(),
                "No key is given",
                "Give `key_pairs` to have key pairs generated, or `supplied_key` to use a key of your own.",
            ),
            (Attr::Known(pairs), _) => generated::validate(pairs, &mut diagnostics),
            (_, Attr::Known(key)) => supplied::validate(key, &mut diagnostics),
            _ => {}
        }
        diagnostics
    }

    fn judge(&self, config: &Model) -> Diagnostics {
        let mut tunnel = as_tunnel(config);
        if tunnel.host.is_null() {
            // It comes later, and its host keys with it.
            tunnel.host = Attr::Unknown;
            tunnel.host_keys = if tunnel.host_keys.is_null() { Attr::Unknown } else { tunnel.host_keys };
        }
        let mut diagnostics = tunnel::judge(&tunnel, &AttributePath::root());
        // Both are there in a plan, too, if the one that was taken out of the configuration is ignored.
        if config.key_pairs.known().is_some() && config.supplied_key.known().is_some() {
            refuse_both(&mut diagnostics);
        }
        if let Attr::Known(key) = &config.supplied_key {
            supplied::judge(key, &mut diagnostics);
        }
        diagnostics
    }

    async fn plan(&self, _call: &Call<Model>, change: Change<Model>) -> Result<Planned<Model>, Diagnostics> {
        let mut warnings = Diagnostics::new();
        let keys = self.keys(&change, &mut warnings).await?;
        let (mut model, private) = (change.proposed, change.private);
        if change.config.port.is_null() {
            model.port = Attr::Known(i64::from(Port::SSH.get()));
        }
        keys.fill(&mut model);
        Ok(Planned { warnings, ..Planned::new(model, private) })
    }

    async fn create(&self, _call: &Call<Model>, apply: Apply<Model>) -> Applied<Model> {
        self.make(apply).await
    }

    async fn read(&self, _call: &Call<Model>, kept: Kept<Model>) -> Result<Option<Kept<Model>>, Diagnostics> {
        Ok(Some(generated::unshelve(kept)))
    }

    async fn update(&self, _call: &Call<Model>, apply: Apply<Model>) -> Applied<Model> {
        self.make(apply).await
    }

    async fn delete(&self, _call: &Call<Model>, _kept: Kept<Model>) -> Result<Diagnostics, Diagnostics> {
        Ok(Diagnostics::new())
    }

    async fn import(&self, _call: &Call<Model>, _id: &str) -> Result<(Kept<Model>, Diagnostics), Diagnostics> {
        let mut diagnostics = Diagnostics::new();
        diagnostics.error(
            AttributePath::root(),
            "A tunnel cannot be imported",
            "It exists in Terraform's state only: its key pairs are generated there, and a private key is never read back from anywhere. To go on with a key that is in use already, create the resource with `supplied_key`.",
        );
        Err(diagnostics)
    }
}

impl SshTunnelConnection {
    /// Makes what was planned: fills in what only apply can tell. The one source of both create and update.
    async fn make(&self, apply: Apply<Model>) -> Applied<Model> {
        let mut model = apply.planned;
        let made = match (&model.key_pairs, &model.supplied_key) {
            (Attr::Known(pairs), _) => generated::make(&self.keyring, apply.prior.as_ref(), &apply.private, pairs).await,
            (_, Attr::Known(key)) => supplied::make(&self.keyring, apply.prior.as_ref(), key).await,
            _ => Err(fault("a tunnel without keys was planned")),
        };
        let keys = match made {
            Ok(keys) => keys,
            Err(diagnostics) => return Applied::Nothing(diagnostics),
        };
        if !matches!(model.id, Attr::Known(_)) {
            match new_id() {
                Some(id) => model.id = Attr::Known(id),
                None => return Applied::Nothing(fault("the system gives no random numbers")),
            }
        }
        keys.fill(&mut model);
        Applied::Done(Kept { model, private: Private::default() }, Diagnostics::new())
    }
}

/// 64 random bits: enough that no two tunnels of one state ever meet.
fn new_id() -> Option<String> {
    let mut bits = [0; 8];
    ring::rand::SystemRandom::new().fill(&mut bits).ok()?;
    Some(bits.iter().fold("tunnel-".to_owned(), |id, byte| format!("{id}{byte:02x}")))
}
