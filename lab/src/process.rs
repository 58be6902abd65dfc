//! What /proc knows about the processes of a server, and signals to them.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

/// Whether the process runs; one that has ended and waits for its parent does not.
pub(crate) fn runs(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| state != "Z" && state != "X")
}

/// The process and all that descend from it, parents first.
pub(crate) fn family(pid: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = all().filter_map(|pid| stat(pid).map(|(_, parent)| (pid, parent))).collect();
    let mut family = vec![pid];
    let mut next = 0;
    while let Some(&parent) = family.get(next) {
        family.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(child, _)| *child));
        next += 1;
    }
    family
}

/// Stops the process and all that descend from it where they stand, until no more are found: what is stopped starts nothing new.
pub(crate) fn freeze(pid: u32) -> Vec<u32> {
    let mut frozen = Vec::new();
    loop {
        let new: Vec<u32> = family(pid).into_iter().filter(|pid| !frozen.contains(pid)).collect();
        if new.is_empty() {
            return frozen;
        }
        new.iter().for_each(|pid| signal(*pid, Signal::STOP));
        frozen.extend(new);
    }
}

/// Sends the signal; a process that is gone already is no error.
pub(crate) fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

fn all() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc").into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// State and parent of a process. The name before them is in parentheses and may contain both spaces and parentheses.
fn stat(pid: u32) -> Option<(String, u32)> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let text = String::from_utf8_lossy(&text);
    let mut fields = text.rsplit_once(") ")?.1.split(' ');
    Some((fields.next()?.to_owned(), fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_family_has_its_children_and_grandchildren() {
        let mut child = Command::new("sh").args(["-c", "sleep 30 & wait"]).stdin(Stdio::null()).spawn().unwrap();
        let pid = child.id();
        crate::wait_until("the grandchild", std::time::Duration::from_secs(5), || family(pid).len() == 2).unwrap();
        assert!(family(std::process::id()).contains(&pid));
        let members = family(pid);
        members.iter().for_each(|pid| signal(*pid, Signal::KILL));
        assert!(!child.wait().unwrap().success());
        crate::wait_until("the end of all", std::time::Duration::from_secs(5), || !members.iter().any(|pid| runs(*pid))).unwrap();
    }
}
