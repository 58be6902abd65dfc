//! Words about the way to the first hop: configure, resolve, connect.

use super::peer::{Peer, of_peer};
use super::{Scene, Words};
use crate::path::cause::Cause;

impl Cause {
    pub(super) fn reach_words(&self, scene: Scene<'_>) -> Words {
        let peer = Peer::of(scene);
        let here = scene.route.vantage.phrase();
        let Peer { name, host, port, server, .. } = &peer;
        match self {
            Self::NameNotFound => Words::new(
                of_peer!(peer, "The ", "'s name has no address"),
                format!("The resolver of {here} knows no `{host}`."),
                [
                    format!("correct {}", peer.argument("host")),
                    "create its DNS record".to_owned(),
                    "a name in a private zone resolves inside its VPC or VPN only".to_owned(),
                ],
            ),
            Self::ResolverFailed | Self::ResolverSilent => Words::new(
                of_peer!(peer, "The ", "'s name cannot be resolved now"),
                format!("This machine's resolver gave no answer about `{host}`; that says nothing about the name itself."),
                ["check the DNS of the machine that runs Terraform".to_owned(), "apply again when it answers".to_owned()],
            ),
            Self::OnlyIpv6 => Words::new(
                of_peer!(peer, "The ", "'s name has IPv6 addresses only"),
                format!("`{host}` has no IPv4 address, and this machine has no route to the others."),
                [
                    format!("publish an A record for `{host}`"),
                    "route IPv6 from this machine".to_owned(),
                    format!("correct {}", peer.argument("host")),
                ],
            ),
            Self::ConnectRefused => Words::new(
                of_peer!(peer, "The ", " refuses the connection"),
                format!("`{host}` is there, and nothing listens on port {port} (or a firewall answers in its place)."),
                [format!("start {server} on {name}"), format!("correct {}", peer.argument("port"))],
            ),
            Self::ConnectSilent => Words::new(
                of_peer!(peer, "The ", " does not answer"),
                format!("Nothing came back from port {port} of `{host}`: a firewall drops the packets, or no machine has that address."),
                [unadmitted(scene, &peer), format!("check that {name} runs and that {} is its address", peer.argument("host"))],
            ),
            Self::ConnectReset => Words::new(
                peer.pick(
                    "The bastion hangs up before a word of SSH",
                    "The database's connection is reset",
                    "The target's connection is reset",
                ),
                "From outside, a balancer without a healthy target and something that resets in between look the same.",
                [
                    format!("a balancer in front: make its target healthy (is {server} up on the instance)"),
                    "a firewall or an intrusion filter in between resets the connection: see its log".to_owned(),
                    format!("{server} itself refuses this address: see its log"),
                    format!("something else listens there: correct {}", peer.argument("port")),
                ],
            ),
            Self::ConnectUnreachable => Words::new(
                of_peer!(peer, "There is no way to the ", ""),
                format!("This machine has no route to `{host}`."),
                [
                    "bring up the VPN, or fix this machine's routing".to_owned(),
                    format!("correct {}: it may be a private address", peer.argument("host")),
                ],
            ),
            Self::ConnectFailed => Words::new(
                of_peer!(peer, "This machine cannot connect to the ", ""),
                "The operating system of this machine did not let the connection out.",
                [
                    "a firewall or a sandbox on this machine forbids it".to_owned(),
                    format!("correct {}: an address of that kind cannot be connected to", peer.argument("host")),
                ],
            ),
            _ => self.ended_words(),
        }
    }

    pub(super) fn configure_words(&self) -> Words {
        match self {
            Self::NothingPinned => Words::new(
                "No host key is pinned for the bastion",
                "Without a pinned host key nobody can tell the bastion from somebody in between.",
                ["pin the bastion's public host key (`host_keys`), read on the bastion itself: /etc/ssh/ssh_host_ed25519_key.pub"
                    .to_owned()],
            ),
            Self::NoKey => Words::new(
                "No key is given for the bastion",
                "The path leads through a bastion, and sshd wants a key.",
                ["give the private key of the bastion's login".to_owned()],
            ),
            _ => self.ended_words(),
        }
    }
}

/// What to do about a firewall in front of what is reached first.
fn unadmitted(scene: Scene<'_>, peer: &Peer) -> String {
    let Peer { name, port, .. } = peer;
    let by_itself = peer.pick(" (`admit` does so for the time of a walk)", "", "");
    match scene.route.seen_as {
        // Known because this walk has opened the door itself.
        Some(address) => format!(
            "`admit` names a group that lets {address} in to port {port}: check that {name} uses it, and that no network ACL or balancer \
             in front drops the packets"
        ),
        None => format!(
            "admit this machine's address to port {port} in the security group of {name}{by_itself}; the address: \
             curl https://checkip.amazonaws.com"
        ),
    }
}
