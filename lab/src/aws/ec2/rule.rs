//! A security-group rule as Amazon keeps it: canonical, because two spellings of one range are one rule.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, Ipv6Addr},
};

use crate::aws::{call::Refusal, xml};

/// Which way a rule lets traffic through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// To the members of the group.
    Ingress,
    /// From them.
    Egress,
}

/// One rule of a security group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// `sgr-…`
    pub id: String,
    /// The group that it belongs to, `sg-…`
    pub group: String,
    /// Which way.
    pub direction: Direction,
    /// `tcp`, `udp`, `icmp`, `icmpv6`, another's number, or `-1` for all.
    pub protocol: String,
    /// The lowest port, or the type of ICMP; -1 for all.
    pub from_port: i32,
    /// The highest port, or the code of ICMP; -1 for all.
    pub to_port: i32,
    /// A canonical CIDR, `sg-…`, `123456789012/sg-…` of another account, or `pl-…`
    pub peer: String,
    /// Up to 255 characters.
    pub description: Option<String>,
    /// By key.
    pub tags: BTreeMap<String, String>,
}

/// What a peer is; it never changes in the life of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ipv4,
    Ipv6,
    Group,
    List,
}

impl Kind {
    pub(crate) fn of(peer: &str) -> Kind {
        match peer {
            peer if peer.contains("sg-") => Kind::Group,
            peer if peer.starts_with("pl-") => Kind::List,
            peer if peer.contains(':') => Kind::Ipv6,
            _ => Kind::Ipv4,
        }
    }
}

impl Rule {
    /// Whether both let the same through: description and tags are no part of it.
    pub(crate) fn same(&self, other: &Rule) -> bool {
        let key =
            |rule: &Rule| (rule.group.clone(), rule.direction, rule.protocol.clone(), rule.from_port, rule.to_port, rule.peer.clone());
        key(self) == key(other)
    }

    /// Amazon's answer to a rule that is there already.
    pub(crate) fn duplicate(&self) -> Refusal {
        let protocol = self.protocol.to_uppercase();
        let what = match self.protocol.as_str() {
            "-1" => "ALL".to_owned(),
            "tcp" | "udp" => format!("{protocol}, from port: {}, to port: {}", self.from_port, self.to_port),
            "icmp" | "icmpv6" => format!("{protocol}, type: {}, code: {}", self.from_port, self.to_port),
            _ => protocol,
        };
        let rule = format!("peer: {}, {what}, ALLOW", self.peer);
        Refusal::new("InvalidPermission.Duplicate", format!("the specified rule \"{rule}\" already exists"))
    }

    /// Appends the rule as an `item` of a `securityGroupRuleSet`.
    pub(crate) fn item(&self, out: &mut String, account: &str) {
        xml::element(out, "item", |out| {
            self.ids_and_ports(out);
            xml::text(out, "groupOwnerId", account);
            match Kind::of(&self.peer) {
                Kind::Ipv4 => xml::text(out, "cidrIpv4", &self.peer),
                Kind::Ipv6 => xml::text(out, "cidrIpv6", &self.peer),
                Kind::List => xml::text(out, "prefixListId", &self.peer),
                Kind::Group => xml::element(out, "referencedGroupInfo", |out| {
                    let (owner, group) = self.peer_group(account);
                    xml::text(out, "groupId", group);
                    xml::text(out, "userId", owner);
                }),
            }
            self.description.iter().for_each(|description| xml::text(out, "description", description));
            xml::element(out, "tagSet", |out| tags(out, &self.tags));
        });
    }

    /// The account and the id of the group that is its peer.
    pub(crate) fn peer_group<'a>(&'a self, own: &'a str) -> (&'a str, &'a str) {
        self.peer.split_once('/').unwrap_or((own, &self.peer))
    }

    /// Appends the rule as an `item` of a `revokedSecurityGroupRuleSet`, which is made otherwise.
    pub(crate) fn revoked_item(&self, out: &mut String) {
        xml::element(out, "item", |out| {
            self.ids_and_ports(out);
            let name = match Kind::of(&self.peer) {
                Kind::Ipv4 => "cidrIpv4",
                Kind::Ipv6 => "cidrIpv6",
                Kind::List => "prefixListId",
                Kind::Group => "referencedGroupId",
            };
            xml::text(out, name, &self.peer);
            self.description.iter().for_each(|description| xml::text(out, "description", description));
        });
    }

    fn ids_and_ports(&self, out: &mut String) {
        xml::text(out, "securityGroupRuleId", &self.id);
        xml::text(out, "groupId", &self.group);
        xml::text(out, "isEgress", if self.direction == Direction::Egress { "true" } else { "false" });
        xml::text(out, "ipProtocol", &self.protocol);
        xml::text(out, "fromPort", &self.from_port.to_string());
        xml::text(out, "toPort", &self.to_port.to_string());
    }
}

/// Appends an `item` for each tag.
pub(crate) fn tags(out: &mut String, tags: &BTreeMap<String, String>) {
    for (key, value) in tags {
        xml::element(out, "item", |out| {
            xml::text(out, "key", key);
            xml::text(out, "value", value);
        });
    }
}

/// Protocol and ports as Amazon keeps them.
pub(crate) fn protocol_and_ports(protocol: &str, from: Option<i32>, to: Option<i32>) -> Result<(String, i32, i32), Refusal> {
    let lower = protocol.to_ascii_lowercase();
    let name = match lower.as_str() {
        "6" => "tcp",
        "17" => "udp",
        "1" => "icmp",
        "58" => "icmpv6",
        name @ ("tcp" | "udp" | "icmp" | "icmpv6" | "-1") => name,
        number if number.parse::<u8>().is_ok_and(|parsed| parsed.to_string() == number) => number,
        _ => return Err(Refusal::new("InvalidParameterValue", format!("Invalid value '{protocol}' for IP protocol. Unknown protocol."))),
    };
    let (from, to) = match name {
        "tcp" | "udp" => ports(from, to)?,
        "icmp" | "icmpv6" => (from.unwrap_or(-1), to.unwrap_or(-1)),
        // Ports mean nothing there, and whatever was said about them is forgotten.
        _ => (-1, -1),
    };
    if name.starts_with("icmp") && !((-1..=255).contains(&from) && (-1..=255).contains(&to)) {
        return Err(Refusal::new("InvalidParameterValue", format!("Invalid ICMP type or code ({from}:{to})")));
    }
    Ok((name.to_owned(), from, to))
}

fn ports(from: Option<i32>, to: Option<i32>) -> Result<(i32, i32), Refusal> {
    let (Some(from), Some(to)) = (from, to) else {
        let message = "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.";
        return Err(Refusal::new("InvalidParameterValue", message));
    };
    if !(0..=65_535).contains(&from) || !(0..=65_535).contains(&to) || from > to {
        return Err(Refusal::new("InvalidParameterValue", format!("Invalid TCP/UDP port range ({from}:{to})")));
    }
    Ok((from, to))
}

/// An IPv4 range with its host bits cleared.
pub(crate) fn ipv4(text: &str) -> Result<String, Refusal> {
    let parsed = split(text).and_then(|(address, length)| Some((address.parse::<Ipv4Addr>().ok()?, length)));
    let (address, length) = parsed.filter(|(_, length)| *length <= 32).ok_or_else(|| malformed(text))?;
    let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
    Ok(format!("{}/{length}", Ipv4Addr::from_bits(address.to_bits() & mask)))
}

/// An IPv6 range with its host bits cleared, in the one short spelling.
pub(crate) fn ipv6(text: &str) -> Result<String, Refusal> {
    let parsed = split(text).and_then(|(address, length)| Some((address.parse::<Ipv6Addr>().ok()?, length)));
    let (address, length) = parsed.filter(|(_, length)| *length <= 128).ok_or_else(|| malformed(text))?;
    let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
    Ok(format!("{}/{length}", Ipv6Addr::from_bits(address.to_bits() & mask)))
}

fn split(text: &str) -> Option<(&str, u32)> {
    let (address, length) = text.split_once('/')?;
    let plain = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
    Some((address, length.parse().ok().filter(|_| plain)?))
}

fn malformed(text: &str) -> Refusal {
    Refusal::new("InvalidParameterValue", format!("CIDR block {text} is malformed"))
}

/// A rule's description; the empty one is none.
pub(crate) fn description(text: Option<String>) -> Result<Option<String>, Refusal> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || " ._-:/()#,@[]+=&;{}!$*".contains(c);
    match text {
        Some(text) if text.len() > 255 || !text.chars().all(allowed) => {
            let message = "Invalid rule description. Valid descriptions are strings less than 256 characters from the following set:  \
                           a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*";
            Err(Refusal::new("InvalidParameterValue", message))
        }
        text => Ok(text.filter(|text| !text.is_empty())),
    }
}

/// Refuses what does not look like an id: the prefix, then 8 or 17 hexadecimal digits.
pub(crate) fn check_id(id: &str, prefix: &str, code: &str) -> Result<(), Refusal> {
    let digits = id.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-'));
    let hex = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    if digits.is_some_and(|digits| matches!(digits.len(), 8 | 17) && hex(digits)) {
        return Ok(());
    }
    Err(Refusal::new(code, format!("Invalid id: \"{id}\" (expecting \"{prefix}-...\")")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_become_canonical_or_are_refused() {
        assert_eq!(ipv4("100.68.0.18/18").unwrap(), "100.68.0.0/18");
        assert_eq!(ipv4("1.2.3.4/0").unwrap(), "0.0.0.0/0");
        assert_eq!(ipv4("54.69.79.83/32").unwrap(), "54.69.79.83/32");
        assert_eq!(ipv6("2001:DB8:0::1/32").unwrap(), "2001:db8::/32");
        assert_eq!(ipv6("::1/0").unwrap(), "::/0");
        for wrong in ["54.69.79.83", "1.2.3/8", "1.2.3.4/33", "1.2.3.4/+8", "1.2.3.4/", "::/0", "01.2.3.4/8", ""] {
            let refusal = ipv4(wrong).unwrap_err();
            assert_eq!((refusal.code.as_str(), refusal.message), ("InvalidParameterValue", format!("CIDR block {wrong} is malformed")));
        }
        assert!(["::/129", "0.0.0.0/0", "::"].into_iter().all(|wrong| ipv6(wrong).is_err()));
    }

    #[test]
    fn protocols_have_one_name_each() {
        let tcp = ("tcp".to_owned(), 22, 23);
        assert_eq!(protocol_and_ports("TCP", Some(22), Some(23)).unwrap(), tcp);
        assert_eq!(protocol_and_ports("6", Some(22), Some(23)).unwrap(), tcp);
        assert_eq!(protocol_and_ports("58", None, None).unwrap(), ("icmpv6".into(), -1, -1));
        assert_eq!(protocol_and_ports("-1", Some(0), Some(0)).unwrap(), ("-1".into(), -1, -1));
        assert_eq!(protocol_and_ports("50", None, None).unwrap(), ("50".into(), -1, -1));
        for (protocol, from, to) in
            [("ssh", None, None), ("256", None, None), ("tcp", Some(22), None), ("udp", Some(23), Some(22)), ("tcp", Some(0), Some(65_536))]
        {
            assert_eq!(protocol_and_ports(protocol, from, to).unwrap_err().code, "InvalidParameterValue", "{protocol}");
        }
    }

    #[test]
    fn descriptions_and_ids_have_their_letters() {
        assert_eq!(description(Some(String::new())).unwrap(), None);
        assert!(description(Some("a".repeat(255))).is_ok());
        assert!(description(Some("a".repeat(256))).is_err());
        assert!(description(Some("it's".into())).is_err());
        assert!(check_id("sg-0123456789abcdef0", "sg", "X").is_ok());
        assert!(["sg-", "sg-XYZ", "sgr-01234567", "sg-012345678"].into_iter().all(|id| check_id(id, "sg", "X").is_err()));
    }
}
