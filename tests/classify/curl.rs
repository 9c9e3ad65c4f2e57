//! Real errors of curl.

use std::io;
use std::time::Duration;

use curl::Error;
use curl::easy::Easy;
use tower_conn_retry::ConnErrorKind::{Closed, Dns, Other, Timeout, Tls};
use tower_conn_retry::Outlook::{Permanent, Transient};
use tower_conn_retry::{ConnError, ConnErrorKind, Outlook, classify};

use super::http_server::{Answer, Server};
use super::sockets::refusing;
use super::tls_peer::{Authority, NAME, Peer, Validity, serve_peer, serve_tls};

/// What comes of a GET.
async fn get(
    url: String,
    options: impl FnOnce(&mut Easy) -> Result<(), Error> + Send + 'static,
) -> Result<(), Error> {
    let call = tokio::task::spawn_blocking(move || {
        let mut easy = Easy::new();
        easy.url(&url)?;
        easy.noproxy("*")?;
        options(&mut easy)?;
        let mut transfer = easy.transfer();
        transfer.write_function(|part| Ok(part.len()))?;
        transfer.perform()
    });
    call.await.unwrap()
}

async fn failure(url: String) -> Error {
    get(url, |_| Ok(())).await.unwrap_err()
}

#[track_caller]
fn assert_is(error: Error, kind: ConnErrorKind, outlook: Outlook) {
    let expected = Some(ConnError::new(kind).with_outlook(outlook)); // perhaps sent
    assert_eq!(classify(&error), expected, "{error:?}");
    assert_eq!(classify(&io::Error::from(error)), expected);
}

#[tokio::test]
async fn connections() {
    let away = format!("http://{}/", refusing());
    assert_is(failure(away).await, Other, Transient);
    let nowhere = "http://no-such-host.invalid/".to_owned();
    assert_is(failure(nowhere).await, Dns, Transient);
    let server = Server::start(Answer::NONE).await;
    assert_is(failure(server.url()).await, Closed, Transient);
    let server = Server::start(Answer::Reset).await;
    assert_is(failure(server.url()).await, Closed, Transient);
    let server = Server::start(Answer::Silence).await;
    let short = |easy: &mut Easy| easy.timeout(Duration::from_millis(200));
    let error = get(server.url(), short).await.unwrap_err();
    assert_is(error, Timeout, Transient);
    for head in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        let answer = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n5\r\nhello");
        let server = Server::start(Answer::text(answer)).await;
        assert_is(failure(server.url()).await, Closed, Transient);
    }
}

/// The server at the name, with this authority.
async fn https(to: std::net::SocketAddr, authority: &Authority, name: &str) -> Error {
    let mut names = curl::easy::List::new();
    names
        .append(&format!("{name}:{}:127.0.0.1", to.port()))
        .unwrap();
    let pem = authority.pem();
    let options = move |easy: &mut Easy| {
        easy.ssl_cainfo_blob(pem.as_bytes())?;
        easy.resolve(names)
    };
    let url = format!("https://{name}:{}/", to.port());
    get(url, options).await.unwrap_err()
}

#[tokio::test]
async fn handshakes() {
    let authority = Authority::new();
    let now = serve_tls(authority.server(Validity::Now), async |_| ()).await;
    assert_is(https(now, &Authority::new(), NAME).await, Tls, Permanent);
    assert_is(https(now, &authority, "other.test").await, Tls, Permanent);
    let past = serve_tls(authority.server(Validity::Past), async |_| ()).await;
    assert_is(https(past, &authority, NAME).await, Tls, Permanent);
    let future = serve_tls(authority.server(Validity::Future), async |_| ()).await;
    assert_is(https(future, &authority, NAME).await, Tls, Transient);
    for peer in [Peer::Closes, Peer::Resets, Peer::PlainText] {
        let to = serve_peer(peer).await;
        assert_is(https(to, &authority, NAME).await, Tls, Transient);
    }
}

#[tokio::test]
async fn answers_and_mistakes_are_none_of_the_connections() {
    let mut errors = Vec::new();
    for answer in [
        "HTTP/1.1 503 Away\r\nContent-Length: 0\r\n\r\n",
        "220 smtp.robot.test ESMTP\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello!\r\n",
    ] {
        let server = Server::start(Answer::text(answer)).await;
        let strict = |easy: &mut Easy| easy.fail_on_error(true);
        errors.push(get(server.url(), strict).await.unwrap_err());
    }
    let around =
        "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let server = Server::start(Answer::text(around)).await;
    let follow = |easy: &mut Easy| {
        easy.follow_location(true)?;
        easy.max_redirections(2)
    };
    errors.push(get(server.url(), follow).await.unwrap_err());
    errors.push(failure("gopher+x://127.0.0.1/".into()).await);
    errors.push(failure("http://".into()).await);
    for error in errors {
        assert_eq!(classify(&error), None, "{error:?}");
    }
}
