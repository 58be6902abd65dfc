//! A range of IP addresses in the one spelling that firewalls take: `54.69.79.83/32`, never `54.69.79.83` or `10.1.2.3/8`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A network: an address and how many of its leading bits count. No bit after them is set, and an IPv4 network is not dressed up as IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr {
    address: IpAddr,
    prefix: u8,
}

/// Why a text is not a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CidrError {
    /// `bastion`, `1.2.3`, `01.2.3.4`.
    #[error("it is neither an IP address nor a CIDR block")]
    NotAnAddress,
    /// `10.0.0.0/x`, `10.0.0.0/08`, `10.0.0.0/255.0.0.0`.
    #[error("the part after the slash is a whole number from 0 to {longest}")]
    Prefix {
        /// 32 or 128.
        longest: u8,
    },
    /// `10.1.2.3/8`: EC2 would store another range than the one that is written.
    #[error("the address has bits set beyond the prefix: write {right}, or {alone} for the one address")]
    HostBits {
        /// The network that contains it.
        right: Cidr,
        /// The address by itself.
        alone: Cidr,
    },
    /// `::ffff:1.2.3.4`.
    #[error("it is an IPv4 address written as IPv6: write {plain}")]
    Mapped {
        /// As IPv4.
        plain: String,
    },
    /// `fe80::1%eth0`.
    #[error("an address with a zone (`%…`) means something on one machine only")]
    Zone,
}

impl Cidr {
    /// One address.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        Self { address, prefix: longest(address) }
    }

    /// The first address.
    #[must_use]
    pub const fn address(self) -> IpAddr {
        self.address
    }

    /// How many leading bits count.
    #[must_use]
    pub const fn prefix(self) -> u8 {
        self.prefix
    }

    /// Whether every address of another network is in this one.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        let same_family = self.address.is_ipv4() == other.address.is_ipv4();
        same_family && self.prefix <= other.prefix && masked(other.address, self.prefix) == self.address
    }

    /// `0.0.0.0/0` or `::/0`.
    #[must_use]
    pub const fn is_everything(self) -> bool {
        self.prefix == 0
    }
}

const fn longest(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// The network's first address.
fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

/// Takes a bare address too: it is the network of this one address.
impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains('%') {
            return Err(CidrError::Zone);
        }
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| CidrError::NotAnAddress)?;
        if let IpAddr::V6(six) = address
            && let Some(plain) = six.to_ipv4_mapped()
        {
            // The prefix counts the 96 bits before the IPv4 address, too.
            let prefix = prefix.and_then(|prefix| prefix.parse::<u8>().ok()).and_then(|prefix| prefix.checked_sub(96));
            let plain = prefix.filter(|prefix| *prefix < 32).map_or(plain.to_string(), |prefix| format!("{plain}/{prefix}"));
            return Err(CidrError::Mapped { plain });
        }
        let longest = longest(address);
        let Some(prefix) = prefix else { return Ok(Self::of(address)) };
        let digits = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit()) && (prefix == "0" || !prefix.starts_with('0'));
        let number = if digits { prefix.parse().ok().filter(|prefix| *prefix <= longest) } else { None };
        let prefix = number.ok_or(CidrError::Prefix { longest })?;
        let right = Self { address: masked(address, prefix), prefix };
        if right.address == address { Ok(right) } else { Err(CidrError::HostBits { right, alone: Self::of(address) }) }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(text: &str) -> String {
        text.parse::<Cidr>().unwrap().to_string()
    }

    #[test]
    fn a_bare_address_is_the_network_of_one() {
        assert_eq!(text("54.69.79.83"), "54.69.79.83/32");
        assert_eq!(text("2001:db8::1"), "2001:db8::1/128");
        assert_eq!(text("2001:DB8:0:0:0:0:0:0/32"), "2001:db8::/32");
        assert_eq!(text("0.0.0.0/0"), "0.0.0.0/0");
        assert!("::/0".parse::<Cidr>().unwrap().is_everything());
        let contains = |wide: &str, narrow: &str| wide.parse::<Cidr>().unwrap().contains(narrow.parse().unwrap());
        assert!(contains("10.0.0.0/8", "10.1.2.0/24") && contains("10.0.0.1", "10.0.0.1") && contains("::/0", "2001:db8::1"));
        assert!(!contains("10.0.0.0/24", "10.0.1.0/24") && !contains("10.0.0.1", "10.0.0.0/8") && !contains("0.0.0.0/0", "::1"));
    }

    #[test]
    fn what_no_firewall_takes_says_why() {
        let error = |text: &str| text.parse::<Cidr>().unwrap_err();
        assert_eq!(
            error("10.1.2.3/8").to_string(),
            "the address has bits set beyond the prefix: write 10.0.0.0/8, or 10.1.2.3/32 for the one address"
        );
        assert!(matches!(error("2001:db8::1/64"), CidrError::HostBits { right, .. } if right.to_string() == "2001:db8::/64"));
        assert_eq!(error("::ffff:1.2.3.4").to_string(), "it is an IPv4 address written as IPv6: write 1.2.3.4");
        for (written, meant) in [("::ffff:1.2.3.4/128", "1.2.3.4"), ("::ffff:0:0/96", "0.0.0.0/0"), ("::ffff:1.2.3.0/120", "1.2.3.0/24")] {
            assert_eq!(error(written), CidrError::Mapped { plain: meant.to_owned() });
        }
        assert_eq!(error("fe80::1%eth0"), CidrError::Zone);
        for bad in ["", "bastion", "1.2.3", "01.2.3.4", "1.2.3.4:22", " 1.2.3.4", "1.2.3.4 ", "[::1]", "１.2.3.4", "/8"] {
            assert_eq!(error(bad), CidrError::NotAnAddress, "{bad}");
        }
        for bad in ["10.0.0.0/", "10.0.0.0/33", "10.0.0.0/08", "10.0.0.0/+8", "10.0.0.0/255.0.0.0", "10.0.0.0/-1", "10.0.0.0/8/8"] {
            assert_eq!(error(bad), CidrError::Prefix { longest: 32 }, "{bad}");
        }
        assert_eq!(error("::/129"), CidrError::Prefix { longest: 128 });
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(bits: u128, four: bool, prefix in 0_u8..=128) {
            let address = if four { IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(bits >> 96).unwrap())) } else { IpAddr::V6(Ipv6Addr::from_bits(bits)) };
            let prefix = prefix.min(longest(address));
            let network = Cidr { address: masked(address, prefix), prefix };
            prop_assume!(!matches!(network.address, IpAddr::V6(six) if six.to_ipv4_mapped().is_some()));
            prop_assert_eq!(network.to_string().parse::<Cidr>(), Ok(network));
        }

        #[test]
        fn nothing_panics(text in "\\PC{0,40}") {
            let _ = text.parse::<Cidr>();
        }
    }
}
