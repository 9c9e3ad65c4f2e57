use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::{Instant, timeout};

use super::error::{Error, ErrorKind};
use super::options::Options;

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
    let begun = Instant::now();
    let found = lookup_host(address)
        .await
        .map_err(|error| Error::unsent(ErrorKind::Resolve, Some(error.into())))?;
    let found: Vec<SocketAddr> = found.collect();
    connect_any(&found, begun, options).await
}

/// Tries the addresses one after the other. Every one has an equal share of the time that is left,
/// so that one that swallows everything does not use up all of it.
async fn connect_any(
    addresses: &[SocketAddr],
    begun: Instant,
    options: &Options,
) -> Result<TcpStream, Error> {
    let mut last = Error::unsent(ErrorKind::Resolve, Some("no address was found".into()));
    for (i, address) in addresses.iter().enumerate() {
        let left = options.connect_timeout.saturating_sub(begun.elapsed());
        let share = u32::try_from(addresses.len() - i).unwrap_or(u32::MAX);
        let error = match timeout(left / share, connect(*address, options)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => error,
            Err(_) => io::ErrorKind::TimedOut.into(),
        };
        last = Error::unsent(ErrorKind::Connect, Some(error.into()));
    }
    Err(last)
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
        let connect =
            async |addresses: &[SocketAddr]| connect_any(addresses, Instant::now(), &options).await;
        let stream = connect(&[closed, closed, open]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open);
        let error = connect(&[closed, closed]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connect);
        let error = connect(&[]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Resolve);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_vanished_peer_is_noticed_within_20_seconds_by_default() {
        use std::time::Duration;

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
}
