//! How much of what was written the peer's kernel has acknowledged.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The socket below a connection.
pub(super) trait Socket {
    /// Whether the stream goes into the socket byte by byte, without a layer between.
    fn is_plain(&self) -> bool;

    /// How many bytes were written to the socket.
    fn written(&self) -> u64;

    /// How many of them the peer's kernel has not acknowledged.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::Unsupported`] where the platform does not tell.
    fn unacknowledged(&self) -> io::Result<u64>;

    /// What is unacknowledged is not sent again, not even after the socket was closed.
    fn give_up(&self);
}

/// Counts what is written.
pub(super) struct Counted {
    stream: TcpStream,
    written: u64,
}

impl Counted {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, written: 0 }
    }
}

impl Socket for Counted {
    fn is_plain(&self) -> bool {
        true
    }

    fn written(&self) -> u64 {
        self.written
    }

    fn unacknowledged(&self) -> io::Result<u64> {
        unacknowledged(&self.stream)
    }

    fn give_up(&self) {
        // If it fails, the bytes may still arrive late: they count as perhaps sent in any case.
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }
}

#[cfg(feature = "tls")]
impl Socket for tokio_rustls::client::TlsStream<Counted> {
    fn is_plain(&self) -> bool {
        false
    }

    fn written(&self) -> u64 {
        self.get_ref().0.written()
    }

    fn unacknowledged(&self) -> io::Result<u64> {
        self.get_ref().0.unacknowledged()
    }

    fn give_up(&self) {
        self.get_ref().0.give_up();
    }
}

/// SIOCOUTQ of `tcp(7)`: the bytes in the send queue, which are those that were not sent and those
/// that were sent and not acknowledged.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[allow(unsafe_code)]
fn unacknowledged(stream: &TcpStream) -> io::Result<u64> {
    use std::os::fd::AsRawFd as _;

    let mut queued: libc::c_int = 0;
    // SAFETY: the descriptor is open, because the stream owns it. SIOCOUTQ (which has the number of
    // TIOCOUTQ: <linux/sockios.h>) writes one int to where the pointer points.
    let result = unsafe { libc::ioctl(stream.as_raw_fd(), libc::TIOCOUTQ, &raw mut queued) };
    match result {
        0 => Ok(u64::try_from(queued).unwrap_or(0)),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn unacknowledged(_: &TcpStream) -> io::Result<u64> {
    Err(io::ErrorKind::Unsupported.into())
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let n = ready!(Pin::new(&mut self.stream).poll_write(cx, buf))?;
        self.written += n as u64;
        Poll::Ready(Ok(n))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let n = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, bufs))?;
        self.written += n as u64;
        Poll::Ready(Ok(n))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
