//! One of each cause, for whoever has to speak of all of them: the catalogue's page, its tests.

use super::cause::{Cause, Tried};
use super::finding::Finding;
use super::heard::Heard;
use super::refusal::{AccountReason, Denial, Reason, Refusal, RulesReason};
use super::stage::Stage;
use crate::key::PublicKey;

/// One of each cause, in the order of the path; what a cause quotes is a placeholder, and `key` is the key that a server presents.
#[must_use]
pub fn examples(key: &PublicKey) -> Vec<Cause> {
    [admission_examples(), way_examples(key), target_examples()].concat()
}

fn text() -> String {
    "…".to_owned()
}

fn admission_examples() -> Vec<Cause> {
    let group = || "sg-0123456789abcdef0".to_owned();
    let denial = Denial::read("not authorized to perform: ec2:AuthorizeSecurityGroupIngress");
    let reasons = [
        Reason::Rules(RulesReason::Denied { group: group(), denial }),
        Reason::Rules(RulesReason::GroupMissing { group: group() }),
        Reason::Rules(RulesReason::Quota { group: group(), direction: "ingress", there: 60, needed: 1 }),
        Reason::Account(AccountReason::NoCredentials { profile: None }),
        Reason::Account(AccountReason::Throttled),
    ];
    let refused = |reason| Refusal { reason, heard: Heard::default(), action: "ec2:AuthorizeSecurityGroupIngress" };
    let refused = reasons.map(|reason| Cause::NotAdmitted { refusal: Box::new(refused(reason)) });
    [Cause::NothingPinned, Cause::NoKey, Cause::AddressUnknown].into_iter().chain(refused).collect()
}

fn way_examples(key: &PublicKey) -> Vec<Cause> {
    vec![
        Cause::NameNotFound,
        Cause::ResolverFailed,
        Cause::ResolverSilent,
        Cause::OnlyIpv6,
        Cause::ConnectRefused,
        Cause::ConnectSilent,
        Cause::ConnectReset,
        Cause::ConnectUnreachable,
        Cause::ConnectFailed,
        Cause::HandshakeSilent,
        Cause::NotSsh,
        Cause::OldSsh,
        Cause::NoCommonAlgorithm { what: "cipher".to_owned(), ours: text(), theirs: text() },
        Cause::TooManyStartups,
        Cause::Penalised,
        Cause::HandshakeClosed,
        Cause::HandshakeCorrupt,
        Cause::NotStrict,
        Cause::StrictStripped,
        Cause::HostKeyOtherType { presented: text() },
        Cause::HostKeyWeak { signature: text() },
        Cause::HostKeyChanged { presented: key.clone() },
        Cause::HostKeyRevoked { presented: key.clone() },
        Cause::KeyRefused,
        Cause::PublicKeyNotOffered,
        Cause::SecondFactor,
        Cause::AuthenticateClosed,
        Cause::AuthenticateSilent,
        Cause::NotSynced,
        Cause::ForwardProhibited,
        Cause::ForwardShortage,
        Cause::SessionLost,
        Cause::DialNameUnknown,
        Cause::DialResolverSilent,
        Cause::DialRefused,
        Cause::DialUnreachable,
        Cause::DialSilent,
        Cause::DialFailed,
        Cause::DialClosed,
    ]
}

fn target_examples() -> Vec<Cause> {
    let findings = vec![Finding::WalLevel { actual: "replica".to_owned() }, Finding::NoSelect { table: "public.orders".to_owned() }];
    vec![
        Cause::PostgresClosed,
        Cause::PostgresSilent,
        Cause::NotPostgres,
        Cause::TlsNotOffered,
        Cause::TlsServerError,
        Cause::CertificateWrongName { presented: text() },
        Cause::CertificateExpired,
        Cause::CertificateUnknownIssuer,
        Cause::CertificateNoRoot,
        Cause::CertificateBad,
        Cause::ClientCertificateRefused,
        Cause::TlsSilent,
        Cause::TlsFailed,
        Cause::PasswordRefused,
        Cause::PasswordMissing,
        Cause::RoleMissing,
        Cause::EncryptionRequired,
        Cause::ServerUnproven,
        Cause::NoHbaEntry { tried: Tried::Tls },
        Cause::NoHbaEntry { tried: Tried::Plain },
        Cause::NoHbaEntry { tried: Tried::PlainOnly },
        Cause::HbaRejects,
        Cause::AuthenticationUnsupported,
        Cause::Pooler,
        Cause::LoginBroken,
        Cause::LoginSilent,
        Cause::LoginRefused,
        Cause::LoginForbidden,
        Cause::DatabaseMissing,
        Cause::NoConnectPrivilege,
        Cause::DatabaseClosed,
        Cause::TooManyConnections,
        Cause::NotAccepting,
        Cause::NotReady { findings, publication: None },
        Cause::ReadyFailed,
        Cause::HoldLost,
        Cause::HoldSilent,
        Cause::Interrupted { stage: Stage::Authenticate },
        Cause::OutOfTime { stage: Stage::Login },
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::key::PrivateKey;

    /// The compiler holds that each cause has a stage, a slug and words, but not that it stands in a list; its source does.
    #[test]
    fn every_cause_has_its_example() {
        let source = include_str!("cause.rs").split_once("pub enum Cause {").unwrap().1.split_once("\n}\n").unwrap().0;
        let declared: BTreeSet<_> = source
            .lines()
            .filter_map(|line| line.strip_prefix("    ").filter(|rest| rest.starts_with(|first: char| first.is_ascii_uppercase())))
            .map(|line| line.split([',', ' ']).next().unwrap().to_owned())
            .collect();
        let key = PrivateKey::generate_ed25519().unwrap().public();
        let shown: BTreeSet<_> =
            examples(&key).iter().map(|cause| format!("{cause:?}").split([' ', '{']).next().unwrap().to_owned()).collect();
        assert!(declared.len() > 60, "{declared:?}");
        assert_eq!(shown, declared);
    }
}
