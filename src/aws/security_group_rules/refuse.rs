//! What EC2's error codes mean for what goes on: heal, read again, change in place, or tell.

use crate::aws::answer::{Answer, Ending};
use crate::path::heard::Heard;
use crate::path::refusal::{AccountReason, Reason, Refusal, RulesReason};

use super::entry::{Entry, Source};
use super::id::GroupId;

/// How a failed call is gone on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A group, subnet or list that was made a moment ago is not known everywhere yet.
    Absent,
    /// The group itself is not there.
    GroupGone,
    /// A rule with the same key exists.
    Duplicate,
    /// No head-room.
    Quota,
    /// A rule of this id does not exist any more.
    RuleGone,
    /// It was only tried, and would have worked.
    WouldWork,
    /// Nothing to be done about it.
    Final,
}

/// A call that did not do what was asked.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) kind: Kind,
    pub(super) refusal: Refusal,
}

impl Failed {
    /// Terraform was told to stop.
    pub(super) fn interrupted(action: &'static str) -> Self {
        let reason = Reason::Account(AccountReason::Interrupted);
        Self { kind: Kind::Final, refusal: Refusal { reason, heard: Heard::default(), action } }
    }

    /// What was refused before any call about the group.
    pub(super) const fn of_refusal(refusal: Refusal) -> Self {
        Self { kind: Kind::Final, refusal }
    }

    /// A reason that EC2 did not give itself.
    pub(super) fn of_reason(reason: RulesReason, action: &'static str) -> Self {
        Self { kind: Kind::Final, refusal: Refusal { reason: Reason::Rules(reason), heard: Heard::default(), action } }
    }

    /// Reads an answer. `entries` are what the call was about.
    pub(super) fn of(answer: &Answer, action: &'static str, group: &GroupId, entries: &[Entry]) -> Self {
        let named = || group.to_string();
        let peer = || peer(&answer.message, group, entries);
        let (kind, reason) = match answer.code.as_str() {
            _ if !matches!(answer.ending, Ending::Refused) => (Kind::Final, None),
            "InvalidGroup.NotFound" | "InvalidSecurityGroupID.NotFound" | "InvalidGroupId.Malformed" => match peer() {
                Some(peer) => (Kind::Absent, Some(RulesReason::PeerMissing { peer })),
                None => (Kind::GroupGone, Some(RulesReason::GroupMissing { group: named() })),
            },
            "InvalidSubnetID.NotFound"
            | "InvalidSubnetID.Malformed"
            | "InvalidPrefixListID.NotFound"
            | "InvalidPrefixListId.NotFound"
            | "InvalidPrefixListId.Malformed"
            | "InvalidPrefixListID.Malformed" => (Kind::Absent, Some(RulesReason::PeerMissing { peer: peer().unwrap_or_default() })),
            "InvalidPermission.Duplicate" => (Kind::Duplicate, Some(RulesReason::Raced { group: named() })),
            "RulesPerSecurityGroupLimitExceeded" => {
                (Kind::Quota, Some(RulesReason::Quota { group: named(), direction: "", there: 0, needed: 0 }))
            }
            "DryRunOperation" => (Kind::WouldWork, None),
            "InvalidSecurityGroupRuleId.NotFound" | "InvalidPermission.NotFound" | "InvalidID" => {
                (Kind::RuleGone, Some(RulesReason::Raced { group: named() }))
            }
            "InvalidParameterCombination" => (Kind::Final, Some(RulesReason::Unchangeable)),
            "InvalidParameterValue" | "InvalidPermission.Malformed" | "MissingParameter" | "InvalidSecurityGroupRuleId.Malformed" => {
                (Kind::Final, Some(RulesReason::Malformed))
            }
            "UnauthorizedOperation" => (Kind::Final, Some(RulesReason::Denied { group: named(), denial: answer.denial() })),
            _ => (Kind::Final, None),
        };
        let refusal = match reason {
            Some(reason) => answer.refusal(action, Reason::Rules(reason)),
            None => answer.refusal_of_account(action),
        };
        Self { kind, refusal }
    }
}

/// The peer that a message names.
fn peer(message: &str, group: &GroupId, entries: &[Entry]) -> Option<String> {
    let sources = entries.iter().flat_map(|entry| &entry.sources);
    let ids = sources.filter(|source| !matches!(source, Source::Peer(super::rule::Peer::Cidr(_)))).map(ToString::to_string);
    // EC2 names a group of another account by its bare id.
    let bare = |id: &String| id.rsplit('/').next().unwrap_or_default().to_owned();
    ids.filter(|id| bare(id) != group.as_str()).find(|id| message.contains(&bare(id)))
}

#[cfg(test)]
mod tests {
    use super::super::rule::Direction;
    use super::super::traffic::{Protocol, Traffic};
    use super::*;

    fn failed(code: &str, message: &str) -> (Kind, String) {
        let answer = Answer { ending: Ending::Refused, status: 400, code: code.to_owned(), message: message.to_owned(), region: None };
        let entry = Entry {
            direction: Direction::Ingress,
            name: "ops".to_owned(),
            traffic: Traffic::new(Protocol::All, None).unwrap(),
            description: None,
            sources: ["sg-11111111", "10.0.0.0/8", "123456789012/sg-22222222"].map(|source| source.parse().unwrap()).into(),
        };
        let failed = Failed::of(&answer, "ec2:AuthorizeSecurityGroupIngress", &"sg-1a2b3c4d".parse().unwrap(), &[entry]);
        (failed.kind, failed.refusal.code())
    }

    #[test]
    fn each_code_has_its_way_on() {
        let found = |code, message| failed(code, message);
        assert_eq!(
            found("InvalidGroup.NotFound", "The security group 'sg-1a2b3c4d' does not exist"),
            (Kind::GroupGone, "rules/group-missing".to_owned())
        );
        assert_eq!(
            found("InvalidGroup.NotFound", "The security group 'sg-11111111' does not exist"),
            (Kind::Absent, "rules/peer-missing".to_owned())
        );
        assert_eq!(
            found("InvalidGroup.NotFound", "The security group 'sg-22222222' does not exist"),
            (Kind::Absent, "rules/peer-missing".to_owned()),
            "EC2 names a group of another account by its bare id"
        );
        assert_eq!(found("InvalidSubnetID.NotFound", "…"), (Kind::Absent, "rules/peer-missing".to_owned()));
        assert_eq!(found("InvalidPermission.Duplicate", "…"), (Kind::Duplicate, "rules/raced".to_owned()));
        assert_eq!(found("RulesPerSecurityGroupLimitExceeded", "…"), (Kind::Quota, "rules/quota".to_owned()));
        assert_eq!(found("InvalidSecurityGroupRuleId.NotFound", "…"), (Kind::RuleGone, "rules/raced".to_owned()));
        assert_eq!(found("InvalidParameterValue", "CIDR block x is malformed"), (Kind::Final, "rules/malformed".to_owned()));
        assert_eq!(found("UnauthorizedOperation", "…"), (Kind::Final, "rules/denied".to_owned()));
        assert_eq!(found("RequestLimitExceeded", "…"), (Kind::Final, "account/throttled".to_owned()));
    }
}
