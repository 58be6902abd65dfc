//! `ephemeral "bastion_private_key"`: a private key without its passphrase, for a provider that takes none.

use std::sync::Arc;

use super::keyring::Keyring;
use super::tunnel::sentence;
use super::{Shared, named};
use crate::key::{self, KeyError, PrivateKey};
use crate::secret::Secret;
use crate::tfplugin::attribute_path::AttributePath;
use crate::tfplugin::diagnostic::Diagnostics;
use crate::tfplugin::kind::{Call, Ephemeral, Opened, Private};
use crate::tfplugin::model::{Attr, model};
use crate::tfplugin::schema::{Attribute, Schema, string};

model! {
    /// The ephemeral resource's configuration and result.
    pub struct Model {
        /// The key, encrypted or not.
        pub private_key: Attr<Secret<String>>,
        /// Opens it.
        pub passphrase: Attr<Secret<String>>,
        /// The key, not encrypted.
        pub private_key_openssh: Attr<Secret<String>>,
        /// Its public half.
        pub public_key: Attr<String>,
        /// Of that half.
        pub fingerprint: Attr<String>,
    }
}

/// The ephemeral resource.
pub(super) struct DecryptedKey {
    keyring: Arc<Keyring>,
}

impl DecryptedKey {
    pub(super) fn new(shared: &Shared) -> Self {
        Self { keyring: Arc::clone(&shared.keyring) }
    }

    async fn opened(&self, config: &Model) -> Result<Arc<PrivateKey>, KeyError> {
        let text = config.private_key.known().ok_or(KeyError::NotAKey)?;
        self.keyring.open(text, config.passphrase.known()).await
    }
}

impl Ephemeral for DecryptedKey {
    type Model = Model;

    fn type_name(&self) -> &'static str {
        "bastion_private_key"
    }

    fn schema(&self) -> Schema {
        Schema::new(
            "A private key without its passphrase, while Terraform runs, for a provider or a write-only argument that takes no passphrase. Nothing \
                of it is kept: Terraform lets an ephemeral value go nowhere else.",
            vec![
                Attribute::required(
                    "private_key",
                    string(),
                    "The key: `private_key` of a `bastion_ssh_tunnel_connection`, or any other in a format that a supplied key may have.",
                )
                .sensitive(),
                Attribute::optional("passphrase", string(), "Opens the key, if it is encrypted. An ephemeral value can be given.")
                    .sensitive(),
                Attribute::computed("private_key_openssh", string(), "The key in OpenSSH format, not encrypted.").sensitive(),
                Attribute::computed("public_key", string(), "Its public half, as authorized_keys takes it."),
                Attribute::computed("fingerprint", string(), "The public half's, as `ssh-keygen -lf` shows it."),
            ],
        )
    }

    /// A key that is known and not encrypted is judged at once; what a passphrase has to open waits for it.
    fn validate(&self, config: &Model) -> Diagnostics {
        let mut diagnostics = Diagnostics::new();
        if let Attr::Known(text) = &config.private_key {
            if !key::is_encrypted(text) {
                if let Err(error) = PrivateKey::parse(text, None) {
                    refuse(&error, &mut diagnostics);
                }
            } else if config.passphrase.is_null() {
                refuse(&KeyError::PassphraseMissing, &mut diagnostics);
            }
        }
        named(diagnostics)
    }

    async fn open(&self, _call: &Call<Model>, config: Model) -> Result<Opened<Model>, Diagnostics> {
        let opened = self.opened(&config).await.and_then(|key| Ok((key.public(), key.to_openssh()?)));
        let (public, text) = opened.map_err(|error| {
            let mut diagnostics = Diagnostics::new();
            refuse(&error, &mut diagnostics);
            named(diagnostics)
        })?;
        let model = Model {
            private_key_openssh: Attr::Known(text),
            fingerprint: Attr::Known(public.fingerprint()),
            public_key: Attr::Known(public.to_string()),
            ..config
        };
        Ok(Opened { model, private: Private(Vec::new()), renew_at: None })
    }

    async fn renew(&self, _private: &Private) -> Result<Option<std::time::SystemTime>, Diagnostics> {
        // A key does not age.
        Ok(None)
    }

    async fn close(&self, _private: &Private) -> Result<(), Diagnostics> {
        // The process forgets it when it ends.
        Ok(())
    }
}

fn refuse(error: &KeyError, diagnostics: &mut Diagnostics) {
    let (attribute, summary) = match error {
        KeyError::PassphraseMissing => ("passphrase", "The private key is encrypted"),
        KeyError::WrongPassphrase => ("passphrase", "The passphrase is wrong"),
        _ => ("private_key", "The private key cannot be used"),
    };
    diagnostics.error(AttributePath::of(attribute), summary, sentence(error));
}
