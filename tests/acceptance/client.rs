//! The target's own client: OpenSSH's `ssh`, which logs in afresh each time and asks for one target.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::{Bench, USER};

/// What came of one try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Came {
    /// To the target.
    Through,
    /// To a session that does not forward there.
    LoggedIn,
    /// To no session: the key is refused.
    Refused,
    /// To something else, in ssh's words.
    Otherwise(String),
}

/// A login, its key, and a target.
pub struct Ssh {
    key: PathBuf,
    known_hosts: PathBuf,
    login: String,
    port: String,
    target: String,
    _folder: tempfile::TempDir,
}

impl Ssh {
    /// With this private key, in OpenSSH's format and without a passphrase.
    pub fn new(bench: &Bench, private_key: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (key, known_hosts) = (folder.path().join("key"), folder.path().join("known_hosts"));
        private(&key, private_key);
        let (host, port) = (bench.lab.bastion.host(), bench.lab.bastion.port().to_string());
        std::fs::write(&known_hosts, format!("[{host}]:{port} {}\n", bench.lab.bastion.host_public_key().unwrap())).unwrap();
        let target = format!("{}:{}", lab::DATABASE_HOST, bench.lab.logical.port());
        Self { key, known_hosts, login: format!("{USER}@{host}"), port, target, _folder: folder }
    }

    /// Logs in, asks for the target, and leaves.
    pub fn tries(&self) -> Came {
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "ConnectTimeout=5"]);
        ssh.arg("-o").arg(format!("UserKnownHostsFile={}", self.known_hosts.display())).arg("-i").arg(&self.key);
        let ran = ssh.args(["-p", &self.port, "-W", &self.target, &self.login]).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        match said {
            _ if ran.status.success() => Came::Through,
            said if said.contains("administratively prohibited") => Came::LoggedIn,
            said if said.contains("Permission denied (publickey)") => Came::Refused,
            said => Came::Otherwise(said),
        }
    }

    /// Tries every so often until it is told to stop: when each try began, and what came of it.
    pub fn tries_until(&self, stop: &AtomicBool, period: Duration) -> Vec<(Instant, Came)> {
        let mut tries = Vec::new();
        let mut next = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            tries.push((Instant::now(), self.tries()));
            next += period;
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        tries
    }
}

/// A file that is its owner's alone: ssh takes a key from no other.
fn private(path: &Path, text: &str) {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}
