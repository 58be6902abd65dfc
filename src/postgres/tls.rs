//! The TLS arguments of a connection, parsed once and checked against each other as libpq does.

use crate::secret::Secret;
use crate::tls::{Demand, Identity, Roots, Trust};

use super::error::TlsSettingsError;
use super::sslmode::SslMode;

/// The word by which libpq 16 means the roots of the operating system.
const SYSTEM: &str = "system";

/// `sslmode`, `sslrootcert`, `sslcert` and `sslkey`, checked against each other.
#[derive(Clone, Debug)]
pub struct TlsSettings {
    mode: SslMode,
    trust: Trust,
}

/// `require` without authorities.
impl Default for TlsSettings {
    fn default() -> Self {
        Self { mode: SslMode::Require, trust: Trust::new(Demand::Nothing, Roots::default(), None) }
    }
}

impl TlsSettings {
    /// Takes the arguments as a user gives them.
    ///
    /// `sslrootcert` is a PEM bundle, or the word `system`. As with libpq, giving it turns the check of the chain on in every mode that
    /// uses TLS, `require` included. `client` is a PEM chain, the client's own certificate first, and its PEM key: PKCS#8, PKCS#1 or
    /// SEC1, not encrypted.
    ///
    /// # Errors
    ///
    /// [`TlsSettingsError`], which names the argument.
    pub fn new(mode: SslMode, sslrootcert: Option<&str>, client: Option<(&str, &Secret<String>)>) -> Result<Self, TlsSettingsError> {
        let roots = match sslrootcert {
            None if matches!(mode, SslMode::VerifyCa | SslMode::VerifyFull) => return Err(TlsSettingsError::RootCertMissing),
            None => Roots::default(),
            Some(word) if word.trim() == SYSTEM && mode == SslMode::VerifyFull => Roots::of_system()?,
            Some(word) if word.trim() == SYSTEM => return Err(TlsSettingsError::SystemNeedsVerifyFull),
            Some(bundle) => Roots::from_pem(bundle)?,
        };
        let demand = match (mode, roots.is_empty()) {
            (SslMode::VerifyFull, _) => Demand::Host,
            (SslMode::VerifyCa, _) | (_, false) => Demand::Chain,
            (_, true) => Demand::Nothing,
        };
        let client = client.map(|(chain, key)| Identity::from_pem(chain, key)).transpose()?;
        Ok(Self { mode, trust: Trust::new(demand, roots, client) })
    }

    /// The mode that was asked for.
    #[must_use]
    pub const fn mode(&self) -> SslMode {
        self.mode
    }

    /// What a server has to show.
    #[must_use]
    pub const fn trust(&self) -> &Trust {
        &self.trust
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::testing::Authority;

    #[test]
    fn the_roots_decide_what_is_checked() {
        let root = Authority::new("root").pem();
        let demand = |mode, roots| TlsSettings::new(mode, roots, None).map(|settings| settings.trust().demand());
        assert_eq!(demand(SslMode::Require, None), Ok(Demand::Nothing));
        assert_eq!(demand(SslMode::Require, Some(root.as_str())), Ok(Demand::Chain));
        assert_eq!(demand(SslMode::Prefer, Some(root.as_str())), Ok(Demand::Chain));
        assert_eq!(demand(SslMode::VerifyCa, Some(root.as_str())), Ok(Demand::Chain));
        assert_eq!(demand(SslMode::VerifyFull, Some(root.as_str())), Ok(Demand::Host));
        for mode in [SslMode::VerifyCa, SslMode::VerifyFull] {
            assert_eq!(demand(mode, None), Err(TlsSettingsError::RootCertMissing));
        }
        for mode in [SslMode::Require, SslMode::VerifyCa, SslMode::Disable] {
            assert_eq!(demand(mode, Some("system")), Err(TlsSettingsError::SystemNeedsVerifyFull), "{mode}");
        }
    }
}
