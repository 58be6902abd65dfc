//! Who lets this machine in at what a path begins with: walks are given one, and do not know whose door it is.

use std::any::Any;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use super::cause::Cause;
use super::heard::Heard;
use super::route::Port;

/// Who lets this machine in, before a walk connects.
pub trait Admission: Send + Sync {
    /// Opens the door to a port for this machine alone, or finds it open. Whoever drops this leaves nothing open for long.
    fn open(&self, port: Port) -> Opening<'_>;
}

/// A door that is being opened.
pub type Opening<'a> = Pin<Box<dyn Future<Output = Result<Admitted, Box<Refused>>> + Send + 'a>>;

/// This machine is let in as long as a clone of this lives.
#[derive(Clone)]
pub struct Admitted {
    /// This machine's address as the door sees it.
    pub address: IpAddr,
    /// What is told of it, such as `203.0.113.7/32 to port 22 of sg-0123456789abcdef0`.
    pub note: String,
    /// What keeps the door open.
    pub hold: Arc<dyn Any + Send + Sync>,
}

/// Why the door stays shut.
#[derive(Debug)]
pub struct Refused {
    /// What is wrong: a cause of the stage `admit`.
    pub cause: Cause,
    /// What was heard of it.
    pub heard: Heard,
}
