//! Words about the database: TLS, login, opening, readiness.

use super::peer::Peer;
use super::{Scene, Words};
use crate::path::cause::{Cause, Tried};
use crate::path::finding::{Finding, quoted};

impl Cause {
    pub(super) fn tls_words(&self, scene: Scene<'_>) -> Words {
        match self {
            Self::PostgresSilent => Words::new(
                "The database accepts the connection and says nothing",
                "The first message of Postgres got no answer in time.",
                ["check the database's host and port".to_owned(), "look for a proxy in front, or a hung server".to_owned()],
            ),
            Self::PostgresClosed => Words::new(
                "The database hangs up without a word",
                "It accepted the connection and ended it before Postgres said anything.",
                ["look for a proxy, a balancer or a connection limit in front of Postgres".to_owned(), "see Postgres's log".to_owned()],
            ),
            Self::NotPostgres => Words::new(
                "The database's port does not speak Postgres",
                "Something else answers there.",
                ["correct the database's host and port".to_owned()],
            ),
            Self::TlsNotOffered => Words::new(
                "The database has no TLS",
                "Postgres answered that it does not speak TLS, and `sslmode` demands it.",
                [
                    "turn TLS on: ssl = on, with a certificate and a key".to_owned(),
                    format!("choose `sslmode = \"disable\"` knowingly: {} the password crosses in the clear", crossed(scene)),
                ],
            ),
            Self::TlsServerError => Words::new(
                "The database answers with an error where TLS should begin",
                "Postgres could not start this connection.",
                ["see Postgres's log".to_owned()],
            ),
            Self::ClientCertificateRefused => Words::new(
                "The database refuses the client certificate",
                "Postgres asks for a client certificate that its authority has signed.",
                [
                    "give a client certificate and its private key (`sslcert`, `sslkey`)".to_owned(),
                    "have it signed by the authority in the server's ssl_ca_file".to_owned(),
                ],
            ),
            Self::TlsSilent => Words::new(
                "The database falls silent in the TLS handshake",
                "It agreed to TLS and did not finish the handshake in time.",
                [
                    "large packets may be lost on the way: lower the MTU, and let ICMP \"fragmentation needed\" pass".to_owned(),
                    "look for a proxy or a middlebox that stalls TLS".to_owned(),
                    "a hung server: see Postgres's log".to_owned(),
                ],
            ),
            Self::TlsFailed => Words::new(
                "TLS with the database failed",
                "Postgres agreed to TLS, and the handshake broke.",
                ["look for a proxy or a middlebox that cuts TLS".to_owned(), "see Postgres's log".to_owned()],
            ),
            _ => self.certificate_words(scene),
        }
    }

    fn certificate_words(&self, scene: Scene<'_>) -> Words {
        match self {
            Self::CertificateWrongName { presented } => Words::new(
                "The database's certificate is for another name",
                format!("It is for {presented}, and the name asked for is `{}`.", Peer::of(scene).host),
                [
                    "use a name in the certificate as the database's host".to_owned(),
                    "issue a certificate for that name".to_owned(),
                    "`sslmode = \"verify-ca\"` checks the authority only".to_owned(),
                ],
            ),
            Self::CertificateExpired => Words::new(
                "The database's certificate is out of its time",
                "It has expired, or is not valid yet, by this machine's clock.",
                ["renew the certificate".to_owned(), "check this machine's clock".to_owned()],
            ),
            Self::CertificateUnknownIssuer => Words::new(
                "The database's certificate is from an unknown authority",
                "None of the authorities in `sslrootcert` has signed it.",
                ["give the right authority as `sslrootcert` (for RDS, the bundle of its region)".to_owned()],
            ),
            Self::CertificateNoRoot => Words::new(
                "The given authority is not a root",
                "It has signed the database's certificate, and is itself signed by another. libpq and OpenSSL accept a root only.",
                ["give the root that signed it as `sslrootcert`, or both in one text".to_owned()],
            ),
            Self::CertificateBad => Words::new(
                "The database's certificate cannot be used",
                "It does not pass verification.",
                ["issue a new certificate: X.509 v3, with the host name as a subject alternative name".to_owned()],
            ),
            _ => self.ended_words(),
        }
    }

    pub(super) fn login_words(&self, scene: Scene<'_>) -> Words {
        let (user, _) = scene.login();
        match self {
            Self::PasswordRefused => Words::new(
                "The database refuses the password",
                "Postgres says the same for a wrong password and for a missing role.",
                [
                    format!("correct the password of `{user}` (in a resource `password_wo`, with its version raised)"),
                    format!("create the role: CREATE ROLE {} LOGIN PASSWORD '…'", quoted(user)),
                ],
            ),
            Self::PasswordMissing => Words::new(
                "The database asks for a password",
                "None was given.",
                ["give the role's password (in a resource `password_wo`, with its version)".to_owned()],
            ),
            Self::RoleMissing => Words::new(
                "The role does not exist",
                format!("The server has no role `{user}`."),
                ["correct the role's name".to_owned(), format!("CREATE ROLE {} LOGIN;", quoted(user))],
            ),
            Self::EncryptionRequired => Words::new(
                "The database takes TLS only",
                "Postgres, or a pooler in front of it, admits nobody in the clear.",
                ["set `sslmode` to require or stricter".to_owned()],
            ),
            Self::ServerUnproven => Words::new(
                "What answers cannot prove that it is the database",
                "SCRAM binds the login to the server and its TLS: something in between ends TLS, or it is another server.",
                ["connect to Postgres itself, past any proxy that ends TLS".to_owned(), "correct the database's host and port".to_owned()],
            ),
            Self::NoHbaEntry { tried } => no_entry_words(*tried, scene),
            Self::HbaRejects => Words::new(
                "The database rejects such connections",
                "A reject line of pg_hba.conf fits.",
                ["remove the reject line, or move it below the line that should fit".to_owned()],
            ),
            Self::AuthenticationUnsupported => Words::new(
                "The database asks for an authentication that cannot be given",
                "pg_hba.conf asks this role for a method that is not spoken here, such as Kerberos.",
                ["let pg_hba.conf ask this role for scram-sha-256".to_owned()],
            ),
            Self::Pooler => Words::new(
                "A connection pooler refuses the login",
                "The answer comes from a pooler in front of Postgres.",
                ["add the role and the database to the pooler".to_owned(), "connect to Postgres itself: replication needs that".to_owned()],
            ),
            Self::LoginBroken => Words::new(
                "The login broke",
                "The connection ended, or what answered does not make sense, before Postgres had decided.",
                ["look for a proxy in front of Postgres".to_owned(), "see Postgres's log".to_owned()],
            ),
            Self::LoginSilent => Words::new(
                "The database is silent during login",
                "Postgres took the credentials and did not answer in time.",
                ["a slow authentication method (LDAP, RADIUS) or an overloaded server: see Postgres's log".to_owned()],
            ),
            Self::LoginRefused => Words::new(
                "The database refuses the login",
                "It gives a reason of its own; neither the password nor pg_hba.conf is what it names.",
                ["see Postgres's log".to_owned()],
            ),
            _ => self.ended_words(),
        }
    }

    pub(super) fn open_words(&self, scene: Scene<'_>) -> Words {
        let (user, name) = scene.login();
        match self {
            Self::LoginForbidden => Words::new(
                "The role may not log in",
                format!("`{user}` exists and lacks LOGIN."),
                [format!("ALTER ROLE {} LOGIN;", quoted(user))],
            ),
            Self::DatabaseMissing => Words::new(
                "The database does not exist",
                format!("The server has no database `{name}`."),
                ["correct the database's name".to_owned(), format!("CREATE DATABASE {};", quoted(name))],
            ),
            Self::NoConnectPrivilege => Words::new(
                "The role may not connect to the database",
                format!("`{user}` lacks CONNECT on `{name}`."),
                [format!("GRANT CONNECT ON DATABASE {} TO {};", quoted(name), quoted(user))],
            ),
            Self::DatabaseClosed => Words::new(
                "The database takes no connections",
                format!("`{name}` has ALLOW_CONNECTIONS false, or is invalid: a DROP DATABASE of it was interrupted."),
                [
                    format!("ALTER DATABASE {} ALLOW_CONNECTIONS true;", quoted(name)),
                    format!("one that the server calls invalid is lost: DROP DATABASE {}; and make it anew", quoted(name)),
                ],
            ),
            Self::TooManyConnections => Words::new(
                "The database has no connection slot left",
                "A limit of the server, the role or the database is reached.",
                [
                    "end idle connections (pg_stat_activity)".to_owned(),
                    "raise max_connections, or the role's or database's CONNECTION LIMIT".to_owned(),
                ],
            ),
            Self::NotAccepting => Words::new(
                "The database is not accepting connections now",
                "It is starting up, shutting down or recovering.",
                [
                    "apply again when it is up".to_owned(),
                    "a standby with hot_standby = off never accepts any: connect to the primary".to_owned(),
                ],
            ),
            Self::NotReady { findings, publication } => Words {
                summary: "The database is not ready for its use",
                means: findings.iter().map(Finding::means).collect::<Vec<_>>().join(" "),
                remedies: findings.iter().map(|finding| finding.remedy(user, publication.as_deref())).collect(),
            },
            Self::ReadyFailed => Words::new(
                "The database could not be examined",
                "The connection works; a query about its readiness failed.",
                ["see Postgres's log".to_owned()],
            ),
            _ => self.ended_words(),
        }
    }
}

/// Where a password goes in the clear.
fn crossed(scene: Scene<'_>) -> String {
    if scene.route.is_direct() { "on the way to the database".to_owned() } else { format!("behind {}", Peer::of(scene).via) }
}

fn no_entry_words(tried: Tried, scene: Scene<'_>) -> Words {
    let (user, name) = scene.login();
    let from = if scene.route.is_direct() {
        format!("{}'s address", scene.route.vantage.phrase())
    } else {
        format!("{}'s private address", Peer::of(scene).via)
    };
    let line = |kind: &str| format!("{kind} {name} {user} <{from}>/32 scram-sha-256");
    match tried {
        Tried::Tls => Words::new(
            "The database admits no such connection",
            format!("No line of pg_hba.conf fits this role, database and {from}."),
            [format!("add to pg_hba.conf: {}", line("hostssl"))],
        ),
        Tried::Plain => Words::new(
            "The database admits no such connection",
            format!("No line of pg_hba.conf fits this role, database and {from} without TLS. Whether one fits with TLS cannot be told."),
            ["set `sslmode` to require or stricter".to_owned(), format!("add to pg_hba.conf: {}", line("host"))],
        ),
        Tried::PlainOnly => Words::new(
            "The database admits no such connection",
            format!("No line of pg_hba.conf fits this role, database and {from} without TLS, and Postgres has TLS turned off."),
            [format!("add to pg_hba.conf: {}", line("host")), "turn TLS on, where a hostssl line should fit: ssl = on".to_owned()],
        ),
    }
}
