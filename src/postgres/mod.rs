//! The Postgres peer: TLS as `sslmode` asks, login, and whether the database is ready to be read from.
//!
//! The room knows no SSH and no sockets: it speaks over any byte stream. Its verbs, in the order of the path:
//! [`negotiate`] (the `tls` stage), [`login`] (`login` and `open`), [`Connection::ready`] (`ready`), [`Connection::close`].
//! Where `sslmode` allows two tries, [`falls_back`] says whether the second one is due.

mod error;
mod fall_back;
mod login;
mod negotiate;
mod readiness;
mod refusal;
mod secured;
mod sslmode;
mod startup;
mod table_name;
#[cfg(test)]
mod testing;
mod tls;
mod watched;

pub use error::{Error, LoginError, ReadyError, TlsError, TlsSettingsError};
pub use fall_back::falls_back;
pub use login::{Connection, GOODBYE, Role, login};
pub use negotiate::{answers, negotiate};
pub use readiness::Readiness;
pub use secured::Secured;
pub use sslmode::{Encryption, SslMode, UnknownSslMode};
pub use startup::Purpose;
pub use table_name::is_table_name;
pub use tls::TlsSettings;
