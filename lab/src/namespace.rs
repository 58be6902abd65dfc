//! A network of its own for one program: without routes, with a resolver that never answers, with names that nobody else knows.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

/// An address behind a wire on which nobody listens: what is sent there is lost. From the block for documentation (RFC 5737).
const NOBODY: &str = "192.0.2.53";

/// A wire with nothing at its other end; the neighbour's address is set by hand, so that packets leave instead of waiting for ARP.
const WIRE: &str = "ip link add near type veth peer name far
ip address add 192.0.2.1/24 dev near
ip link set near up
ip link set far up
ip neighbour add 192.0.2.53 lladdr 02:00:00:00:00:35 dev near
";

/// Where a program runs that is to see another network, and other names, than this machine. It is gone when the program ends.
///
/// Loopback is up; there is no route to anywhere else, and no resolver but files. Linux, and root, only.
pub struct Namespace {
    folder: TempDir,
    script: String,
}

impl Namespace {
    /// Whether namespaces can be had here; the error says why not.
    pub fn available() -> Result<()> {
        ensure!(rustix::process::geteuid().is_root(), "a network namespace needs root");
        let made = Command::new("unshare").args(["--net", "--mount", "ip", "link", "set", "lo", "up"]).output();
        let made = made.context("`unshare` (util-linux) is not installed")?;
        ensure!(made.status.success(), "no network namespace: {}", String::from_utf8_lossy(&made.stderr).trim());
        Ok(())
    }

    /// Loopback only.
    pub fn new() -> Result<Namespace> {
        let folder = tempfile::Builder::new().prefix("bastion-lab-").tempdir()?;
        let mut namespace = Namespace { folder, script: "set -e\nip link set lo up\n".to_owned() };
        namespace.replace("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")?;
        namespace.replace("/etc/resolv.conf", "")?;
        namespace.hosts(&[])?;
        Ok(namespace)
    }

    /// The names that are known, each with its address, besides `localhost`.
    pub fn hosts(&mut self, names: &[(&str, &str)]) -> Result<()> {
        let lines = names.iter().map(|(name, address)| format!("{address} {name}\n"));
        self.replace("/etc/hosts", &format!("127.0.0.1 localhost\n{}", lines.collect::<String>()))
    }

    /// This machine refuses to send anything to that address.
    pub fn prohibit(&mut self, address: &str) {
        self.script.push_str(&format!("ip route add prohibit {address}\n"));
    }

    /// Names are asked of that server.
    pub fn resolver(&mut self, address: &str) -> Result<()> {
        self.replace("/etc/resolv.conf", &format!("nameserver {address}\n"))
    }

    /// Names are asked of a server that takes every question and never answers.
    pub fn silent_resolver(&mut self) -> Result<()> {
        self.script.push_str(WIRE);
        self.resolver(NOBODY)
    }

    /// Lets the program see another file in the place of one of the machine's, which stays as it is.
    fn replace(&mut self, file: &str, content: &str) -> Result<()> {
        ensure!(Path::new(file).exists(), "{file} does not exist, so it cannot be replaced");
        let own = self.folder.path().join(file.replace('/', "_"));
        fs::write(&own, content)?;
        let line = format!("mount --bind '{}' {file}\n", own.display());
        if !self.script.contains(&line) {
            self.script.push_str(&line);
        }
        Ok(())
    }

    /// Runs a program to its end.
    pub fn run(&self, program: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Output> {
        let script: PathBuf = self.folder.path().join("script");
        fs::write(&script, format!("{}exec \"$@\"\n", self.script))?;
        let mut command = Command::new("unshare");
        command.args(["--net", "--mount", "sh"]).arg(script).arg(program).args(arguments).envs(environment.iter().copied());
        command.output().context("could not run `unshare`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_sees_its_own_network_and_names() {
        if let Err(why) = Namespace::available() {
            eprintln!("skipped: {why:#}");
            return;
        }
        let mut namespace = Namespace::new().unwrap();
        namespace.hosts(&[("six.example", "2001:db8::7")]).unwrap();
        namespace.silent_resolver().unwrap();
        let program = Path::new("/bin/sh");
        let text = "ip -4 route; cat /etc/hosts /etc/resolv.conf; echo $WORD";
        let output = namespace.run(program, &["-c", text], &[("WORD", "told")]).unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(
            said.lines().map(str::trim).collect::<Vec<_>>(),
            [
                "192.0.2.0/24 dev near proto kernel scope link src 192.0.2.1",
                "127.0.0.1 localhost",
                "2001:db8::7 six.example",
                "nameserver 192.0.2.53",
                "told"
            ],
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(!fs::read_to_string("/etc/hosts").unwrap().contains("six.example"));
    }
}
