//! Words about the way to the first hop: configure, resolve, connect.

use super::{Scene, Words};
use crate::path::cause::Cause;
use crate::path::route::Route;

impl Cause {
    pub(super) fn reach_words(&self, scene: Scene<'_>) -> Words {
        let peer = Peer::of(scene.route);
        let Peer { name, host, port, server, .. } = &peer;
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
            Self::NameNotFound => Words::new(
                peer.pick("The bastion's name has no address", "The database's name has no address"),
                format!("The resolver of this machine knows no `{host}`."),
                [
                    format!("correct {}", peer.argument("host")),
                    "create its DNS record".to_owned(),
                    "a name in a private zone resolves inside its VPC or VPN only".to_owned(),
                ],
            ),
            Self::ResolverFailed | Self::ResolverSilent => Words::new(
                peer.pick("The bastion's name cannot be resolved now", "The database's name cannot be resolved now"),
                format!("This machine's resolver gave no answer about `{host}`; that says nothing about the name itself."),
                ["check the DNS of the machine that runs Terraform".to_owned(), "apply again when it answers".to_owned()],
            ),
            Self::OnlyIpv6 => Words::new(
                peer.pick("The bastion's name has IPv6 addresses only", "The database's name has IPv6 addresses only"),
                format!("`{host}` has no IPv4 address, and this machine has no route to the others."),
                [
                    format!("publish an A record for `{host}`"),
                    "route IPv6 from this machine".to_owned(),
                    format!("correct {}", peer.argument("host")),
                ],
            ),
            Self::ConnectRefused => Words::new(
                peer.pick("The bastion refuses the connection", "The database refuses the connection"),
                format!("`{host}` is there, and nothing listens on port {port} (or a firewall answers in its place)."),
                [format!("start {server} on {name}"), format!("correct {}", peer.argument("port"))],
            ),
            Self::ConnectSilent => Words::new(
                peer.pick("The bastion does not answer", "The database does not answer"),
                format!("Nothing came back from port {port} of `{host}`: a firewall drops the packets, or no machine has that address."),
                [
                    format!("admit this machine's address to port {port} in the security group of {name}"),
                    format!("check that {name} runs and that {} is its address", peer.argument("host")),
                ],
            ),
            Self::ConnectReset => Words::new(
                peer.pick("The bastion hangs up before a word of SSH", "The database's connection is reset"),
                "From outside, a balancer without a healthy target and something that resets in between look the same.",
                [
                    format!("a balancer in front: make its target healthy (is {server} up on the instance)"),
                    "a firewall or an intrusion filter in between resets the connection: see its log".to_owned(),
                    format!("{server} itself refuses this address: see its log"),
                    format!("something else listens there: correct {}", peer.argument("port")),
                ],
            ),
            Self::ConnectUnreachable => Words::new(
                peer.pick("There is no way to the bastion", "There is no way to the database"),
                format!("This machine has no route to `{host}`."),
                [
                    "bring up the VPN, or fix this machine's routing".to_owned(),
                    format!("correct {}: it may be a private address", peer.argument("host")),
                ],
            ),
            Self::ConnectFailed => Words::new(
                peer.pick("This machine cannot connect to the bastion", "This machine cannot connect to the database"),
                "The operating system of this machine did not let the connection out.",
                [
                    "a firewall or a sandbox on this machine forbids it".to_owned(),
                    format!("correct {}: an address of that kind cannot be connected to", peer.argument("host")),
                ],
            ),
            _ => self.ended_words(),
        }
    }
}

/// The first hop, in words.
pub(super) struct Peer {
    direct: bool,
    name: &'static str,
    server: &'static str,
    host: String,
    pub(super) port: u16,
}

impl Peer {
    pub(super) fn of(route: &Route) -> Self {
        match &route.bastion {
            Some(bastion) => {
                Self { direct: false, name: "the bastion", server: "sshd", host: bastion.host.to_string(), port: bastion.port.get() }
            }
            None => Self {
                direct: true,
                name: "the database server",
                server: "Postgres",
                host: route.database.host.to_string(),
                port: route.database.port.get(),
            },
        }
    }

    /// An argument in plain words: what it is called differs from one kind of check to the next.
    fn argument(&self, name: &str) -> String {
        format!("{}'s {name}", if self.direct { "the database" } else { "the bastion" })
    }

    const fn pick(&self, bastion: &'static str, database: &'static str) -> &'static str {
        if self.direct { database } else { bastion }
    }
}
