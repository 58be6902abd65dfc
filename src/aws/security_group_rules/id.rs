//! Ids of things in a VPC, as EC2 gives them: a prefix and 8 or, since 2018, 17 hexadecimal digits.

use std::fmt;
use std::str::FromStr;

/// Why a text is not an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id is `{prefix}` and 8 or 17 hexadecimal digits in lower case, such as `{prefix}0123456789abcdef0`")]
pub struct IdError {
    /// `sg-`, `pl-`, `subnet-`.
    pub prefix: &'static str,
}

fn parse(text: &str, prefix: &'static str) -> Result<String, IdError> {
    let digits = text.strip_prefix(prefix).ok_or(IdError { prefix })?;
    let hexadecimal = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if hexadecimal && matches!(digits.len(), 8 | 17) { Ok(text.to_owned()) } else { Err(IdError { prefix }) }
}

macro_rules! ids {
    ($($(#[$meta:meta])* $name:ident $prefix:literal)+) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// What each begins with.
            pub const PREFIX: &'static str = $prefix;

            /// As EC2 writes it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                parse(text, Self::PREFIX).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

ids! {
    /// A security group, `sg-…`.
    GroupId "sg-"
    /// A managed prefix list, `pl-…`.
    PrefixListId "pl-"
    /// A subnet, `subnet-…`.
    SubnetId "subnet-"
}

/// How many digits the id of an account has.
const ACCOUNT_DIGITS: usize = 12;

/// A security group as a peer: of the own account, or `123456789012/sg-…` of another one's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerGroup {
    /// Its account; absent: the own one.
    pub account: Option<String>,
    /// Which.
    pub id: GroupId,
}

impl FromStr for PeerGroup {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            Some((account, id)) if is_account(account) => Ok(Self { account: Some(account.to_owned()), id: id.parse()? }),
            _ => Ok(Self { account: None, id: text.parse()? }),
        }
    }
}

impl fmt::Display for PeerGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.account.iter().try_for_each(|account| write!(f, "{account}/"))?;
        self.id.fmt(f)
    }
}

/// Whether a text is twelve digits.
pub(super) fn is_account(text: &str) -> bool {
    text.len() == ACCOUNT_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_a_prefix_and_hexadecimal_digits() {
        for good in ["sg-0123456789abcdef0", "sg-1a2b3c4d"] {
            assert_eq!(good.parse::<GroupId>().unwrap().as_str(), good);
        }
        for bad in
            ["sg-", "sg-0abc", "sg-0123456789ABCDEF0", "sg-0123456789abcdefg", "pl-1a2b3c4d", " sg-1a2b3c4d", "sg-１a2b3c4", "default"]
        {
            assert_eq!(bad.parse::<GroupId>(), Err(IdError { prefix: "sg-" }), "{bad}");
        }
        for good in ["sg-1a2b3c4d", "123456789012/sg-1a2b3c4d"] {
            assert_eq!(good.parse::<PeerGroup>().unwrap().to_string(), good);
        }
        assert!(["12345678901/sg-1a2b3c4d", "123456789012/", "/sg-1a2b3c4d"].into_iter().all(|bad| bad.parse::<PeerGroup>().is_err()));
        assert!("pl-68a54001".parse::<PrefixListId>().is_ok() && "subnet-1a2b3c4d".parse::<SubnetId>().is_ok());
    }
}
