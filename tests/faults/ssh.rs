//! Faults of the bastion itself: handshake, host key, login.

use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use lab::{Act, Bastion, KeyType, Manners, Peer, Side, Spot};

use crate::world::{SOON, USER, World};

fn says(world: &mut World, manners: Manners) {
    world.bastion_peer(Peer::start(manners).unwrap());
}

fn configured(world: &mut World, line: &str) {
    world.sshd(Bastion::builder().sshd_config(&[line]));
}

pub fn silent(world: &mut World) {
    says(world, Manners::Silent);
}

pub fn http(world: &mut World) {
    says(world, Manners::Answer(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n".to_vec()));
}

pub fn ssh_1(world: &mut World) {
    says(world, Manners::Say(b"SSH-1.5-1.2.33\n".to_vec()));
}

pub fn no_cipher(world: &mut World) {
    configured(world, "Ciphers aes256-cbc");
}

pub fn no_key_exchange(world: &mut World) {
    configured(world, "KexAlgorithms diffie-hellman-group14-sha1");
}

pub fn startups(world: &mut World) {
    let bastion = world.sshd(Bastion::builder().sshd_config(&["MaxStartups 1:100:1"]));
    world.keep(TcpStream::connect((Ipv4Addr::LOCALHOST, bastion.port())).unwrap());
    lab::wait_until("the half-open connection", SOON, || bastion.connections() == 1).unwrap();
}

pub fn dripped(world: &mut World) {
    let (_, relay) = world.relayed_sshd();
    relay.drip(Side::Server, Duration::from_secs(1));
    world.keep(relay);
}

pub fn lines(world: &mut World) {
    says(world, Manners::Say(b"welcome to the jungle\r\n".repeat(100_000)));
}

pub fn bit_flipped(world: &mut World) {
    let (_, relay) = world.relayed_sshd();
    // In the server's half of the key exchange: behind a head of 6 bytes and an ed25519 host key of 55, before the signature.
    relay.plan(Side::Server, Spot::SshMessage(2, 80), Act::Flip);
    world.keep(relay);
}

pub fn host_key_changed(world: &mut World) {
    world.sshd(Bastion::builder()).replace_host_key().unwrap();
}

pub fn host_key_of_another_type(world: &mut World) {
    world.sshd(Bastion::builder()).set_host_keys(&[KeyType::Rsa]).unwrap();
}

pub fn strict_stripped(world: &mut World) {
    let (_, relay) = world.relayed_sshd();
    for (side, offer) in [(Side::Client, "kex-strict-c-v00@openssh.com"), (Side::Server, "kex-strict-s-v00@openssh.com")] {
        let other = offer.replace("strict", "strixt");
        relay.plan(side, Spot::SshMessage(1, 0), Act::Replace(offer.into(), other.into()));
    }
    world.keep(relay);
}

fn authorized(world: &mut World, lines: &[String]) {
    world.bastion.as_ref().unwrap().authorize(USER, lines).unwrap();
}

fn other_key(world: &World) -> String {
    world.bastion.as_ref().unwrap().client_key(KeyType::Ed25519).unwrap().public_key
}

pub fn key_unknown(world: &mut World) {
    world.sshd(Bastion::builder());
    let other = other_key(world);
    authorized(world, &[other]);
}

pub fn user_missing(world: &mut World) {
    world.sshd(Bastion::builder());
    world.hop().user = Some("nobody-here".to_owned());
}

pub fn user_left_out(world: &mut World) {
    configured(world, "AllowUsers somebody-else");
}

pub fn open_to_all(world: &mut World) {
    world.sshd(Bastion::builder()).break_permissions(USER).unwrap();
}

pub fn from_elsewhere(world: &mut World) {
    world.sshd(Bastion::builder());
    let line = format!("from=\"192.0.2.1\" {}", world.key_line());
    authorized(world, &[line]);
}

pub fn key_type_disabled(world: &mut World) {
    configured(world, "PubkeyAcceptedAlgorithms rsa-sha2-512");
}

pub fn too_many_tries(world: &mut World) {
    configured(world, "MaxAuthTries 1");
    let other = other_key(world);
    authorized(world, &[other]);
}

/// How long the key is on its way: long enough for a first refusal, over before the second try.
const SYNC: Duration = Duration::from_secs(3);

pub fn not_synced_yet(world: &mut World) {
    world.shared_cluster();
    let bastion = world.sshd(Bastion::builder());
    let line = world.key_line();
    bastion.revoke(USER).unwrap();
    bastion.authorize_after(USER, &[line], SYNC);
}
