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
    /// What is missing, by the configuration as it is written: a plan may see less of it, since `ignore_changes` takes secrets out.
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
                (Attr::Null, Attr::Null) => diagnostics.error(
                    AttributePath::of(names.private_key),
                    "The tunnel's private key is missing",
                    format!("The tunnel object holds none, because its key was supplied: give it as `{}` as well.", names.private_key),
                ),
                (Attr::Known(text), _) | (Attr::Null, Attr::Known(text)) if passphrase.is_null() && key::is_encrypted(text) => {
                    self.refuse(&KeyError::PassphraseMissing, self.argument(tunnel), diagnostics);
                }
                _ => {}
            },
        }
    }

    /// What can be judged without deriving a key from a passphrase; the rest waits until the key is opened.
    pub(super) fn judge(&self, diagnostics: &mut Diagnostics) {
        let Attr::Known(tunnel) = self.tunnel else { return };
        let text = match (&tunnel.private_key, self.private_key) {
            (Attr::Known(_), Attr::Known(_)) => {
                diagnostics.error(
                    AttributePath::of(self.names.private_key),
                    "The tunnel has a private key already",
                    format!("`{}` is for a tunnel whose key was supplied and is not in the tunnel object.", self.names.private_key),
                );
                return;
            }
            (Attr::Known(text), Attr::Null) | (Attr::Null, Attr::Known(text)) if !key::is_encrypted(text) => text,
            _ => return,
        };
        if let Err(error) = PrivateKey::parse(text, None) {
            self.refuse(&error, self.argument(tunnel), diagnostics);
        }
    }

    /// Refuses what cannot open the key. No passphrase is no reason: [`Self::validate`] has seen the configuration as it is written, and a
    /// secret that `ignore_changes` takes out of a plan is back in apply.
    pub(super) async fn try_open(&self, keyring: &Keyring) -> Result<(), Diagnostics> {
        if self.passphrase.is_null() && self.text().is_some_and(key::is_encrypted) {
            return Ok(());
        }
        self.open(keyring).await.map(drop)
    }

    /// Opens the key; none without a tunnel, or while what it takes is not known.
    pub(super) async fn open(&self, keyring: &Keyring) -> Result<Option<Arc<PrivateKey>>, Diagnostics> {
        let (Attr::Known(tunnel), Some(text)) = (self.tunnel, self.text()) else { return Ok(None) };
        if self.passphrase.is_unknown() && key::is_encrypted(text) {
            return Ok(None);
        }
        keyring.open(text, self.passphrase.known()).await.map(Some).map_err(|error| {
            let mut diagnostics = Diagnostics::new();
            self.refuse(&error, self.argument(tunnel), &mut diagnostics);
            diagnostics
        })
    }

    /// The key, encrypted or not.
    fn text(&self) -> Option<&Secret<String>> {
        match (&self.tunnel.known()?.private_key, self.private_key) {
            (Attr::Known(text), _) | (Attr::Null, Attr::Known(text)) => Some(text),
            _ => None,
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
