//! What `sslmode` means to libpq: which encryption is tried, in which order, and when the second try is due.

use std::fmt;
use std::str::FromStr;

/// libpq's `sslmode`, with libpq's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SslMode {
    /// Never TLS.
    Disable,
    /// Without TLS first; with it if the server refuses.
    Allow,
    /// With TLS first; without it if that fails.
    Prefer,
    /// TLS, and no look at the certificate unless a root certificate is given.
    Require,
    /// TLS, and the certificate leads to a root certificate.
    VerifyCa,
    /// As `VerifyCa`, and the certificate names the database's host.
    VerifyFull,
}

/// The text names no `sslmode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sslmode is one of disable, allow, prefer, require, verify-ca, verify-full")]
pub struct UnknownSslMode;

/// How one try speaks to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encryption {
    /// In the clear.
    Plain,
    /// Inside TLS.
    Tls,
}

impl SslMode {
    /// All modes, from the weakest to the strictest.
    pub const ALL: [Self; 6] = [Self::Disable, Self::Allow, Self::Prefer, Self::Require, Self::VerifyCa, Self::VerifyFull];

    /// The name users write.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Allow => "allow",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }

    /// What is tried, in this order. The second try is made only when [`falls_back`](super::falls_back) says so.
    #[must_use]
    pub const fn encryptions(self) -> &'static [Encryption] {
        match self {
            Self::Disable => &[Encryption::Plain],
            Self::Allow => &[Encryption::Plain, Encryption::Tls],
            Self::Prefer => &[Encryption::Tls, Encryption::Plain],
            Self::Require | Self::VerifyCa | Self::VerifyFull => &[Encryption::Tls],
        }
    }
}

impl fmt::Display for SslMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for SslMode {
    type Err = UnknownSslMode;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|mode| mode.name() == name).ok_or(UnknownSslMode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_libpqs_and_lead_back() {
        for mode in SslMode::ALL {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        for wrong in ["", "Require", "verify_full", "on"] {
            assert_eq!(wrong.parse::<SslMode>(), Err(UnknownSslMode), "{wrong}");
        }
    }

    #[test]
    fn each_mode_tries_what_libpq_tries() {
        use Encryption::{Plain, Tls};
        let tried = SslMode::ALL.map(SslMode::encryptions);
        assert_eq!(tried, [&[Plain][..], &[Plain, Tls], &[Tls, Plain], &[Tls], &[Tls], &[Tls]]);
    }
}
