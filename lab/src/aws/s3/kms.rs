//! The keys that objects are encrypted with, as far as S3 shows them.

use std::collections::HashMap;

use super::super::{call::Refusal, xml};

/// The alias of the key that S3 uses for `aws:kms` without a key id.
const AMAZONS: &str = "alias/aws/s3";

/// How S3 encrypts an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Encryption {
    /// With a key of its own, unless told otherwise.
    Aes256,
    /// With a key of KMS, by its ARN.
    Kms(String),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    Enabled,
    Disabled,
}

/// All keys of an account, by ARN, and the names that are given to them.
#[derive(Default)]
pub(super) struct Keys {
    keys: HashMap<String, Condition>,
    /// By region and alias.
    aliases: HashMap<(String, String), String>,
}

impl Keys {
    /// A new key; gives its ARN.
    pub(super) fn make(&mut self, account: &str, region: &str) -> String {
        let arn = format!("arn:aws:kms:{region}:{account}:key/{}", xml::request_id());
        self.keys.insert(arn.clone(), Condition::Enabled);
        arn
    }

    pub(super) fn name(&mut self, arn: &str, region: &str, alias: &str) {
        self.aliases.insert((region.to_owned(), alias.to_owned()), arn.to_owned());
    }

    /// False: there is no such key.
    pub(super) fn set(&mut self, arn: &str, condition: Condition) -> bool {
        self.keys.get_mut(arn).map(|old| *old = condition).is_some()
    }

    pub(super) fn remove(&mut self, arn: &str) -> bool {
        self.keys.remove(arn).is_some()
    }

    /// The ARN of Amazon's own key for S3, which comes into being when it is first asked for.
    pub(super) fn amazons(&mut self, account: &str, region: &str) -> String {
        let name = (region.to_owned(), AMAZONS.to_owned());
        if let Some(arn) = self.aliases.get(&name) {
            return arn.clone();
        }
        let arn = self.make(account, region);
        self.aliases.insert(name, arn.clone());
        arn
    }

    /// The ARN of the key that is meant by an ARN, an id, an alias or an alias's ARN.
    pub(super) fn find(&mut self, given: &str, account: &str, region: &str) -> Result<String, Refusal> {
        let base = format!("arn:aws:kms:{region}:{account}:");
        let name = given.strip_prefix(&base).unwrap_or(given);
        let arn = match name {
            AMAZONS => self.amazons(account, region),
            alias if alias.starts_with("alias/") => {
                let found = self.aliases.get(&(region.to_owned(), alias.to_owned())).cloned();
                found.ok_or_else(|| not_found(&format!("Alias {base}{alias} is not found.")))?
            }
            // Another region's key is none, whether it exists there or not.
            other if other.starts_with("arn:") && !other.contains(&format!(":kms:{region}:")) => {
                return Err(not_found(&format!("Invalid arn {region}")));
            }
            other if other.starts_with("arn:") => other.to_owned(),
            id => format!("{base}{}{id}", if id.starts_with("key/") { "" } else { "key/" }),
        };
        self.usable(&arn).map(|()| arn)
    }

    /// # Errors
    /// The key is gone or disabled.
    pub(super) fn usable(&self, arn: &str) -> Result<(), Refusal> {
        match self.keys.get(arn) {
            Some(Condition::Enabled) => Ok(()),
            Some(Condition::Disabled) => Err(Refusal::new("KMS.DisabledException", format!("{arn} is disabled."))),
            None => Err(not_found(&format!("Key '{arn}' does not exist"))),
        }
    }
}

fn not_found(message: &str) -> Refusal {
    Refusal::new("KMS.NotFoundException", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: &str = "123456789012";

    #[test]
    fn a_key_is_found_by_all_its_names_while_it_is_enabled() {
        let mut keys = Keys::default();
        let arn = keys.make(ACCOUNT, "us-west-2");
        keys.name(&arn, "us-west-2", "alias/mine");
        let id = arn.rsplit('/').next().unwrap().to_owned();
        let alias_arn = format!("arn:aws:kms:us-west-2:{ACCOUNT}:alias/mine");
        for name in [&arn, &id, "alias/mine", &alias_arn] {
            assert_eq!(keys.find(name, ACCOUNT, "us-west-2").as_ref(), Ok(&arn), "{name}");
        }
        assert_eq!(keys.find(&arn, ACCOUNT, "us-east-1").unwrap_err().code, "KMS.NotFoundException");
        assert!(keys.set(&arn, Condition::Disabled));
        assert_eq!(keys.find(&id, ACCOUNT, "us-west-2").unwrap_err().code, "KMS.DisabledException");
        assert!(keys.remove(&arn) && !keys.remove(&arn) && !keys.set(&arn, Condition::Enabled));
        assert_eq!(keys.find(&arn, ACCOUNT, "us-west-2").unwrap_err().code, "KMS.NotFoundException");
        assert_eq!(keys.find("alias/other", ACCOUNT, "us-west-2").unwrap_err().code, "KMS.NotFoundException");
    }

    #[test]
    fn amazons_own_key_is_there_when_it_is_wanted() {
        let mut keys = Keys::default();
        let arn = keys.find(AMAZONS, ACCOUNT, "us-west-2").unwrap();
        assert_eq!(keys.amazons(ACCOUNT, "us-west-2"), arn);
        assert_ne!(keys.amazons(ACCOUNT, "eu-west-1"), arn);
    }
}
