//! The lab's own certificate authority, and certificates that are right or wrong in one way each.

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use time::{Duration, OffsetDateTime};

/// How long certificates are good for, and since when: longer than a lab lives, with room for a clock that is off by hours.
const VALIDITY: Duration = Duration::days(1);

/// The certificate that a server presents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// Issued by the lab's authority for the names of the cluster.
    Valid,
    /// As `Valid`, but its last day was yesterday.
    Expired,
    /// Issued by the lab's authority for `elsewhere.internal`.
    OtherName,
    /// Issued for the right names, by an authority that nobody trusts.
    OtherAuthority,
    /// Issued for the right names by itself.
    SelfSigned,
}

/// A certificate with its private key, both PEM. It has no `Debug`: the private key is in it.
pub struct Identity {
    /// The certificate, without its issuer's.
    pub certificate: String,
    /// The private key, PKCS#8.
    pub private_key: String,
}

/// A certificate authority that lives as long as the lab.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// Makes an authority with a new key.
    pub fn new() -> Result<Authority> {
        Authority::named("Lab CA")
    }

    fn named(common_name: &str) -> Result<Authority> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name = name(common_name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        valid_until(&mut params, OffsetDateTime::now_utc() + VALIDITY);
        Ok(Authority { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate()?)? })
    }

    /// The authority's own certificate: what `sslrootcert` wants.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for a client whose database role is `common_name`.
    pub fn client(&self, common_name: &str) -> Result<Identity> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name = name(common_name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        valid_until(&mut params, OffsetDateTime::now_utc() + VALIDITY);
        self.issue(&params)
    }

    /// A server's certificate for these names; an IP address becomes an address, not a name.
    pub fn server(&self, kind: Certificate, names: &[String]) -> Result<Identity> {
        let names = if kind == Certificate::OtherName { vec!["elsewhere.internal".to_owned()] } else { names.to_vec() };
        let common_name = names.first().cloned().unwrap_or_default();
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = name(&common_name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let now = OffsetDateTime::now_utc();
        valid_until(&mut params, if kind == Certificate::Expired { now - Duration::days(1) } else { now + VALIDITY });
        match kind {
            Certificate::Valid | Certificate::Expired | Certificate::OtherName => self.issue(&params),
            Certificate::OtherAuthority => Authority::named("Another CA")?.issue(&params),
            Certificate::SelfSigned => {
                let key = KeyPair::generate()?;
                Ok(Identity { certificate: params.self_signed(&key)?.pem(), private_key: key.serialize_pem() })
            }
        }
    }

    fn issue(&self, params: &CertificateParams) -> Result<Identity> {
        let key = KeyPair::generate()?;
        Ok(Identity { certificate: params.signed_by(&key, &self.issuer)?.pem(), private_key: key.serialize_pem() })
    }
}

fn name(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

fn valid_until(params: &mut CertificateParams, end: OffsetDateTime) {
    params.not_before = end - VALIDITY - VALIDITY;
    params.not_after = end;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, process::Command};

    /// What OpenSSL says about a server's certificate: libpq tells the kinds apart no further than "verify failed".
    fn verdict(authority: &Authority, kind: Certificate) -> String {
        let folder = tempfile::tempdir().unwrap();
        let (ca, certificate) = (folder.path().join("ca"), folder.path().join("certificate"));
        fs::write(&ca, authority.pem()).unwrap();
        fs::write(&certificate, authority.server(kind, &["db.internal".to_owned()]).unwrap().certificate).unwrap();
        let mut openssl = Command::new("openssl");
        openssl.args(["verify", "-purpose", "sslserver", "-verify_hostname", "db.internal", "-CAfile"]).args([&ca, &certificate]);
        let output = openssl.output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }

    #[test]
    fn each_kind_is_wrong_in_its_own_way() {
        let authority = Authority::new().unwrap();
        let says = |kind, text: &str| {
            let verdict = verdict(&authority, kind);
            assert!(verdict.contains(text), "{kind:?}: {verdict}");
        };
        says(Certificate::Valid, "certificate: OK");
        says(Certificate::Expired, "certificate has expired");
        says(Certificate::OtherName, "ostname mismatch");
        says(Certificate::OtherAuthority, "unable to get local issuer certificate");
        says(Certificate::SelfSigned, "self-signed certificate");
    }
}
