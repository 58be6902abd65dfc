//! A stream to wherever a way leads, whichever it rides on.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::lanes::Place;
use super::sessions::Lease;
use crate::path::admission::Admitted;
use crate::path::heard::Heard;
use crate::ssh::connect::Tcp;
use crate::ssh::forward::Channel;

/// An open stream. It keeps the sessions up that it runs through. When one of them breaks, reading fails: only what the far side ended in
/// order reads as an end.
pub struct Stream {
    carrier: Carrier,
    /// The door that it came through is not shut behind it: what it breaks for can connect again.
    _admitted: Option<Admitted>,
    _place: Option<Place>,
}

enum Carrier {
    Tcp(Tcp),
    Channel(Box<Channel>, Lease),
}

/// What a stream runs through, for whoever has to tell its end from the far side's.
pub(crate) struct Link(Option<Lease>);

impl Link {
    /// Why the session ended, if it has.
    pub(crate) fn lost(&self) -> Option<Heard> {
        self.0.as_ref().filter(|lease| !lease.session.is_alive()).map(|lease| lease.session.ended())
    }
}

impl Stream {
    pub(crate) const fn tcp(stream: Tcp, admitted: Option<Admitted>) -> Self {
        Self { carrier: Carrier::Tcp(stream), _admitted: admitted, _place: None }
    }

    pub(crate) fn channel(channel: Channel, lease: Lease) -> Self {
        Self { carrier: Carrier::Channel(Box::new(channel), lease), _admitted: None, _place: None }
    }

    /// The same stream, in its place on a lane.
    pub(super) fn on(self, place: Place) -> Self {
        Self { _place: Some(place), ..self }
    }

    /// The session that it runs through.
    pub(super) fn lease(&self) -> Option<Lease> {
        match &self.carrier {
            Carrier::Tcp(_) => None,
            Carrier::Channel(_, lease) => Some(lease.clone()),
        }
    }

    pub(crate) fn link(&self) -> Link {
        Link(self.lease())
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.carrier {
            Carrier::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Carrier::Channel(channel, _) => Pin::new(channel.as_mut()).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.carrier {
            Carrier::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Carrier::Channel(channel, _) => Pin::new(channel.as_mut()).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match &mut self.carrier {
            Carrier::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Carrier::Channel(channel, _) => Pin::new(channel.as_mut()).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        matches!(self.carrier, Carrier::Tcp(_))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.carrier {
            Carrier::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Carrier::Channel(channel, _) => Pin::new(channel.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.carrier {
            Carrier::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Carrier::Channel(channel, _) => Pin::new(channel.as_mut()).poll_shutdown(cx),
        }
    }
}
