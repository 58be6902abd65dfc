//! The names that lead to a login's object, each parsed once: bucket, prefix, login.

use std::fmt;
use std::str::FromStr;

/// Where the sync job of Guimove's module looks. An object anywhere else is never seen, and nothing says so.
pub const PREFIX: &str = "public-keys/";

/// The longest login that `adduser` makes on the bastion; it fails silently beyond.
const LONGEST_USER: usize = 32;

/// The longest key that S3 takes, in bytes.
const LONGEST_KEY: usize = 1024;

/// Logins that exist on Amazon Linux (and on the images that people use in its place): the sync job leaves them alone for ever.
const RESERVED: [&str; 41] = [
    "adm",
    "admin",
    "bin",
    "centos",
    "chrony",
    "daemon",
    "dbus",
    "debian",
    "ec2-instance-connect",
    "ec2-user",
    "fedora",
    "ftp",
    "games",
    "halt",
    "libstoragemgmt",
    "lp",
    "mail",
    "man",
    "news",
    "nfsnobody",
    "nobody",
    "operator",
    "polkitd",
    "postfix",
    "postgres",
    "rngd",
    "root",
    "rpc",
    "rpcuser",
    "shutdown",
    "ssm-user",
    "sshd",
    "sync",
    "sys",
    "systemd-network",
    "systemd-resolve",
    "tcpdump",
    "ubuntu",
    "uucp",
    "rocky",
    "www-data",
];

/// Why a name cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No bucket has such a name.
    #[error("this is not the name of a bucket: 3 to 63 lower-case letters, digits, dots and hyphens, a letter or digit first and last")]
    Bucket,
    /// Whole file names instead of logins.
    #[error("the bastion drops every .pub from an object's name, so this would become another login; leave .pub out")]
    UserWithSuffix,
    /// No login's object.
    #[error("the object of a login ends in .pub: \"{0}.pub\"")]
    KeyWithoutSuffix(String),
    /// Not what the sync job takes.
    #[error("the bastion skips it in silence: a login there is a lower-case letter, then lower-case letters, digits and hyphens")]
    UserPattern,
    /// More than adduser takes.
    #[error("it has {0} characters, and the bastion makes no login of more than {LONGEST_USER}")]
    UserTooLong(usize),
    /// A login of the machine itself.
    #[error("the login exists on the bastion's machine already, so the keys would be ignored for ever; choose another")]
    UserReserved,
    /// A slash too many.
    #[error("S3 keeps a leading slash, and the bastion never looks there; write it without: \"{0}\"")]
    PrefixLeadingSlash(String),
    /// No slash at its end.
    #[error("it has to end in a slash, \"{0}/\": the login begins after it")]
    PrefixWithoutSlash(String),
    /// Empty or relative parts.
    #[error("S3 keeps //, ./ and ../ as they stand, and the bastion never looks there")]
    PrefixParts,
    /// Something that no key should hold.
    #[error("a prefix is made of letters, digits and - _ . / = +")]
    PrefixPattern,
    /// S3's limit.
    #[error("the key would have {0} bytes, and S3 takes {LONGEST_KEY}")]
    KeyTooLong(usize),
}

/// A bucket's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BucketName(String);

impl BucketName {
    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BucketName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let edge = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        let inner = |byte: &u8| edge(Some(byte)) || matches!(byte, b'.' | b'-');
        let bytes = text.as_bytes();
        let fits = (3..=63).contains(&bytes.len()) && edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(inner);
        let address = text.parse::<std::net::Ipv4Addr>().is_ok();
        if fits && !address && !text.contains("..") { Ok(Self(text.to_owned())) } else { Err(NameError::Bucket) }
    }
}

impl fmt::Display for BucketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A login as the bastion's sync job makes it from an object's name: `^[a-z][-a-z0-9]*$`, at most 32 characters, none of the machine's own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BastionUser(String);

impl BastionUser {
    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BastionUser {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        let rest = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if text.contains(".pub") {
            Err(NameError::UserWithSuffix)
        } else if !first || !rest {
            Err(NameError::UserPattern)
        } else if text.len() > LONGEST_USER {
            Err(NameError::UserTooLong(text.len()))
        } else if RESERVED.contains(&text) {
            Err(NameError::UserReserved)
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

/// What stands before the login in an object's key: empty, or ending in a slash.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Prefix(String);

impl Prefix {
    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Prefix {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '=' | '+');
        if text.starts_with('/') {
            return Err(NameError::PrefixLeadingSlash(text.trim_start_matches('/').to_owned()));
        }
        if !text.chars().all(plain) {
            return Err(NameError::PrefixPattern);
        }
        if !text.is_empty() && !text.ends_with('/') {
            return Err(NameError::PrefixWithoutSlash(text.to_owned()));
        }
        if text.split_terminator('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(NameError::PrefixParts);
        }
        Ok(Self(text.to_owned()))
    }
}

/// The key of a login's object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObjectKey {
    prefix: Prefix,
    user: BastionUser,
}

impl ObjectKey {
    /// `<prefix><user>.pub`
    ///
    /// # Errors
    ///
    /// [`NameError::KeyTooLong`].
    pub fn new(prefix: Prefix, user: BastionUser) -> Result<Self, NameError> {
        let key = Self { prefix, user };
        let length = key.to_string().len();
        if length > LONGEST_KEY { Err(NameError::KeyTooLong(length)) } else { Ok(key) }
    }

    /// What stands before the login.
    #[must_use]
    pub const fn prefix(&self) -> &Prefix {
        &self.prefix
    }

    /// The login.
    #[must_use]
    pub const fn user(&self) -> &BastionUser {
        &self.user
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}.pub", self.prefix.0, self.user.0)
    }
}

impl FromStr for ObjectKey {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (prefix, name) = text.rfind('/').and_then(|slash| text.split_at_checked(slash + 1)).unwrap_or(("", text));
        let user = name.strip_suffix(".pub").ok_or_else(|| NameError::KeyWithoutSuffix(text.to_owned()))?;
        Self::new(prefix.parse()?, user.parse()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_that_the_bastion_would_skip_is_refused_with_the_reason() {
        for user in ["neosync", "a", "mz-prod-1", &"a".repeat(32)] {
            assert_eq!(user.parse::<BastionUser>().unwrap().as_str(), user);
        }
        for user in ["", "mz_prod", "Upper", "9abc", "a.b", "with space", "-a", "é", "a/b", "a\n"] {
            assert_eq!(user.parse::<BastionUser>(), Err(NameError::UserPattern), "{user}");
        }
        for user in ["neosync.pub", "foo.publisher"] {
            assert_eq!(user.parse::<BastionUser>(), Err(NameError::UserWithSuffix), "{user}");
        }
        assert_eq!("a".repeat(33).parse::<BastionUser>(), Err(NameError::UserTooLong(33)));
        for user in RESERVED {
            assert_eq!(user.parse::<BastionUser>(), Err(NameError::UserReserved), "{user}");
        }
    }

    #[test]
    fn a_prefix_is_what_s3_keeps_and_the_bastion_lists() {
        for prefix in ["", "public-keys/", "a/b=c/"] {
            assert_eq!(prefix.parse::<Prefix>().unwrap().as_str(), prefix);
        }
        assert_eq!("/public-keys/".parse::<Prefix>(), Err(NameError::PrefixLeadingSlash("public-keys/".to_owned())));
        assert_eq!("public-keys".parse::<Prefix>(), Err(NameError::PrefixWithoutSlash("public-keys".to_owned())));
        for prefix in ["public-keys//", "a//b/", "./a/", "a/./", "a/../b/", "../"] {
            assert_eq!(prefix.parse::<Prefix>(), Err(NameError::PrefixParts), "{prefix}");
        }
        assert_eq!("a b/".parse::<Prefix>(), Err(NameError::PrefixPattern));
    }

    #[test]
    fn a_key_leads_back_to_its_parts() {
        let key: ObjectKey = "public-keys/neosync.pub".parse().unwrap();
        assert_eq!((key.prefix().as_str(), key.user().as_str()), (PREFIX, "neosync"));
        assert_eq!(key.to_string(), "public-keys/neosync.pub");
        assert_eq!("neosync.pub".parse::<ObjectKey>().unwrap().prefix().as_str(), "");
        assert_eq!("public-keys/neosync".parse::<ObjectKey>(), Err(NameError::KeyWithoutSuffix("public-keys/neosync".to_owned())));
        assert_eq!("public-keys/root.pub".parse::<ObjectKey>(), Err(NameError::UserReserved));
        let long = format!("{}/", "a".repeat(1020));
        assert_eq!(ObjectKey::new(long.parse().unwrap(), "neosync".parse().unwrap()), Err(NameError::KeyTooLong(1032)));
    }

    #[test]
    fn bucket_names_are_those_of_s3() {
        for name in ["my-bastion", "a.b.c", "123", &"a".repeat(63)] {
            assert!(name.parse::<BucketName>().is_ok(), "{name}");
        }
        for name in ["", "ab", "My-bucket", "a_b", "-ab", "ab-", "a..b", "192.168.1.1", "s3://bucket", "bucket/key", &"a".repeat(64)] {
            assert_eq!(name.parse::<BucketName>(), Err(NameError::Bucket), "{name}");
        }
    }
}
