//! Private keys, opened once per process: an encrypted key costs some 100 ms, and one apply may need it a hundred times.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use ring::digest;
use tokio::sync::OnceCell;

use crate::key::{KeyError, PrivateKey};
use crate::secret::Secret;

type Opened = Arc<OnceCell<Result<Arc<PrivateKey>, KeyError>>>;

/// The keys that this process has opened, found by a digest of key text and passphrase.
#[derive(Default)]
pub(super) struct Keyring(Mutex<HashMap<[u8; 32], Opened>>);

impl Keyring {
    /// Parses a private key, decrypting it if need be. Concurrent calls for one key share the work, which does not block the runtime.
    pub(super) async fn open(&self, text: &Secret<String>, passphrase: Option<&Secret<String>>) -> Result<Arc<PrivateKey>, KeyError> {
        let cell = Arc::clone(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(name(text, passphrase)).or_default());
        cell.get_or_init(|| {
            let (text, passphrase) = (text.clone(), passphrase.cloned());
            async move {
                let opened = tokio::task::spawn_blocking(move || PrivateKey::parse(&text, passphrase.as_ref()).map(Arc::new)).await;
                opened.unwrap_or(Err(KeyError::NotAKey))
            }
        })
        .await
        .clone()
    }
}

fn name(text: &Secret<String>, passphrase: Option<&Secret<String>>) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    // The length keeps (key, passphrase) pairs apart whose concatenations are equal.
    context.update(&text.expose().len().to_le_bytes());
    context.update(text.expose().as_bytes());
    if let Some(passphrase) = passphrase {
        context.update(b"+");
        context.update(passphrase.expose().as_bytes());
    }
    let mut name = [0; 32];
    name.copy_from_slice(context.finish().as_ref());
    name
}
