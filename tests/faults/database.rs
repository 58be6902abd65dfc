//! Faults of the database: TLS, login, opening, readiness.

use std::sync::Arc;

use bastion::postgres::SslMode;
use bastion::secret::Secret;
use lab::{Bastion, Certificate, Flavour, Manners, Peer, Postgres, Tls};

use crate::world::{Cluster, SOON, World, occupy};

/// A bastion and a cluster of its own behind it.
fn own(world: &mut World) -> Arc<Cluster> {
    world.sshd(Bastion::builder());
    world.cluster(Postgres::builder(Flavour::Ordinary))
}

/// A bastion and the cluster of all behind it.
fn shared(world: &mut World) -> &'static Cluster {
    world.sshd(Bastion::builder());
    world.shared_cluster()
}

pub fn no_tls(world: &mut World) {
    own(world).postgres.set_tls(Tls::Off).unwrap();
    world.sslmode(SslMode::Require);
}

pub fn wrong_name(world: &mut World) {
    own(world).postgres.set_certificate(Certificate::OtherName).unwrap();
}

pub fn expired(world: &mut World) {
    own(world).postgres.set_certificate(Certificate::Expired).unwrap();
}

pub fn unknown_authority(world: &mut World) {
    own(world).postgres.set_certificate(Certificate::OtherAuthority).unwrap();
}

pub fn not_postgres(world: &mut World) {
    world.sshd(Bastion::builder());
    world.database_peer(Peer::start(Manners::Answer(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())).unwrap());
}

pub fn silent(world: &mut World) {
    world.sshd(Bastion::builder());
    world.database_peer(Peer::start(Manners::Silent).unwrap());
}

pub fn wrong_password(world: &mut World) {
    shared(world);
    world.request.postgres.password = Some(Secret::from("incorrect donkey"));
}

pub fn no_role(world: &mut World) {
    let name = shared(world).new_name("role");
    world.role(&name);
}

pub fn no_hba_line(world: &mut World) {
    own(world).postgres.set_hba(&["host all all 192.0.2.1/32 scram-sha-256"]).unwrap();
    world.sslmode(SslMode::Disable);
}

pub fn hba_rejects(world: &mut World) {
    own(world).postgres.set_hba(&["host all all 127.0.0.1/32 reject", "host all all all scram-sha-256"]).unwrap();
}

pub fn hba_demands_tls(world: &mut World) {
    own(world).postgres.set_hba(&["hostssl all all all scram-sha-256"]).unwrap();
    world.sslmode(SslMode::Disable);
}

pub fn no_database(world: &mut World) {
    let name = shared(world).new_name("database");
    world.login().database = name;
}

pub fn no_connect(world: &mut World) {
    let cluster = shared(world);
    let name = cluster.new_name("database");
    cluster.sql(&format!("CREATE DATABASE {name}"));
    cluster.sql(&format!("REVOKE CONNECT ON DATABASE {name} FROM PUBLIC"));
    world.login().database = name;
}

pub fn no_login(world: &mut World) {
    let role = shared(world).new_role("NOLOGIN");
    world.role(&role);
}

pub fn no_slot(world: &mut World) {
    world.sshd(Bastion::builder());
    // Three of the five are the superuser's.
    let cluster = world.cluster(Postgres::builder(Flavour::Ordinary).settings(&[("max_connections", "5")]));
    occupy(&cluster, 2);
}

pub fn stopping(world: &mut World) {
    let cluster = own(world);
    occupy(&cluster, 1);
    cluster.postgres.begin_smart_stop();
    lab::wait_until("the stop", SOON, || cluster.postgres.log().contains("received smart shutdown request")).unwrap();
}

pub fn no_wal_level(world: &mut World) {
    own(world);
    world.request.postgres.readiness.replication = true;
}

pub fn no_publication(world: &mut World) {
    shared(world);
    world.request.postgres.readiness.replication = true;
    world.request.postgres.readiness.publication = Some("absent".to_owned());
}

pub fn no_replication(world: &mut World) {
    let role = shared(world).new_role("LOGIN");
    world.role(&role);
    world.request.postgres.readiness.replication = true;
}
