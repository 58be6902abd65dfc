//! Faults beyond the sixty, one for each further cause that can be made for real.

use bastion::key::HostKeys;
use bastion::path::stage::Stage;
use bastion::postgres::SslMode;
use lab::{Act, Bastion, Flavour, Manners, Peer, Postgres, Side, Spot};

use crate::each::made;
use crate::fault::Fault;
use crate::reach;
use crate::world::World;

const fn fault(
    number: usize,
    name: &'static str,
    code: &'static str,
    heard: &'static str,
    remedy: (usize, &'static str),
    inject: fn(&mut World),
) -> Fault {
    Fault::new(number, name, code, heard, remedy, inject)
}

#[rustfmt::skip]
pub static MORE: [Fault; 22] = [
    fault(61, "the resolver fails", "resolve/resolver-failed", "Temporary failure", (1, "check the DNS"), reach::resolver_fails).apart(reach::own_resolver),
    fault(62, "no key given", "configure/no-key", "", (1, "private key"), no_key),
    fault(63, "forbidden by this machine", "connect/failed", "ermission denied", (1, "on this machine"), reach::no_route).apart(reach::prohibited),
    fault(64, "a revoked host key", "host_key/revoked", "SHA256:", (1, "replace the key"), revoked),
    fault(65, "no public keys taken", "authenticate/public-key-not-offered", "password", (1, "PubkeyAuthentication"), no_public_keys),
    fault(66, "a second factor", "authenticate/second-factor", "publickey", (1, "AuthenticationMethods"), second_factor),
    fault(67, "cut during the login", "authenticate/closed", "closed", (1, "sshd's log"), cut_at_login),
    fault(68, "silent during the login", "authenticate/silent", "", (1, "slow"), silent_at_login),
    fault(69, "the session killed under the check", "forward/session-lost", "", (1, "sshd's log"), killed),
    fault(70, "cut in the TLS handshake", "tls/failed", "", (1, "a middlebox"), cut_in_tls),
    fault(71, "an error instead of TLS", "tls/server-error", "could not fork", (1, "Postgres's log"), error_for_tls),
    fault(72, "a client certificate demanded", "tls/client-certificate", "certificate", (1, "sslcert"), client_certificate),
    fault(73, "no password given", "login/password-missing", "SCRAM-SHA-256", (1, "password_wo"), no_password),
    fault(74, "a missing role, trusted", "login/role-missing", "does not exist", (2, "CREATE ROLE"), trusted_role),
    fault(75, "cut during the database's login", "login/broken", "", (1, "a proxy"), cut_at_database_login),
    fault(76, "silent during the database's login", "login/silent", "", (1, "slow"), silent_at_database_login),
    fault(77, "a database without connections", "open/database-closed", "not currently accepting", (1, "ALLOW_CONNECTIONS true"), closed_database),
    fault(78, "cut during the questions", "ready/failed", "", (1, "Postgres's log"), cut_at_questions),
    fault(83, "in the clear, silent", "tls/silent", "", (2, "a proxy in front"), silent_in_the_clear),
    fault(84, "in the clear, closed without a word", "dial/closed", "", (1, "a proxy"), closed_in_the_clear),
    fault(85, "in the clear, not Postgres", "tls/not-postgres", "SSH-2.0-OpenSSH", (1, "host and port"), foreign_in_the_clear),
    fault(86, "the bastion's resolver is silent", "dial/resolver-silent", "Name or service not known", (1, "name servers"), unresolved).apart(reach::silent_resolver),
];

/// All at once: each of them waits or starts a server, and together they take as long as the slowest.
#[test]
fn each_is_named() {
    std::thread::scope(|scope| MORE.iter().for_each(|fault| drop(scope.spawn(|| made(fault)))));
}

fn sshd(world: &mut World, lines: &[&str]) {
    world.sshd(Bastion::builder().sshd_config(lines));
}

/// sshd looks a name up in its only thread, and answers nothing else meanwhile.
fn unresolved(world: &mut World) {
    sshd(world, &[]);
    world.target().host = "orders.internal.example.com".parse().unwrap();
}

fn no_key(world: &mut World) {
    sshd(world, &[]);
    world.request.keys.clear();
}

fn revoked(world: &mut World) {
    sshd(world, &[]);
    let HostKeys::Pinned { accepted, .. } = world.hop().host_keys.clone() else { panic!("none pinned") };
    world.hop().host_keys = HostKeys::Pinned { revoked: accepted.clone(), accepted };
}

fn no_public_keys(world: &mut World) {
    sshd(world, &["Match User tf", "PubkeyAuthentication no", "PasswordAuthentication yes"]);
}

fn second_factor(world: &mut World) {
    sshd(world, &["AuthenticationMethods publickey,publickey"]);
}

fn cut_at_login(world: &mut World) {
    let (_, relay) = world.relayed_sshd();
    world.on(Stage::Authenticate, move || relay.cut());
}

fn silent_at_login(world: &mut World) {
    let (_, relay) = world.relayed_sshd();
    world.keep(std::sync::Arc::clone(&relay));
    world.on(Stage::Authenticate, move || relay.freeze());
}

fn killed(world: &mut World) {
    let bastion = world.sshd(Bastion::builder());
    world.on(Stage::Forward, move || bastion.kill_sessions().unwrap());
}

fn cut_in_tls(world: &mut World) {
    sshd(world, &[]);
    world.shared_cluster();
    // Behind the consent and some of the server's first message.
    world.relay_database().plan(Side::Server, Spot::Byte(40), Act::Cut);
}

fn error_for_tls(world: &mut World) {
    sshd(world, &[]);
    world.database_peer(Peer::start(Manners::Answer(b"Ecould not fork new process for connection\n\0".to_vec())).unwrap());
}

fn client_certificate(world: &mut World) {
    sshd(world, &[]);
    world.cluster(Postgres::builder(Flavour::Ordinary).hba(&["hostssl all all all cert"]));
}

fn no_password(world: &mut World) {
    sshd(world, &[]);
    world.shared_cluster();
    world.request.postgres.password = None;
}

fn trusted_role(world: &mut World) {
    sshd(world, &[]);
    world.cluster(Postgres::builder(Flavour::Ordinary).hba(&["host all all all trust"]));
    world.role("nobody_here");
}

fn cut_at_database_login(world: &mut World) {
    sshd(world, &[]);
    world.shared_cluster();
    let relay = world.relay_database();
    world.on(Stage::Login, move || relay.cut());
}

fn silent_at_database_login(world: &mut World) {
    sshd(world, &[]);
    world.shared_cluster();
    let relay = world.relay_database();
    world.on(Stage::Login, move || relay.freeze());
}

fn closed_database(world: &mut World) {
    sshd(world, &[]);
    let cluster = world.shared_cluster();
    let name = cluster.new_name("database");
    cluster.sql(&format!("CREATE DATABASE {name} ALLOW_CONNECTIONS false"));
    world.login().database = name;
}

/// Without TLS the first word is the client's login, which is no reason to say that anybody took it.
fn in_the_clear(world: &mut World, manners: Manners) {
    sshd(world, &[]);
    world.database_peer(Peer::start(manners).unwrap());
    world.sslmode(SslMode::Disable);
}

fn silent_in_the_clear(world: &mut World) {
    in_the_clear(world, Manners::Silent);
}

fn closed_in_the_clear(world: &mut World) {
    in_the_clear(world, Manners::Close);
}

fn foreign_in_the_clear(world: &mut World) {
    in_the_clear(world, Manners::Say(b"SSH-2.0-OpenSSH_9.2p1\r\n".to_vec()));
}

fn cut_at_questions(world: &mut World) {
    sshd(world, &[]);
    world.shared_cluster();
    world.request.postgres.readiness.replication = true;
    let relay = world.relay_database();
    world.on(Stage::Ready, move || relay.cut());
}
