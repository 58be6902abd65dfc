//! The OpenSSH client's own port forwarding, against which a tunnel of ours is compared.

use std::{
    io::{BufRead as _, BufReader, Read},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::{Bastion, ClientKey, free_port, tools};

/// How long `ssh` may take to log in and listen; it takes 0.2 s on an idle machine.
const START: Duration = Duration::from_secs(15);

/// What `ssh -v` says once it is logged in and listens (`Local forwarding listening on …` comes just before that). Trying the port instead
/// could take it away from ssh in that very moment.
const LISTENS: &str = "[port listener]";

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
        ssh.args(["-F", "none", "-v", "-N", "-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes", "-o", "IdentitiesOnly=yes", "-o"]);
        ssh.arg(format!("UserKnownHostsFile={}", known_hosts.display())).arg("-i").arg(&key.path);
        ssh.args(["-L", &format!("127.0.0.1:{port}:{target}"), "-p", &bastion.port().to_string(), &format!("{user}@127.0.0.1")]);
        ssh.env_remove("SSH_AUTH_SOCK").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut forward = Forward { ssh: ssh.spawn().context("could not run ssh")?, port };
        let words = read_lines(forward.ssh.stderr.take().context("no pipe from ssh")?);
        let (end, mut said) = (Instant::now() + START, Vec::new());
        loop {
            match words.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains(LISTENS) => break,
                Ok(line) if line.starts_with("debug") => {}
                Ok(line) => said.push(line),
                Err(mpsc::RecvTimeoutError::Disconnected) => bail!("ssh ended with {}: {}", forward.ssh.wait()?, said.join("; ")),
                Err(mpsc::RecvTimeoutError::Timeout) => bail!("ssh does not listen after {} s: {}", START.as_secs(), said.join("; ")),
            }
        }
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

/// What a program says, line by line. It is read until its end, also when nobody listens any more, so that the pipe never fills.
fn read_lines(from: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (send, lines) = mpsc::channel();
    thread::spawn(move || BufReader::new(from).lines().map_while(Result::ok).for_each(|line| drop(send.send(line))));
    lines
}
