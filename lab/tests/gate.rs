//! A security group in front of a port: what no rule lets in at that moment is dropped, and what is open goes on.
#![cfg(test)]

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use lab::{Allow, Aws, Direction, Manners, Peer};

mod support;
use support::LIMIT;

/// How long a dropped packet is waited for: shorter than the kernel takes to send it again.
const SHORT: Duration = Duration::from_millis(500);

fn knock(port: u16) -> std::io::Result<TcpStream> {
    TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), SHORT)
}

fn is_silent(port: u16) -> bool {
    knock(port).is_err_and(|error| error.kind() == ErrorKind::TimedOut)
}

#[test]
fn packets_follow_the_rules_and_connections_outlive_them() {
    let (aws, server) = (Aws::start().unwrap(), Peer::start(Manners::Answer(b"N".to_vec())).unwrap());
    let group = aws.make_vpc_group("bastion").unwrap();
    let gate = aws.guard(&group, server.port()).unwrap();
    assert!(is_silent(gate.port()));
    for allow in [
        Allow::tcp(Direction::Ingress, gate.port(), "127.0.0.2/32"),
        Allow::tcp(Direction::Ingress, gate.port() - 1, "127.0.0.1/32"),
        Allow::tcp(Direction::Egress, gate.port(), "127.0.0.1/32"),
    ] {
        aws.allow(&group, &allow).unwrap();
        assert!(is_silent(gate.port()));
    }
    for peer in ["127.0.0.1/32", "127.0.0.0/8", "0.0.0.0/0"] {
        let rule = aws.allow(&group, &Allow::tcp(Direction::Ingress, gate.port(), peer)).unwrap();
        let mut open = knock(gate.port()).unwrap();
        aws.revoke(&rule).unwrap();
        assert!(is_silent(gate.port()), "{peer}");
        open.set_read_timeout(Some(LIMIT)).unwrap();
        open.write_all(b"?").unwrap();
        let mut answer = [0];
        open.read_exact(&mut answer).unwrap();
        assert_eq!(answer, *b"N", "{peer}");
    }
}
