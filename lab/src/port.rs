//! Loopback ports: for servers that cannot report the one they got, and for tests that want a closed one.

use std::{
    fs,
    hash::{BuildHasher, Hasher, RandomState},
    net::{Ipv4Addr, TcpListener},
};

use anyhow::{Result, bail};

/// How many ports to look at before giving up. Labs and tests use some dozens of the thousands, so three fit nearly always.
const TRIES: usize = 100;

/// A port on 127.0.0.1 that nobody listens on.
///
/// It lies outside the range from which the kernel serves port 0 and outgoing connections, so it stays closed unless another lab picks
/// it: fit for a test that wants "connection refused", and for a server that has to be told its port.
pub fn free_port() -> Result<u16> {
    let (low, high) = own_range(&fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default());
    for _ in 0..TRIES {
        let offset = RandomState::new().build_hasher().finish() % u64::from(high - low + 1);
        let port = low + u16::try_from(offset)?;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port between {low} and {high} in {TRIES} tries")
}

/// The wider of the two ranges below and above the kernel's, well-known services (below 10000) left out.
fn own_range(kernel: &str) -> (u16, u16) {
    // The kernel's own default, where /proc does not say.
    let mut ends = kernel.split_whitespace().filter_map(|end| end.parse::<u16>().ok());
    let (first, last) = (ends.next().unwrap_or(32768), ends.next().unwrap_or(60999));
    let below = (10_000, first.saturating_sub(1));
    let above = (last.saturating_add(1), u16::MAX);
    let width = |(low, high): (u16, u16)| high.saturating_sub(low);
    match (width(below), width(above)) {
        (0..100, 0..100) => (10_000, u16::MAX),
        (under, over) if under >= over => below,
        _ => above,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    #[test]
    fn a_free_port_refuses_and_can_be_bound() {
        let port = free_port().unwrap();
        let refused = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    }

    #[test]
    fn the_kernels_range_is_left_to_the_kernel() {
        assert_eq!(own_range("32768\t60999\n"), (10_000, 32_767));
        assert_eq!(own_range("10000 40000"), (40_001, 65_535));
        assert_eq!(own_range("1024 65535"), (10_000, 65_535));
        assert_eq!(own_range(""), (10_000, 32_767));
    }
}
