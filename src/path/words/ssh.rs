//! Words about the bastion: handshake, host key, authentication, forwarding and what the bastion dials.

use super::peer::Peer;
use super::{Scene, Words, whole};
use crate::path::cause::Cause;
use crate::path::heard::Heard;

impl Cause {
    pub(super) fn handshake_words(&self, scene: Scene<'_>) -> Words {
        let Peer { name, port, .. } = Peer::of(scene);
        match self {
            Self::HandshakeSilent => silent_words(&name, port, scene.heard),
            Self::NotSsh => Words::new(
                "The bastion's port does not speak SSH",
                format!("Something else answers on port {port}."),
                [format!("point {name}'s port at sshd")],
            ),
            Self::OldSsh => {
                Words::new("The bastion speaks SSH 1 only", "SSH 1 is broken and is not spoken here.", ["upgrade sshd".to_owned()])
            }
            Self::NoCommonAlgorithm { what, ours, theirs } => Words::new(
                "The bastion offers no common algorithm",
                format!("No common {what}. The bastion offers: {theirs}. Offered here: {ours}."),
                [format!("enable a modern one on {name}: {}", modern(what)), "upgrade sshd".to_owned()],
            ),
            Self::TooManyStartups => Words::new(
                "The bastion turns away new logins",
                "sshd has reached `MaxStartups`: too many connections that have not logged in yet.",
                ["find who opens so many connections to it".to_owned(), "raise `MaxStartups` in sshd_config".to_owned()],
            ),
            Self::Penalised => Words::new(
                "The bastion has locked this address out",
                "sshd's `PerSourcePenalties`: too many failed logins came from this address lately.",
                ["wait a minute and apply again".to_owned(), "add this address to `PerSourcePenaltyExemptList` in sshd_config".to_owned()],
            ),
            Self::HandshakeClosed => Words::new(
                "The bastion hangs up in the key exchange",
                "It said who it is, and ended the connection before the two sides had agreed on anything.",
                [
                    format!("sshd on {name} is being restarted, or has no memory or processes left: see its log"),
                    "a balancer that drains its targets, or an intrusion filter (fail2ban), ends the connection".to_owned(),
                ],
            ),
            Self::HandshakeCorrupt => Words::new(
                "The SSH handshake broke",
                "What arrived does not fit what was agreed: the bytes were changed or reordered on the way, or the server is faulty.",
                ["distrust the path: try from another network".to_owned(), format!("see sshd's log on {name}")],
            ),
            Self::NotStrict => Words::new(
                "The bastion lacks strict key exchange",
                "Without it, chacha20-poly1305 is open to the Terrapin attack (CVE-2023-48795).",
                ["upgrade sshd to 9.6 or later, or enable aes256-gcm@openssh.com on it".to_owned()],
            ),
            _ => self.ended_words(),
        }
    }

    pub(super) fn host_key_words(&self, scene: Scene<'_>) -> Words {
        let Peer { name, .. } = Peer::of(scene);
        match self {
            Self::StrictStripped => Words::new(
                "The bastion's signature does not fit what was exchanged",
                "Its offer of strict key exchange is missing, too: somebody in between changes the messages, or it is a faulty old server. \
                 Nothing about the user was said.",
                ["distrust the path: try from another network".to_owned(), "upgrade sshd to 9.6 or later".to_owned()],
            ),
            Self::HostKeyOtherType { presented } => Words::new(
                "The bastion has no host key of a pinned kind",
                format!("It has {}; none of the pinned keys is of that kind. That counts as a changed key.", kinds(presented)),
                [format!("read the host keys on {name} itself and pin one of them"), "restore the pinned key".to_owned()],
            ),
            Self::HostKeyWeak { signature } => Words::new(
                "The bastion's host key signs in a way that is not safe",
                format!("Its signature is `{signature}`, which was not agreed on; SHA-1 is not taken."),
                ["upgrade sshd, or give it an ed25519 host key and pin that".to_owned()],
            ),
            Self::HostKeyChanged { presented } => Words::new(
                "The bastion's host key is not the pinned one",
                format!(
                    "It presents {} {}. Either the bastion was rebuilt, or somebody sits in between.",
                    presented.algorithm(),
                    presented.fingerprint()
                ),
                [
                    format!(
                        "compare that fingerprint with the one shown on {name} itself: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"
                    ),
                    format!("if they agree, pin it: {}", whole(presented)),
                    "if not, do not connect".to_owned(),
                ],
            ),
            Self::HostKeyRevoked { presented } => Words::new(
                "The bastion presents a revoked host key",
                format!("{} is marked `@revoked` among the pinned host keys.", presented.fingerprint()),
                [format!("replace the key on {name} and pin the new one")],
            ),
            _ => self.ended_words(),
        }
    }

    pub(super) fn authenticate_words(&self, scene: Scene<'_>) -> Words {
        let Peer { name, .. } = Peer::of(scene);
        let user = scene.route.hop(scene.leg).and_then(|hop| hop.user.as_deref()).unwrap_or_default();
        let from = match scene.leg.checked_sub(1) {
            Some(_) => format!("{}'s address", Peer::of(scene).via),
            None => format!("{}'s address", scene.route.vantage.phrase()),
        };
        let line = scene.public_key.map_or_else(|| "the public key's line".to_owned(), whole);
        match self {
            Self::KeyRefused => Words::new(
                "The bastion refuses the key",
                "sshd says the same for six reasons.",
                [
                    format!("the key is not in authorized_keys of `{user}` (or not yet, where keys are synced): {line}"),
                    format!("the user `{user}` does not exist on {name}"),
                    format!("`AllowUsers` or `AllowGroups` in sshd_config leaves `{user}` out"),
                    "authorized_keys or a folder above it is writable by others: chmod 600 the file, 700 its folder".to_owned(),
                    format!(
                        "`from=` before the key does not include {from}, or its `expiry-time=` has passed (sshd before 7.7 does not know that option)"
                    ),
                    "`PubkeyAcceptedAlgorithms` in sshd_config leaves out this kind of key".to_owned(),
                ],
            ),
            Self::PublicKeyNotOffered => Words::new(
                "The bastion takes no public keys",
                format!("sshd offers other methods for `{user}` only."),
                ["set `PubkeyAuthentication yes` in sshd_config".to_owned()],
            ),
            Self::SecondFactor => Words::new(
                "The bastion wants a second factor",
                "The key was accepted, and sshd asks for more (`AuthenticationMethods`). A program has no second factor.",
                [format!("exempt `{user}` in a `Match User` block: AuthenticationMethods publickey")],
            ),
            Self::AuthenticateClosed => Words::new(
                "The bastion hangs up during authentication",
                "The session ended without a verdict on the key.",
                [format!("see sshd's log on {name}"), "an intrusion filter (fail2ban) may block this address".to_owned()],
            ),
            Self::NotSynced => Words::new(
                "The bastion does not work with the new keys yet",
                format!("`{user}` can log in, and sshd does not know the key by which the wanted version of its authorized_keys is told."),
                [
                    format!("the sync job on {name} has not run, or fails: see its log, and what `{user}`'s authorized_keys says there"),
                    "the bastion looks in another place: compare `bucket` and `prefix` with those of its sync job".to_owned(),
                    "the bastion may not read the object: its role, or a KMS key that is not the bucket's own".to_owned(),
                    format!("give it more time: {name} may sync less often than it is waited for"),
                    format!("sshd on {name} takes no ed25519 keys (`PubkeyAcceptedAlgorithms`): set `canary = false` on the object"),
                ],
            ),
            Self::AuthenticateSilent => Words::new(
                "The bastion is silent during authentication",
                "sshd took the key and did not answer in time.",
                [format!("a slow PAM module, DNS or directory on {name}: see sshd's log"), "an overloaded bastion".to_owned()],
            ),
            _ => self.ended_words(),
        }
    }

    pub(super) fn forward_words(&self, scene: Scene<'_>) -> Words {
        let peer = Peer::of(scene);
        let Peer { address: target, via, via_user: user, .. } = &peer;
        match self {
            Self::ForwardProhibited if scene.tries > 1 => {
                let mut words = Self::ForwardProhibited.forward_words(Scene { tries: 1, ..scene });
                let late = format!("the object of `{user}` was changed lately, and {via} has not synced it: see its sync job's log");
                words.remedies.insert(0, late);
                words
            }
            Self::ForwardProhibited => Words::new(
                peer.pick(
                    "The bastion refuses to forward to the next one",
                    "The bastion refuses to forward to the database",
                    "The bastion refuses to forward to the target",
                ),
                "sshd says this for five settings. PermitTunnel plays no part.",
                [
                    format!("authorized_keys of `{user}`: remove no-port-forwarding; after restrict add port-forwarding"),
                    format!("the same line: permitopen=\"{target}\", spelled exactly so"),
                    format!("sshd `PermitOpen`: add {target}"),
                    "sshd `AllowTcpForwarding`: yes or local".to_owned(),
                    "sshd `DisableForwarding`: no".to_owned(),
                ],
            ),
            Self::ForwardShortage => Words::new(
                "The bastion has no room for another channel",
                "sshd reports a resource shortage.",
                [format!("look at memory and open files on {via}")],
            ),
            Self::SessionLost => Words::new(
                "The SSH session ended under the check",
                "It had been authenticated; then the bastion or the network dropped it.",
                [format!("see sshd's log on {via}"), "apply again".to_owned()],
            ),
            Self::HoldLost => Words::new(
                "The tunnel was lost",
                "It was proven and in use; then the bastion or the network ended the SSH session.",
                ["open it again".to_owned(), format!("see sshd's log on {via}: a restart, a killed process or a limit")],
            ),
            Self::HoldSilent => Words::new(
                "The tunnel fell silent",
                "It was proven and in use; then keepalives got no answer, and nobody closed the connection.",
                [
                    "open it again".to_owned(),
                    "a balancer or a NAT gateway that forgets idle connections: raise its idle limit".to_owned(),
                    format!("{via} was stopped, or lost its network"),
                ],
            ),
            _ => self.ended_words(),
        }
    }

    pub(super) fn dial_words(&self, scene: Scene<'_>) -> Words {
        let peer = Peer::of(scene);
        let Peer { server, whose, host, port, address: target, via, .. } = &peer;
        match self {
            Self::DialNameUnknown => Words::new(
                peer.pick(
                    "The bastion cannot resolve the next one's name",
                    "The bastion cannot resolve the database's name",
                    "The bastion cannot resolve the target's name",
                ),
                format!("`{host}` is looked up on {via}, not here."),
                [format!("use a name that {via}'s VPC resolves, or the address"), format!("associate the private zone with {via}'s VPC")],
            ),
            Self::DialResolverSilent => Words::new(
                "The bastion's resolver does not answer",
                format!("`{host}` is looked up on {via}, which does nothing else meanwhile. Its resolver gave no answer."),
                [
                    format!("see the name servers in /etc/resolv.conf on {via}, and whether it reaches them (port 53)"),
                    format!("a VPC without DNS: turn on its DNS support (enableDnsSupport) for {via}"),
                    "use the address instead of the name".to_owned(),
                ],
            ),
            Self::DialRefused => Words::new(
                peer.pick(
                    "The next bastion refuses the connection",
                    "The database refuses the bastion's connection",
                    "The target refuses the bastion's connection",
                ),
                format!("From {via} the machine was reached, and nothing listens on {target}."),
                [
                    format!("correct {}", peer.argument("port")),
                    peer.pick("start sshd there", "start Postgres, and set its `listen_addresses`", "start it").to_owned(),
                ],
            ),
            Self::DialUnreachable => Words::new(
                peer.pick(
                    "The bastion has no route to the next one",
                    "The bastion has no route to the database",
                    "The bastion has no route to the target",
                ),
                format!("From {via}, {target} cannot be reached at all."),
                [format!("route {via}'s subnet to {whose}"), format!("correct {}", peer.argument("host"))],
            ),
            Self::DialSilent => Words::new(
                peer.pick(
                    "The next bastion does not answer",
                    "The database does not answer the bastion",
                    "The target does not answer the bastion",
                ),
                "A firewall on the way drops the packets; which one cannot be told from outside.",
                [
                    format!("admit {via}'s security group to port {port} in {whose}"),
                    format!("allow port {port} in the egress rules of {via}'s security group"),
                    format!("correct {}: no machine may have that address", peer.argument("host")),
                ],
            ),
            Self::DialFailed => Words::new(
                peer.pick(
                    "The bastion cannot connect to the next one",
                    "The bastion cannot connect to the database",
                    "The bastion cannot connect to the target",
                ),
                format!("sshd on {via} tried {target} and failed."),
                [format!("route {via}'s subnet to {whose}"), format!("see sshd's log on {via}")],
            ),
            Self::DialClosed => Words::new(
                peer.pick(
                    "The next bastion's connection is closed without a word",
                    "The database's connection is closed without a word",
                    "The target's connection is closed without a word",
                ),
                format!("{target} accepted the connection and ended it before {server} said anything."),
                [format!("look for a proxy, a balancer or a connection limit in front of {server}"), format!("see {server}'s log")],
            ),
            _ => self.ended_words(),
        }
    }
}

/// Silence from the start, or in the midst of it.
fn silent_words(name: &str, port: u16, heard: &Heard) -> Words {
    Words::new(
        if heard.is_empty() { "The bastion accepts the connection and says nothing" } else { "The bastion falls silent in the handshake" },
        if heard.is_empty() {
            format!("An SSH server speaks first. What listens on port {port} said nothing in time.")
        } else {
            format!("What listens on port {port} began, and did not finish in time.")
        },
        [
            format!("check that {name}'s port is sshd's"),
            "a balancer without a target that it can reach".to_owned(),
            "an overloaded or stopped sshd".to_owned(),
            "a middlebox that stalls the connection".to_owned(),
        ],
    )
}

/// An algorithm of the missing kind that every sshd of the last ten years has.
fn modern(what: &str) -> &'static str {
    match what {
        "key exchange" => "curve25519-sha256",
        "cipher" => "aes256-gcm@openssh.com",
        "MAC" => "hmac-sha2-256-etm@openssh.com",
        "compression" => "none",
        _ => "one of those offered here",
    }
}

/// The kinds of key behind a list of signature algorithms: a key is pinned as `ssh-rsa`, whatever hash it signs with.
fn kinds(algorithms: &str) -> String {
    let mut kinds: Vec<&str> = Vec::new();
    for algorithm in algorithms.split(", ") {
        let kind = if algorithm.starts_with("rsa-sha2-") { "ssh-rsa" } else { algorithm };
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    kinds.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signature_algorithms_are_told_by_the_key_that_is_pinned() {
        assert_eq!(kinds("rsa-sha2-512, rsa-sha2-256, ssh-ed25519"), "ssh-rsa, ssh-ed25519");
    }
}
