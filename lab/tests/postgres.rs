//! The clusters as libpq sees them, from beside them and through the bastion.

use std::{path::Path, process::Command, sync::LazyLock};

use anyhow::{Result, ensure};
use lab::{Certificate, DATABASE, Flavour, Forward, KeyType, Lab, Postgres, ROLE, Tls, wait_until};

mod support;
use support::LIMIT;

/// For the tests that change nothing; it is gone with the process, as any lab whose process ends.
static LAB: LazyLock<Lab> = LazyLock::new(|| Lab::start().unwrap());

fn cluster() -> Postgres {
    let cluster = Postgres::start(Flavour::Ordinary).unwrap();
    cluster.create_role("app", "it's secret", "").unwrap();
    cluster
}

/// Connects as role `app`, which verifies the name `db.internal` although the address is loopback.
fn connect(cluster: &Postgres, more: &str) -> std::result::Result<String, String> {
    let port = cluster.port();
    let info = format!(
        "host=db.internal hostaddr=127.0.0.1 port={port} user=app dbname=postgres sslrootcert={} {more}",
        cluster.ca_file().display()
    );
    psql(&info, "it's secret", "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").map_err(|error| error.to_string())
}

#[test]
fn the_database_is_reached_through_the_bastion_with_a_verified_certificate() {
    let lab = &*LAB;
    let key = lab.bastion.client_key(KeyType::Ed25519).unwrap();
    lab.bastion.authorize("neosync", &[&key.public_key]).unwrap();
    let forward = Forward::start(&lab.bastion, "neosync", &key, &format!("db.internal:{}", lab.ordinary.port())).unwrap();
    let (port, ca) = (forward.port(), lab.ordinary.ca_file());
    let info = |host: &str| {
        format!("host={host} hostaddr=127.0.0.1 port={port} user={ROLE} dbname={DATABASE} sslmode=verify-full sslrootcert={}", ca.display())
    };
    let rows = psql(&info("db.internal"), lab.password(), "SELECT count(*) FROM orders").unwrap();
    assert_eq!(rows, "3");
    let error = psql(&info("localhost"), lab.password(), "SELECT 1").unwrap_err().to_string();
    assert!(error.contains("does not match host name \"localhost\""), "{error}");
}

#[test]
fn the_flavours_differ_in_replication() {
    let lab = &*LAB;
    assert_eq!(lab.ordinary.sql("postgres", "SHOW wal_level").unwrap(), "replica");
    assert_eq!(lab.logical.sql("postgres", "SHOW wal_level").unwrap(), "logical");
    let publications = "SELECT pubname FROM pg_publication";
    assert_eq!(lab.logical.sql(DATABASE, publications).unwrap(), "mz_source");
    assert_eq!(lab.ordinary.sql(DATABASE, publications).unwrap(), "");
    let replication = "SELECT rolreplication FROM pg_roles WHERE rolname = 'neosync'";
    assert_eq!(lab.logical.sql(DATABASE, replication).unwrap(), "t");
    assert_eq!(lab.ordinary.sql(DATABASE, replication).unwrap(), "f");
    let slot = "SELECT slot_name FROM pg_create_logical_replication_slot('probe', 'pgoutput', true)";
    assert_eq!(lab.logical.sql(DATABASE, slot).unwrap(), "probe");
}

#[test]
fn each_certificate_is_wrong_in_its_own_way() {
    let cluster = cluster();
    let says = |kind, text: &str| {
        cluster.set_certificate(kind).unwrap();
        let heard = connect(&cluster, "sslmode=verify-full").unwrap_err();
        assert!(heard.contains(text), "{kind:?}: {heard}");
    };
    says(Certificate::Expired, "certificate verify failed");
    says(Certificate::OtherName, "server certificate for \"elsewhere.internal\" does not match host name \"db.internal\"");
    says(Certificate::OtherAuthority, "certificate verify failed");
    says(Certificate::SelfSigned, "certificate verify failed");
    cluster.set_certificate(Certificate::Valid).unwrap();
    assert_eq!(connect(&cluster, "sslmode=verify-full").unwrap(), "t");
}

#[test]
fn tls_is_turned_off_and_on() {
    let cluster = cluster();
    cluster.set_tls(Tls::Off).unwrap();
    assert!(connect(&cluster, "sslmode=require").unwrap_err().contains("server does not support SSL"));
    assert_eq!(connect(&cluster, "sslmode=prefer").unwrap(), "f");
    cluster.set_tls(Tls::On).unwrap();
    assert_eq!(connect(&cluster, "sslmode=prefer").unwrap(), "t");
}

#[test]
fn pg_hba_decides_who_comes_in() {
    let cluster = cluster();
    cluster.set_hba(&["hostssl all all all scram-sha-256"]).unwrap();
    assert!(connect(&cluster, "sslmode=disable").unwrap_err().contains("no pg_hba.conf entry"));
    assert_eq!(connect(&cluster, "sslmode=require").unwrap(), "t");
    cluster.set_hba(&["host all all all reject"]).unwrap();
    assert!(connect(&cluster, "sslmode=require").unwrap_err().contains("pg_hba.conf rejects connection"));
    assert!(cluster.set_hba(&["nonsense"]).is_err());
    let error = psql(&format!("host=127.0.0.1 port={} user=postgres dbname=postgres", cluster.port()), "", "SELECT 1").unwrap_err();
    assert!(error.to_string().contains("pg_hba.conf rejects"), "{error}");
}

#[test]
fn a_client_certificate_is_a_login() {
    let cluster = cluster();
    cluster.set_hba(&["hostssl all all all cert"]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let login = |identity: lab::Identity| {
        let (cert, key) = (folder.path().join("cert"), folder.path().join("key"));
        std::fs::write(&cert, identity.certificate).unwrap();
        std::fs::write(&key, identity.private_key).unwrap();
        std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        connect(&cluster, &format!("sslmode=verify-full sslcert={} sslkey={}", cert.display(), key.display()))
    };
    assert_eq!(login(cluster.client_certificate("app").unwrap()).unwrap(), "t");
    assert!(login(cluster.client_certificate("other").unwrap()).unwrap_err().contains("certificate authentication failed"));
    assert!(login(lab::Authority::new().unwrap().client("app").unwrap()).is_err());
}

#[test]
fn a_cluster_stops_starts_and_keeps_its_data() {
    let cluster = cluster();
    cluster.stop().unwrap();
    assert!(connect(&cluster, "").unwrap_err().contains("Connection refused"));
    cluster.start_again().unwrap();
    assert_eq!(connect(&cluster, "sslmode=require").unwrap(), "t");
    cluster.set(&[("max_connections", "12")]).unwrap();
    assert_eq!(cluster.sql("postgres", "SHOW max_connections").unwrap(), "12");
    assert!(cluster.sql("postgres", "SELECT 1/0").unwrap_err().to_string().contains("division by zero"));
}

#[test]
fn sessions_are_counted_and_killed() {
    let cluster = cluster();
    let info = format!("host=127.0.0.1 port={} user=app dbname=postgres", cluster.port());
    std::thread::scope(|scope| {
        let sleeper = scope.spawn(|| psql(&info, "it's secret", "SELECT pg_sleep(60)"));
        wait_until("the session", LIMIT, || cluster.sessions().unwrap() == 1).unwrap();
        cluster.kill_sessions().unwrap();
        assert!(sleeper.join().unwrap().unwrap_err().to_string().contains("terminating connection"));
        assert_eq!(cluster.sessions().unwrap(), 0);
    });
}

#[test]
fn a_smart_stop_turns_new_clients_away() {
    let cluster = cluster();
    let info = format!("host=127.0.0.1 port={} user=app dbname=postgres", cluster.port());
    std::thread::scope(|scope| {
        let sleeper = scope.spawn(|| psql(&info, "it's secret", "SELECT pg_sleep(60)"));
        wait_until("the session", LIMIT, || cluster.sessions().unwrap() == 1).unwrap();
        cluster.begin_smart_stop();
        wait_until("the refusal", LIMIT, || connect(&cluster, "").is_err_and(|text| text.contains("the database system is shutting down")))
            .unwrap();
        cluster.stop().unwrap();
        assert!(sleeper.join().unwrap().is_err());
        cluster.start_again().unwrap();
    });
}

/// Runs a statement over TCP; `conninfo` is libpq's, without the password.
fn psql(conninfo: &str, password: &str, text: &str) -> Result<String> {
    let folder = Command::new("pg_config").arg("--bindir").output().map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let program = folder.map_or_else(|_| "psql".into(), |folder| Path::new(&folder).join("psql"));
    let mut psql = Command::new(program);
    psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", text]).arg(conninfo);
    let output = psql.env("PGPASSWORD", password).env("PGCONNECT_TIMEOUT", "10").output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
