//! An identity's whole policy: what it allows, and Amazon's sentences for what it does not.

use anyhow::{Context, Result, bail};
use hyper::StatusCode;
use serde_json::Value;

use super::call::Refusal;

/// How long the blob of EC2's denials is, in characters: some 500 to 1,500 are seen.
const BLOB: usize = 700;

/// An identity-based policy of `Allow` statements, as IAM takes it in JSON. What it does not name is denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Patterns of an action and of the resources that it is allowed on.
    allowed: Vec<(String, Vec<String>)>,
}

impl Policy {
    /// Reads a policy document.
    ///
    /// # Errors
    /// It is none, or has what the lab does not evaluate: `Deny`, conditions, `NotAction`.
    pub fn parse(json: &str) -> Result<Policy> {
        let document: Value = serde_json::from_str(json).context("the policy is no JSON")?;
        if document["Version"] != "2012-10-17" {
            bail!("the policy's version is not 2012-10-17");
        }
        let mut allowed = Vec::new();
        for statement in document["Statement"].as_array().context("the policy has no list of statements")? {
            let fields = statement.as_object().context("a statement is no object")?;
            if let Some(other) = fields.keys().find(|key| !["Sid", "Effect", "Action", "Resource"].contains(&key.as_str())) {
                bail!("the lab does not evaluate {other}");
            }
            if statement["Effect"] != "Allow" {
                bail!("the lab evaluates Allow alone");
            }
            let resources = texts(&statement["Resource"])?;
            allowed.extend(texts(&statement["Action"])?.into_iter().map(|action| (action, resources.clone())));
        }
        Ok(Policy { allowed })
    }

    /// The actions that it names.
    pub fn actions(&self) -> Vec<String> {
        self.allowed.iter().map(|(action, _)| action.clone()).collect()
    }

    /// The same policy but for one action.
    pub fn without(mut self, action: &str) -> Policy {
        self.allowed.retain(|(other, _)| other != action);
        self
    }

    /// What both allow.
    pub fn and(mut self, other: Policy) -> Policy {
        self.allowed.extend(other.allowed);
        self
    }

    pub(super) fn allows(&self, action: &str, resource: &str) -> bool {
        self.allowed.iter().any(|(name, resources)| fits(name, action) && resources.iter().any(|pattern| fits(pattern, resource)))
    }
}

/// The sentence for a permission that no policy of the caller's gives.
pub(super) fn sentence(account: &str, permission: &str, on: &str) -> String {
    format!(
        "User: arn:aws:iam::{account}:user/lab is not authorized to perform: {permission}{on} because no identity-based policy allows the \
         {permission} action"
    )
}

/// EC2's refusal: the sentence in the middle, and a blob that only Amazon decodes behind it.
pub(super) fn unauthorized(account: &str, permission: &str, resource: &str) -> Refusal {
    let on = if resource == "*" { String::new() } else { format!(" on resource: {resource}") };
    let blob: String = std::iter::repeat_with(fastrand::alphanumeric).take(BLOB).collect();
    let message = format!(
        "You are not authorized to perform this operation. {}. Encoded authorization failure message: {blob}",
        sentence(account, permission, &on)
    );
    Refusal::with(StatusCode::FORBIDDEN, "UnauthorizedOperation", message)
}

/// One text, or a list of them.
fn texts(value: &Value) -> Result<Vec<String>> {
    match value {
        Value::String(text) => Ok(vec![text.clone()]),
        Value::Array(list) => list.iter().map(|text| Ok(text.as_str().context("no text")?.to_owned())).collect(),
        _ => bail!("neither a text nor a list of texts: {value}"),
    }
}

/// Whether a pattern with `*` covers a text.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text
            .strip_prefix(start)
            .is_some_and(|end| end.char_indices().map(|(at, _)| at).chain([end.len()]).any(|at| fits(rest, &end[at..]))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_allows_what_it_names_and_nothing_else() {
        let policy = Policy::parse(
            r#"{"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "arn:aws:s3:::b/public-keys/*"},
                {"Effect": "Allow", "Action": "ec2:Describe*", "Resource": "*"}]}"#,
        )
        .unwrap();
        assert!(policy.allows("s3:GetObject", "arn:aws:s3:::b/public-keys/a/b"));
        assert!(!policy.allows("s3:GetObject", "arn:aws:s3:::b/other"));
        assert!(!policy.allows("s3:DeleteObject", "arn:aws:s3:::b/public-keys/a"));
        assert!(policy.allows("ec2:DescribeSubnets", "*"));
        assert!(!policy.clone().without("s3:GetObject").allows("s3:GetObject", "arn:aws:s3:::b/public-keys/a"));
        assert_eq!(policy.actions(), ["s3:GetObject", "s3:PutObject", "ec2:Describe*"]);
    }

    #[test]
    fn what_is_not_evaluated_is_no_policy() {
        for statement in [
            r#"{"Effect": "Deny", "Action": "*", "Resource": "*"}"#,
            r#"{"Effect": "Allow", "NotAction": "*", "Resource": "*"}"#,
            r#"{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {}}"#,
            r#"{"Effect": "Allow", "Action": 1, "Resource": "*"}"#,
        ] {
            assert!(Policy::parse(&format!(r#"{{"Version": "2012-10-17", "Statement": [{statement}]}}"#)).is_err(), "{statement}");
        }
        assert!(Policy::parse("{}").is_err());
    }
}
