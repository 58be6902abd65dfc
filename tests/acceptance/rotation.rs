//! A rotation interrupts nobody: a client that opens a connection every 200 ms all along never fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bastion::check::{Request, Sessions, check};
use bastion::key::PrivateKey;
use bastion::path::event::Silent;
use bastion::path::route::{Address, Hop, Login, Port, Route, Target};
use bastion::postgres::{SslMode, TlsSettings};
use bastion::secret::Secret;
use bastion::ssh::known_hosts;
use tokio_util::sync::CancellationToken;

use crate::support::{Bench, Block, PASSPHRASE, USER};

/// How often the client connects.
const PERIOD: Duration = Duration::from_millis(200);
/// How long the bastion takes to notice new keys: several periods, so that every order of events is met.
const SYNC_DELAY: Duration = Duration::from_secs(2);

/// Bounds every wait.
const LIMIT: Duration = Duration::from_secs(10);

/// The key in use by state, as a data system would read it.
fn key_in_state(state: &str) -> Option<PrivateKey> {
    let state: serde_json::Value = serde_json::from_str(state).ok()?;
    let resources = state["resources"].as_array()?;
    let tunnel = resources.iter().find(|resource| resource["type"] == "bastion_ssh_tunnel_connection")?;
    let text = tunnel["instances"][0]["attributes"]["private_key"].as_str()?;
    PrivateKey::parse(&Secret::from(text), Some(&Secret::from(PASSPHRASE))).ok()
}

fn configuration(bench: &Bench, rotation: u8) -> [Block; 3] {
    let keys = format!("{{ passphrase_wo = {PASSPHRASE:?}, passphrase_wo_version = 1, rotation = {rotation} }}");
    let file = bench.lab.bastion.drop_folder().join(format!("{USER}.pub"));
    let authorized =
        Block::new("terraform_data", "authorized_keys").set("triggers_replace", "bastion_ssh_tunnel_connection.bastion.public_keys");
    let command = format!("printf '%s\\n' \"$KEYS\" > '{0}.new' && mv '{0}.new' '{0}'", file.display());
    let provisioner = format!(
        "provisioner \"local-exec\" {{\n    command = {}\n    environment = {{ KEYS = join(\"\\n\", bastion_ssh_tunnel_connection.bastion.public_keys) }}\n  }}",
        crate::support::quote(&command)
    );
    let connection = bench
        .connection()
        .set("ssh_tunnel", "bastion_ssh_tunnel_connection.bastion.tunnel")
        .text("ssh_passphrase_wo", PASSPHRASE)
        .set("triggers", "{ keys = terraform_data.authorized_keys.id }")
        .set("verify", "{ timeout = \"1m\" }");
    [bench.tunnel().set("key_pairs", keys), authorized.raw(&provisioner), connection]
}

#[test]
fn a_client_that_connects_all_along_never_fails() {
    let bench = Bench::with(lab::Bastion::builder().sync_delay(SYNC_DELAY));
    bench.lab.bastion.remove_user(USER).unwrap();
    let blocks = |rotation| configuration(&bench, rotation);
    bench.settle(&blocks(1).each_ref());
    let first = bench.lab.bastion.logins().pop().unwrap().fingerprint;
    let client = Client::start(&bench);
    for rotation in [2, 3] {
        bench.settle(&blocks(rotation).each_ref());
        client.follows(&bench);
    }
    client.never_failed(&bench);
    assert_ne!(bench.lab.bastion.logins().pop().unwrap().fingerprint, first);
}

/// A data system that connects all along with the key in state.
pub struct Client {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(usize, Vec<String>)>,
}

impl Client {
    pub fn start(bench: &Bench) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (request, state) = (request(bench), bench.terraform.work().join("terraform.tfstate"));
        let until = Arc::clone(&stop);
        Self { stop, thread: std::thread::spawn(move || client(request, &state, &until)) }
    }

    /// Waits until it uses the key that a rotation promoted, and until the bastion knows the two keys in state and no others.
    pub fn follows(&self, bench: &Bench) {
        let tunnel = bench.attributes("bastion_ssh_tunnel_connection.bastion");
        let used = tunnel["fingerprint_1"].as_str().unwrap();
        lab::wait_until("the client to use the promoted key", LIMIT, || {
            bench.lab.bastion.logins().last().is_some_and(|login| login.fingerprint == used)
        })
        .unwrap();
        let keys: Vec<String> = serde_json::from_value(tunnel["public_keys"].clone()).unwrap();
        lab::wait_until("the bastion to take the new keys", LIMIT, || {
            let file = bench.lab.bastion.authorized_keys(USER).unwrap_or_default();
            keys.iter().all(|key| file.contains(key))
                && file.lines().filter(|line| !line.starts_with('#') && !line.starts_with("restrict ssh-ed25519 ")).count() == 2
        })
        .unwrap();
    }

    /// Ends it after a few more connections, none of which may have failed.
    pub fn never_failed(self, bench: &Bench) {
        let tries = bench.lab.bastion.logins().len();
        lab::wait_until("some more connections", LIMIT, || bench.lab.bastion.logins().len() > tries + 5).unwrap();
        self.stop.store(true, Ordering::Relaxed);
        let (connections, failures) = self.thread.join().unwrap();
        assert!(failures.is_empty(), "{} of {connections} connections failed: {failures:#?}", failures.len());
        assert!(connections > 20, "only {connections} connections were made");
    }
}

pub fn request(bench: &Bench) -> Request {
    let port = |number: u16| Port::try_from(i64::from(number)).unwrap();
    let host = bench.lab.bastion.host().parse().unwrap();
    let bastion_port = port(bench.lab.bastion.port());
    let host_keys = known_hosts::from_texts(&[&bench.lab.bastion.host_public_key().unwrap()], &host, bastion_port).unwrap();
    let at = Address::new(lab::DATABASE_HOST.parse().unwrap(), port(bench.lab.logical.port()));
    let login = Login { user: lab::ROLE.to_owned(), database: lab::DATABASE.to_owned() };
    let hop = Hop::new(Address::new(host, bastion_port), USER, host_keys);
    let mut request = Request::new(Route::new(vec![hop], Target::Postgres { at, login: Some(login) }));
    request.postgres.password = Some(Secret::from(bench.lab.password()));
    request.postgres.tls = TlsSettings::new(SslMode::VerifyFull, Some(&bench.lab.authority.pem()), None).unwrap();
    // Shorter than the pause after a refused key: a refusal is a failure, not something to be waited out.
    request.timeout = Duration::from_secs(4);
    request
}

/// Connects again and again, each time over a session of its own, with the key that state names at that moment.
fn client(mut request: Request, state: &std::path::Path, stop: &AtomicBool) -> (usize, Vec<String>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (mut connections, mut failures) = (0, Vec::new());
    let (mut seen, mut next) = (String::new(), Instant::now());
    while !stop.load(Ordering::Relaxed) {
        // Terraform rewrites the file while it is read: an unreadable state is last time's.
        let text = std::fs::read_to_string(state).unwrap_or_default();
        if text != seen
            && let Some(key) = key_in_state(&text)
        {
            request.keys = vec![Arc::new(key)];
            seen = text;
        }
        let checked = runtime.block_on(check(&request, &Sessions::new(), &Silent, &CancellationToken::new()));
        connections += 1;
        failures.extend(checked.err().map(|diagnosis| format!("{}\n{diagnosis}", diagnosis.summary())));
        next += PERIOD;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    (connections, failures)
}
