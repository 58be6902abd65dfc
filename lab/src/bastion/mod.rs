//! The bastion: a real OpenSSH sshd on loopback, whose logins exist only in it.

mod bucket_sync;
mod builder;
mod config;
mod key_sync;
mod log;
mod logins;

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;

pub use bucket_sync::KeyBucket;
pub use builder::BastionBuilder;
pub use config::KeyType;
pub use log::Login;

use crate::{
    process,
    scratch::Scratch,
    server::{self, Ending, Server},
    tools, wait_for,
};

/// How long sshd may take to listen; it takes some 20 ms on an idle machine.
const START: Duration = Duration::from_secs(10);

/// sshd has nothing to put in order, and asked to end it would leave its sessions behind: a kill of all is the clean end.
const ENDING: Ending = Ending { at_once: "KILL", gently: "KILL" };

/// A running sshd on 127.0.0.1, as a bastion is from outside. It ends, with all sessions and files, when the value is dropped or when
/// the process that holds it dies.
///
/// Logins are made by name; they share one account of the machine, and none of the machine's own logins exists in here. Names that the
/// bastion alone resolves are in its own hosts file, as in a private DNS zone.
pub struct Bastion {
    /// The first fields to be dropped: their threads write into the folder.
    sync: key_sync::KeySync,
    bucket_sync: Option<bucket_sync::BucketSync>,
    server: Mutex<Option<Server>>,
    logins: Arc<logins::Logins>,
    settings: Mutex<Settings>,
    port: u16,
    drop_folder: PathBuf,
    scratch: Arc<Scratch>,
}

/// What sshd_config and the hosts file are made from.
struct Settings {
    lines: Vec<String>,
    host_keys: Vec<KeyType>,
    hosts: Vec<(String, String)>,
    version: (u32, u32),
}

impl Bastion {
    /// A bastion with an ed25519 host key and no logins.
    pub fn start() -> Result<Bastion> {
        Bastion::builder().start()
    }

    /// For anything but the defaults.
    pub fn builder() -> BastionBuilder {
        BastionBuilder::new()
    }

    /// Where it listens, always `127.0.0.1`.
    pub fn host(&self) -> &'static str {
        "127.0.0.1"
    }

    /// The port that it listens on; the same after every restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Host and port, `127.0.0.1:2222`.
    pub fn host_port(&self) -> String {
        format!("{}:{}", self.host(), self.port)
    }

    /// The public host key, `ssh-ed25519 AAAA…`; the first, when there are several.
    pub fn host_public_key(&self) -> Result<String> {
        self.host_public_keys()?.into_iter().next().context("the bastion has no host key")
    }

    /// All public host keys, one line each, without comment.
    pub fn host_public_keys(&self) -> Result<Vec<String>> {
        self.settings().host_keys.iter().map(|key| public_key(&self.scratch.path().join(config::host_key_file(*key)))).collect()
    }

    /// Makes a login that no key opens yet.
    pub fn add_user(&self, user: &str) -> Result<()> {
        self.logins.add(user)
    }

    /// Replaces the whole authorized_keys file of a login, in one step; the login is made when it does not exist.
    pub fn authorize(&self, user: &str, lines: &[impl AsRef<str>]) -> Result<()> {
        self.logins.authorize(user, &owned(lines))
    }

    /// As [`Bastion::authorize`], that much later; returns at once.
    pub fn authorize_after(&self, user: &str, lines: &[impl AsRef<str>], delay: Duration) {
        self.sync.later(delay, user, &owned(lines));
    }

    /// Takes all keys from a login. Sessions that are open stay open, as they do on a real bastion.
    pub fn revoke(&self, user: &str) -> Result<()> {
        self.logins.revoke(user)
    }

    /// Removes a login.
    pub fn remove_user(&self, user: &str) -> Result<()> {
        self.logins.remove(user)
    }

    /// Lets everybody write the login's authorized_keys (mode 666), for which sshd refuses it. The next `authorize` mends that.
    pub fn break_permissions(&self, user: &str) -> Result<()> {
        self.logins.chmod(user, 0o666)
    }

    /// The authorized_keys file of a login; none when there is none.
    pub fn authorized_keys(&self, user: &str) -> Option<String> {
        self.logins.authorized_keys(user)
    }

    /// Where `<login>.pub` becomes that login's authorized_keys, [`BastionBuilder::sync_delay`] after it last changed.
    pub fn drop_folder(&self) -> &Path {
        &self.drop_folder
    }

    /// Makes a key pair for a client, readable by the lab's own account only.
    pub fn client_key(&self, key: KeyType) -> Result<ClientKey> {
        let folder = tempfile::Builder::new().prefix("client-").tempdir_in(self.scratch.path())?.keep();
        let path = folder.join("key");
        generate(&mut Command::new(tools::ssh_client("ssh-keygen")?), key, &path)?;
        Ok(ClientKey { public_key: public_key(&path)?, private_key: fs::read_to_string(&path)?, path })
    }

    /// Lets a name resolve to an address, for the bastion alone.
    pub fn add_host(&self, name: &str, address: &str) -> Result<()> {
        let mut settings = self.settings();
        settings.hosts.push((name.to_owned(), address.to_owned()));
        write_hosts(&self.scratch, &settings.hosts)
    }

    /// Replaces the lines that were added to sshd_config and lets sshd read them. Open sessions stay as they are. An error leaves sshd
    /// with the lines that it had.
    pub fn reconfigure(&self, lines: &[&str]) -> Result<()> {
        let mut settings = self.settings();
        let old = std::mem::replace(&mut settings.lines, owned(lines));
        let reloaded = write_config(&self.scratch, self.port, &settings).and_then(|()| self.reload());
        if reloaded.is_err() {
            settings.lines = old;
            write_config(&self.scratch, self.port, &settings)?;
        }
        reloaded
    }

    /// Makes new host keys, as a bastion has that was built anew.
    pub fn replace_host_key(&self) -> Result<()> {
        let settings = self.settings();
        make_host_keys(&self.scratch, &settings.host_keys)?;
        self.reload()
    }

    /// Makes host keys of these types and no others, and presents them from now on.
    pub fn set_host_keys(&self, types: &[KeyType]) -> Result<()> {
        ensure!(!types.is_empty(), "sshd does not start without a host key");
        let mut settings = self.settings();
        make_host_keys(&self.scratch, types)?;
        settings.host_keys = types.to_vec();
        write_config(&self.scratch, self.port, &settings)?;
        self.reload()
    }

    /// Stops sshd with all sessions; the port refuses from now on.
    pub fn stop(&self) -> Result<()> {
        self.server().take().map_or(Ok(()), Server::stop)
    }

    /// Starts a stopped sshd, on the same port. Does nothing when it runs.
    pub fn start_again(&self) -> Result<()> {
        let mut server = self.server();
        if server.is_none() {
            *server = Some(start_sshd(&self.scratch)?);
        }
        Ok(())
    }

    /// Stops all processes of sshd where they stand: the port accepts, and nothing answers.
    pub fn pause(&self) {
        self.server().iter().for_each(Server::pause);
    }

    /// Undoes [`Bastion::pause`].
    pub fn resume(&self) {
        self.server().iter().for_each(Server::resume);
    }

    /// Kills all sessions; sshd itself goes on listening.
    pub fn kill_sessions(&self) -> Result<()> {
        self.server().iter().try_for_each(Server::kill_children)
    }

    /// All logins that succeeded, since the start.
    pub fn logins(&self) -> Vec<Login> {
        log::accepted(&self.log())
    }

    /// All keys that were refused, since the start. sshd notes none for a login that does not exist: see [`Bastion::unknown_users`].
    pub fn failed_logins(&self) -> Vec<Login> {
        log::refused(&self.log())
    }

    /// The names that clients gave and that are no logins, since the start.
    pub fn unknown_users(&self) -> Vec<String> {
        log::unknown_users(&self.log())
    }

    /// How many TCP connections came to be served, since the start.
    pub fn connections(&self) -> usize {
        log::connections(&self.log())
    }

    /// How many clients ended their session in an orderly way, since the start.
    pub fn disconnects(&self) -> usize {
        log::disconnects(&self.log())
    }

    /// How many clients are logged in now.
    pub fn open_sessions(&self) -> usize {
        log::session_pids(&self.log()).into_iter().filter(|pid| process::runs(*pid)).count()
    }

    /// Everything that sshd has said, at LogLevel VERBOSE.
    pub fn log(&self) -> String {
        server::read(&log_file(&self.scratch))
    }

    /// Lets a running sshd read its files again, and waits until it listens again.
    fn reload(&self) -> Result<()> {
        let server = self.server();
        let Some(server) = server.as_ref() else { return Ok(()) };
        check_config(&self.scratch)?;
        let starts = log::starts(&self.log());
        server.signal(Signal::HUP);
        wait_for("sshd to reload", START, || {
            ensure!(server.runs(), "sshd ended: {}", self.log());
            Ok((log::starts(&self.log()) > starts).then_some(()))
        })
    }

    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn server(&self) -> MutexGuard<'_, Option<Server>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A key pair of a client. It has no `Debug`: the private key is in it.
pub struct ClientKey {
    /// The private key's file, as `ssh -i` wants it.
    pub path: PathBuf,
    /// The same as text, in OpenSSH's format and without passphrase.
    pub private_key: String,
    /// The public key, `ssh-ed25519 AAAA…`, without comment.
    pub public_key: String,
}

fn owned(lines: &[impl AsRef<str>]) -> Vec<String> {
    lines.iter().map(|line| line.as_ref().to_owned()).collect()
}

/// Type and key of the public half beside a private key, without the comment.
fn public_key(private: &Path) -> Result<String> {
    let text = fs::read_to_string(private.with_extension("pub"))?;
    let words: Vec<&str> = text.split_whitespace().take(2).collect();
    Ok(words.join(" "))
}

fn generate(keygen: &mut Command, key: KeyType, path: &Path) -> Result<()> {
    let _ = fs::remove_file(path);
    let output = keygen.args(["-q", "-t", key.name(), "-N", "", "-C", "lab", "-f"]).arg(path).output()?;
    ensure!(output.status.success(), "ssh-keygen failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn make_host_keys(scratch: &Scratch, types: &[KeyType]) -> Result<()> {
    let keygen = tools::ssh_client("ssh-keygen")?;
    types.iter().try_for_each(|key| generate(&mut scratch.command(&keygen), *key, &scratch.path().join(config::host_key_file(*key))))
}

fn write_config(scratch: &Scratch, port: u16, settings: &Settings) -> Result<()> {
    let text = config::sshd_config(scratch.path(), port, &settings.host_keys, settings.version, &settings.lines);
    scratch.write("sshd_config", 0o600, text).map(drop)
}

fn write_hosts(scratch: &Scratch, hosts: &[(String, String)]) -> Result<()> {
    let text: String = hosts.iter().map(|(name, address)| format!("{address} {name}\n")).collect();
    scratch.write("hosts", 0o644, text).map(drop)
}

fn log_file(scratch: &Scratch) -> PathBuf {
    scratch.path().join("sshd.log")
}

/// sshd with the lab's own accounts and hosts: what it execs itself for each connection inherits the environment, and with it the
/// library (verified with OpenSSH 9.2; direct-tcpip resolves through it, too).
fn sshd(scratch: &Scratch, arguments: &[&str]) -> Result<Vec<OsString>> {
    let mut command: Vec<OsString> = vec!["/usr/bin/env".into()];
    let mut set = |name: &str, value: &Path| {
        let mut pair = OsString::from(format!("{name}="));
        pair.push(value);
        command.push(pair);
    };
    set("LD_PRELOAD", &tools::nss_wrapper()?);
    set("NSS_WRAPPER_PASSWD", &scratch.path().join("passwd"));
    set("NSS_WRAPPER_GROUP", &scratch.path().join("group"));
    set("NSS_WRAPPER_HOSTS", &scratch.path().join("hosts"));
    command.push(tools::sshd()?.into());
    command.extend(arguments.iter().map(OsString::from));
    command.extend(["-f".into(), scratch.path().join("sshd_config").into()]);
    Ok(command)
}

fn check_config(scratch: &Scratch) -> Result<()> {
    let command = sshd(scratch, &["-t"])?;
    let (program, arguments) = command.split_first().context("no command")?;
    let output = scratch.command(program).args(arguments).output()?;
    ensure!(output.status.success(), "sshd refuses its configuration: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

/// Starts sshd and waits until it listens.
fn start_sshd(scratch: &Arc<Scratch>) -> Result<Server> {
    let before = log::starts(&server::read(&log_file(scratch)));
    // -D: the supervisor's child; -e: to the log that the supervisor opens.
    let server = Server::start(scratch, "sshd", &ENDING, &sshd(scratch, &["-D", "-e"])?)?;
    wait_for("sshd to listen", START, || {
        let log = server.log();
        if log::starts(&log) > before {
            return Ok(Some(()));
        }
        if !server.runs() {
            bail!("sshd ended: {}", log.lines().last().unwrap_or_default());
        }
        Ok(None)
    })?;
    Ok(server)
}
