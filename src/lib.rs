//! The path from here through an SSH bastion to a private Postgres: made, walked stage by stage, and diagnosed.
//!
//! This is the library under the Terraform provider, usable without Terraform. It makes the keys of a bastion login and proves a path:
//!
//! ```no_run
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use bastion::check::{Request, Sessions, check};
//! use bastion::key::{PrivateKey, authorized_keys_line};
//! use bastion::path::event::Event;
//! use bastion::path::route::{Bastion, Database, Port, Route};
//! use bastion::postgres::{Readiness, SslMode, TlsSettings};
//! use bastion::ssh::known_hosts;
//! use tokio_util::sync::CancellationToken;
//!
//! # async fn prove() -> Result<(), Box<dyn std::error::Error>> {
//! // A key for the login, and the line that the bastion's authorized_keys needs.
//! let key = PrivateKey::generate_ed25519()?;
//! let target = "orders.internal:5432".to_owned();
//! println!("{}", authorized_keys_line(&key.public(), &[target], "orders")?);
//!
//! // The way there. The host key is pinned.
//! let (host, port) = ("bastion.example.com".parse()?, Port::SSH);
//! let host_keys = known_hosts::from_texts(&[&std::fs::read_to_string("bastion_host_key.pub")?], &host, port)?;
//! let bastion = Bastion { host, port, user: "orders".to_owned(), host_keys };
//! let database = Database { host: "orders.internal".parse()?, port: Port::POSTGRES, user: "app".to_owned(), name: "orders".to_owned() };
//!
//! // Walk it, and hear of every stage.
//! let request = Request {
//!     route: Route { bastion: Some(bastion), database },
//!     key: Some(Arc::new(key)),
//!     password: Some("the role's password".into()),
//!     tls: TlsSettings::new(SslMode::VerifyFull, Some(&std::fs::read_to_string("ca.pem")?), None)?,
//!     readiness: Readiness { replication: true, ..Readiness::default() },
//!     timeout: Duration::from_secs(60),
//!     until: None,
//! };
//! let observer = |event: &Event| println!("{event:?}");
//! match check(&request, &Sessions::new(), &observer, &CancellationToken::new()).await {
//!     Ok(report) => println!("proven, up to PostgreSQL {}", report.server_version),
//!     Err(diagnosis) => println!("{}\n\n{diagnosis}", diagnosis.summary()),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Read the rooms in this order: [`path`], [`key`], [`secret`], [`cidr`], [`backoff`] are the words, pure and small. [`ssh`], [`tls`], [`postgres`] and
//! `aws`, behind the feature of that name, talk to one kind of peer each. [`check`] walks a route. [`provider`] is what Terraform wants, [`tfplugin`] what it says;
//! `cli`, behind the feature of that name, is the program `bastion`.

#[cfg(feature = "aws")]
pub mod aws;
pub mod backoff;
pub mod check;
pub mod cidr;
#[cfg(feature = "cli")]
pub mod cli;
pub mod key;
pub mod path;
pub mod postgres;
pub mod provider;
pub mod secret;
pub mod ssh;
pub mod tfplugin;
pub mod tls;
pub mod way;
