//! A denial as far as AWS tells it: the action that is not allowed, on what, and which kind of policy decided so.

/// How much of AWS's message is read. The sentence stands at its start; what may follow is an encoded blob.
const WINDOW: usize = 4096;

/// The longest name of an action; IAM's own limit is 128 with the service in front.
const LONGEST_ACTION: usize = 128;

/// The longest ARN that is shown; longer ones exist only for object keys, which the message names by itself.
const LONGEST_RESOURCE: usize = 256;

/// Introduces the policy that denies.
const DENIES: &str = "with an explicit deny in ";

/// What AWS's sentence names. Nothing, where AWS only says "Access Denied".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Denial(Option<Box<Named>>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Named {
    /// `ec2:CreateTags`; it need not be the call's own.
    action: String,
    /// The ARN.
    resource: Option<String>,
    decided: Option<Decided>,
    /// The ARN of the policy that decided.
    policy: Option<String>,
}

/// Which policy decided, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decided {
    /// No policy of this kind allows the action.
    NotAllowed(Policy),
    /// A policy of this kind denies it, whatever others allow.
    Forbidden(Policy),
}

/// The kinds of policies, as AWS names them in its sentences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Policy {
    Identity,
    Resource,
    Boundary,
    Session,
    ServiceControl,
    ResourceControl,
    Endpoint,
    Trust,
}

impl Policy {
    const ALL: [Self; 8] = [
        Self::Identity,
        Self::Resource,
        Self::Boundary,
        Self::Session,
        Self::ServiceControl,
        Self::ResourceControl,
        Self::Endpoint,
        Self::Trust,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity-based policy",
            Self::Resource => "resource-based policy",
            Self::Boundary => "permissions boundary",
            Self::Session => "session policy",
            Self::ServiceControl => "service control policy",
            Self::ResourceControl => "resource control policy",
            Self::Endpoint => "VPC endpoint policy",
            Self::Trust => "role trust policy",
        }
    }

    /// Where a person finds it.
    const fn place(self) -> &'static str {
        match self {
            Self::Identity => "in the identity's policy",
            Self::Resource => "in the policy of the bucket or KMS key itself",
            Self::Boundary => "in the permissions boundary of the user or role",
            Self::Session => "in the session policy that was passed when the role was assumed",
            Self::ServiceControl => "in the service control policies of the organization, through its administrator",
            Self::ResourceControl => "in the resource control policies of the organization, through its administrator",
            Self::Endpoint => "in the policy of the VPC endpoint through which the calls leave",
            Self::Trust => "in the trust policy of the role",
        }
    }
}

impl Denial {
    /// Reads AWS's sentence: "User: ARN is not authorized to perform: ACTION on resource: ARN because no … policy allows the ACTION action",
    /// or "… with an explicit deny in a … policy" ([forms](https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html)).
    #[must_use]
    pub fn read(message: &str) -> Self {
        let message = message.get(..message.floor_char_boundary(WINDOW)).unwrap_or_default();
        let Some((_, rest)) = message.split_once("not authorized to perform: ") else { return Self::default() };
        let Some(action) = word(rest, LONGEST_ACTION).filter(|word| is_action(word)) else { return Self::default() };
        let resource = rest.split_once(" on resource: ").and_then(|(_, rest)| word(rest, LONGEST_RESOURCE)).filter(|word| is_arn(word));
        let kind = |introduction| rest.split_once(introduction).and_then(|(_, named)| policy(named));
        let forbidden = kind(DENIES).map(Decided::Forbidden);
        let decided = forbidden.or_else(|| kind("because no ").map(Decided::NotAllowed));
        let policy = rest.split_once(DENIES).and_then(|(_, named)| named.split_once(": ")).and_then(|(_, arn)| word(arn, LONGEST_RESOURCE));
        Self(Some(Box::new(Named {
            action: action.to_owned(),
            resource: resource.map(ToOwned::to_owned),
            decided,
            policy: policy.filter(|word| is_arn(word)).map(ToOwned::to_owned),
        })))
    }

    /// The action that was denied, if AWS names it.
    #[must_use]
    pub fn action(&self) -> Option<&str> {
        self.0.as_ref().map(|named| &*named.action)
    }

    /// The ARN that it was denied on, if AWS names it.
    #[must_use]
    pub fn resource(&self) -> Option<&str> {
        self.0.as_ref()?.resource.as_deref()
    }

    /// One sentence: what was denied, and by what. `None` if AWS says neither.
    pub(super) fn means(&self) -> Option<String> {
        let Named { action, decided, .. } = self.0.as_deref()?;
        Some(match decided {
            Some(Decided::NotAllowed(policy)) => format!("{action} is denied: no {} allows it.", policy.name()),
            Some(Decided::Forbidden(policy)) => {
                format!("{action} is denied: an explicit deny ({}) overrides every allow.", policy.name())
            }
            None => format!("{action} is denied."),
        })
    }

    /// What lifts exactly this denial. `None` if AWS does not name the action.
    pub(super) fn remedy(&self) -> Option<String> {
        let Named { action, resource, decided, policy: arn } = self.0.as_deref()?;
        let on = resource.as_ref().map(|resource| format!(" on {resource}")).unwrap_or_default();
        let arn = arn.as_ref().map(|arn| format!(": {arn}")).unwrap_or_default();
        Some(match decided {
            Some(Decided::NotAllowed(policy)) => format!("allow {action}{on} {}", policy.place()),
            Some(Decided::Forbidden(policy)) => format!("lift the explicit deny of {action}{on} {}{arn}", policy.place()),
            None => format!("allow {action}{on}"),
        })
    }

    /// Whether AWS said which policy decided: then no other cause has to be considered.
    #[must_use]
    pub fn is_decided(&self) -> bool {
        self.0.as_ref().is_some_and(|named| named.decided.is_some())
    }
}

/// The kind that a text begins with, after its article.
fn policy(text: &str) -> Option<Policy> {
    let text = ["a ", "an ", "the "].iter().find_map(|article| text.strip_prefix(article)).unwrap_or(text);
    Policy::ALL.into_iter().find(|policy| text.starts_with(policy.name()))
}

/// The first word, without quotation marks and the full stop behind it.
fn word(text: &str, longest: usize) -> Option<&str> {
    let word = text.split_whitespace().next()?.trim_matches('"').trim_end_matches('.');
    (word.len() <= longest).then_some(word)
}

/// `ec2:CreateTags`.
fn is_action(word: &str) -> bool {
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    word.split_once(':').is_some_and(|(service, action)| plain(service) && plain(action))
}

/// What comes from a peer and is to be pasted has no character but those of an ARN.
fn is_arn(word: &str) -> bool {
    word.starts_with("arn:") && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":/-_*.+=,@".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: &str = "User: arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Admin_0123456789abcdef/jane.doe@example.com";

    fn read(rest: &str) -> Denial {
        Denial::read(&format!("{USER} is not authorized to perform: {rest}"))
    }

    #[test]
    fn action_resource_and_policy_are_read_from_the_sentence() {
        let rest = "ec2:CreateTags on resource: arn:aws:ec2:us-west-2:123456789012:security-group-rule/* because no identity-based policy \
                    allows the ec2:CreateTags action. Encoded authorization failure message: 4GIOHlTkIaWHQD0Q0m6XSnuUMCm";
        let denial = read(rest);
        assert_eq!(denial.means().unwrap(), "ec2:CreateTags is denied: no identity-based policy allows it.");
        assert_eq!(
            denial.remedy().unwrap(),
            "allow ec2:CreateTags on arn:aws:ec2:us-west-2:123456789012:security-group-rule/* in the identity's policy"
        );
        let denial =
            read("s3:PutObject on resource: \"arn:aws:s3:::b/public-keys/x.pub\" with an explicit deny in a resource-based policy");
        assert_eq!(denial.means().unwrap(), "s3:PutObject is denied: an explicit deny (resource-based policy) overrides every allow.");
        assert_eq!(denial.resource(), Some("arn:aws:s3:::b/public-keys/x.pub"));
        // Since 2026, AWS names the very policy where it may be known.
        let arn = "arn:aws:organizations::123456789012:policy/o-abc/service_control_policy/p-def";
        let denial = read(&format!("ec2:X on resource: arn:aws:ec2:::* with an explicit deny in a service control policy: {arn}. Encoded"));
        assert!(denial.remedy().unwrap().ends_with(&format!("through its administrator: {arn}")), "{denial:?}");
        // Some calls name no resource.
        let denial = read("ec2:DescribeSecurityGroups because no identity-based policy allows the ec2:DescribeSecurityGroups action");
        assert_eq!(denial.remedy().unwrap(), "allow ec2:DescribeSecurityGroups in the identity's policy");
    }

    #[test]
    fn each_kind_of_policy_has_its_remedy() {
        let mut remedies = Vec::new();
        for policy in Policy::ALL {
            for rest in ["because no", "with an explicit deny in a", "with an explicit deny in an", "with an explicit deny in the"] {
                let denial = read(&format!("s3:GetObject on resource: arn:aws:s3:::b/k {rest} {}", policy.name()));
                assert!(denial.is_decided(), "{rest} {}", policy.name());
                remedies.push(format!("{}\n  {}", denial.means().unwrap(), denial.remedy().unwrap()));
            }
        }
        remedies.dedup();
        insta::assert_snapshot!(remedies.join("\n"));
    }

    #[test]
    fn what_aws_does_not_say_is_not_made_up() {
        assert_eq!(Denial::read("Access Denied"), Denial::default());
        assert_eq!(
            Denial::read("You are not authorized to perform this operation. Encoded authorization failure message: x"),
            Denial::default()
        );
        // KMS does not decide between three causes.
        let rest = "kms:GenerateDataKey on resource: arn:aws:kms:us-west-2:1:key/2 because the resource does not exist in this Region, no \
                    resource-based policies allow access, or a resource-based policy explicitly denies access";
        let denial = read(rest);
        assert!(!denial.is_decided());
        assert_eq!((denial.action(), denial.resource()), (Some("kms:GenerateDataKey"), Some("arn:aws:kms:us-west-2:1:key/2")));
    }

    #[test]
    fn a_hostile_sentence_has_no_say() {
        assert_eq!(read("\u{1b}[2Jec2:X"), Denial::default());
        assert_eq!(read(&format!("ec2:{}", "a".repeat(10_000))), Denial::default());
        assert_eq!(Denial::read(&format!("{}not authorized to perform: ec2:X", "é".repeat(10_000))), Denial::default());
        assert_eq!(read("ec2:X on resource: arn:aws:`rm` because no").resource(), None);
    }
}
