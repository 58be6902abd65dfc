//! `HOST` and `HOST:PORT` as people type them, with brackets around an IPv6 address.

use crate::path::route::{Host, HostError, Port};

/// Why a text is not `HOST` or `HOST:PORT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum EndpointError {
    /// The part before the port.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The part behind the last colon.
    #[error("a port is a whole number from 1 to 65535")]
    Port,
}

/// The host, and the port if there is one.
pub(super) fn parse(text: &str) -> Result<(Host, Option<Port>), EndpointError> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, rest)) => (host, Some(rest.strip_prefix(':').ok_or(EndpointError::Port)?)),
        // More than one colon without brackets is an IPv6 address.
        None => match text.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            _ => (text, None),
        },
    };
    Ok((host.parse()?, port.map(self::port).transpose()?))
}

pub(super) fn port(text: &str) -> Result<Port, EndpointError> {
    // Digits only: a number may start with a plus sign, a port may not.
    let number = Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit())).and_then(|text| text.parse::<i64>().ok());
    number.and_then(|number| Port::try_from(number).ok()).ok_or(EndpointError::Port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_come_with_and_without_ports() {
        let parsed = |text: &str| parse(text).map(|(host, port)| (host.to_string(), port.map(Port::get)));
        assert_eq!(parsed("bastion"), Ok(("bastion".to_owned(), None)));
        assert_eq!(parsed("bastion:2222"), Ok(("bastion".to_owned(), Some(2222))));
        assert_eq!(parsed("::1"), Ok(("::1".to_owned(), None)));
        assert_eq!(parsed("[::1]"), Ok(("::1".to_owned(), None)));
        assert_eq!(parsed("[::1]:22"), Ok(("::1".to_owned(), Some(22))));
        for bad in ["bastion:", "bastion:0", "bastion:65536", "bastion:+22", "[::1]22", "bastion:x"] {
            assert_eq!(parsed(bad), Err(EndpointError::Port), "{bad}");
        }
        for bad in ["", ":22", "a b", "ssh://b"] {
            assert!(parsed(bad).is_err(), "{bad}");
        }
    }
}
