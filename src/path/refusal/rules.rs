//! Words about the bastion's security group and its rules.

use super::account::{OTHER_POLICIES, REGION};
use super::denial::Denial;
use crate::path::words::Words;

/// What is wrong with the security group or a rule in it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RulesReason {
    /// There is no such security group.
    GroupMissing {
        /// `sg-…`
        group: String,
    },
    /// There is no such security group, though state holds rules of it.
    GroupLost {
        /// `sg-…`
        group: String,
        /// Where it was looked for.
        region: String,
        /// Whose it would be, if that could be asked.
        account: Option<String>,
    },
    /// No rule of the group bears the mark of this owner.
    OwnerMissing {
        /// `sg-…`
        group: String,
        /// Who was asked for.
        owner: String,
        /// Who there is.
        found: Vec<String>,
    },
    /// Rules of the group bear the marks of several owners, and none was named.
    SeveralOwners {
        /// `sg-…`
        group: String,
        /// Who there is.
        found: Vec<String>,
    },
    /// A security group, prefix list or subnet that a rule names does not exist.
    PeerMissing {
        /// `sg-…`, `pl-…`, `subnet-…`; empty if EC2 did not say.
        peer: String,
    },
    /// The group can hold no more rules.
    Quota {
        /// `sg-…`
        group: String,
        /// `ingress`, `egress`.
        direction: &'static str,
        /// How many rules it holds in that direction.
        there: usize,
        /// How many more are needed, after every rule that could be changed in place was.
        needed: usize,
    },
    /// EC2 does not take a rule as it is.
    Malformed,
    /// The identity may not make this call.
    Denied {
        /// `sg-…`
        group: String,
        /// What AWS says of it.
        denial: Denial,
    },
    /// Somebody else makes and removes the same rules at the same time.
    Raced {
        /// `sg-…`
        group: String,
    },
    /// EC2 has taken new rules and does not show them.
    Unseen {
        /// `sg-…`
        group: String,
    },
    /// The list of the group's rules does not end.
    Endless {
        /// `sg-…`
        group: String,
    },
    /// EC2 does not take this description, type or peer as a change of a rule.
    Unchangeable,
}

impl RulesReason {
    pub(super) const fn slug(&self) -> &'static str {
        match self {
            Self::GroupMissing { .. } => "group-missing",
            Self::GroupLost { .. } => "group-lost",
            Self::OwnerMissing { .. } => "owner-missing",
            Self::SeveralOwners { .. } => "several-owners",
            Self::Endless { .. } => "endless",
            Self::PeerMissing { .. } => "peer-missing",
            Self::Quota { .. } => "quota",
            Self::Malformed => "malformed",
            Self::Denied { .. } => "denied",
            Self::Raced { .. } => "raced",
            Self::Unseen { .. } => "unseen",
            Self::Unchangeable => "unchangeable",
        }
    }

    pub(super) fn words(&self, action: &str) -> Words {
        match self {
            Self::GroupMissing { group } => Words::new(
                "The security group does not exist",
                format!("EC2 knows no `{group}` in this region and account, and did not learn of it within a minute."),
                ["correct the id: `security_group_id`".to_owned(), REGION.to_owned()],
            ),
            Self::PeerMissing { peer } => Words::new(
                "A peer does not exist",
                if peer.is_empty() {
                    "EC2 does not know a security group, prefix list or subnet that a rule names.".to_owned()
                } else {
                    format!("EC2 knows no `{peer}` in this region and account, and did not learn of it within a minute.")
                },
                [
                    "correct it in `peers`".to_owned(),
                    "ids differ from region to region, those of Amazon's prefix lists too: find them by name".to_owned(),
                    "a group of another VPC needs a peering connection".to_owned(),
                ],
            ),
            Self::Quota { group, direction, there, needed } => Words::new(
                "The security group can hold no more rules",
                format!(
                    "`{group}` holds {there} {direction} rules, and the change needs room for {needed} more. Rules that still let a wanted \
                     peer through were left in place. The quota is 60 a direction unless it was raised, IPv4 and IPv6 counted apart; \
                     a prefix list counts as many rules as it may have entries."
                ),
                [
                    "raise the quota: Service Quotas, Amazon VPC, inbound or outbound rules per security group".to_owned(),
                    "or cover several addresses by one CIDR block".to_owned(),
                    "or spread the peers over two security groups of the bastion".to_owned(),
                ],
            ),
            Self::Denied { group, denial } => denied(group, denial, action),
            _ => self.owner_words().unwrap_or_else(|| self.change_words()),
        }
    }

    fn owner_words(&self) -> Option<Words> {
        let words = match self {
            Self::GroupLost { group, region, account } => {
                let account = account
                    .as_ref()
                    .map_or_else(|| "an account that did not tell its number".to_owned(), |account| format!("account {account}"));
                Words::new(
                    "The security group is not found, and state holds rules of it",
                    format!("EC2 knows no `{group}` in region {region} of {account}. A wrong region or account looks just like this."),
                    [
                        "correct the region, profile or role: `aws = { region = \"…\" }`, AWS_REGION, AWS_PROFILE".to_owned(),
                        "if the group is really gone: terraform state rm ADDRESS".to_owned(),
                        "or, to destroy everything: terraform destroy -refresh=false".to_owned(),
                    ],
                )
            }
            Self::OwnerMissing { group, owner, found } => Words::new(
                "The group has no rules of this owner",
                format!("No rule of `{group}` is tagged `bastion-owner/{owner}`. {}", owners(found)),
                [format!("import `{group}/OWNER` with an owner that there is"), format!("see all marked rules: bastion leftovers {group}")],
            ),
            Self::SeveralOwners { group, found } => Words::new(
                "The group has rules of several owners",
                format!("The id has to say which of them is imported. {}", owners(found)),
                [format!("import `{group}/OWNER`"), format!("see all marked rules: bastion leftovers {group}")],
            ),
            Self::Endless { group } => Words::new(
                "The list of the group's rules does not end",
                format!("EC2 gave more pages of the rules of `{group}` than a group can have. An incomplete list is not used."),
                ["try again".to_owned(), "where another endpoint than Amazon's is set, check the service behind it".to_owned()],
            ),
            _ => return None,
        };
        Some(words)
    }

    fn change_words(&self) -> Words {
        match self {
            Self::Malformed => Words::new(
                "EC2 does not take a rule",
                "It is right by what this provider knows, and EC2 says otherwise.",
                [
                    "what EC2 says above names the part: peer, ports, protocol or description".to_owned(),
                    "protocol icmpv6 wants IPv6 peers".to_owned(),
                ],
            ),
            Self::Raced { group } => Words::new(
                "Somebody else changes the same rules",
                format!("EC2 says that a rule of `{group}` exists already, and does not show it."),
                [
                    "apply again".to_owned(),
                    "find who else manages this group's rules: inline rules of an `aws_security_group` remove all others".to_owned(),
                ],
            ),
            Self::Unseen { group } => Words::new(
                "The new rules do not show yet",
                format!(
                    "EC2 took new rules for `{group}` and does not show them. The old ones were left in place, so nobody is locked out."
                ),
                ["apply again: what was made is found again".to_owned()],
            ),
            _ => Words::new(
                "A rule cannot be changed in place",
                "EC2 does not take the change of an existing rule.",
                [
                    "what EC2 says above names the part".to_owned(),
                    "make head-room in the quota, so that rules can be added before old ones go".to_owned(),
                ],
            ),
        }
    }

    /// One of each, for the docs and the tests.
    pub(super) fn examples() -> Vec<Self> {
        let group = || "sg-0123456789abcdef0".to_owned();
        vec![
            Self::GroupMissing { group: group() },
            Self::GroupLost { group: group(), region: "us-west-2".to_owned(), account: Some("123456789012".to_owned()) },
            Self::OwnerMissing { group: group(), owner: "neosync/prod".to_owned(), found: vec!["neosync/dev".to_owned()] },
            Self::SeveralOwners { group: group(), found: vec!["neosync/dev".to_owned(), "neosync/prod".to_owned()] },
            Self::Endless { group: group() },
            Self::PeerMissing { peer: "pl-68a54001".to_owned() },
            Self::Quota { group: group(), direction: "ingress", there: 60, needed: 3 },
            Self::Malformed,
            Self::Denied {
                group: group(),
                denial: Denial::read(
                    "not authorized to perform: ec2:CreateTags on resource: arn:aws:ec2:us-west-2:123456789012:security-group-rule/* because \
                     no identity-based policy allows the ec2:CreateTags action",
                ),
            },
            Self::Raced { group: group() },
            Self::Unseen { group: group() },
            Self::Unchangeable,
        ]
    }
}

fn denied(group: &str, denial: &Denial, action: &str) -> Words {
    let allow = || format!("allow {action} on the group, and on arn:aws:ec2:*:*:security-group-rule/*");
    let mut remedies = vec![denial.remedy().unwrap_or_else(allow)];
    if denial.action().is_none() {
        remedies.push("making a rule also needs ec2:CreateTags on security-group-rule/*: each rule is tagged as it is made".to_owned());
    }
    remedies.push("see who it is: aws sts get-caller-identity".to_owned());
    if !denial.is_decided() {
        remedies.push(OTHER_POLICIES.to_owned());
    }
    Words {
        summary: "AWS denies a change of the security group's rules",
        means: match denial.means() {
            Some(means) => format!("{means} It was needed for `{group}`."),
            None => format!("The identity in use may not do this to `{group}`."),
        },
        remedies,
    }
}

/// The owners that there are, as many as fit.
fn owners(found: &[String]) -> String {
    const MOST: usize = 10;
    let listed = found.iter().take(MOST).map(|owner| format!("`{owner}`")).collect::<Vec<_>>().join(", ");
    match found.len() {
        0 => "No rule of it bears a mark of this provider.".to_owned(),
        count if count > MOST => format!("Owners: {listed} and {} more.", count - MOST),
        _ => format!("Owners: {listed}."),
    }
}
