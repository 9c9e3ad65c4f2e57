use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream, lookup_host};

use super::error::{Error, ErrorKind};
use super::options::Options;
use super::race::{interleave, race};

/// The host of `host:port`, without the brackets of an IPv6 address.
pub(super) fn host_of(address: &str) -> Result<&str, Error> {
    let invalid = || Error::unsent(ErrorKind::Address, None);
    let (host, port) = address.rsplit_once(':').ok_or_else(invalid)?;
    port.parse::<u16>().map_err(|_| invalid())?;
    let inner = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    match inner.unwrap_or(host) {
        "" => Err(invalid()),
        host => Ok(host),
    }
}

/// Resolves the address, every time anew, and connects to what it finds.
pub(super) async fn dial(address: &str, options: &Options) -> Result<TcpStream, Error> {
    let found = lookup_host(address)
        .await
        .map_err(|error| Error::unsent(ErrorKind::Resolve, Some(error.into())))?;
    connect_any(found.collect(), options).await
}

/// How long an attempt is alone before the next address is tried as well: the recommended value, and
/// the least that is allowed (RFC 8305 §8).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
const MIN_ATTEMPT_DELAY: Duration = Duration::from_millis(10);

async fn connect_any(addresses: Vec<SocketAddr>, options: &Options) -> Result<TcpStream, Error> {
    // So that all have begun before the time is over.
    let count = u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
    let delay = (options.connect_timeout / count).clamp(MIN_ATTEMPT_DELAY, ATTEMPT_DELAY);
    let connect = |address| connect(address, options);
    race(interleave(addresses), delay, connect)
        .await
        .map_err(|last| match last {
            Some(error) => Error::unsent(ErrorKind::Connect, Some(error.into())),
            None => Error::unsent(ErrorKind::Resolve, Some("no address was found".into())),
        })
}

async fn connect(address: SocketAddr, options: &Options) -> io::Result<TcpStream> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    options.apply(&socket)?;
    socket.connect(address).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_what_stands_before_the_port() {
        for (address, host) in [
            ("example.com:80", Some("example.com")),
            ("127.0.0.1:80", Some("127.0.0.1")),
            ("[::1]:80", Some("::1")),
            ("example.com", None),
            ("example.com:http", None),
            ("example.com:65536", None),
            (":80", None),
            ("[]:80", None),
            ("", None),
        ] {
            assert_eq!(host_of(address).ok(), host, "{address:?}");
        }
    }

    #[tokio::test]
    async fn every_address_is_tried_and_the_last_error_is_told() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let closed = gone.local_addr().unwrap();
        drop(gone);
        let options = Options::default();
        let connect = async |to: &[SocketAddr]| connect_any(to.to_vec(), &options).await;
        let stream = connect(&[closed, closed, open]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open);
        let error = connect(&[closed, closed]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connect);
        let error = connect(&[]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Resolve);
    }

    /// A listener with a full backlog: Linux drops what comes.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn an_address_that_swallows_everything_does_not_use_up_the_time() {
        use tokio::time::timeout;

        let hole = TcpSocket::new_v4().unwrap();
        hole.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let hole = hole.listen(0).unwrap();
        let swallows = hole.local_addr().unwrap();
        let mut backlog = Vec::new();
        while let Ok(stream) =
            timeout(Duration::from_millis(200), TcpStream::connect(swallows)).await
        {
            backlog.push(stream.unwrap());
        }
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        let options = Options {
            connect_timeout: Duration::from_secs(60),
            ..Options::default()
        };
        let connect = connect_any(vec![swallows, swallows, open], &options);
        let stream = timeout(Duration::from_secs(20), connect).await;
        assert_eq!(stream.unwrap().unwrap().peer_addr().unwrap(), open);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_vanished_peer_is_noticed_within_20_seconds_by_default() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let stream = dial(&address, &Options::default()).await.unwrap();
        let socket = socket2::SockRef::from(&stream);

        let limit = Duration::from_secs(20);
        assert!(socket.keepalive().unwrap());
        let probes = socket.tcp_keepalive_retries().unwrap();
        let idle = socket.tcp_keepalive_time().unwrap();
        let idle = idle + socket.tcp_keepalive_interval().unwrap() * probes;
        assert!(idle <= limit, "{idle:?}");
        let unacknowledged = socket.tcp_user_timeout().unwrap().unwrap();
        assert!(unacknowledged <= limit, "{unacknowledged:?}");
        assert!(socket.tcp_nodelay().unwrap());
    }

    #[tokio::test]
    async fn small_writes_wait_only_where_that_is_asked_for() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        for nodelay in [true, false] {
            let options = Options {
                nodelay,
                ..Options::default()
            };
            let stream = dial(&address, &options).await.unwrap();
            assert_eq!(stream.nodelay().unwrap(), nodelay);
        }
    }
}
