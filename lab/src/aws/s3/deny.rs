//! Who may not do what: the part of Amazon's policies that the lab has.

use hyper::StatusCode;

use super::super::{
    call::Refusal,
    policy::{self, Policy},
};

/// A permission that is taken away, from everybody and for everything unless told otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deny {
    permission: String,
    access_key: Option<String>,
    resource: String,
}

impl Deny {
    /// By its name in policies: `s3:PutObject`, `s3:ListBucket`, `kms:GenerateDataKey`, `kms:Decrypt`.
    pub fn of(permission: &str) -> Deny {
        Deny { permission: permission.into(), access_key: None, resource: String::new() }
    }

    /// To the holder of that access key alone.
    pub fn to(self, access_key: &str) -> Deny {
        Deny { access_key: Some(access_key.into()), ..self }
    }

    /// On resources alone whose ARN has this piece: a bucket, an object's key, a KMS key.
    pub fn on(self, resource: &str) -> Deny {
        Deny { resource: resource.into(), ..self }
    }

    fn hits(&self, access_key: &str, permission: &str, resource: &str) -> bool {
        self.permission == permission
            && self.access_key.as_ref().is_none_or(|denied| denied == access_key)
            && resource.contains(&self.resource)
    }
}

/// # Errors
/// AccessDenied in Amazon's words, where one of the denials fits or the policy does not allow it.
pub(super) fn check(
    denials: &[Deny],
    policy: Option<&Policy>,
    account: &str,
    access_key: &str,
    permission: &str,
    resource: &str,
) -> Result<(), Refusal> {
    let denied = denials.iter().any(|deny| deny.hits(access_key, permission, resource));
    if !denied && policy.is_none_or(|policy| policy.allows(permission, resource)) {
        return Ok(());
    }
    // S3 puts its own resources into quotes, and not those of KMS.
    let resource = if resource.starts_with("arn:aws:s3:") { format!("\"{resource}\"") } else { resource.to_owned() };
    let message = policy::sentence(account, permission, &format!(" on resource: {resource}"));
    Err(Refusal::with(StatusCode::FORBIDDEN, "AccessDenied", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_has_a_permission_a_caller_and_a_resource() {
        let denials = [Deny::of("kms:Decrypt").to("AKIA1").on("key/1")];
        let code = |access_key, permission, resource| check(&denials, None, "123456789012", access_key, permission, resource).err();
        let refusal = code("AKIA1", "kms:Decrypt", "arn:aws:kms:us-west-2:123456789012:key/1").unwrap();
        assert_eq!(
            refusal.message,
            "User: arn:aws:iam::123456789012:user/lab is not authorized to perform: kms:Decrypt on resource: \
             arn:aws:kms:us-west-2:123456789012:key/1 because no identity-based policy allows the kms:Decrypt action"
        );
        assert_eq!(code("AKIA2", "kms:Decrypt", "key/1"), None);
        assert_eq!(code("AKIA1", "kms:GenerateDataKey", "key/1"), None);
        assert_eq!(code("AKIA1", "kms:Decrypt", "key/2"), None);
    }
}
