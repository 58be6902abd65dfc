//! A connection URL as libpq takes it: `postgres://USER@HOST:PORT/DATABASE?sslmode=…`.

use super::endpoint;
use crate::path::percent::decode;
use crate::path::route::{Host, Port};
use crate::secret::Secret;

/// What a URL says. Holds a secret, so it has no `Debug`.
#[derive(Default)]
pub(super) struct Url {
    pub(super) host: Option<Host>,
    pub(super) port: Option<Port>,
    pub(super) user: Option<String>,
    pub(super) password: Option<Secret<String>>,
    pub(super) database: Option<String>,
    pub(super) sslmode: Option<String>,
    pub(super) sslrootcert: Option<String>,
    pub(super) sslcert: Option<String>,
    pub(super) sslkey: Option<String>,
    /// Whether a parameter holds another secret than the password; none of them means anything to a check.
    pub(super) secret: bool,
    /// Parameters of libpq's, or of others, that mean nothing to a check.
    pub(super) ignored: Vec<String>,
}

/// Why a text is not such a URL. Never quotes it: a password may be inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum UrlError {
    /// Another scheme, or none.
    #[error("it starts with postgres:// or postgresql://")]
    Scheme,
    /// Several hosts, a socket, or what is no host.
    #[error("its host is one host name or address, with a port behind a colon if need be")]
    Endpoint,
    /// `%` without two hexadecimal digits, or not UTF-8.
    #[error("a character that means something in a URL is written as %XX")]
    Encoding,
    /// A parameter without `=`.
    #[error("its parameters have the form name=value, with & in between")]
    Parameter,
    /// A parameter that a check would have to honour.
    #[error("`{0}` changes what a client would do, and is not supported by a check: leave it out")]
    Unsupported(&'static str),
    /// On a command line.
    #[error(
        "it holds a password or another secret, and a command line can be read by everybody on this machine: leave it out, \
         and give --password-file, BASTION_PASSWORD or --ask-password"
    )]
    Password,
}

pub(super) fn parse(text: &str) -> Result<Url, UrlError> {
    let rest = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://")).ok_or(UrlError::Scheme)?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, address) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = user.split_once(':').map_or((user, None), |(user, password)| (user, Some(password)));
    let mut url = Url {
        user: filled(user)?,
        password: password.map(filled).transpose()?.flatten().map(Secret::from),
        database: filled(database)?,
        ..Url::default()
    };
    if !address.is_empty() {
        let (host, port) = endpoint::parse(&decode(address).ok_or(UrlError::Encoding)?).map_err(|_| UrlError::Endpoint)?;
        (url.host, url.port) = (Some(host), port);
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or(UrlError::Parameter)?;
        set(&mut url, name, filled(value)?)?;
    }
    Ok(url)
}

/// The parameter among libpq's that changes the verdict, if it does with this value: who is connected to, or what is accepted of it.
pub(super) fn changes_the_verdict(name: &str, value: &str) -> Option<&'static str> {
    // Each with the values that ask for nothing.
    let demanding: [(&'static str, &[&str]); 10] = [
        ("channel_binding", &["prefer", "disable"]),
        ("gssencmode", &["prefer", "disable"]),
        ("hostaddr", &[]),
        ("require_auth", &[]),
        ("sslcertmode", &["allow", "disable"]),
        ("sslcrl", &[]),
        ("sslcrldir", &[]),
        ("sslnegotiation", &["postgres"]),
        ("ssl_min_protocol_version", &["TLSv1", "TLSv1.1", "TLSv1.2"]),
        ("target_session_attrs", &["any"]),
    ];
    demanding.into_iter().find(|(known, harmless)| *known == name && !harmless.contains(&value)).map(|(known, _)| known)
}

fn set(url: &mut Url, name: &str, value: Option<String>) -> Result<(), UrlError> {
    if let Some(unsupported) = value.as_deref().and_then(|value| changes_the_verdict(name, value)) {
        return Err(UrlError::Unsupported(unsupported));
    }
    match name {
        "host" => url.host = value.map(|host| host.parse().map_err(|_| UrlError::Endpoint)).transpose()?,
        "port" => url.port = value.map(|port| endpoint::port(&port).map_err(|_| UrlError::Endpoint)).transpose()?,
        "user" => url.user = value,
        "password" => url.password = value.map(Secret::from),
        "dbname" => url.database = value,
        "sslmode" => url.sslmode = value,
        "sslrootcert" => url.sslrootcert = value,
        "sslcert" => url.sslcert = value,
        "sslkey" => url.sslkey = value,
        "sslpassword" | "oauth_client_secret" | "scram_client_key" | "scram_server_key" => {
            url.secret = true;
            url.ignored.push(name.to_owned());
        }
        other => url.ignored.push(other.to_owned()),
    }
    Ok(())
}

fn filled(text: &str) -> Result<Option<String>, UrlError> {
    Ok(Some(decode(text).ok_or(UrlError::Encoding)?).filter(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_what_libpq_reads_in_it() {
        let url =
            parse("postgres://app%40x:p%3Aw@[::1]:6432/orders?sslmode=verify-full&sslrootcert=%2Fca.pem&application_name=x").ok().unwrap();
        assert_eq!((url.user.as_deref(), url.database.as_deref()), (Some("app@x"), Some("orders")));
        assert_eq!((url.host.unwrap().as_str(), url.port.unwrap().get()), ("::1", 6432));
        assert_eq!(url.password.unwrap().expose(), "p:w");
        assert_eq!((url.sslmode.as_deref(), url.sslrootcert.as_deref()), (Some("verify-full"), Some("/ca.pem")));
        assert_eq!(url.ignored, ["application_name"]);
        let url = parse("postgresql:///orders?host=db.internal&port=5433&user=app&password=x").ok().unwrap();
        assert_eq!((url.host.unwrap().as_str(), url.port.unwrap().get()), ("db.internal", 5433));
        assert!(url.password.is_some() && url.user.as_deref() == Some("app"));
        assert!(parse("postgres://").ok().unwrap().host.is_none());
    }

    /// Dropped in silence, another machine would be checked, or a password given to whom psql would refuse it.
    #[test]
    fn what_changes_the_verdict_is_refused() {
        for (pair, name) in [
            ("channel_binding=require", "channel_binding"),
            ("require_auth=scram-sha-256", "require_auth"),
            ("hostaddr=10.0.0.1", "hostaddr"),
            ("sslnegotiation=direct", "sslnegotiation"),
            ("target_session_attrs=read-write", "target_session_attrs"),
        ] {
            assert_eq!(parse(&format!("postgres://a@b/c?{pair}")).err(), Some(UrlError::Unsupported(name)), "{pair}");
        }
        for pair in ["channel_binding=prefer", "target_session_attrs=any", "require_auth=", "connect_timeout=3"] {
            assert!(parse(&format!("postgres://a@b/c?{pair}")).is_ok(), "{pair}");
        }
    }

    #[test]
    fn what_is_no_url_is_refused_without_being_quoted() {
        for (text, error) in [
            ("mysql://a@b/c", UrlError::Scheme),
            ("host=db", UrlError::Scheme),
            ("postgres://a@b,c/d", UrlError::Endpoint),
            ("postgres://a@b:x/d", UrlError::Endpoint),
            ("postgres://a%zz@b/d", UrlError::Encoding),
            ("postgres://a@b/d?sslmode", UrlError::Parameter),
        ] {
            assert_eq!(parse(text).err(), Some(error), "{text}");
        }
    }
}
