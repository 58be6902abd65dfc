//! What a rule lets through: a protocol and, where it has them, ports or ICMP types.

use std::fmt;
use std::str::FromStr;

/// An IP protocol, or all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// EC2's `-1`.
    All,
    /// Its number (IANA, Assigned Internet Protocol Numbers).
    Number(u8),
}

/// Why a text is not a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a protocol is tcp, udp, icmp, icmpv6, all, or its number from 0 to 255")]
pub struct ProtocolError;

impl Protocol {
    /// 6
    pub const TCP: Self = Self::Number(6);
    /// 17
    pub const UDP: Self = Self::Number(17);
    /// 1
    pub const ICMP: Self = Self::Number(1);
    /// 58
    pub const ICMPV6: Self = Self::Number(58);

    const NAMED: [(&'static str, Self); 4] = [("tcp", Self::TCP), ("udp", Self::UDP), ("icmp", Self::ICMP), ("icmpv6", Self::ICMPV6)];

    /// As a person writes it: `all` instead of EC2's `-1`.
    #[must_use]
    pub fn name(self) -> String {
        if self == Self::All { "all".to_owned() } else { self.to_string() }
    }
}

impl FromStr for Protocol {
    type Err = ProtocolError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let lower = text.to_ascii_lowercase();
        if matches!(lower.as_str(), "all" | "-1") {
            return Ok(Self::All);
        }
        if let Some((_, protocol)) = Self::NAMED.iter().find(|(name, _)| *name == lower) {
            return Ok(*protocol);
        }
        let digits = lower.bytes().all(|byte| byte.is_ascii_digit());
        if digits { lower.parse().map(Self::Number).map_err(|_| ProtocolError) } else { Err(ProtocolError) }
    }
}

/// As EC2 writes it.
impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, Self::NAMED.iter().find(|(_, protocol)| protocol == self)) {
            (_, Some((name, _))) => f.write_str(name),
            (Self::Number(number), None) => number.fmt(f),
            (Self::All, None) => f.write_str("-1"),
        }
    }
}

/// A protocol with its ports; for ICMP, a type and a code. Whatever the protocol has no ports for is -1, as EC2 answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Traffic {
    protocol: Protocol,
    from: i32,
    to: i32,
}

/// Why a protocol and two numbers are not what a rule can let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrafficError {
    /// TCP or UDP without ports.
    #[error("give `port`, or `from_port` and `to_port`: {0} has ports")]
    PortsMissing(Protocol),
    /// Ports where the protocol has none.
    #[error("leave the ports out: protocol {name} has none", name = .0.name())]
    PortsNotTaken(Protocol),
    /// Outside 0 to 65535.
    #[error("a port is a whole number from 0 to 65535")]
    PortOutOfRange,
    /// `from_port` above `to_port`.
    #[error("`from_port` is above `to_port`")]
    Reversed,
    /// An ICMP type or code outside its range, or a code of every type.
    #[error(
        "for {0}, `from_port` is a type from 0 to 255 and `to_port` a code from 0 to 255; -1 means any, and any type goes with any code only"
    )]
    IcmpOutOfRange(Protocol),
}

impl Traffic {
    /// `from` and `to` are both given or both absent.
    ///
    /// # Errors
    ///
    /// What EC2 calls malformed.
    pub fn new(protocol: Protocol, ports: Option<(i64, i64)>) -> Result<Self, TrafficError> {
        let (from, to) = match (protocol, ports) {
            (Protocol::TCP | Protocol::UDP, None) => return Err(TrafficError::PortsMissing(protocol)),
            (Protocol::TCP | Protocol::UDP, Some((from, to))) => {
                if [from, to].iter().any(|port| !(0..=65_535).contains(port)) {
                    return Err(TrafficError::PortOutOfRange);
                }
                if from > to {
                    return Err(TrafficError::Reversed);
                }
                (from, to)
            }
            (Protocol::ICMP | Protocol::ICMPV6, Some((kind, code))) => {
                let fits = [kind, code].iter().all(|number| (-1..=255).contains(number)) && (kind >= 0 || code == -1);
                if !fits {
                    return Err(TrafficError::IcmpOutOfRange(protocol));
                }
                (kind, code)
            }
            (_, None) => (-1, -1),
            (_, Some(_)) => return Err(TrafficError::PortsNotTaken(protocol)),
        };
        match (i32::try_from(from), i32::try_from(to)) {
            (Ok(from), Ok(to)) => Ok(Self { protocol, from, to }),
            _ => Err(TrafficError::PortOutOfRange),
        }
    }

    /// What a rule that is there lets through. EC2 leaves ports out, or says 0 or -1, where there are none.
    pub(super) fn of_rule(protocol: Protocol, from: Option<i32>, to: Option<i32>) -> Self {
        let ports = matches!(protocol, Protocol::TCP | Protocol::UDP | Protocol::ICMP | Protocol::ICMPV6);
        let (from, to) = if ports { (from.unwrap_or(-1), to.unwrap_or(-1)) } else { (-1, -1) };
        Self { protocol, from, to }
    }

    /// Its protocol.
    #[must_use]
    pub const fn protocol(self) -> Protocol {
        self.protocol
    }

    /// The two numbers; -1 where there is none.
    #[must_use]
    pub const fn ports(self) -> (i32, i32) {
        (self.from, self.to)
    }

    /// The two numbers, if the protocol has any and they say more than "any".
    #[must_use]
    pub fn given_ports(self) -> Option<(i32, i32)> {
        ((self.from, self.to) != (-1, -1)).then_some((self.from, self.to))
    }

    /// Whether some packets pass both.
    pub(super) fn overlaps(self, other: Self) -> bool {
        let ports = |this: Self| match this.protocol {
            // A type and a code, or -1 for any: a range only where both are said.
            Protocol::ICMP | Protocol::ICMPV6 if this.from >= 0 => this.from..=this.from,
            _ if (this.from, this.to) == (-1, -1) => 0..=i32::MAX,
            _ => this.from..=this.to,
        };
        let (these, those) = (ports(self), ports(other));
        let meet = these.start() <= those.end() && those.start() <= these.end();
        self.protocol == Protocol::All || other.protocol == Protocol::All || (self.protocol == other.protocol && meet)
    }

    /// Whether TCP to this port passes.
    #[must_use]
    pub fn lets_tcp(self, port: u16) -> bool {
        match self.protocol {
            Protocol::All => true,
            Protocol::TCP => (self.from..=self.to).contains(&i32::from(port)),
            Protocol::Number(_) => false,
        }
    }
}

/// `tcp-22`, `udp-5000-5010`, `icmp-8`, `all`.
impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.protocol.name())?;
        match self.given_ports() {
            None => Ok(()),
            Some((from, to)) if from == to || to == -1 => write!(f, "-{from}"),
            Some((from, to)) => write!(f, "-{from}-{to}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_have_names_and_numbers_in_any_case() {
        let written = |text: &str| text.parse::<Protocol>().map(|protocol| protocol.to_string());
        for (text, canonical) in [
            ("TCP", "tcp"),
            ("6", "tcp"),
            ("Udp", "udp"),
            ("1", "icmp"),
            ("icmpv6", "icmpv6"),
            ("58", "icmpv6"),
            ("ALL", "-1"),
            ("-1", "-1"),
            ("50", "50"),
        ] {
            assert_eq!(written(text).as_deref(), Ok(canonical), "{text}");
        }
        for bad in ["", "sctp", "256", "-2", "6.0", " tcp", "tcp/22"] {
            assert_eq!(written(bad), Err(ProtocolError), "{bad}");
        }
        assert_eq!(Protocol::All.name(), "all");
    }

    #[test]
    fn ports_fit_their_protocol() {
        let new = |protocol: &str, ports| Traffic::new(protocol.parse().unwrap(), ports);
        assert_eq!(new("tcp", Some((22, 22))).unwrap().to_string(), "tcp-22");
        assert_eq!(new("udp", Some((0, 65_535))).unwrap().to_string(), "udp-0-65535");
        assert_eq!(new("icmp", None).unwrap(), new("icmp", Some((-1, -1))).unwrap());
        assert_eq!(new("icmp", Some((8, -1))).unwrap().to_string(), "icmp-8");
        assert_eq!(new("all", None).unwrap().to_string(), "all");
        assert_eq!(new("tcp", None), Err(TrafficError::PortsMissing(Protocol::TCP)));
        assert_eq!(new("all", Some((22, 22))), Err(TrafficError::PortsNotTaken(Protocol::All)));
        assert_eq!(new("50", Some((0, 0))), Err(TrafficError::PortsNotTaken(Protocol::Number(50))));
        for ports in [(-1, 22), (22, 65_536), (i64::MIN, i64::MAX)] {
            assert_eq!(new("tcp", Some(ports)), Err(TrafficError::PortOutOfRange));
        }
        assert_eq!(new("tcp", Some((23, 22))), Err(TrafficError::Reversed));
        for ports in [(-1, 0), (256, 0), (0, 256), (-2, -1)] {
            assert_eq!(new("icmp", Some(ports)), Err(TrafficError::IcmpOutOfRange(Protocol::ICMP)));
        }
    }

    #[test]
    fn what_passes_both_overlaps() {
        let tcp = |from, to| Traffic::new(Protocol::TCP, Some((from, to))).unwrap();
        let icmp = |kind, code| Traffic::new(Protocol::ICMP, Some((kind, code))).unwrap();
        let all = Traffic::new(Protocol::All, None).unwrap();
        assert!(
            tcp(20, 25).overlaps(tcp(22, 22))
                && tcp(22, 22).overlaps(tcp(20, 25))
                && all.overlaps(tcp(22, 22))
                && tcp(22, 22).overlaps(all)
        );
        assert!(!tcp(20, 21).overlaps(tcp(22, 22)) && !tcp(22, 22).overlaps(Traffic::new(Protocol::UDP, Some((22, 22))).unwrap()));
        assert!(icmp(-1, -1).overlaps(icmp(8, 0)) && icmp(8, -1).overlaps(icmp(8, 0)) && !icmp(8, -1).overlaps(icmp(0, 0)));
    }

    #[test]
    fn a_range_lets_its_ports_through() {
        let tcp = |from, to| Traffic::new(Protocol::TCP, Some((from, to))).unwrap();
        assert!(tcp(0, 65_535).lets_tcp(22) && tcp(22, 22).lets_tcp(22) && !tcp(23, 30).lets_tcp(22));
        assert!(Traffic::new(Protocol::All, None).unwrap().lets_tcp(443));
        assert!(!Traffic::new(Protocol::UDP, Some((443, 443))).unwrap().lets_tcp(443));
    }
}
