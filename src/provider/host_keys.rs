//! `data "bastion_host_keys"`: what a bastion presents, to be compared and pinned.

use std::time::Duration;

use super::admit::{self, AdmitModel};
use super::tunnel::{self, sentence};
use super::{Shared, of_diagnosis, walk};
use crate::check::scan;
use crate::key::PublicKey;
use crate::path::duration;
use crate::path::route::{Address, Port};
use crate::ssh::known_hosts;
use crate::tfplugin::attribute_path::AttributePath;
use crate::tfplugin::diagnostic::Diagnostics;
use crate::tfplugin::kind::{Call, DataSource};
use crate::tfplugin::model::{Attr, model};
use crate::tfplugin::schema::{Attribute, Schema, Type, list_of, number, string};

model! {
    /// The data source's configuration and result.
    pub struct Model {
        /// The bastion.
        pub host: Attr<String>,
        /// sshd's port.
        pub port: Attr<i64>,
        /// Lets this machine in.
        pub admit: Attr<AdmitModel>,
        /// Bounds the scan.
        pub timeout: Attr<String>,
        /// `type base64`, ed25519 first.
        pub host_keys: Attr<Vec<Attr<String>>>,
        /// Of each, `SHA256:…`.
        pub fingerprints: Attr<Vec<Attr<String>>>,
        /// Of each, its line in known_hosts.
        pub known_hosts: Attr<Vec<Attr<String>>>,
    }
}

/// How long a scan may take unless told otherwise: a machine that boots brings its sshd up within that.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

const UNPROVEN: &str = "A scan proves nothing by itself";

/// The arguments, parsed.
struct Target {
    at: Address,
    timeout: Duration,
}

/// The target, if all of it is known and right; what is wrong is added to the diagnostics.
fn target(config: &Model, diagnostics: &mut Diagnostics) -> Option<Target> {
    let host = tunnel::host(&config.host, &AttributePath::of("host"), diagnostics);
    let port = tunnel::port(&config.port, Port::SSH, &AttributePath::of("port"), diagnostics);
    Some(Target { at: Address::new(host?, port?), timeout: patience(config, diagnostics)? })
}

fn patience(config: &Model, diagnostics: &mut Diagnostics) -> Option<Duration> {
    match &config.timeout {
        Attr::Null => Some(DEFAULT_TIMEOUT),
        Attr::Unknown => None,
        Attr::Known(text) => duration::parse(text)
            .map_err(|error| diagnostics.error(AttributePath::of("timeout"), "The timeout is not a duration", sentence(&error)))
            .ok(),
    }
}

/// The data source.
pub(super) struct HostKeys {
    shared: Shared,
}

impl HostKeys {
    pub(super) fn new(shared: &Shared) -> Self {
        Self { shared: shared.clone() }
    }
}

impl DataSource for HostKeys {
    type Model = Model;

    fn type_name(&self) -> &'static str {
        "bastion_host_keys"
    }

    fn schema(&self) -> Schema {
        Schema::new(
            "The host keys that a bastion presents, as `ssh-keyscan` finds them: one handshake a kind of key, nobody logs in. Read at every plan.\n\n\
                A scan proves nothing by itself: whoever answers at the address presents keys. Compare a fingerprint with one read on the bastion \
                (`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`), or with the instance's console log, and pin the key as a text. Pinning \
                straight from this data source trusts whoever answers, at every plan anew.\n\nThe bastion has to let the machine in that runs Terraform: by a rule \
                of your own, or by `admit` for the time of the scan.",
            vec![
                Attribute::required("host", string(), "The bastion, as the machine that runs Terraform sees it."),
                Attribute::optional_computed("port", number(), "sshd's port. Default `22`."),
                admit::attribute(),
                Attribute::optional("timeout", string(), "Bounds the scan; what can heal is tried again until then. Default `30s`."),
                Attribute::computed("host_keys", list_of(Type::String), "Each as `type base64`, ed25519 first, then ECDSA, then RSA."),
                Attribute::computed("fingerprints", list_of(Type::String), "Of each key in the same order, `SHA256:…`."),
                Attribute::computed("known_hosts", list_of(Type::String), "Of each key in the same order, its line in known_hosts."),
            ],
        )
    }

    fn validate(&self, config: &Model) -> Diagnostics {
        let mut diagnostics = Diagnostics::new();
        patience(config, &mut diagnostics);
        admit::judge(&config.admit, &AttributePath::of("admit"), &mut diagnostics);
        diagnostics
    }

    async fn read(&self, call: &Call<Model>, config: Model) -> Result<(Model, Diagnostics), Diagnostics> {
        let mut diagnostics = Diagnostics::new();
        let Some(Target { at, timeout }) = target(&config, &mut diagnostics) else {
            return Err(if diagnostics.has_errors() {
                diagnostics
            } else {
                super::fault("a bastion was to be scanned at an unknown address")
            });
        };
        let admission = admit::admission(&self.shared, &config.admit, &AttributePath::of("admit"))?;
        let scanned = scan(&at, admission, timeout, &self.shared.sessions, &walk::log(at.host.as_str()), &call.cancelled).await;
        let keys = scanned.map_err(|diagnosis| of_diagnosis(&diagnosis, AttributePath::of("host")))?;
        let all = |of: &dyn Fn(&PublicKey) -> String| Attr::Known(keys.iter().map(|key| Attr::Known(of(key))).collect());
        let model = Model {
            port: Attr::Known(i64::from(at.port.get())),
            host_keys: all(&ToString::to_string),
            fingerprints: all(&PublicKey::fingerprint),
            known_hosts: all(&|key| known_hosts::line(&at.host, at.port, key)),
            ..config
        };
        diagnostics.warning(
            AttributePath::of("host"),
            UNPROVEN,
            "Whoever answers at an address presents keys. Compare a fingerprint with one read on the bastion itself before it is pinned: \
             ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub",
        );
        Ok((model, diagnostics))
    }
}
