//! The path from here through an SSH bastion to a private Postgres: made, walked stage by stage, and diagnosed.
//!
//! This is the library under the Terraform provider, usable without Terraform. It makes the keys of a bastion login and proves a path:
//!
//! ```no_run
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use bastion::check::{Request, Sessions, check};
//! use bastion::key::{LineOptions, PrivateKey, authorized_keys_line};
//! use bastion::path::event::Event;
//! use bastion::path::route::{Address, Hop, Login, Port, Route, Target};
//! use bastion::postgres::{SslMode, TlsSettings};
//! use bastion::ssh::known_hosts;
//! use bastion::way::{Patience, Way};
//! use tokio::io::AsyncWriteExt;
//! use tokio_util::sync::CancellationToken;
//!
//! # async fn prove() -> Result<(), Box<dyn std::error::Error>> {
//! // A key for the login, and the line that the bastion's authorized_keys needs.
//! let key = PrivateKey::generate_ed25519()?;
//! let options = LineOptions { permit_open: Some(vec!["orders.internal:5432".parse()?]), ..LineOptions::default() };
//! println!("{}", authorized_keys_line(&key.public(), &options));
//!
//! // The way there: one hop, whose host key is pinned, and a Postgres behind it.
//! let at = Address::new("bastion.example.com".parse()?, Port::SSH);
//! let host_keys = known_hosts::from_texts(&[&std::fs::read_to_string("bastion_host_key.pub")?], &at.host, at.port)?;
//! let hop = Hop::new(at, "orders", host_keys);
//! let login = Login { user: "app".to_owned(), database: "orders".to_owned() };
//! let at = Address::new("orders.internal".parse()?, Port::POSTGRES);
//! let target = Target::Postgres { at: at.clone(), login: Some(login) };
//!
//! // Walk it, and hear of every stage.
//! let mut request = Request::new(Route::new(vec![hop], target));
//! request.keys = vec![Arc::new(key)];
//! request.postgres.password = Some("the role's password".into());
//! request.postgres.tls = TlsSettings::new(SslMode::VerifyFull, Some(&std::fs::read_to_string("ca.pem")?), None)?;
//! request.postgres.readiness.replication = true;
//! request.timeout = Duration::from_secs(60);
//! let (sessions, observer) = (Sessions::new(), |event: &Event| println!("{event:?}"));
//! match check(&request, &sessions, &observer, &CancellationToken::new()).await {
//!     Ok(report) => println!("proven, up to PostgreSQL {:?}", report.server_version()),
//!     Err(diagnosis) => println!("{}\n\n{diagnosis}", diagnosis.summary()),
//! }
//!
//! // Use the same way for something else: a stream, and no port of this machine.
//! let way = Way::new(request.route.hops, request.keys, &sessions, Patience::DEFAULT);
//! way.open(&at).await?.write_all(b"hello").await?;
//! # Ok(())
//! # }
//! ```
//!
//! Read the rooms in this order: [`path`], [`key`], [`secret`], [`cidr`], [`backoff`] are the words, pure and small. [`ssh`], [`tls`],
//! [`postgres`] and `aws` talk to one kind of peer each. [`way`] crosses hops, [`check`] proves what is at the end. `provider` is what
//! Terraform wants, `tfplugin` what it says; `cli` is the program `bastion`. The features `aws`, `provider` and `cli` add the rooms of
//! their names, and everything is there without them.

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
#[cfg(feature = "provider")]
pub mod provider;
pub mod secret;
pub mod ssh;
#[cfg(feature = "provider")]
pub mod tfplugin;
pub mod tls;
pub mod way;
