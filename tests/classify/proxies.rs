//! Real errors of hyper-util's connectors through proxies.

use std::error::Error;
use std::time::Duration;

use hyper::{Request, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tower::Service;
use tower_conn_retry::ConnErrorKind::{Closed, Other, Refused, Reset};
use tower_conn_retry::Outlook::{Permanent, Transient};
use tower_conn_retry::{ConnError, ConnErrorKind, Outlook, Sent, classify};

use super::sockets::refusing;

/// Says these, one for each message that it reads, and then ends the connection.
async fn proxy(answers: &'static [&'static [u8]], reset: bool) -> Uri {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _read = stream.read(&mut [0; 4096]).await.unwrap();
        for (n, answer) in answers.iter().enumerate() {
            if n > 0 {
                let _read = stream.read(&mut [0; 4096]).await.unwrap();
            }
            stream.write_all(answer).await.unwrap();
        }
        if reset {
            let socket = socket2::SockRef::from(&stream);
            socket.set_linger(Some(Duration::ZERO)).unwrap();
        }
    });
    format!("http://{address}").parse().unwrap()
}

async fn failure<C: Connect + Clone + Send + Sync + 'static>(
    connector: C,
) -> hyper_util::client::legacy::Error {
    let client = Client::builder(TokioExecutor::new()).build::<_, String>(connector);
    let request = Request::get("http://away.example/").body(String::new());
    client.request(request.unwrap()).await.unwrap_err()
}

#[track_caller]
fn assert_is(error: &(dyn Error + 'static), kind: ConnErrorKind, outlook: Outlook) {
    let expected = ConnError::new(kind)
        .with_outlook(outlook)
        .with_sent(Sent::No);
    assert_eq!(classify(error), Some(expected), "{error:?}");
}

/// 407 is about the credentials, anything else may be over in a while.
#[tokio::test]
async fn tunnels() {
    let rows: [(&'static [&'static [u8]], bool, _, _); 6] = [
        (&[b"HTTP/1.1 407 Who?\r\n\r\n"], false, Other, Permanent),
        (&[b"HTTP/1.1 502 Bad\r\n\r\n"], false, Other, Transient),
        (&[b"HTTP/1.1 403 No\r\n\r\n"], false, Other, Transient),
        (&[b"no HTTP\r\n\r\n"], false, Other, Transient),
        (&[], false, Closed, Transient),
        (&[], true, Reset, Transient),
    ];
    for (answers, reset, kind, outlook) in rows {
        let to = proxy(answers, reset).await;
        let error = failure(Tunnel::new(to, HttpConnector::new())).await;
        assert_is(&error, kind, outlook);
        // By itself.
        let to = proxy(answers, reset).await;
        let mut tunnel = Tunnel::new(to, HttpConnector::new());
        let error = tunnel.call("http://away.example/".parse().unwrap()).await;
        assert_is(&error.unwrap_err(), kind, outlook);
    }
    let away = format!("http://{}", refusing()).parse().unwrap();
    let error = failure(Tunnel::new(away, HttpConnector::new())).await;
    assert_is(&error, Refused, Transient);
    let mut tunnel = Tunnel::new(proxy(&[], false).await, HttpConnector::new());
    let error = tunnel.call("/path".parse().unwrap()).await.unwrap_err();
    assert_eq!(classify(&error), None, "{error:?}");
}

/// What broke does not come through, but that there was no connection to the server does.
#[tokio::test]
async fn socks() {
    let rows: [(&'static [&'static [u8]], _); 5] = [
        // RFC 1929: name and password are wanted, and are wrong.
        (&[&[5, 2], &[1, 1]], Permanent),
        // RFC 1928: no acceptable methods.
        (&[&[5, 0xff]], Permanent),
        // Host unreachable.
        (
            &[&[5, 2], &[1, 0], &[5, 4, 0, 1, 0, 0, 0, 0, 0, 0]],
            Transient,
        ),
        (&[b"SSH-2.0"], Transient),
        (&[], Transient),
    ];
    for (answers, outlook) in rows {
        let to = proxy(answers, false).await;
        let socks = SocksV5::new(to, HttpConnector::new());
        let error = failure(socks.with_auth("robot".into(), "secret".into())).await;
        assert_is(&error, Other, outlook);
    }
}
