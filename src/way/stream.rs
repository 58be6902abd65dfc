//! A stream to wherever a way leads, whichever it rides on.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::either::Either;

use super::lanes::Place;
use super::sessions::Lease;
use crate::path::admission::Admitted;
use crate::path::heard::Heard;
use crate::ssh::connect::Tcp;
use crate::ssh::forward::Channel;

/// An open stream. It keeps the sessions up that it runs through. When one of them breaks, reading fails: only what the far side ended in
/// order reads as an end.
pub struct Stream {
    carrier: Either<Tcp, Box<Channel>>,
    /// The session that it runs through.
    lease: Option<Lease>,
    /// The door that it came through is not shut behind it: what it breaks for can connect again.
    _admitted: Option<Admitted>,
    _place: Option<Place>,
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
        Self { carrier: Either::Left(stream), lease: None, _admitted: admitted, _place: None }
    }

    pub(crate) fn channel(channel: Channel, lease: Lease) -> Self {
        Self { carrier: Either::Right(Box::new(channel)), lease: Some(lease), _admitted: None, _place: None }
    }

    /// The same stream, in its place on a lane.
    pub(super) fn on(self, place: Place) -> Self {
        Self { _place: Some(place), ..self }
    }

    /// The session that it runs through.
    pub(super) fn lease(&self) -> Option<Lease> {
        self.lease.clone()
    }

    pub(crate) fn link(&self) -> Link {
        Link(self.lease())
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.carrier).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.carrier).poll_write(cx, buf)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.carrier).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.carrier.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.carrier).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.carrier).poll_shutdown(cx)
    }
}
