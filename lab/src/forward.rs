//! The OpenSSH client's own port forwarding, against which a tunnel of ours is compared.

use std::{
    net::Ipv4Addr,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};

use crate::{Bastion, ClientKey, free_port, tools, wait_for};

/// How long `ssh` may take to log in and listen; it takes 0.2 s on an idle machine.
const START: Duration = Duration::from_secs(15);

/// A running `ssh -N -L`, ended when dropped; it ends by itself with the bastion.
pub struct Forward {
    ssh: Child,
    port: u16,
}

impl Forward {
    /// Logs in and forwards a port of 127.0.0.1 to `target` (`host:port`, as the bastion sees it). The host key is verified.
    pub fn start(bastion: &Bastion, user: &str, key: &ClientKey, target: &str) -> Result<Forward> {
        let port = free_port()?;
        let known_hosts = key.path.with_extension("known_hosts");
        let lines = bastion.host_public_keys()?.into_iter().map(|line| format!("[127.0.0.1]:{} {line}\n", bastion.port()));
        std::fs::write(&known_hosts, lines.collect::<String>())?;
        let mut ssh = Command::new(tools::ssh_client("ssh")?);
        ssh.args(["-F", "none", "-N", "-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes", "-o", "IdentitiesOnly=yes", "-o"]);
        ssh.arg(format!("UserKnownHostsFile={}", known_hosts.display())).arg("-i").arg(&key.path);
        ssh.args(["-L", &format!("127.0.0.1:{port}:{target}"), "-p", &bastion.port().to_string(), &format!("{user}@127.0.0.1")]);
        ssh.env_remove("SSH_AUTH_SOCK").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut forward = Forward { ssh: ssh.spawn().context("could not run ssh")?, port };
        wait_for("ssh to listen", START, || {
            if let Some(status) = forward.ssh.try_wait()? {
                let mut said = String::new();
                if let Some(stderr) = &mut forward.ssh.stderr {
                    std::io::Read::read_to_string(stderr, &mut said)?;
                }
                bail!("ssh ended with {status}: {}", said.trim());
            }
            Ok(std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err().then_some(()))
        })?;
        Ok(forward)
    }

    /// The near end's port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        let _ = self.ssh.kill();
        let _ = self.ssh.wait();
    }
}
