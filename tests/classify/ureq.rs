//! Real errors of ureq.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use tower_conn_retry::ConnErrorKind::{Closed, Dns, Refused, Reset, Timeout, Tls};
use tower_conn_retry::Sent::Maybe;
use tower_conn_retry::{ConnError, Outlook, classify};
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, Error, Proxy};

use super::sockets::refusing;
use super::tls_peer::{Authority, Peer, Validity, serve_peer, serve_tls};

fn agent(timeout: Duration) -> Agent {
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(Vec::new())))
        .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()));
    Agent::config_builder()
        .timeout_global(Some(timeout))
        .tls_config(tls.build())
        .build()
        .into()
}

/// Long enough to be never reached.
const LONG: Duration = Duration::from_secs(60);

fn post(url: &str, timeout: Duration) -> Error {
    let answer = agent(timeout).post(url).send("hello");
    match answer {
        Ok(mut answer) => answer.body_mut().read_to_string().unwrap_err(),
        Err(error) => error,
    }
}

/// Takes one connection, reads a request, and then does this with it.
fn serve(then: impl FnOnce(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"hello") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            request.extend(byte);
        }
        then(stream);
    });
    address
}

fn answering(answer: &'static str) -> SocketAddr {
    serve(move |mut stream| stream.write_all(answer.as_bytes()).unwrap())
}

#[test]
fn refused() {
    let error = post(&format!("http://{}/", refusing()), LONG);
    assert_eq!(classify(&error), Some(ConnError::new(Refused)), "{error:?}");
}

#[test]
fn lost_when_the_request_was_read() {
    let address = serve(drop);
    let error = post(&format!("http://{address}/"), LONG);
    assert_eq!(classify(&error), Some(ConnError::new(Closed)), "{error:?}");
    let address = serve(|stream| {
        let socket = socket2::SockRef::from(&stream);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    });
    let error = post(&format!("http://{address}/"), LONG);
    assert_eq!(classify(&error), Some(ConnError::new(Reset)), "{error:?}");
    let address = answering("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    let error = post(&format!("http://{address}/"), LONG);
    assert_eq!(classify(&error), Some(ConnError::new(Closed)), "{error:?}");
}

#[test]
fn silence_is_a_timeout() {
    let address = serve(|mut stream| {
        let _ = stream.read(&mut [0]);
    });
    let error = post(&format!("http://{address}/"), Duration::from_millis(300));
    assert!(matches!(error, Error::Timeout(_)), "{error:?}");
    assert_eq!(classify(&error), Some(ConnError::new(Timeout)));
}

#[test]
fn a_name_that_can_not_be_resolved() {
    let error = post("http://no-such-name.invalid/", LONG);
    let found = classify(&error).unwrap_or_else(|| panic!("{error:?}"));
    assert_eq!((found.kind(), found.sent()), (Dns, Maybe), "{error:?}");
}

#[test]
fn a_handshake() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        let _ = stream.read(&mut [0; 4096]);
    });
    let error = post(&format!("https://{address}/"), LONG);
    let found = classify(&error).unwrap_or_else(|| panic!("{error:?}"));
    assert_eq!((found.kind(), found.sent()), (Tls, Maybe), "{error:?}");
}

/// Over native-tls.
async fn post_native(address: SocketAddr) -> Error {
    let tls = TlsConfig::builder()
        .provider(TlsProvider::NativeTls)
        .root_certs(RootCerts::Specific(Arc::new(Vec::new())));
    let config = Agent::config_builder().timeout_global(Some(LONG));
    let agent = Agent::from(config.tls_config(tls.build()).build());
    let post = move || agent.post(format!("https://{address}/")).send("hello");
    let answer = tokio::task::spawn_blocking(post).await;
    answer.unwrap().unwrap_err()
}

#[tokio::test]
async fn handshakes_of_native_tls() {
    let authority = Authority::new();
    let server = authority.server(Validity::Now);
    for (address, outlook) in [
        (serve_peer(Peer::PlainText).await, Outlook::Permanent),
        (serve_peer(Peer::Closes).await, Outlook::Transient),
        (serve_tls(server, async |_| ()).await, Outlook::Permanent),
    ] {
        let error = post_native(address).await;
        let expected = ConnError::new(Tls).with_outlook(outlook);
        assert_eq!(classify(&error), Some(expected), "{error:?}");
    }
    let error = post_native(serve_peer(Peer::Resets).await).await;
    let found = classify(&error).unwrap_or_else(|| panic!("{error:?}"));
    assert!([Tls, Reset].contains(&found.kind()), "{error:?}");
    assert_eq!(found.sent(), Maybe);
}

/// Reads a request for a tunnel, answers this, and closes.
fn post_through_proxy(answer: &'static str) -> Error {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            request.extend(byte);
        }
        stream.write_all(answer.as_bytes()).unwrap();
    });
    let config = Agent::config_builder().timeout_global(Some(LONG));
    let config = config.proxy(Some(Proxy::new(&proxy).unwrap())).build();
    let post = Agent::from(config).post("https://127.0.0.1:1/");
    post.send("hello").unwrap_err()
}

#[test]
fn a_proxy() {
    let error = post_through_proxy("");
    assert_eq!(classify(&error), Some(ConnError::new(Closed)), "{error:?}");
    for answer in [
        "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
        "HTTP/1.1 502 proxy server did not respond\r\n\r\n",
    ] {
        let error = post_through_proxy(answer);
        assert!(matches!(error, Error::ConnectProxyFailed(_)), "{error:?}");
        assert_eq!(classify(&error), None, "{error:?}");
    }
}

/// The first server has read it, and nothing in the error tells.
#[test]
fn after_a_redirect_nothing_is_proof() {
    let refused = refusing();
    for (location, kind) in [
        ("http://no-such-name.invalid/".to_owned(), Dns),
        (format!("http://{refused}/"), Refused),
    ] {
        let address = serve(move |mut stream| {
            let head = "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nConnection: close";
            write!(stream, "{head}\r\nLocation: {location}\r\n\r\n").unwrap();
        });
        let error = post(&format!("http://{address}/"), LONG);
        let found = classify(&error).unwrap_or_else(|| panic!("{error:?}"));
        assert_eq!((found.kind(), found.sent()), (kind, Maybe), "{error:?}");
    }
    let found = classify(&Error::HostNotFound).unwrap();
    let expected = (Dns, Maybe, Outlook::Permanent);
    assert_eq!((found.kind(), found.sent(), found.outlook()), expected);
}

#[test]
fn answers_and_mistakes_are_none_of_the_connections() {
    for answer in [
        "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        "no HTTP at all\r\n\r\n",
    ] {
        let error = post(&format!("http://{}/", answering(answer)), LONG);
        assert_eq!(classify(&error), None, "{error:?}");
    }
    let error = post("no url", LONG);
    assert_eq!(classify(&error), None, "{error:?}");
}
