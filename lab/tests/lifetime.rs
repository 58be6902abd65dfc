//! A lab is gone when its process is, in whatever way that ended.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use lab::{Lab, wait_until};
use serde_json::Value;

mod support;
use support::LIMIT;

/// How soon a lab has to be gone after its process was killed.
const GONE: Duration = Duration::from_secs(3);

/// A lab in a process of its own, with all its files below `folder`.
fn up(folder: &Path) -> (Child, Value) {
    // The servers' account has to get through.
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    let mut lab = Command::new(env!("CARGO_BIN_EXE_lab"));
    lab.args(["up", "--json", "--until-eof"]).env("TMPDIR", folder).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut lab = lab.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(lab.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (lab, serde_json::from_str(&line).unwrap())
}

fn ports(endpoints: &Value) -> Vec<u16> {
    ["bastion", "ordinary", "logical"].map(|server| endpoints[server]["port"].as_u64().unwrap().try_into().unwrap()).to_vec()
}

fn open(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// The command lines that name the folder: supervisors, janitors, sshd, the postmasters, a client's ssh.
fn processes(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    let lines = fs::read_dir("/proc").unwrap().filter_map(|entry| fs::read(entry.ok()?.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " ")).filter(|line| line.contains(folder)).collect()
}

fn is_gone(folder: &Path, ports: &[u16]) -> bool {
    !ports.iter().any(|port| open(*port)) && processes(folder).is_empty() && fs::read_dir(folder).unwrap().next().is_none()
}

/// An `ssh -N -L` of the lab's guest, so that there is a session to be ended.
fn session(endpoints: &Value) -> (Child, u16) {
    let near = lab::free_port().unwrap();
    let bastion = &endpoints["bastion"];
    let mut ssh = Command::new("ssh");
    ssh.args([
        "-F",
        "none",
        "-N",
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        "UserKnownHostsFile=/dev/null",
        "-o",
        "IdentitiesOnly=yes",
        "-i",
    ]);
    ssh.arg(bastion["guest"]["private_key_file"].as_str().unwrap()).arg("-L");
    ssh.arg(format!("{near}:{}:{}", endpoints["ordinary"]["host"].as_str().unwrap(), endpoints["ordinary"]["port"]));
    ssh.args(["-p", &bastion["port"].to_string(), "guest@127.0.0.1"]);
    (ssh.stderr(Stdio::null()).spawn().unwrap(), near)
}

#[test]
fn a_killed_process_leaves_nothing() {
    let folder = tempfile::tempdir_in(lab::base_folder()).unwrap();
    let (mut lab, endpoints) = up(folder.path());
    let ports = ports(&endpoints);
    assert!(ports.iter().all(|port| open(*port)));
    let (mut ssh, near) = session(&endpoints);
    wait_until("the session", LIMIT, || open(near)).unwrap();
    assert!(!processes(folder.path()).is_empty());

    let killed = Instant::now();
    lab.kill().unwrap();
    wait_until("the lab to be gone", GONE, || is_gone(folder.path(), &ports) && ssh.try_wait().unwrap().is_some()).unwrap();
    assert!(killed.elapsed() < GONE);
    lab.wait().unwrap();
}

#[test]
fn the_end_of_standard_input_is_an_orderly_end() {
    let folder = tempfile::tempdir_in(lab::base_folder()).unwrap();
    let (mut lab, endpoints) = up(folder.path());
    drop(lab.stdin.take());
    assert!(lab.wait().unwrap().success());
    // The folder with the template goes when the process has ended.
    wait_until("the lab to be gone", GONE, || is_gone(folder.path(), &ports(&endpoints))).unwrap();
}

#[test]
fn a_dropped_lab_leaves_nothing() {
    let lab = Lab::start().unwrap();
    let ports = [lab.bastion.port(), lab.ordinary.port(), lab.logical.port()];
    let folder = lab.bastion.drop_folder().parent().unwrap().to_owned();
    assert!(folder.is_dir() && ports.iter().all(|port| open(*port)));
    drop(lab);
    assert!(!ports.iter().any(|port| open(*port)));
    assert!(!folder.exists());
    assert_eq!(processes(&folder), Vec::<String>::new());
}
