//! `bastion scan`: lines that can be pinned, and a warning.

use std::collections::BTreeSet;

use crate::support::{Bench, Said, USER, bastion, run};

#[test]
fn the_lines_are_those_of_known_hosts_and_a_check_takes_them() {
    let bench = Bench::new();
    bench.lab.bastion.set_host_keys(&[lab::KeyType::Rsa, lab::KeyType::Ecdsa, lab::KeyType::Ed25519]).unwrap();
    let port = bench.lab.bastion.port();
    let said = run(&["scan", &format!("127.0.0.1:{port}")]);
    said.expect(0, &["A scan proves nothing by itself", "SHA256:"]);
    let plain = |key: &String| format!("[127.0.0.1]:{port} {}", key.split_whitespace().take(2).collect::<Vec<_>>().join(" "));
    let expected: BTreeSet<_> = bench.lab.bastion.host_public_keys().unwrap().iter().map(plain).collect();
    assert_eq!(said.out.lines().map(str::to_owned).collect::<BTreeSet<_>>(), expected);
    assert!(bench.lab.bastion.logins().is_empty() && bench.lab.bastion.failed_logins().is_empty());

    let known_hosts = bench.file("known_hosts", &said.out);
    let mut check = bastion(&["check", "--bastion", &format!("{USER}@127.0.0.1:{port}"), "--until", "host_key", "--known-hosts"]);
    Said::of(&check.arg(known_hosts).output().unwrap()).expect(0, &["Proven  up to host_key"]);
}

#[test]
fn who_does_not_answer_is_diagnosed() {
    let closed = format!("127.0.0.1:{}", lab::free_port().unwrap());
    let said = run(&["scan", &closed, "--timeout", "1s"]);
    said.expect(
        3,
        &[
            "passed  resolve",
            "waits   connect       \"Connection refused\", tried once",
            "Error: The bastion refuses the connection",
            "connect/refused",
        ],
    );
    assert!(said.out.is_empty(), "nothing to be pinned: {}", said.out);
    let silent = lab::Peer::start(lab::Manners::Silent).unwrap();
    run(&["scan", &format!("127.0.0.1:{}", silent.port()), "--timeout", "1s"]).expect(10, &["handshake/out-of-time"]);
    run(&["scan", "user@host"]).expect(2, &["the user has an argument of its own"]);
}
