//! One server process under a supervisor that ends it when the lab ends.

use std::{
    ffi::OsString,
    fs,
    io::Write,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use rustix::process::Signal;

use crate::{process, scratch::Scratch, wait_for, wait_until};

const SUPERVISOR: &str = include_str!("supervise.sh");

/// How long a shell may take to start a process; it takes some 5 ms on an idle machine.
const SPAWN: Duration = Duration::from_secs(10);

/// How long the supervisor may take to end its server: 3 s of patience, which a loaded machine stretches.
const ENDING: Duration = Duration::from_secs(10);

/// The signals that end a server, by name: at once, and gently.
pub(crate) struct Ending {
    pub(crate) at_once: &'static str,
    pub(crate) gently: &'static str,
}

pub(crate) struct Server {
    /// The folder outlives the server.
    _scratch: Arc<Scratch>,
    supervisor: Child,
    orders: Option<ChildStdin>,
    pid: u32,
    log: PathBuf,
}

impl Server {
    /// Starts `command` as the servers' account; what it prints goes to `<name>.log` in the folder.
    pub(crate) fn start(scratch: &Arc<Scratch>, name: &str, ending: &Ending, command: &[OsString]) -> Result<Server> {
        Server::supervise(scratch, scratch.command("/bin/sh"), name, ending, command)
    }

    /// As [`Server::start`], as the lab's own account: for programs that live where the servers' account may not look.
    pub(crate) fn start_as_lab(scratch: &Arc<Scratch>, name: &str, ending: &Ending, command: &[OsString]) -> Result<Server> {
        Server::supervise(scratch, scratch.own_command("/bin/sh"), name, ending, command)
    }

    fn supervise(scratch: &Arc<Scratch>, mut supervisor: Command, name: &str, ending: &Ending, command: &[OsString]) -> Result<Server> {
        let log = scratch.path().join(format!("{name}.log"));
        let pid_file = scratch.path().join(format!("{name}.pid"));
        let _ = fs::remove_file(&pid_file);
        supervisor.arg(scratch.write("supervise.sh", 0o600, SUPERVISOR)?).args([&pid_file, &log]);
        supervisor.args([ending.at_once, ending.gently]).args(command);
        // A process group of its own: the Ctrl-C that ends the lab must not end the supervisor before its server.
        supervisor.process_group(0).stdin(Stdio::piped()).stdout(scratch.hold()?).stderr(Stdio::null());
        let mut supervisor = supervisor.spawn().context("could not start /bin/sh")?;
        let orders = supervisor.stdin.take();
        let mut server = Server { _scratch: Arc::clone(scratch), supervisor, orders, pid: 0, log };
        server.pid = wait_for(&format!("the process of {name}"), SPAWN, || {
            Ok(fs::read_to_string(&pid_file).ok().and_then(|text| text.trim().parse().ok()))
        })?;
        Ok(server)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    pub(crate) fn runs(&self) -> bool {
        process::runs(self.pid)
    }

    /// Everything the server said since it was first started.
    pub(crate) fn log(&self) -> String {
        read(&self.log)
    }

    /// Ends the server and all its children, giving it time to put its house in order.
    pub(crate) fn stop(mut self) -> Result<()> {
        if let Some(orders) = &mut self.orders {
            // A supervisor that is gone has nothing left to stop; `end` says whether it is.
            let _ = orders.write_all(b"stop\n");
        }
        self.end()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        process::signal(self.pid, signal);
    }

    /// Stops every process of the server where it stands: connections stay open and nothing answers.
    pub(crate) fn pause(&self) {
        process::freeze(self.pid);
    }

    /// Undoes [`Server::pause`].
    pub(crate) fn resume(&self) {
        process::family(self.pid).into_iter().for_each(|pid| process::signal(pid, Signal::CONT));
    }

    /// Kills all children, and theirs, and waits until they are gone; the server itself lives on.
    pub(crate) fn kill_children(&self) -> Result<()> {
        let mut family = process::freeze(self.pid);
        family.retain(|pid| *pid != self.pid);
        family.iter().for_each(|pid| process::signal(*pid, Signal::KILL));
        self.signal(Signal::CONT);
        wait_until("the end of killed processes", ENDING, || !family.iter().any(|pid| process::runs(*pid)))
    }

    fn end(&mut self) -> Result<()> {
        self.orders = None;
        wait_until("the end of a server", ENDING, || !matches!(self.supervisor.try_wait(), Ok(None)))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            eprintln!("lab: {error}");
        }
    }
}

/// A log as it is now; one that does not exist yet is empty.
pub(crate) fn read(log: &std::path::Path) -> String {
    String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDING: Ending = Ending { at_once: "KILL", gently: "TERM" };

    fn shell(scratch: &Arc<Scratch>, script: &str) -> Server {
        Server::start(scratch, "test", &ENDING, &["/bin/sh", "-c", script].map(OsString::from)).unwrap()
    }

    #[test]
    fn a_dropped_server_takes_all_its_children_along() {
        let scratch = Arc::new(Scratch::new().unwrap());
        let server = shell(&scratch, "setsid sleep 60 & sleep 60 & wait");
        wait_until("the children", SPAWN, || process::family(server.pid()).len() == 3).unwrap();
        let family = process::family(server.pid());
        drop(server);
        assert!(!family.iter().any(|pid| process::runs(*pid)));
    }

    #[test]
    fn a_gentle_stop_lets_the_server_finish() {
        let scratch = Arc::new(Scratch::new().unwrap());
        let server = shell(&scratch, "trap 'echo bye; exit' TERM; echo up; while :; do sleep 0.01; done");
        wait_until("the start", SPAWN, || server.log() == "up\n").unwrap();
        let log = scratch.path().join("test.log");
        server.stop().unwrap();
        assert_eq!(read(&log), "up\nbye\n");
    }

    #[test]
    fn a_stubborn_server_is_killed() {
        let scratch = Arc::new(Scratch::new().unwrap());
        let server = shell(&scratch, "trap '' TERM; echo up; while :; do sleep 0.01; done");
        wait_until("the start", SPAWN, || server.log() == "up\n").unwrap();
        let pid = server.pid();
        server.stop().unwrap();
        assert!(!process::runs(pid));
    }

    #[test]
    fn a_paused_server_stops_with_the_rest() {
        let scratch = Arc::new(Scratch::new().unwrap());
        let server = shell(&scratch, "sleep 60 & wait");
        wait_until("the child", SPAWN, || process::family(server.pid()).len() == 2).unwrap();
        let family = process::family(server.pid());
        server.pause();
        drop(server);
        assert!(!family.iter().any(|pid| process::runs(*pid)));
    }
}
