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

fn set(url: &mut Url, name: &str, value: Option<String>) -> Result<(), UrlError> {
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
