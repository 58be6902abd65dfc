//! `sslmode` as libpq means it: each mode against each server setting, with psql as the judge.

use std::process::{Command, Stdio};

use lab::{Certificate, Tls};

use crate::support::{Bench, assert_says, attributes};

const MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// What libpq does with the same arguments, without a tunnel.
fn psql(bench: &Bench, mode: &str, root: bool) -> bool {
    let cluster = &bench.lab.logical;
    // Where libpq finds no file it behaves as if none were given.
    let ca = if root { cluster.ca_file().display().to_string() } else { "/nonexistent".to_owned() };
    let target = format!(
        "host={} hostaddr=127.0.0.1 port={} user={} dbname={} sslmode={mode} sslrootcert={ca} connect_timeout=10",
        lab::DATABASE_HOST,
        cluster.port(),
        lab::ROLE,
        lab::DATABASE
    );
    let mut command = Command::new("psql");
    command.args(["-X", "-w", "-q", "-c", "SELECT 1", &target]).env("PGPASSWORD", bench.lab.password());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
}

/// Applies all six modes at once and compares each verdict with psql's.
fn agrees(bench: &Bench, setting: &str, root: bool) {
    let blocks: Vec<_> = MODES
        .iter()
        .filter(|mode| root || !mode.starts_with("verify"))
        .map(|mode| {
            let block = bench.connection().named(&mode.replace('-', "_")).text("sslmode", mode);
            if root { block } else { block.without("sslrootcert") }
        })
        .collect();
    let said = bench.apply(&blocks.iter().collect::<Vec<_>>()).output;
    let mut wrong = Vec::new();
    for mode in MODES.iter().filter(|mode| root || !mode.starts_with("verify")) {
        let ours = attributes(&bench.terraform, &format!("bastion_postgres_connection.{}", mode.replace('-', "_"))).is_some();
        let theirs = psql(bench, mode, root);
        if ours != theirs {
            wrong.push(format!(
                "{mode}: psql {}, here {}",
                if theirs { "connects" } else { "refuses" },
                if ours { "connects" } else { "refuses" }
            ));
        }
    }
    assert!(wrong.is_empty(), "{setting}, root certificate {root}: {wrong:#?}\n{said}");
    bench.terraform.run(&["destroy", "-auto-approve", "-no-color"]).unwrap().ok().unwrap();
}

#[test]
fn each_mode_against_each_server_agrees_with_libpq() {
    let bench = Bench::new();
    let cluster = &bench.lab.logical;
    for certificate in
        [Certificate::Valid, Certificate::Expired, Certificate::OtherName, Certificate::OtherAuthority, Certificate::SelfSigned]
    {
        cluster.set_certificate(certificate).unwrap();
        for root in [true, false] {
            agrees(&bench, &format!("{certificate:?}"), root);
        }
    }
    cluster.set_certificate(Certificate::Valid).unwrap();
    for line in ["hostssl all all 127.0.0.1/32 scram-sha-256", "hostnossl all all 127.0.0.1/32 scram-sha-256"] {
        cluster.set_hba(&[line]).unwrap();
        for root in [true, false] {
            agrees(&bench, line, root);
        }
    }
    cluster.set_hba(&["host all all 127.0.0.1/32 scram-sha-256"]).unwrap();
    cluster.set_tls(Tls::Off).unwrap();
    for root in [true, false] {
        agrees(&bench, "no TLS", root);
    }
}

#[test]
fn each_certificate_fault_has_its_own_words() {
    let bench = Bench::new();
    let cluster = &bench.lab.logical;
    let faults = [
        (Certificate::Expired, "tls/expired"),
        (Certificate::OtherName, "tls/wrong-name"),
        (Certificate::OtherAuthority, "tls/unknown-issuer"),
        (Certificate::SelfSigned, "tls/unknown-issuer"),
    ];
    for (certificate, code) in faults {
        cluster.set_certificate(certificate).unwrap();
        assert_says(&bench.apply(&[&bench.connection()]).failed().unwrap(), &[code]);
    }
    cluster.set_tls(Tls::Off).unwrap();
    assert_says(&bench.apply(&[&bench.connection()]).failed().unwrap(), &["tls/not-offered"]);
}

#[test]
fn the_path_says_how_far_tls_was_verified() {
    let bench = Bench::new();
    for (mode, note) in [("verify-full", "verified db.internal"), ("verify-ca", "verified certificate authority")] {
        bench.settle(&[&bench.connection().text("sslmode", mode)]);
        let path = bench.attributes("bastion_postgres_connection.orders")["path"].to_string();
        assert!(path.contains("TLS 1.3") && path.contains(note), "{path}");
    }
}
