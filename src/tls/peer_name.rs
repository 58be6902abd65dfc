//! Whether a certificate is for a host, as libpq decides it (`verify-full`; fe-secure-common.c and fe-secure-openssl.c of Postgres 15).

use std::net::IpAddr;

use x509_parser::extensions::GeneralName;
use x509_parser::prelude::X509Certificate;

use crate::path::heard::Heard;

/// How many of a certificate's names are shown: enough to see what it is for. Certificates of hosting services name hundreds.
const NAMES_SHOWN: usize = 8;

/// The certificate is for other names; those, fit to be shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OtherNames(pub(super) Vec<String>);

/// Checks that the certificate is for `host`, a DNS name without its trailing dot or an IP address.
///
/// Any subject alternative name that fits is enough; one of the host's own kind (DNS name, or address) turns the fallback off, by
/// which the common name counts.
pub(super) fn verify(certificate: &X509Certificate<'_>, host: &str) -> Result<(), OtherNames> {
    let address: Option<IpAddr> = host.parse().ok();
    let mut presented = Vec::new();
    let mut common_name_counts = true;
    let alternatives = certificate.subject_alternative_name().ok().flatten();
    for name in alternatives.iter().flat_map(|extension| &extension.value.general_names) {
        match name {
            GeneralName::DNSName(name) => {
                common_name_counts &= address.is_some();
                if matches(name, host) {
                    return Ok(());
                }
                present(Heard::from_text(name).to_string(), &mut presented);
            }
            GeneralName::IPAddress(octets) => {
                common_name_counts &= address.is_none();
                let named = ip_address(octets);
                if named.is_some() && named == address {
                    return Ok(());
                }
                named.into_iter().for_each(|named| present(named.to_string(), &mut presented));
            }
            _ => {}
        }
    }
    if common_name_counts && let Some(name) = certificate.subject().iter_common_name().next().and_then(|name| name.as_str().ok()) {
        if matches(name, host) {
            return Ok(());
        }
        present(Heard::from_text(name).to_string(), &mut presented);
    }
    presented.truncate(NAMES_SHOWN);
    Err(OtherNames(presented))
}

/// The common name mostly repeats an alternative one.
fn present(name: String, presented: &mut Vec<String>) {
    if !presented.contains(&name) {
        presented.push(name);
    }
}

fn ip_address(octets: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(octets) {
        return Some(v4.into());
    }
    <[u8; 16]>::try_from(octets).ok().map(IpAddr::from)
}

/// `*.` stands for exactly one label, and only at the start.
fn matches(pattern: &str, host: &str) -> bool {
    if pattern.contains('\0') {
        return false;
    }
    if pattern.eq_ignore_ascii_case(host) {
        return true;
    }
    let Some(parent) = pattern.strip_prefix("*.").filter(|parent| !parent.is_empty()) else { return false };
    host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest.eq_ignore_ascii_case(parent))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};
    use x509_parser::prelude::FromDer;

    use super::*;

    fn check(common_name: Option<&str>, alternatives: &[&str], host: &str) -> Result<(), OtherNames> {
        let mut params = CertificateParams::default();
        params.distinguished_name.remove(DnType::CommonName);
        if let Some(name) = common_name {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        for name in alternatives {
            params.subject_alt_names.push(match name.parse() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName((*name).try_into().unwrap()),
            });
        }
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        verify(&X509Certificate::from_der(certificate.der()).unwrap().1, host)
    }

    #[test]
    fn names_match_as_in_libpq() {
        assert!(check(None, &["db.internal"], "DB.Internal").is_ok());
        assert!(check(None, &["other", "db.internal"], "db.internal").is_ok());
        assert!(check(None, &["*.internal"], "db.internal").is_ok());
        assert!(check(None, &["10.0.0.5"], "10.0.0.5").is_ok());
        assert!(check(None, &["::1"], "0:0:0:0:0:0:0:1").is_ok());
        for (name, host) in [
            ("*.internal", "a.b.internal"),
            ("*.internal", "internal"),
            ("*.internal", ".internal"),
            ("db.*", "db.internal"),
            ("d*.internal", "db.internal"),
            ("internal", "db.internal"),
            ("10.0.0.5", "10.0.0.6"),
        ] {
            assert_eq!(check(None, &[name], host), Err(OtherNames(vec![name.to_owned()])), "{name} {host}");
        }
    }

    #[test]
    fn the_common_name_counts_only_without_a_name_of_the_hosts_kind() {
        assert!(check(Some("db.internal"), &[], "db.internal").is_ok());
        assert!(check(Some("*.internal"), &[], "db.internal").is_ok());
        assert!(check(Some("db.internal"), &["10.0.0.5"], "db.internal").is_ok());
        assert!(check(Some("10.0.0.5"), &["db.internal"], "10.0.0.5").is_ok());
        assert_eq!(check(Some("db.internal"), &["other"], "db.internal"), Err(OtherNames(vec!["other".into()])));
        assert_eq!(check(Some("10.0.0.5"), &["10.0.0.6"], "10.0.0.5"), Err(OtherNames(vec!["10.0.0.6".into()])));
        assert_eq!(check(None, &[], "db.internal"), Err(OtherNames(vec![])));
    }

    #[test]
    fn few_of_many_names_are_shown() {
        let many: Vec<String> = (0..50).map(|number| format!("host{number}.example")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(check(None, &many, "db").unwrap_err().0.len(), NAMES_SHOWN);
    }

    #[test]
    fn a_nul_in_a_name_hides_nothing() {
        assert!(!matches("db.internal\0.evil.example", "db.internal"));
        assert!(!matches("*.", "db."));
    }
}
