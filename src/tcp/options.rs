use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpSocket;

/// What can be set on a [`Connector`](super::Connector). Documented there.
#[derive(Debug, Clone)]
pub(super) struct Options {
    pub(super) connect_timeout: Duration,
    pub(super) keepalive: Duration,
    pub(super) user_timeout: Duration,
    pub(super) nodelay: bool,
    pub(super) response_timeout: Option<Duration>,
    pub(super) max_in_flight: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            // The last probe after 16 s.
            keepalive: Duration::from_secs(10),
            user_timeout: Duration::from_secs(15),
            nodelay: true,
            response_timeout: None,
            max_in_flight: 1024,
        }
    }
}

/// Probes after the first, before the peer is taken for dead.
const KEEPALIVE_PROBES: u32 = 3;
/// What the kernels take (Linux: 32,767 s).
const MAX_KEEPALIVE: Duration = Duration::from_secs(32_767);
/// What the kernels take: 2^31 - 1 milliseconds.
const MAX_USER_TIMEOUT: Duration = Duration::from_millis(0x7fff_ffff);

impl Options {
    /// Before connecting, so that there is no moment without them.
    pub(super) fn apply(&self, socket: &TcpSocket) -> io::Result<()> {
        let socket = SockRef::from(socket);
        socket.set_tcp_nodelay(self.nodelay)?;
        if self.keepalive.is_zero() {
            socket.set_keepalive(false)?;
        } else {
            socket.set_tcp_keepalive(&keepalive(self.keepalive))?;
        }
        #[cfg(any(target_os = "linux", target_os = "android"))]
        socket.set_tcp_user_timeout(self.user_timeout())?;
        Ok(())
    }

    /// `None` leaves it to the system.
    pub(super) fn user_timeout(&self) -> Option<Duration> {
        match self.user_timeout.is_zero() {
            true => None,
            // Under a millisecond would be rounded to 0, the system's default.
            false => Some(self.user_timeout.clamp(MILLISECOND, MAX_USER_TIMEOUT)),
        }
    }
}

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn keepalive(idle: Duration) -> TcpKeepalive {
    // The kernels count in seconds.
    let idle = idle.clamp(SECOND, MAX_KEEPALIVE);
    let keepalive = TcpKeepalive::new().with_time(idle);
    #[cfg(any(
        target_os = "linux",
        target_os = "android",
        target_os = "macos",
        target_os = "ios",
        target_os = "freebsd",
        target_os = "netbsd",
        target_os = "windows",
    ))]
    let keepalive = keepalive
        .with_interval((idle / 5).max(SECOND))
        .with_retries(KEEPALIVE_PROBES);
    keepalive
}
