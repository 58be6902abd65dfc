//! A lab, files for its secrets, and the program with an environment of its own.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use lab::{ClientKey, KeyType, Lab};
use serde_json::Value;
use tempfile::TempDir;

/// The login on the bastion.
pub const USER: &str = "neosync";

/// What the program left.
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    pub fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self { code: output.status.code().expect("killed by a signal"), out: text(&output.stdout), err: text(&output.stderr) }
    }

    pub fn json(&self) -> Value {
        assert_eq!(self.out.lines().count(), 1, "one object:\n{}{}", self.out, self.err);
        serde_json::from_str(&self.out).unwrap()
    }

    /// Asserts the exit code, and that words are said on either channel.
    pub fn expect(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        for word in words {
            assert!(self.out.contains(word) || self.err.contains(word), "{word:?} is not said:\n{}{}", self.out, self.err);
        }
    }
}

/// The program, without anything of this machine's environment.
pub fn bastion(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bastion"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

pub fn run(arguments: &[&str]) -> Said {
    Said::of(&bastion(arguments).output().unwrap())
}

pub struct Bench {
    pub lab: Lab,
    pub key: ClientKey,
    folder: TempDir,
}

impl Bench {
    pub fn new() -> Self {
        let lab = Lab::start().expect("the lab starts");
        let key = lab.bastion.client_key(KeyType::Ed25519).unwrap();
        lab.bastion.authorize(USER, &[&key.public_key]).unwrap();
        Self { lab, key, folder: tempfile::tempdir().unwrap() }
    }

    /// A file with this in it.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub fn url(&self) -> String {
        let authority = self.file("ca.pem", &self.lab.authority.pem());
        let (role, host, port) = (lab::ROLE, lab::DATABASE_HOST, self.lab.logical.port());
        format!("postgres://{role}@{host}:{port}/{}?sslmode=verify-full&sslrootcert={}", lab::DATABASE, authority.display())
    }

    /// `check` through the bastion, with the right key and host key; the password is in the environment.
    pub fn check(&self, arguments: &[&str]) -> Command {
        let identity = self.file("key", &self.key.private_key);
        let bastion_at = format!("{USER}@{}:{}", self.lab.bastion.host(), self.lab.bastion.port());
        let host_key = self.lab.bastion.host_public_key().unwrap();
        let mut command = bastion(&["check", "--bastion", &bastion_at, "--host-key", &host_key]);
        command.arg("--identity").arg(identity).args(arguments).env("BASTION_PASSWORD", self.lab.password());
        command
    }

    pub fn checked(&self, arguments: &[&str]) -> Said {
        Said::of(&self.check(arguments).output().unwrap())
    }
}
