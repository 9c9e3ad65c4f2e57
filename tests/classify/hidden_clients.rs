//! Errors of libraries that are hidden in others, and can't be asked what they are.

use tower_conn_retry::ConnErrorKind::{Closed, Other, Reset, Timeout};
use tower_conn_retry::{BoxError, ConnError, classify};

use super::hidden::Unquoted;
use super::wrappings::Transparent;

/// As jsonrpsee's are. Not proof, as it would be in the open.
#[cfg(feature = "rustls")]
#[test]
fn a_handshake_that_is_hidden() {
    use std::io;

    use rustls::{CertificateError, Error as Tls, InvalidMessage};
    use tower_conn_retry::Outlook::{self, Permanent, Transient};
    use tower_conn_retry::{ConnErrorKind, ConnectError, Sent};

    use super::hidden::NoSource;

    let name = rustls::pki_types::ServerName::try_from("robot.test").unwrap();
    let context = CertificateError::NotValidForNameContext {
        expected: name,
        presented: vec!["DnsName(\"other.test\")".into()],
    };
    for (error, outlook) in [
        (CertificateError::UnknownIssuer, Permanent),
        (CertificateError::Expired, Permanent),
        (CertificateError::NotValidYet, Transient),
        (context, Permanent),
    ] {
        let error = || {
            io::Error::new(
                io::ErrorKind::InvalidData,
                Tls::InvalidCertificate(error.clone()),
            )
        };
        let expected = ConnError::new(ConnErrorKind::Tls).with_outlook(outlook);
        assert_eq!(
            classify(&NoSource::Io(error())),
            Some(expected),
            "{:?}",
            error()
        );
    }
    // The first bytes of a peer without TLS, or, for all that is known, a damaged record later on.
    let plain = || {
        let plain = Tls::InvalidMessage(InvalidMessage::InvalidContentType);
        NoSource::Io(io::Error::new(io::ErrorKind::InvalidData, plain))
    };
    let found = |outlook: Outlook| ConnError::new(ConnErrorKind::Tls).with_outlook(outlook);
    assert_eq!(classify(&plain()), Some(found(Transient)));
    let expected = found(Permanent).with_sent(Sent::No);
    assert_eq!(classify(&ConnectError::new(plain())), Some(expected));
    for other in [
        Tls::BadMaxFragmentSize,
        Tls::General("invalid peer certificate: UnknownIssuer".into()),
        Tls::General("InvalidCertificate(UnknownIssuer)".into()),
    ] {
        let error = NoSource::Io(io::Error::other(other));
        assert_eq!(classify(&error), None, "{error:?}");
    }
}

/// hyper's say it by a predicate.
#[cfg(feature = "hyper-util")]
#[tokio::test]
async fn a_connection_of_hypers_that_closes() {
    use hyper::client::conn::http1;
    use hyper_util::rt::TokioIo;
    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpStream};

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
        }
    });
    let failed = async || {
        let stream = TcpStream::connect(address).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let request = http::Request::get("/").body(String::new()).unwrap();
        sender.send_request(request).await.unwrap_err()
    };
    assert!(failed().await.is_incomplete_message());
    let expected = Some(ConnError::new(Closed));
    assert_eq!(classify(&Transparent(failed().await)), expected);
    let report = BoxError::from(anyhow::Error::new(failed().await));
    assert_eq!(classify(&*report), expected);
}

/// What `?` makes of it in a service whose error is anyhow's: the error that has the predicate is hidden,
/// and the one below it has a type that can't be named.
#[cfg(feature = "reqwest")]
#[tokio::test]
async fn a_timeout_of_reqwests_that_is_hidden() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let timeout = std::time::Duration::from_millis(100);
    let get = async || {
        let client = reqwest::Client::builder().timeout(timeout).build().unwrap();
        client.get(&url).send().await.unwrap_err()
    };
    assert!(get().await.is_timeout());
    let expected = Some(ConnError::new(Timeout));
    let report = BoxError::from(anyhow::Error::new(get().await));
    assert_eq!(classify(&*report), expected, "{report:?}");
    assert_eq!(classify(&Transparent(get().await)), expected);
}

/// As those of tower-http, aws-smithy-async and fastwebsockets are: constants, as a whole.
#[test]
fn constants_of_libraries() {
    for (display, debug, kind) in [
        (
            "data was not received within the designated timeout",
            "TimeoutError(())",
            Timeout,
        ),
        ("timed out", "TimedOutError", Timeout),
        ("Unexpected EOF", "UnexpectedEOF", Closed),
        ("Timed out in bb8", "TimedOut", Timeout),
        (
            "Timeout occurred while creating a new object",
            "Timeout(Create)",
            Timeout,
        ),
        (
            "Failed to connect to host: Internal error: connector has been disconnected",
            "Connect(Disconnected)",
            Closed,
        ),
        (
            "the connection to the server was already shutdown",
            "Shutdown",
            Closed,
        ),
        ("connection lost", "ConnectionLost", Closed),
        ("Disconnected by peer", "DisconnectedByPeer", Closed),
        (
            "connection closed",
            "Error { kind: Closed, cause: None }",
            Closed,
        ),
        (
            "response error: incomplete response",
            "lettre::transport::smtp::Error { kind: Response, source: \"incomplete response\" }",
            Closed,
        ),
        ("timeout: global", "Timeout(Global)", Timeout),
        (
            "IO Error: a \"b\"",
            "Error { details: \"a \\\"b\\\"\", kind: IO }",
            Other,
        ),
        (
            "An error occurred during the attempt of performing I/O: x (os error 104)",
            "Io { kind: ConnectionReset, message: \"x (os error 104)\" }",
            Reset,
        ),
        (
            "Kind: no, labels: {}, source: None, server response: None",
            "Error { kind: ServerSelection { message: \"no\" }, labels: {}, wire_version: None, source: None, server_response: None }",
            Timeout,
        ),
    ] {
        let error = |display: String, debug: String| Unquoted { display, debug };
        let expected = Some(ConnError::new(kind));
        let found = error(display.into(), debug.into());
        assert_eq!(classify(&found), expected, "{display}");
        // As a variant of a transparent error, which is all that its derived `Debug` adds.
        let within = error(display.into(), format!("App(Client({debug}))"));
        assert_eq!(classify(&within), expected, "{display}");
        for (display, debug) in [
            (format!("no: {display}"), debug.to_owned()),
            (display.to_owned(), format!("No({debug}, 1)")),
            (display.to_owned(), format!("No {{ no: {debug} }}")),
            (display.to_owned(), format!("{debug:?}")),
            (display.to_owned(), display.to_owned()),
            (debug.to_owned(), debug.to_owned()),
        ] {
            let error = error(display, debug);
            assert_eq!(classify(&error), None, "{error} {error:?}");
        }
    }
    // Anybody's.
    for (display, debug) in [
        ("timed out", "TimedOut"),
        ("incomplete response", "\"incomplete response\""), // of lettre's, without what is around it
        ("disconnected", "Disconnected"),
    ] {
        let (display, debug) = (display.into(), debug.into());
        assert_eq!(classify(&Unquoted { display, debug }), None);
    }
}

/// As lettre's: the last step is a text, that could be anybody's.
#[test]
fn what_the_last_step_but_one_is() {
    use std::error::Error;
    use std::fmt;

    struct Smtp {
        kind: &'static str,
        source: BoxError,
    }

    impl fmt::Debug for Smtp {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let mut debug = f.debug_struct("lettre::transport::smtp::Error");
            debug.field("kind", &format_args!("{}", self.kind));
            debug.field("source", &self.source).finish()
        }
    }

    impl fmt::Display for Smtp {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "response error: {}", self.source)
        }
    }

    impl Error for Smtp {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&*self.source)
        }
    }

    let error = |kind: &'static str, text: &str| Smtp {
        kind,
        source: text.into(),
    };
    let expected = Some(ConnError::new(Closed));
    assert_eq!(
        classify(&error("Response", "incomplete response")),
        expected
    );
    let hidden = Transparent(error("Response", "incomplete response"));
    assert_eq!(classify(&hidden), expected);
    assert_eq!(classify(&error("Client", "incomplete response")), None);
    assert_eq!(classify(&error("Response", "no such mailbox")), None);
}
