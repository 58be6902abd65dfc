//! Faults on the way to the bastion: names, addresses, TCP.

use std::net::{Ipv4Addr, UdpSocket};

use anyhow::Result;
use bastion::key::HostKeys;
use lab::{Blackhole, Manners, Namespace, Peer};

use crate::world::World;

fn named(world: &mut World, name: &str) {
    world.hop().host = name.parse().unwrap();
}

/// No route to anywhere.
pub fn alone(_network: &mut Namespace) -> Result<()> {
    Ok(())
}

pub fn own_resolver(network: &mut Namespace) -> Result<()> {
    network.resolver("127.0.0.1")
}

pub fn silent_resolver(network: &mut Namespace) -> Result<()> {
    network.silent_resolver()
}

pub fn ipv6_name(network: &mut Namespace) -> Result<()> {
    network.hosts(&[("bastion.example", "2001:db8::7")])
}

/// The codes with which a server of names says no (RFC 1035, 4.1.1).
#[derive(Clone, Copy)]
enum Answer {
    ServerFailure = 2,
    NoSuchName = 3,
}

/// Gives every question this answer.
fn answers(answer: Answer) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 53)).unwrap();
    std::thread::spawn(move || {
        let mut question = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut question) {
            // Response, recursion desired and available.
            question[2] = 0x81;
            question[3] = 0x80 | answer as u8;
            socket.send_to(&question[..length], from).unwrap();
        }
    });
}

pub fn no_such_name(world: &mut World) {
    answers(Answer::NoSuchName);
    named(world, "bastion.invalid");
}

pub fn resolver_fails(world: &mut World) {
    answers(Answer::ServerFailure);
    named(world, "bastion.example");
}

pub fn name_in_the_network(world: &mut World) {
    named(world, "bastion.example");
}

pub fn closed_port(world: &mut World) {
    world.bastion_at(lab::free_port().unwrap());
}

pub fn dropped(world: &mut World) {
    let blackhole = Blackhole::start().unwrap();
    world.bastion_at(blackhole.port());
    world.keep(blackhole);
}

pub fn reset(world: &mut World) {
    world.bastion_peer(Peer::start(Manners::Reset).unwrap());
}

pub fn no_route(world: &mut World) {
    named(world, "203.0.113.7");
}

pub fn closed(world: &mut World) {
    world.bastion_peer(Peer::start(Manners::Close).unwrap());
}

pub fn nothing_pinned(world: &mut World) {
    world.sshd(lab::Bastion::builder());
    world.hop().host_keys = HostKeys::Pinned { accepted: Vec::new(), revoked: Vec::new() };
}
