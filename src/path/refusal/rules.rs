//! Words about the bastion's security group and its rules.

use crate::path::words::Words;

/// What is wrong with the security group or a rule in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RulesReason {
    /// There is no such security group.
    GroupMissing {
        /// `sg-…`
        group: String,
    },
}

impl RulesReason {
    pub(super) const fn slug(&self) -> &'static str {
        match self {
            Self::GroupMissing { .. } => "group-missing",
        }
    }

    pub(super) fn words(&self, _action: &str) -> Words {
        match self {
            Self::GroupMissing { group } => Words::new(
                "The security group does not exist",
                format!("EC2 knows no `{group}` in this region and account."),
                ["correct `security_group_id`".to_owned(), "correct the region: `aws = { region = \"…\" }`".to_owned()],
            ),
        }
    }

    #[cfg(test)]
    pub(super) fn samples() -> Vec<Self> {
        vec![Self::GroupMissing { group: "sg-0123456789abcdef0".to_owned() }]
    }
}
