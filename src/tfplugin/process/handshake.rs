//! What Terraform says in the environment of a plugin that it starts, and the one line that it waits for on stdout.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// The protocol that is spoken here.
pub const PROTOCOL_VERSION: u32 = 6;

/// Version of the handshake itself, fixed by the plugin launcher.
const CORE_VERSION: u32 = 1;

const COOKIE_NAME: &str = "TF_PLUGIN_MAGIC_COOKIE";

/// Public and the same for every provider: it only tells a person's shell from Terraform.
const COOKIE_VALUE: &str = "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2";

/// Why no plugin can be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// The cookie is absent or wrong: somebody started the binary by hand.
    #[error("this program is a plugin, and it was not started by Terraform")]
    NotStartedByTerraform,
    /// Terraform speaks other protocols only: it is older than 1.0, or far newer.
    #[error(
        "Terraform offers the plugin protocols {offered:?}, this provider speaks protocol {PROTOCOL_VERSION}: Terraform 1.0 or later is needed"
    )]
    ProtocolVersions {
        /// What Terraform offers, as it wrote it.
        offered: String,
    },
}

/// What Terraform asked for.
#[derive(Clone, PartialEq, Eq)]
pub struct Invitation {
    /// PEM of the only client that may connect. Absent: no TLS.
    pub client_certificate: Option<String>,
    /// Where the socket should be. Absent: in the system's temporary folder.
    pub socket_dir: Option<PathBuf>,
}

impl Invitation {
    /// Reads the variables through `lookup`.
    ///
    /// # Errors
    /// Without Terraform's cookie, or when protocol 6 is not among the versions on offer.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, HandshakeError> {
        if lookup(COOKIE_NAME).as_deref() != Some(COOKIE_VALUE) {
            return Err(HandshakeError::NotStartedByTerraform);
        }
        // Launchers that offer no list take the lowest version of the plugin, and there is only one.
        if let Some(offered) = lookup("PLUGIN_PROTOCOL_VERSIONS").filter(|offered| !offered.trim().is_empty())
            && !offered.split(',').any(|version| version.trim().parse() == Ok(PROTOCOL_VERSION))
        {
            return Err(HandshakeError::ProtocolVersions { offered });
        }
        Ok(Self {
            client_certificate: lookup("PLUGIN_CLIENT_CERT").filter(|pem| !pem.is_empty()),
            socket_dir: lookup("PLUGIN_UNIX_SOCKET_DIR").filter(|dir| !dir.is_empty()).map(PathBuf::from),
        })
    }
}

/// Where the plugin listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A unix socket.
    Unix(PathBuf),
    /// A port of this machine.
    Tcp(std::net::SocketAddr),
}

impl Address {
    /// `unix` or `tcp`.
    #[must_use]
    pub const fn network(&self) -> &'static str {
        match self {
            Self::Unix(_) => "unix",
            Self::Tcp(_) => "tcp",
        }
    }

    /// The path, or `host:port`.
    #[must_use]
    pub fn location(&self) -> String {
        match self {
            Self::Unix(path) => path.display().to_string(),
            Self::Tcp(address) => address.to_string(),
        }
    }
}

/// The line that ends the handshake, newline included. `server_certificate` is DER; absent: no TLS.
#[must_use]
pub fn line(address: &Address, server_certificate: Option<&[u8]>) -> String {
    let certificate = server_certificate.map(|der| STANDARD_NO_PAD.encode(der)).unwrap_or_default();
    format!("{CORE_VERSION}|{PROTOCOL_VERSION}|{}|{}|grpc|{certificate}\n", address.network(), address.location())
}

/// The value of `TF_REATTACH_PROVIDERS` that leads Terraform to a provider which runs already.
#[must_use]
pub fn reattach(provider_address: &str, address: &Address, pid: u32) -> String {
    serde_json::json!({
        provider_address: {
            "Protocol": "grpc",
            "ProtocolVersion": PROTOCOL_VERSION,
            "Pid": pid,
            "Test": true,
            "Addr": { "Network": address.network(), "String": address.location() },
        }
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invitation(variables: &[(&str, &str)]) -> Result<Invitation, HandshakeError> {
        Invitation::read(|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn the_cookie_tells_terraform_from_a_shell() {
        assert!(invitation(&[]).is_err_and(|error| error == HandshakeError::NotStartedByTerraform));
        assert!(invitation(&[(COOKIE_NAME, "other")]).is_err_and(|error| error == HandshakeError::NotStartedByTerraform));
        let read = invitation(&[(COOKIE_NAME, COOKIE_VALUE)]).ok().unwrap();
        assert!(read.client_certificate.is_none() && read.socket_dir.is_none());
    }

    #[test]
    fn protocol_six_has_to_be_on_offer() {
        for offered in ["5,6", "6,5", "6", " 5 , 6 ", ""] {
            assert!(invitation(&[(COOKIE_NAME, COOKIE_VALUE), ("PLUGIN_PROTOCOL_VERSIONS", offered)]).is_ok(), "{offered}");
        }
        for offered in ["5", "4,5", "66", "six"] {
            let error = invitation(&[(COOKIE_NAME, COOKIE_VALUE), ("PLUGIN_PROTOCOL_VERSIONS", offered)]).err().unwrap();
            assert_eq!(error, HandshakeError::ProtocolVersions { offered: offered.to_owned() });
        }
    }

    #[test]
    fn empty_variables_are_absent_ones() {
        let read =
            invitation(&[(COOKIE_NAME, COOKIE_VALUE), ("PLUGIN_CLIENT_CERT", ""), ("PLUGIN_UNIX_SOCKET_DIR", "/run/tf")]).ok().unwrap();
        assert!(read.client_certificate.is_none());
        assert_eq!(read.socket_dir, Some(PathBuf::from("/run/tf")));
    }

    #[test]
    fn golden_lines() {
        let unix = Address::Unix(PathBuf::from("/tmp/x/s"));
        assert_eq!(line(&unix, None), "1|6|unix|/tmp/x/s|grpc|\n");
        assert_eq!(line(&unix, Some(&[0xff, 0xfe, 0xfd, 0xfc])), "1|6|unix|/tmp/x/s|grpc|//79/A\n");
        assert_eq!(line(&Address::Tcp(([127, 0, 0, 1], 4711).into()), None), "1|6|tcp|127.0.0.1:4711|grpc|\n");
    }

    #[test]
    fn reattach_is_what_terraform_reads() {
        let value = reattach("registry.terraform.io/ns/name", &Address::Unix(PathBuf::from("/tmp/x/s")), 7);
        assert_eq!(
            value,
            r#"{"registry.terraform.io/ns/name":{"Addr":{"Network":"unix","String":"/tmp/x/s"},"Pid":7,"Protocol":"grpc","ProtocolVersion":6,"Test":true}}"#
        );
    }
}
