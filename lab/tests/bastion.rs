//! The bastion as the OpenSSH client sees it.

use std::{
    fs,
    sync::LazyLock,
    time::{Duration, Instant},
};

use lab::{Bastion, ClientKey, Forward, KeyType, wait_for, wait_until};

mod support;
use support::LIMIT;

const USER: &str = "neosync";

/// Something to forward to: another bastion's port is as good as any.
static TARGET: LazyLock<Bastion> = LazyLock::new(|| Bastion::start().unwrap());

/// A bastion that resolves `db.internal`, and a key that it does not know yet.
fn bastion() -> (Bastion, ClientKey) {
    let bastion = Bastion::builder().add_host("db.internal", "127.0.0.1").start().unwrap();
    let key = bastion.client_key(KeyType::Ed25519).unwrap();
    (bastion, key)
}

fn forward(bastion: &Bastion, key: &ClientKey) -> anyhow::Result<Forward> {
    Forward::start(bastion, USER, key, &format!("db.internal:{}", TARGET.port()))
}

/// What the server at the near end says first.
fn banner(forward: &Forward) -> String {
    use std::io::{BufRead, BufReader};
    let stream = std::net::TcpStream::connect(("127.0.0.1", forward.port())).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut line = String::new();
    let _ = BufReader::new(stream).read_line(&mut line);
    line
}

fn refusal(result: anyhow::Result<Forward>) -> String {
    match result {
        Ok(_) => panic!("the bastion let the client in"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_login_forwards_to_a_name_that_only_the_bastion_resolves() {
    let (bastion, key) = bastion();
    bastion.authorize(USER, &[&key.public_key]).unwrap();
    assert!(std::net::ToSocketAddrs::to_socket_addrs("db.internal:1").is_err());
    let forward = forward(&bastion, &key).unwrap();
    assert!(banner(&forward).starts_with("SSH-2.0-"));
}

#[test]
fn logins_failures_sessions_and_goodbyes_are_counted() {
    let (bastion, key) = bastion();
    let stranger = bastion.client_key(KeyType::Ecdsa).unwrap();
    bastion.authorize(USER, &[&key.public_key]).unwrap();
    assert!(refusal(forward(&bastion, &stranger)).contains("Permission denied (publickey)"));
    let open = [forward(&bastion, &key).unwrap(), forward(&bastion, &key).unwrap()];
    wait_until("both sessions", LIMIT, || bastion.open_sessions() == 2).unwrap();
    let logins = bastion.logins();
    assert_eq!(logins.iter().map(|login| login.user.as_str()).collect::<Vec<_>>(), [USER, USER]);
    assert_eq!(logins[0].fingerprint, logins[1].fingerprint);
    assert_eq!(bastion.failed_logins().len(), 1);
    assert_ne!(bastion.failed_logins()[0].fingerprint, logins[0].fingerprint);
    assert_eq!(bastion.connections(), 3);
    drop(open);
    wait_until("no session", LIMIT, || bastion.open_sessions() == 0).unwrap();
    assert!(Forward::start(&bastion, "nobody-here", &key, "db.internal:1").is_err());
    assert_eq!(bastion.unknown_users(), ["nobody-here"]);
}

#[test]
fn keys_come_late_and_go() {
    let (bastion, key) = bastion();
    bastion.add_user(USER).unwrap();
    assert!(refusal(forward(&bastion, &key)).contains("Permission denied"));
    let begin = Instant::now();
    bastion.authorize_after(USER, &[&key.public_key], Duration::from_millis(500));
    let open = wait_for("the key", LIMIT, || Ok(forward(&bastion, &key).ok())).unwrap();
    assert!(begin.elapsed() >= Duration::from_millis(500));
    bastion.revoke(USER).unwrap();
    assert!(refusal(forward(&bastion, &key)).contains("Permission denied"));
    assert!(banner(&open).starts_with("SSH-2.0-"), "taking a key away is not ending a session");
}

#[test]
fn a_dropped_file_becomes_a_login() {
    let bastion = Bastion::builder().add_host("db.internal", "127.0.0.1").sync_delay(Duration::from_millis(100)).start().unwrap();
    let key = bastion.client_key(KeyType::Ed25519).unwrap();
    fs::write(bastion.drop_folder().join(format!("{USER}.pub")), &key.public_key).unwrap();
    wait_until("the keys", LIMIT, || bastion.authorized_keys(USER).is_some()).unwrap();
    assert!(banner(&forward(&bastion, &key).unwrap()).starts_with("SSH-2.0-"));
}

#[test]
fn keys_that_everybody_may_write_are_refused() {
    let (bastion, key) = bastion();
    bastion.authorize(USER, &[&key.public_key]).unwrap();
    bastion.break_permissions(USER).unwrap();
    assert!(refusal(forward(&bastion, &key)).contains("Permission denied"));
    assert!(bastion.log().contains("bad ownership or modes"), "{}", bastion.log());
    bastion.authorize(USER, &[&key.public_key]).unwrap();
    forward(&bastion, &key).unwrap();
}

#[test]
fn reconfiguring_keeps_sessions_and_refuses_nonsense() {
    let (bastion, key) = bastion();
    bastion.authorize(USER, &[&key.public_key]).unwrap();
    let open = forward(&bastion, &key).unwrap();
    bastion.reconfigure(&["AllowTcpForwarding no"]).unwrap();
    let closed = forward(&bastion, &key).unwrap();
    assert_eq!(banner(&closed), "");
    assert!(banner(&open).starts_with("SSH-2.0-"));
    let error = bastion.reconfigure(&["NoSuchKeyword yes"]).unwrap_err().to_string();
    assert!(error.contains("NoSuchKeyword"), "{error}");
    bastion.reconfigure(&["DenyUsers neosync"]).unwrap();
    assert!(refusal(forward(&bastion, &key)).contains("Permission denied"));
    bastion.reconfigure(&[]).unwrap();
    forward(&bastion, &key).unwrap();
}

#[test]
fn host_keys_change_and_have_types() {
    let (bastion, key) = bastion();
    bastion.authorize(USER, &[&key.public_key]).unwrap();
    let old = bastion.host_public_key().unwrap();
    bastion.replace_host_key().unwrap();
    let new = bastion.host_public_key().unwrap();
    assert!(new.starts_with("ssh-ed25519 ") && new != old);
    // The client verifies what the bastion says that it presents.
    forward(&bastion, &key).unwrap();
    bastion.set_host_keys(&[KeyType::Ecdsa, KeyType::Rsa]).unwrap();
    let keys = bastion.host_public_keys().unwrap();
    assert!(keys[0].starts_with("ecdsa-sha2-nistp256 ") && keys[1].starts_with("ssh-rsa "), "{keys:?}");
    forward(&bastion, &key).unwrap();
}

#[test]
fn a_bastion_stops_starts_pauses_and_loses_its_sessions() {
    let (bastion, key) = bastion();
    bastion.authorize(USER, &[&key.public_key]).unwrap();
    let open = forward(&bastion, &key).unwrap();
    bastion.kill_sessions().unwrap();
    assert_eq!(bastion.open_sessions(), 0);
    drop(open);
    let open = forward(&bastion, &key).unwrap();
    bastion.stop().unwrap();
    assert_eq!(bastion.open_sessions(), 0);
    assert!(refusal(forward(&bastion, &key)).contains("Connection refused"));
    drop(open);
    bastion.start_again().unwrap();
    let open = forward(&bastion, &key).unwrap();
    bastion.pause();
    let stream = std::net::TcpStream::connect(("127.0.0.1", open.port())).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let error = std::io::Read::read(&mut &stream, &mut [0]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    bastion.resume();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    assert_eq!(std::io::Read::read(&mut &stream, &mut [0]).unwrap(), 1);
}
