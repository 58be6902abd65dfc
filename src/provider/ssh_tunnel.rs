//! `ephemeral "bastion_ssh_tunnel"`: a port of this machine that leads through a bastion while Terraform runs.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::admit;
use super::tunnel::{self, TunnelModel, sentence};
use super::tunnel_key::{KeyNames, TunnelKey};
use super::{Shared, fault, keys, named, of_diagnosis, walk};
use crate::check::{Request, TunnelError, Waits, open_tunnel};
use crate::path::cause::Cause;
use crate::path::diagnosis::Diagnosis;
use crate::path::duration;
use crate::path::route::{Address, Port, Route, Target};
use crate::secret::Secret;
use crate::tfplugin::attribute_path::AttributePath;
use crate::tfplugin::diagnostic::Diagnostics;
use crate::tfplugin::kind::{Call, Ephemeral, Opened, Private};
use crate::tfplugin::model::{Attr, model};
use crate::tfplugin::schema::{Attribute, Schema, Type, map_of, nested_single, number, string};
use crate::tfplugin::value::Value;
use crate::way::Tunnel;

model! {
    /// The ephemeral resource's configuration and result.
    pub struct Model {
        /// The bastion.
        pub ssh_tunnel: Attr<TunnelModel>,
        /// Opens the tunnel's private key.
        pub passphrase: Attr<Secret<String>>,
        /// The tunnel's private key, where it was supplied.
        pub private_key: Attr<Secret<String>>,
        /// The version of the bastion's key object.
        pub keys: Attr<Value>,
        /// Any of them unknown: it is not opened yet.
        pub triggers: Attr<BTreeMap<String, Attr<String>>>,
        /// Where the tunnel leads, as the bastion sees it.
        pub remote_host: Attr<String>,
        /// Its port.
        pub remote_port: Attr<i64>,
        /// Bounds the opening.
        pub timeout: Attr<String>,
        /// Where it begins.
        pub local_host: Attr<String>,
        /// Its port.
        pub local_port: Attr<i64>,
    }
}

/// How long the opening may take unless told otherwise: as long as that of a connection, whose key may have to reach the bastion first.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10 * 60);

const KEY_NAMES: KeyNames = KeyNames { passphrase: "passphrase", private_key: "private_key" };

impl Model {
    fn tunnel_key(&self) -> TunnelKey<'_> {
        TunnelKey { names: &KEY_NAMES, tunnel: &self.ssh_tunnel, passphrase: &self.passphrase, private_key: &self.private_key }
    }

    /// Where it leads and how patiently it is opened, if all of it is known and right.
    fn target(&self, diagnostics: &mut Diagnostics) -> Option<(Address, Duration, Waits)> {
        let host = tunnel::host(&self.remote_host, &AttributePath::of("remote_host"), diagnostics);
        let port = tunnel::port(&self.remote_port, Port::POSTGRES, &AttributePath::of("remote_port"), diagnostics);
        let (timeout, waits) = self.patience(diagnostics)?;
        Some((Address::new(host?, port?), timeout, waits))
    }

    fn patience(&self, diagnostics: &mut Diagnostics) -> Option<(Duration, Waits)> {
        match &self.timeout {
            Attr::Null => Some((DEFAULT_TIMEOUT, Waits::default())),
            Attr::Unknown => None,
            Attr::Known(text) => duration::parse(text)
                .map(|timeout| (timeout, Waits::until(timeout)))
                .map_err(|error| diagnostics.error(AttributePath::of("timeout"), "The timeout is not a duration", sentence(&error)))
                .ok(),
        }
    }

    async fn request(&self, shared: &Shared) -> Result<Request, Diagnostics> {
        let mut diagnostics = Diagnostics::new();
        self.tunnel_key().judge(&mut diagnostics);
        let target = self.target(&mut diagnostics);
        let hop = self.ssh_tunnel.known().and_then(|tunnel| tunnel::parse(tunnel, &AttributePath::of("ssh_tunnel"), &mut diagnostics));
        let admit = self.ssh_tunnel.known().map_or(&Attr::Null, |tunnel| &tunnel.admit);
        let admission = admit::admission(shared, admit, &AttributePath::of("ssh_tunnel").attribute("admit"));
        let admission = admission.map_err(|wrong| diagnostics.append(wrong)).ok().flatten();
        keys::judge(&self.keys, hop.as_ref(), &mut diagnostics);
        let hop = hop.map(|hop| keys::demand(&self.keys, hop, &mut diagnostics));
        if diagnostics.has_errors() {
            return Err(named(diagnostics));
        }
        let (Some((to, timeout, waits)), Some(hop)) = (target, hop) else {
            return Err(fault("a tunnel was to be opened with unknown values"));
        };
        let key = self.tunnel_key().open(&shared.keyring).await?;
        Ok(Request { keys: key.into_iter().collect(), timeout, waits, admission, ..Request::new(Route::new(vec![hop], Target::Tcp(to))) })
    }
}

/// The ephemeral resource, and what is open of it. What is not closed ends with the process: Terraform closes nothing after a failure.
pub(super) struct SshTunnel {
    shared: Shared,
    open: Arc<Mutex<HashMap<u64, Tunnel>>>,
    next: AtomicU64,
}

impl SshTunnel {
    pub(super) fn new(shared: &Shared) -> Self {
        Self { shared: shared.clone(), open: Arc::default(), next: AtomicU64::new(0) }
    }
}

impl Ephemeral for SshTunnel {
    type Model = Model;

    fn type_name(&self) -> &'static str {
        "bastion_ssh_tunnel"
    }

    fn schema(&self) -> Schema {
        let secret = |name, description| Attribute::optional(name, string(), description).sensitive();
        Schema::new(
            "A port on 127.0.0.1 that leads through a bastion while Terraform runs, so that any provider can use it. The way is proven before the port \
                is given out, as far as the bastion's connection to `remote_host`. The port is another one in every run. Its connections have SSH \
                sessions of their own, up to eight, so that none waits for another's reader.\n\n\
                Where an argument is not known before apply, the tunnel is not opened at plan: whoever uses it is configured with an unknown host and \
                port then, which not every provider tolerates.",
            vec![
                Attribute::required(
                    "ssh_tunnel",
                    nested_single(tunnel::attributes()),
                    "The bastion: `tunnel` of a `bastion_ssh_tunnel_connection`, or the same object written by hand. The bastion has to let \
                     the machine in that runs Terraform: by a rule of your own, or by `admit` in this object for as long as the tunnel is open.",
                ),
                secret("passphrase", "Opens the tunnel's private key. Nothing here is kept, so an ephemeral value can be given."),
                secret("private_key", "The tunnel's private key, where it was supplied and so is not in the tunnel object."),
                keys::attribute(),
                Attribute::optional(
                    "triggers",
                    map_of(Type::String),
                    "What has to be there first: while any of these is unknown, a plan does not open the tunnel. For example the ETag of the \
                     bastion's key object, so that a plan that is to write that object does not wait for it.",
                ),
                Attribute::required("remote_host", string(), "Where the tunnel leads, as the bastion sees it."),
                Attribute::optional("remote_port", number(), "Its port. Default `5432`."),
                Attribute::optional(
                    "timeout",
                    string(),
                    "Bounds the opening, the wait for a key that has not reached the bastion yet included. Default `10m`.",
                ),
                Attribute::computed("local_host", string(), "Where it begins: always `127.0.0.1`."),
                Attribute::computed("local_port", number(), "The port of this machine."),
            ],
        )
    }

    fn validate(&self, config: &Model) -> Diagnostics {
        let mut diagnostics = Diagnostics::new();
        config.patience(&mut diagnostics);
        if let Attr::Known(tunnel) = &config.ssh_tunnel {
            diagnostics.append(tunnel::validate(tunnel, &AttributePath::of("ssh_tunnel")));
        }
        config.tunnel_key().validate(&mut diagnostics);
        named(diagnostics)
    }

    async fn open(&self, call: &Call<Model>, config: Model) -> Result<Opened<Model>, Diagnostics> {
        let request = config.request(&self.shared).await?;
        let name = request.route.target.as_ref().map_or_else(String::new, |target| target.at().host.to_string());
        let opened = open_tunnel(request, &self.shared.sessions, &walk::log(&name), &call.cancelled).await;
        let tunnel = opened.map(|opened| opened.tunnel).map_err(|error| match error {
            TunnelError::Path(diagnosis) => of_diagnosis(&diagnosis, at(&diagnosis)),
            TunnelError::Listen(_) | TunnelError::NoTarget => {
                let mut diagnostics = Diagnostics::new();
                diagnostics.error(AttributePath::root(), "This machine has no port for the tunnel", sentence(&error));
                diagnostics
            }
        })?;
        let address = tunnel.address();
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(number, tunnel);
        let model =
            Model { local_host: Attr::Known(address.ip().to_string()), local_port: Attr::Known(i64::from(address.port())), ..config };
        Ok(Opened { model, private: Private(number.to_be_bytes().to_vec()), renew_at: None })
    }

    async fn renew(&self, _private: &Private) -> Result<Option<std::time::SystemTime>, Diagnostics> {
        // The session keeps itself alive.
        Ok(None)
    }

    async fn close(&self, private: &Private) -> Result<(), Diagnostics> {
        let Ok(number) = <[u8; 8]>::try_from(private.0.as_slice()) else {
            return Err(fault("a tunnel was closed under a name it never had"));
        };
        // Another process's tunnel is gone already, with that process.
        let closed = self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&u64::from_be_bytes(number));
        drop(closed);
        Ok(())
    }
}

/// The argument to look at first.
fn at(diagnosis: &Diagnosis) -> AttributePath {
    match diagnosis.cause {
        Cause::OutOfTime { .. } => AttributePath::of("timeout"),
        Cause::Interrupted { .. } => AttributePath::root(),
        _ if diagnosis.at.leg < diagnosis.route.hops.len() => AttributePath::of("ssh_tunnel"),
        _ => AttributePath::of("remote_host"),
    }
}
