//! Faults on the way to the bastion: names, addresses, TCP.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::{Arc, Mutex};

use anyhow::Result;
use bastion::key::HostKeys;
use lab::{Blackhole, Manners, Namespace, Peer};

use crate::world::World;

fn named(world: &mut World, name: &str) {
    world.hop().at.host = name.parse().unwrap();
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

/// What a server of names says: its code (RFC 1035, 4.1.1).
#[derive(Clone, Copy, PartialEq)]
struct Answer(u8);

/// The name is this machine.
const LOOPBACK: Answer = Answer(0);
const SERVER_FAILURE: Answer = Answer(2);
const NO_SUCH_NAME: Answer = Answer(3);

/// A server of names, for a network of its own: all of them are of one kind. It changes its mind when it is told.
fn answers(answer: Answer) -> Arc<Mutex<Answer>> {
    let (said, told) = (Arc::new(Mutex::new(answer)), UdpSocket::bind((Ipv4Addr::LOCALHOST, 53)).unwrap());
    let answer = Arc::clone(&said);
    std::thread::spawn(move || {
        let mut question = [0; 512];
        while let Ok((length, from)) = told.recv_from(&mut question) {
            told.send_to(&reply(&question[..length], *answer.lock().unwrap()), from).unwrap();
        }
    });
    said
}

fn reply(question: &[u8], answer: Answer) -> Vec<u8> {
    // The name, from behind the head to its empty last label; then the kind.
    let end = 12 + question[12..].iter().position(|byte| *byte == 0).unwrap() + 1;
    let is_ipv4 = question[end..end + 2] == [0, 1];
    let mut reply = question[..end + 4].to_vec();
    // A response, with recursion; one question, no answer, nothing else.
    reply[2..12].copy_from_slice(&[0x81, 0x80 | answer.0, 0, 1, 0, 0, 0, 0, 0, 0]);
    if answer == LOOPBACK && is_ipv4 {
        reply[7] = 1;
        // The name asked for, A, IN, for no time, four bytes.
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1]);
    }
    reply
}

pub fn no_such_name(world: &mut World) {
    answers(NO_SUCH_NAME);
    named(world, "bastion.invalid");
}

pub fn resolver_fails(world: &mut World) {
    answers(SERVER_FAILURE);
    named(world, "bastion.example");
}

pub fn resolver_comes_up(world: &mut World) {
    world.shared_cluster();
    world.sshd(lab::Bastion::builder());
    let answer = answers(SERVER_FAILURE);
    named(world, "bastion.example");
    world.mend(move || *answer.lock().unwrap() = LOOPBACK);
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

pub fn prohibited(network: &mut Namespace) -> Result<()> {
    network.prohibit("203.0.113.7");
    Ok(())
}

pub fn closed(world: &mut World) {
    world.bastion_peer(Peer::start(Manners::Close).unwrap());
}

pub fn nothing_pinned(world: &mut World) {
    world.sshd(lab::Bastion::builder());
    world.hop().host_keys = HostKeys::Pinned { accepted: Vec::new(), revoked: Vec::new() };
}
