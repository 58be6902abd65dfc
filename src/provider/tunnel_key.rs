//! The private key of a tunnel: in the tunnel object, encrypted or not, or supplied beside it.

use std::sync::Arc;

use super::keyring::Keyring;
use super::tunnel::{TunnelModel, sentence};
use crate::key::{self, KeyError, PrivateKey};
use crate::secret::Secret;
use crate::tfplugin::attribute_path::AttributePath;
use crate::tfplugin::diagnostic::Diagnostics;
use crate::tfplugin::model::Attr;

/// What a block calls the two arguments beside `ssh_tunnel`.
pub(super) struct KeyNames {
    pub(super) passphrase: &'static str,
    pub(super) private_key: &'static str,
}

/// A tunnel and what opens its key.
pub(super) struct TunnelKey<'a> {
    pub(super) names: &'static KeyNames,
    pub(super) tunnel: &'a Attr<TunnelModel>,
    pub(super) passphrase: &'a Attr<Secret<String>>,
    pub(super) private_key: &'a Attr<Secret<String>>,
}

impl TunnelKey<'_> {
    /// Whether the arguments fit together.
    pub(super) fn validate(&self, diagnostics: &mut Diagnostics) {
        let (passphrase, supplied, names) = (self.passphrase, self.private_key, self.names);
        match self.tunnel {
            Attr::Unknown => {}
            Attr::Null => {
                for (attribute, given) in [(names.passphrase, !passphrase.is_null()), (names.private_key, !supplied.is_null())] {
                    if given {
                        diagnostics.error(
                            AttributePath::of(attribute),
                            "There is no tunnel to use this for",
                            "Give `ssh_tunnel` too, or connect directly without a key.",
                        );
                    }
                }
            }
            Attr::Known(tunnel) => match (&tunnel.private_key, supplied) {
                (Attr::Known(_), Attr::Known(_)) => diagnostics.error(
                    AttributePath::of(names.private_key),
                    "The tunnel has a private key already",
                    format!("`{}` is for a tunnel whose key was supplied and is not in the tunnel object.", names.private_key),
                ),
                (Attr::Null, Attr::Null) => diagnostics.error(
                    AttributePath::of(names.private_key),
                    "The tunnel's private key is missing",
                    format!("The tunnel object holds none, because its key was supplied: give it as `{}` as well.", names.private_key),
                ),
                (Attr::Known(text), Attr::Null) | (Attr::Null, Attr::Known(text)) => self.judge(tunnel, text, diagnostics),
                _ => {}
            },
        }
    }

    /// Opens the key; none without a tunnel, or while what it takes is not known.
    pub(super) async fn open(&self, keyring: &Keyring) -> Result<Option<Arc<PrivateKey>>, Diagnostics> {
        let Attr::Known(tunnel) = self.tunnel else { return Ok(None) };
        let text = match (&tunnel.private_key, self.private_key) {
            (Attr::Known(text), _) | (Attr::Null, Attr::Known(text)) => text,
            _ => return Ok(None),
        };
        if self.passphrase.is_unknown() && key::is_encrypted(text) {
            return Ok(None);
        }
        keyring.open(text, self.passphrase.known()).await.map(Some).map_err(|error| {
            let mut diagnostics = Diagnostics::new();
            self.refuse(&error, self.argument(tunnel), &mut diagnostics);
            diagnostics
        })
    }

    /// What can be judged without deriving a key from a passphrase; the rest waits until the key is opened.
    fn judge(&self, tunnel: &TunnelModel, text: &Secret<String>, diagnostics: &mut Diagnostics) {
        if key::is_encrypted(text) && !self.passphrase.is_null() {
            return;
        }
        if let Err(error) = PrivateKey::parse(text, None) {
            self.refuse(&error, self.argument(tunnel), diagnostics);
        }
    }

    /// Where the key comes from.
    fn argument(&self, tunnel: &TunnelModel) -> AttributePath {
        if tunnel.private_key.is_null() {
            AttributePath::of(self.names.private_key)
        } else {
            AttributePath::of("ssh_tunnel").attribute("private_key")
        }
    }

    fn refuse(&self, error: &KeyError, key: AttributePath, diagnostics: &mut Diagnostics) {
        let passphrase = AttributePath::of(self.names.passphrase);
        match error {
            KeyError::PassphraseMissing => diagnostics.error(
                passphrase,
                "The tunnel's private key is encrypted",
                format!("Give its passphrase as `{}`.", self.names.passphrase),
            ),
            KeyError::WrongPassphrase => diagnostics.error(passphrase, "The passphrase is wrong", sentence(error)),
            _ => diagnostics.error(key, "The tunnel's private key cannot be used", sentence(error)),
        }
    }
}
