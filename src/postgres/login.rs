//! The `login` and `open` stages: from a finished stream to a connection that can be asked.

use std::future::poll_fn;
use std::sync::{Arc, OnceLock};
use std::task::{Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::config::{ChannelBinding, SslMode as DriverSslMode, SslNegotiation};
use tokio_postgres::{Client, Config};

use crate::path::heard::Heard;
use crate::secret::Secret;
use crate::tls::Encrypted;

use super::error::{LoginError, ReadyError};
use super::refusal::{Attempt, misread};
use super::secured::Secured;
use super::startup::Purpose;
use super::watched::{Finished, Watched};

/// What `pg_stat_activity` and the server's log show, so that whoever reads them knows who was there.
const APPLICATION_NAME: &str = "terraform-provider-bastion";

/// How long a goodbye may take. Terminate is one packet and awaits no answer; only a stalled path needs longer, and then nobody waits.
pub const GOODBYE: Duration = Duration::from_secs(2);

/// The longest version shown: `16beta1` has seven characters, those of forks some twenty.
const LONGEST_VERSION: usize = 32;

/// Who logs in, and where to. Not `Debug`: the password is inside.
#[derive(Clone)]
#[non_exhaustive]
pub struct Role {
    /// The role's name.
    pub user: String,
    /// Absent or empty: none is given, as with libpq.
    pub password: Option<Secret<String>>,
    /// The database's name.
    pub database: String,
}

impl Role {
    /// A role and a database, without a password.
    #[must_use]
    pub fn new(user: impl Into<String>, database: impl Into<String>) -> Self {
        Self { user: user.into(), password: None, database: database.into() }
    }
}

/// Logs in, with SCRAM bound to the TLS channel where there is one.
///
/// As with libpq, the server chooses the method: a plain or MD5 password is given to one that asks for it. The whole login ends after
/// `within`, and nothing of it is left if the future is dropped. Needs a tokio runtime.
///
/// # Errors
///
/// [`LoginError`], by what the server says.
pub async fn login<S>(secured: Secured<S>, role: &Role, purpose: Purpose, within: Duration) -> Result<Connection, LoginError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let tried = secured.encryption();
    let encrypted = secured.encrypted().cloned();
    let password = role.password.as_ref().filter(|password| !password.expose().is_empty());
    let (stream, watch) = Watched::new(secured, purpose);
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
    let ended = Arc::new(OnceLock::new());
    let (end, secret) = (Arc::clone(&ended), password.cloned());
    let driver = tokio::spawn(poll_fn(move |cx| {
        loop {
            match ready!(wire.poll_message(cx)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    end.get_or_init(|| misread(&error, secret.as_ref()));
                    return Poll::Ready(());
                }
                None => return Poll::Ready(()),
            }
        }
    }));
    Ok(Connection { client, driver: Driver(driver), ended, server_version, encrypted, password: password.cloned() })
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
    /// Why the session ended by itself, once it has.
    pub(super) ended: Arc<OnceLock<ReadyError>>,
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

    /// Tells the server that this is the end, so that it does not log a lost client, and closes the stream: [`GOODBYE`] is enough for it.
    pub async fn close(self, within: Duration) {
        let Self { client, mut driver, .. } = self;
        drop(client);
        // Late or failed: dropping the driver ends the session all the same.
        let _ended = timeout(within, &mut driver.0).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;
    use crate::path::stage::Stage;
    use crate::postgres::sslmode::Encryption;
    use crate::postgres::testing::{AUTHENTICATED, error_response, message, read_startup};
    use crate::tls::Bounded;

    const WITHIN: Duration = Duration::from_secs(5);
    const PASSWORD: &str = "correct horse";

    fn role() -> Role {
        Role { user: "me".into(), password: Some(PASSWORD.into()), database: "orders".into() }
    }

    async fn log_in(stream: DuplexStream, role: Role, within: Duration) -> Result<Connection, LoginError> {
        login(Secured::plain(Bounded::new(stream)), &role, Purpose::Queries, within).await
    }

    /// What a login fails with if the server says this to the startup message and closes.
    async fn refused(answer: &[u8]) -> LoginError {
        let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
        let server = async {
            read_startup(&mut theirs).await;
            // The client may hang up before the last byte, which is its right.
            let _sent = theirs.write_all(answer).await;
            drop(theirs);
        };
        tokio::join!(log_in(ours, role(), WITHIN), server).0.err().unwrap()
    }

    async fn by(sqlstate: &str, routine: &str, words: &str) -> LoginError {
        refused(&error_response(sqlstate, routine, words)).await
    }

    #[tokio::test]
    async fn each_refusal_has_its_variant() {
        use LoginError as E;
        let tried = Encryption::Plain;
        type Row = (&'static str, &'static str, &'static str, fn(Heard) -> LoginError);
        let table: [Row; 20] = [
            ("28P01", "auth_failed", "password authentication failed for user \"me\"", |heard| E::PasswordRefused { heard }),
            ("28000", "auth_failed", "PAM authentication failed for user \"me\"", |heard| E::PasswordRefused { heard }),
            ("08P01", "", "SASL authentication failed", |heard| E::PasswordRefused { heard }),
            ("28000", "InitializeSessionUserId", "role \"me\" does not exist", |heard| E::RoleMissing { heard }),
            ("28000", "ClientAuthentication", "connection requires a valid client certificate", |heard| E::ClientCertificateMissing {
                heard,
            }),
            ("28000", "auth_failed", "certificate authentication failed for user \"me\"", |heard| E::ClientCertificateRefused { heard }),
            ("28000", "InitializeSessionUserId", "role \"me\" is not permitted to log in", |heard| E::NotPermittedToLogin { heard }),
            ("28000", "", "SSL connection is required. Please specify SSL options and retry.", |heard| E::EncryptionRequired { heard }),
            ("08P01", "", "SSL required", |heard| E::EncryptionRequired { heard }),
            ("28000", "read_client_final_message", "SCRAM channel binding check failed", |heard| E::ChannelBinding { heard }),
            ("28000", "auth_failed", "GSSAPI authentication failed for user \"me\"", |heard| E::AuthenticationUnsupported { heard }),
            ("3D000", "InitPostgres", "database \"orders\" does not exist", |heard| E::DatabaseMissing { heard }),
            ("08P01", "", "no such database: orders", |heard| E::DatabaseMissing { heard }),
            ("42501", "CheckMyDatabase", "permission denied for database \"orders\"", |heard| E::NoConnectPrivilege { heard }),
            ("55000", "CheckMyDatabase", "database \"orders\" is not currently accepting connections", |heard| E::DatabaseClosed { heard }),
            ("08P01", "", "unsupported startup parameter: options", |heard| E::Pooler { heard }),
            ("57P03", "ProcessStartupPacket", "the database system is starting up", |heard| E::Unavailable { heard }),
            ("57P03", "ProcessStartupPacket", "das Datenbanksystem startet", |heard| E::Unavailable { heard }),
            ("53300", "InitProcess", "sorry, too many clients already", |heard| E::TooManyConnections { heard }),
            ("XX000", "", "Tenant or user not found", |heard| E::Other { sqlstate: "XX000".into(), heard }),
        ];
        for (sqlstate, routine, words, variant) in table {
            assert_eq!(by(sqlstate, routine, words).await, variant(Heard::from_text(words)), "{words}");
        }
        // In German, as a server with lc_messages = de_DE says it.
        for (words, rejects) in [("kein pg_hba.conf-Eintrag für Host »10.0.0.1«", false), ("pg_hba.conf rejects connection for host", true)]
        {
            let heard = Heard::from_text(words);
            let expected = if rejects { E::HbaRejected { tried, heard } } else { E::HbaNoEntry { tried, heard } };
            assert_eq!(by("28000", "ClientAuthentication", words).await, expected);
        }
    }

    #[tokio::test]
    async fn what_is_not_postgres_is_quoted() {
        for (said, heard) in [
            (&b"SSH-2.0-OpenSSH_9.2p1\r\n"[..], "SSH-2.0-OpenSSH_9.2p1"),
            (b"HTTP/1.1 400 Bad Request\r\n", "HTTP/1.1 400 Bad Request"),
            (b"R\xff\xff\xff\xff", "R\u{fffd}\u{fffd}\u{fffd}\u{fffd}"),
            (b"R\0\0\0\x03", "R\u{fffd}\u{fffd}\u{fffd}\u{3}"),
            (b"R\0\0", "R\u{fffd}\u{fffd}"),
        ] {
            let heard = Heard::from_text(&heard.replace('\u{3}', "\u{fffd}"));
            assert_eq!(refused(said).await, LoginError::Protocol { stage: Stage::Tls, heard });
        }
        let unknown = refused(&message(b'R', &99_u32.to_be_bytes())).await;
        assert!(matches!(unknown, LoginError::Protocol { stage: Stage::Login, .. }), "{unknown:?}");
    }

    #[tokio::test]
    async fn an_end_and_a_silence_say_how_far_it_came() {
        assert_eq!(refused(b"").await, LoginError::Closed { stage: Stage::Tls });
        assert_eq!(refused(AUTHENTICATED).await, LoginError::Closed { stage: Stage::Open });
        let cut = [AUTHENTICATED, b"S\0\0\0\x20half"].concat();
        assert_eq!(refused(&cut).await, LoginError::Closed { stage: Stage::Open });

        for (said, silent) in [
            (&b""[..], LoginError::Silent { stage: Stage::Tls }),
            (AUTHENTICATED, LoginError::Silent { stage: Stage::Open }),
            (b"R\0", LoginError::Protocol { stage: Stage::Tls, heard: Heard::from_text("R\u{fffd}") }),
        ] {
            let (ours, mut theirs) = tokio::io::duplex(4096);
            theirs.write_all(said).await.unwrap();
            assert_eq!(log_in(ours, role(), Duration::from_millis(50)).await.err(), Some(silent), "{said:?}");
        }
    }

    #[tokio::test]
    async fn a_flood_is_cut_off() {
        let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
        let server = async {
            read_startup(&mut theirs).await;
            theirs.write_all(AUTHENTICATED).await.unwrap();
            let endless = message(b'N', &[b'x'; 32 * 1024]);
            while theirs.write_all(&endless).await.is_ok() {}
        };
        assert_eq!(tokio::join!(log_in(ours, role(), WITHIN), server).0.err(), Some(LoginError::Flood));
    }

    #[tokio::test]
    async fn a_server_that_echoes_the_password_is_not_quoted_with_it() {
        let words = format!("you said {PASSWORD}, {}{PASSWORD}", "x".repeat(130));
        for error in [by("XX000", "", &words).await, by("28P01", "", &words).await, refused(format!("HTTP {words}").as_bytes()).await] {
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("correct") && shown.contains("(secret)"), "{shown}");
        }
    }

    #[tokio::test]
    async fn what_is_missing_here_is_told_apart_from_what_the_server_lacks() {
        let asks = |code: u32, password: Option<&str>| {
            let role = Role { password: password.map(Into::into), ..role() };
            async move {
                let (ours, mut theirs) = tokio::io::duplex(4096);
                let method = match code {
                    5 => &b"salt"[..],
                    10 => b"OAUTHBEARER\0\0",
                    _ => b"",
                };
                theirs.write_all(&message(b'R', &[&code.to_be_bytes()[..], method].concat())).await.unwrap();
                log_in(ours, role, WITHIN).await.err().unwrap()
            }
        };
        let missing = |asked: &str| LoginError::PasswordMissing { asked: Heard::from_text(asked) };
        assert_eq!(asks(3, None).await, missing("AuthenticationCleartextPassword"));
        assert_eq!(asks(3, Some("")).await, missing("AuthenticationCleartextPassword"));
        assert_eq!(asks(5, None).await, missing("AuthenticationMD5Password"));
        assert_eq!(asks(10, None).await, missing("OAUTHBEARER"));
        for (code, method) in [(2, "AuthenticationKerberosV5"), (7, "AuthenticationGSS"), (9, "AuthenticationSSPI"), (10, "OAUTHBEARER")] {
            let heard = Heard::from_text(method);
            assert_eq!(asks(code, Some(PASSWORD)).await, LoginError::AuthenticationUnsupported { heard });
        }
        let (ours, _theirs) = tokio::io::duplex(64);
        let nul = Role { user: "m\0e".into(), ..role() };
        assert_eq!(log_in(ours, nul, WITHIN).await.err(), Some(LoginError::Unsendable));
    }

    /// What a login fails with if the server answers SCRAM's first message so; `{nonce}` stands for the client's own.
    async fn scram(answer: &str) -> LoginError {
        let (ours, mut theirs) = tokio::io::duplex(4096);
        let server = async {
            read_startup(&mut theirs).await;
            theirs.write_all(&message(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0")).await.unwrap();
            let mut first = vec![0; 1024];
            let read = theirs.read(&mut first).await.unwrap();
            let said = String::from_utf8_lossy(&first[..read]).into_owned();
            let nonce = said.rsplit_once("r=").unwrap().1;
            let answer = answer.replace("{nonce}", nonce);
            theirs.write_all(&message(b'R', &[b"\0\0\0\x0b", answer.as_bytes()].concat())).await.unwrap();
            if theirs.read(&mut first).await.is_ok_and(|read| read > 0) {
                let _sent = theirs.write_all(&message(b'R', b"\0\0\0\x0ce=channel-bindings-dont-match")).await;
            }
        };
        tokio::join!(log_in(ours, role(), WITHIN), server).0.err().unwrap()
    }

    /// The driver's texts tell its kinds apart, and are no peer's words.
    #[tokio::test]
    async fn what_is_heard_is_never_the_drivers() {
        let heard = Heard::from_text;
        let odd = LoginError::Protocol { stage: Stage::Login, heard: heard("a SCRAM message that does not fit") };
        assert_eq!(scram("r=another,s=c2FsdA==,i=4096").await, odd);
        assert_eq!(scram("what is this").await, odd);
        let slow = LoginError::AuthenticationUnsupported { heard: heard("more SCRAM iterations than are taken here") };
        assert_eq!(scram("r={nonce}x,s=c2FsdA==,i=4000000000").await, slow);
        let bound = LoginError::ChannelBinding { heard: heard("channel-bindings-dont-match") };
        assert_eq!(scram("r={nonce}x,s=c2FsdA==,i=1").await, bound);
    }

    #[tokio::test]
    async fn a_session_knows_its_server_and_says_goodbye() {
        let (ours, mut theirs) = tokio::io::duplex(4096);
        let server = async {
            let startup = read_startup(&mut theirs).await;
            theirs.write_all(AUTHENTICATED).await.unwrap();
            theirs.write_all(&message(b'S', b"server_version\x0015.18 (Debian)\x1b[2J\0")).await.unwrap();
            theirs.write_all(&message(b'Z', b"I")).await.unwrap();
            let mut rest = Vec::new();
            theirs.read_to_end(&mut rest).await.unwrap();
            (startup, rest)
        };
        let client = async {
            let connection = log_in(ours, role(), WITHIN).await.unwrap();
            assert_eq!(connection.server_version(), "15.18");
            assert!(connection.encrypted().is_none());
            connection.close(GOODBYE).await;
        };
        let ((), (startup, rest)) = tokio::join!(client, server);
        let startup = String::from_utf8_lossy(&startup).into_owned();
        assert!(
            startup.contains("application_name\0terraform-provider-bastion\0") && startup.contains("database\0orders\0"),
            "{startup:?}"
        );
        assert!(!startup.contains(PASSWORD));
        assert_eq!(rest, [b'X', 0, 0, 0, 4]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_goodbye_that_nobody_takes_ends_in_time() {
        let (ours, mut theirs) = tokio::io::duplex(4096);
        theirs.write_all(&[AUTHENTICATED, &message(b'Z', b"I")].concat()).await.unwrap();
        let connection = log_in(ours, role(), WITHIN).await.unwrap();
        // More than there is room for.
        assert!(timeout(WITHIN, connection.client.simple_query(&"x".repeat(10_000))).await.is_err());
        let within = Duration::from_millis(100);
        assert!(timeout(within * 2, connection.close(within)).await.is_ok());
    }

    #[tokio::test]
    async fn a_dropped_session_closes_its_stream() {
        let (ours, mut theirs) = tokio::io::duplex(4096);
        theirs.write_all(&[AUTHENTICATED, &message(b'Z', b"I")].concat()).await.unwrap();
        drop(log_in(ours, role(), WITHIN).await.unwrap());
        read_startup(&mut theirs).await;
        let ended = timeout(WITHIN, theirs.read_to_end(&mut Vec::new())).await;
        assert!(ended.is_ok_and(|read| read.is_ok()));
    }

    #[test]
    fn a_version_is_one_short_word() {
        assert_eq!(version_of("16.4 (Debian 16.4-1)"), "16.4");
        assert_eq!(version_of(""), "unknown");
        assert_eq!(version_of(&"9".repeat(10_000)).len(), LONGEST_VERSION);
    }
}
