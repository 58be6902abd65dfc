//! The id of a connection: a URL without secrets, from which it can be imported.

use super::Model;
use crate::path::percent::{decode, encode};
use crate::path::route::{Host, Port};
use crate::postgres::SslMode;
use crate::tfplugin::attribute_path::AttributePath;
use crate::tfplugin::diagnostic::Diagnostics;
use crate::tfplugin::model::Attr;

const SCHEME: &str = "postgresql://";

/// `postgresql://USER@HOST:PORT/DATABASE?sslmode=MODE&name=NAME`, as soon as all of it is known.
pub(super) fn of(model: &Model) -> Attr<String> {
    let parts =
        (model.user.known(), model.host.known(), model.port.known(), model.database.known(), model.sslmode.known(), model.name.known());
    let (Some(user), Some(host), Some(port), Some(database), Some(sslmode), Some(name)) = parts else {
        return Attr::Unknown;
    };
    let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    Attr::Known(format!("{SCHEME}{}@{host}:{port}/{}?sslmode={}&name={}", encode(user), encode(database), encode(sslmode), encode(name)))
}

/// Reads an id back. What it cannot hold is said in a warning.
pub(super) fn import(id: &str) -> Result<(Model, Diagnostics), Diagnostics> {
    let Some(model) = parse(id) else {
        let mut diagnostics = Diagnostics::new();
        diagnostics.error(
            AttributePath::root(),
            "The import id is not a connection",
            "It has the form postgresql://USER@HOST:PORT/DATABASE?sslmode=MODE&name=NAME, without a password; a character that means something in a URL is written as %XX.",
        );
        return Err(diagnostics);
    };
    let mut warnings = Diagnostics::new();
    warnings.warning(
        AttributePath::root(),
        "Secrets and the way through the bastion are not imported",
        "An id holds neither `password_wo`, `sslkey_wo` and their versions nor `ssh_tunnel`, `sslrootcert`, `sslcert`, `verify` and `triggers`. Where the configuration gives one that state keeps (a version, a tunnel, an authority), the next apply sets it and proves the connection; else change `triggers` to have it proven.",
    );
    Ok((model, warnings))
}

fn parse(id: &str) -> Option<Model> {
    let (authority, rest) = id.strip_prefix(SCHEME)?.split_once('/')?;
    let (user, address) = authority.rsplit_once('@')?;
    // A colon would be a password's, and a password does not belong into a command line or into state.
    let user = Some(user).filter(|user| !user.contains(':'))?;
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !host.ends_with(':') && !port.ends_with(']') => (host, Port::try_from(port.parse::<i64>().ok()?).ok()?),
        _ => (address, Port::POSTGRES),
    };
    let host: Host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).parse().ok()?;
    let (database, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (mut sslmode, mut name) = (SslMode::Require, None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=')? {
            ("sslmode", mode) => sslmode = decode(mode)?.parse().ok()?,
            ("name", text) => name = Some(decode(text)?),
            _ => return None,
        }
    }
    let mut model = Model {
        host: Attr::Known(host.as_str().to_owned()),
        port: Attr::Known(i64::from(port.get())),
        user: Attr::Known(decode(user).filter(|user| !user.is_empty())?),
        database: Attr::Known(decode(database).filter(|database| !database.is_empty())?),
        sslmode: Attr::Known(sslmode.to_string()),
        ..Model::default()
    };
    // Without a name of its own, a connection is called like its database.
    model.name = Attr::Known(name.or_else(|| model.database.known().cloned())?);
    model.id = of(&model);
    Some(model)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_leads_back_to_its_connection() {
        for (user, host, database, name) in [("app", "db.internal", "orders", "orders"), ("a/b@c%", "::1", "päth?&", "x y")] {
            let mut model = Model {
                name: Attr::Known(name.to_owned()),
                host: Attr::Known(host.to_owned()),
                port: Attr::Known(6432),
                user: Attr::Known(user.to_owned()),
                database: Attr::Known(database.to_owned()),
                sslmode: Attr::Known("verify-full".to_owned()),
                ..Model::default()
            };
            model.id = of(&model);
            let imported = parse(model.id.known().unwrap()).unwrap();
            assert!(imported == model, "{:?}", model.id);
        }
    }

    #[test]
    fn short_ids_take_the_defaults() {
        let model = parse("postgresql://app@db.internal/orders").unwrap();
        assert_eq!((model.port, model.sslmode), (Attr::Known(5432), Attr::Known("require".to_owned())));
        assert_eq!(model.name, Attr::Known("orders".to_owned()));
    }

    #[test]
    fn what_is_no_connection_is_refused() {
        for bad in [
            "",
            "orders",
            "postgresql://",
            "postgresql://app@/orders",
            "postgresql://@db/orders",
            "postgresql://app@db/",
            "postgresql://app:secret@db/orders",
            "postgresql://app@db:0/orders",
            "postgresql://app@db:x/orders",
            "postgresql://app@db/orders?sslmode=maybe",
            "postgresql://app@db/orders?color=red",
            "postgresql://app@db/%zz",
            "mysql://a@b/c",
        ] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }
}
