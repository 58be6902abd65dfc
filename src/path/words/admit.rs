//! Words about the door to the first hop: opening it for this machine.

use super::Words;
use crate::path::cause::Cause;
use crate::path::refusal::{Reason, RulesReason};

impl Cause {
    pub(super) fn admit_words(&self) -> Words {
        match self {
            Self::AddressUnknown => Words::new(
                "This machine's address is not known",
                "`admit` opens the bastion's port for this machine alone, and the service that tells its address gave none.",
                [
                    "give it as `admit.address`, or `--admit GROUP=ADDRESS`".to_owned(),
                    "let this machine reach https://checkip.amazonaws.com, or name a service of your own: `aws.endpoints.checkip`, \
                     AWS_ENDPOINT_URL_CHECKIP"
                        .to_owned(),
                ],
            ),
            Self::NotAdmitted { refusal } => {
                let summary = match self.slug() {
                    "denied" => "AWS denies that this machine is admitted to the bastion",
                    "group-missing" => "The security group that is to admit this machine does not exist",
                    "group-full" => "The security group has no room to admit this machine",
                    "no-credentials" => "This machine cannot be admitted without an AWS account",
                    _ => "This machine could not be admitted to the bastion",
                };
                let (means, mut remedies) = match &refusal.reason {
                    Reason::Rules(RulesReason::GroupMissing { group }) => (
                        format!("EC2 knows no `{group}` in this region and account."),
                        vec!["correct `admit.security_group_id`".to_owned(), "correct the region: `aws = { region = \"…\" }`".to_owned()],
                    ),
                    Reason::Rules(RulesReason::Quota { group, there, .. }) => (
                        format!(
                            "`{group}` holds {there} ingress rules already, and EC2 takes no more. The quota is 60 unless it was raised."
                        ),
                        vec!["raise the quota: Service Quotas, Amazon VPC, inbound or outbound rules per security group".to_owned()],
                    ),
                    _ => (refusal.means(), refusal.remedies()),
                };
                remedies.push("or leave `admit` out, and admit this machine's address by a rule of your own".to_owned());
                Words { summary, means, remedies }
            }
            _ => self.ended_words(),
        }
    }
}
