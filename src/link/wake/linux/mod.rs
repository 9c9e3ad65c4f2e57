//! Linux, through the kernel's own socket for it: rtnetlink(7).
//!
//! The libraries that watch interfaces (if-watch, netwatcher) tell of addresses alone. A wireless
//! network that is in range again often brings no new one, since the old one was kept, and an address
//! is no use before its route is there. rtnetlink, which can do it all, is made for changing things,
//! and large.

mod news;

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};
use tokio::io::Interest;
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};

use self::news::News;

/// More than what is read here: the beginning of a message, and all of one about an address.
const LONGEST: usize = 4096;
/// How many messages are read before others have their turn.
const MOST: usize = 256;

pub(super) struct Changes {
    socket: AsyncFd<OwnedFd>,
    news: News,
}

impl Changes {
    #[allow(
        deprecated,
        reason = "sound for what owns its descriptor, and its successor is not in older versions"
    )]
    pub(super) fn new() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let route = None; // NETLINK_ROUTE is 0
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, route)?;
        bind(&socket, &SocketAddrNetlink::new(0, news::GROUPS))?;
        Ok(Self {
            socket: AsyncFd::with_interest(socket, Interest::READABLE)?,
            news: News::default(),
        })
    }

    /// Waits for something good.
    pub(super) async fn next(&mut self) -> io::Result<()> {
        loop {
            let mut ready = self.socket.readable().await?;
            let good = read(&mut ready, &mut self.news);
            drop(ready);
            match good {
                Ok(false) => {}
                Ok(true) => return Ok(()),
                Err(error) if Errno::from_io_error(&error) == Some(Errno::NOBUFS) => {
                    // There was more than the kernel keeps, so anything may have happened. It says so
                    // once, and goes on losing until all that it kept is read: a new socket begins
                    // with nothing lost.
                    *self = Self::new()?;
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// Reads what is there. Whether any of it is good.
fn read(ready: &mut AsyncFdReadyGuard<'_, OwnedFd>, news: &mut News) -> io::Result<bool> {
    let mut buffer = [0; LONGEST];
    let mut good = false;
    for _ in 0..MOST {
        let received = ready.try_io(|socket| {
            let (_, length) = recv(socket.get_ref(), &mut buffer[..], RecvFlags::empty())?;
            Ok(length)
        });
        match received {
            Ok(Ok(length)) => good |= news.read(&buffer[..length.min(LONGEST)]),
            Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(Err(error)) => return Err(error),
            Err(_would_block) => break,
        }
    }
    Ok(good)
}
