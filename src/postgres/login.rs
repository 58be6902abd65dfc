//! The `login` and `open` stages: from a finished stream to a connection that can be asked.

use std::future::poll_fn;
use std::task::{Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::config::{ChannelBinding, SslMode as DriverSslMode, SslNegotiation};
use tokio_postgres::{Client, Config};

use crate::path::heard::Heard;
use crate::secret::Secret;

use super::error::LoginError;
use super::refusal::Attempt;
use super::secured::{Encrypted, Secured};
use super::watched::{Finished, Watched};

/// What `pg_stat_activity` and the server's log show, so that whoever reads them knows who was there.
const APPLICATION_NAME: &str = "terraform-provider-bastion";

/// How long a goodbye may take. Terminate is one packet and awaits no answer; only a stalled path needs longer, and then nobody waits.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// The longest version shown: `16beta1` has seven characters, those of forks some twenty.
const LONGEST_VERSION: usize = 32;

/// Who logs in, and where to. Not `Debug`: the password is inside.
#[derive(Clone)]
pub struct Role {
    /// The role's name.
    pub user: String,
    /// Absent or empty: none is given, as with libpq.
    pub password: Option<Secret<String>>,
    /// The database's name.
    pub database: String,
}

/// Logs in, with SCRAM bound to the TLS channel where there is one.
///
/// As with libpq, the server chooses the method: a plain or MD5 password is given to one that asks for it. The whole login ends after
/// `within`, and nothing of it is left if the future is dropped. Needs a tokio runtime.
///
/// # Errors
///
/// [`LoginError`]: [`LoginError::stage`] says whether the role or the database is at fault, [`LoginError::heals`] whether waiting helps.
pub async fn login<S>(secured: Secured<S>, role: &Role, within: Duration) -> Result<Connection, LoginError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let tried = secured.encryption();
    let encrypted = secured.encrypted().cloned();
    let password = role.password.as_ref().filter(|password| !password.expose().is_empty());
    let (stream, watch) = Watched::new(secured);
    let config = driver_config(role, password);
    let answer = timeout(within, config.connect_raw(stream, Finished)).await;
    drop(config);

    let seen = watch.seen();
    let attempt = Attempt { seen: &seen, tried, password };
    let (client, mut wire) = match answer {
        Ok(Ok(connected)) => connected,
        Ok(Err(error)) => return Err(attempt.refusal(&error)),
        Err(_) => return Err(attempt.silence()),
    };
    drop(seen);
    let server_version = version_of(wire.parameter("server_version").unwrap_or_default());
    // By hand instead of the driver's own future, which would log what the server sends unasked.
    let driver = tokio::spawn(poll_fn(move |cx| {
        while let Some(Ok(_)) = ready!(wire.poll_message(cx)) {}
        Poll::Ready(())
    }));
    Ok(Connection { client, driver: Driver(driver), server_version, encrypted, password: password.cloned() })
}

fn driver_config(role: &Role, password: Option<&Secret<String>>) -> Config {
    let mut config = Config::new();
    // For the driver every stream is a finished TLS stream, a plain one merely has no channel to bind to.
    config.ssl_mode(DriverSslMode::Require).ssl_negotiation(SslNegotiation::Direct).channel_binding(ChannelBinding::Prefer);
    config.user(&role.user).dbname(&role.database).application_name(APPLICATION_NAME);
    if let Some(password) = password {
        config.password(password.expose());
    }
    config
}

/// `15.18` of `15.18 (Debian 15.18-0+deb12u1)`.
fn version_of(parameter: &str) -> String {
    let first = parameter.split_whitespace().next().unwrap_or("unknown");
    Heard::from_text(first).as_str().chars().take(LONGEST_VERSION).collect()
}

/// A session with the database. Dropping it ends the session at once; [`Connection::close`] says goodbye first.
pub struct Connection {
    pub(super) client: Client,
    driver: Driver,
    server_version: String,
    encrypted: Option<Encrypted>,
    pub(super) password: Option<Secret<String>>,
}

struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Connection {
    /// The server's version, such as `15.18`; what the server says, made fit to be shown.
    #[must_use]
    pub fn server_version(&self) -> &str {
        &self.server_version
    }

    /// What is known of TLS; `None` in the clear.
    #[must_use]
    pub const fn encrypted(&self) -> Option<&Encrypted> {
        self.encrypted.as_ref()
    }

    /// Tells the server that this is the end, so that it does not log a lost client, and closes the stream. Takes two seconds at the most.
    pub async fn close(self) {
        let Self { client, mut driver, .. } = self;
        drop(client);
        // Late or failed: dropping the driver ends the session all the same.
        let _ended = timeout(CLOSE_WITHIN, &mut driver.0).await;
    }
}

#[cfg(test)]
mod tests {}
