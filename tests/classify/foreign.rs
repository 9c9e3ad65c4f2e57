//! Clients that nothing is known about. They may follow redirects, or try again, and tell of the last
//! exchange only.

use std::error::Error;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tower::{Layer, ServiceExt, service_fn};
use tower_conn_retry::ConnErrorKind::Dns;
use tower_conn_retry::Sent::{self, Maybe, No};
use tower_conn_retry::{
    BoxError, ConnectError, DefaultPolicy, Reason, Replayable, RetryOnConnErr, classify,
};

use super::wrappings::Outer;

/// Of a client that follows redirects, as minreq's is.
#[derive(Debug)]
enum ClientError {
    Io(io::Error),
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Io(error) = self;
        error.fmt(f)
    }
}

impl Error for ClientError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let Self::Io(error) = self;
        Some(error)
    }
}

/// Sends it to where the answer says, until there is one that says nothing.
fn post(to: &str) -> Result<(), ClientError> {
    let mut to = to.to_owned();
    while !to.is_empty() {
        let mut stream = TcpStream::connect(&*to).map_err(ClientError::Io)?;
        stream.write_all(b"hello").map_err(ClientError::Io)?;
        to.clear();
        stream.read_to_string(&mut to).map_err(ClientError::Io)?;
    }
    Ok(())
}

/// Reads a request, and sends it on.
fn redirecting(to: &'static str) -> (SocketAddr, std::thread::JoinHandle<[u8; 5]>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 5];
        stream.read_exact(&mut request).unwrap();
        stream.write_all(to.as_bytes()).unwrap();
        request
    });
    (address, server)
}

/// Nothing in the error tells of the server that has read the request. That it may be so is the
/// request's word.
#[tokio::test]
async fn a_name_that_the_first_server_has_named_is_no_proof_of_a_request_that_may_be_redirected() {
    let failed = || {
        let (address, server) = redirecting("no-such-host.invalid:80");
        let error = post(&address.to_string()).unwrap_err();
        assert_eq!(&server.join().unwrap(), b"hello");
        BoxError::from(error)
    };
    let found = classify(&*failed()).unwrap();
    assert_eq!((found.kind(), found.sent()), (Dns, No));
    let sent = verdicts(true, failed).await.map(|(sent, _)| sent);
    assert_eq!(sent, [Maybe, No]);
}

fn no_such_host() -> io::Error {
    TcpStream::connect("no-such-host.invalid:80").unwrap_err()
}

#[test]
fn what_is_known_to_be_one_exchange_is_proof() {
    let sent = |error: &(dyn Error + 'static)| classify(error).map(|found| found.sent());
    assert_eq!(sent(&no_such_host()), Some(No));
    let shared: std::sync::Arc<dyn Error + Send + Sync> = std::sync::Arc::new(no_such_host());
    assert_eq!(sent(&io::Error::other(shared)), Some(No));
    // Who makes the connection knows, and can say so.
    let error = ClientError::Io(io::Error::other(ConnectError::new(no_such_host())));
    assert_eq!(sent(&error), Some(No));
    assert_eq!(
        sent(&ConnectError::new(ClientError::Io(no_such_host()))),
        Some(No)
    );
    // So can a recogniser of the client's type.
    let policy = DefaultPolicy::new().recognize(|ClientError::Io(error)| classify(error));
    let error = ClientError::Io(no_such_host());
    let found = policy.classify(&error).unwrap();
    assert_eq!((found.kind(), found.sent()), (Dns, No));
}

#[cfg(feature = "rustls")]
#[test]
fn a_handshake_is_proof_however_it_is_wrapped() {
    let bad = || rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
    let sent = |error: BoxError| classify(&*error).map(|found| found.sent());
    assert_eq!(sent(Box::new(io::Error::other(bad()))), Some(No));
    assert_eq!(sent(Box::new(Outer(Box::new(bad())))), Some(No));
    assert_eq!(
        sent(anyhow::Error::new(bad()).context("posting").into()),
        Some(No)
    );
}

struct Order {
    may_redirect: bool,
    is_idempotent: bool,
}

impl Replayable for Order {
    fn try_clone(&self) -> Option<Self> {
        Some(Self { ..*self })
    }

    fn is_idempotent(&self) -> bool {
        self.is_idempotent
    }

    fn may_redirect(&self) -> bool {
        self.may_redirect
    }
}

/// What comes of this error, if nobody promises that there are no redirects, and if somebody does.
async fn verdicts(may_redirect: bool, error: impl Fn() -> BoxError) -> [(Sent, Reason); 2] {
    let layer = || RetryOnConnErr::new().max_attempts(1);
    let error = &error;
    let verdict = async |layer: RetryOnConnErr| {
        let service = service_fn(|_: Order| std::future::ready(Err::<(), _>(error())));
        let order = Order {
            may_redirect,
            is_idempotent: false,
        };
        let error = layer.layer(service).oneshot(order).await.unwrap_err();
        assert_eq!(error.conn_error().map(|found| found.sent()), Some(No));
        (error.sent(), error.reason())
    };
    [
        verdict(layer()).await,
        verdict(layer().redirects_off()).await,
    ]
}

const DOUBT: (Sent, Reason) = (Maybe, Reason::NotIdempotent);
const PROOF: (Sent, Reason) = (No, Reason::AttemptsExhausted);

/// What the request's type can say where the error shows nothing, as that of tower-http's
/// `FollowRedirect`.
#[tokio::test]
async fn a_request_that_may_be_redirected() {
    let refused = || {
        BoxError::from(ConnectError::new(io::Error::from(
            io::ErrorKind::ConnectionRefused,
        )))
    };
    assert_eq!(verdicts(true, refused).await, [DOUBT, PROOF]);
    assert_eq!(verdicts(false, refused).await, [PROOF, PROOF]);
}

/// That it is doubtful for redirects only is told of all attempts, as long as no other doubt comes up.
#[tokio::test(start_paused = true)]
async fn what_is_told_of_several_attempts() {
    let text = async |broken: usize| {
        let attempts = Arc::new(AtomicUsize::new(1));
        let service = service_fn(move |_: Order| {
            let attempt = attempts.fetch_add(1, Ordering::SeqCst);
            let reset = io::Error::from(io::ErrorKind::ConnectionReset);
            let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
            std::future::ready(Err::<(), _>(match attempt == broken {
                true => BoxError::from(reset),
                false => ConnectError::new(refused).into(),
            }))
        });
        let service = RetryOnConnErr::new().max_attempts(3).layer(service);
        let order = Order {
            may_redirect: true,
            is_idempotent: true,
        };
        let error = service.oneshot(order).await.unwrap_err();
        assert_eq!((error.sent(), error.attempts()), (Maybe, 3));
        error.to_string()
    };
    let doubt = "the request may have arrived, if it was redirected)";
    assert!(text(0).await.contains(doubt), "{}", text(0).await);
    for broken in 1..=3 {
        let text = text(broken).await;
        assert!(text.contains("the request may have arrived)"), "{text}");
    }
}

/// As octocrab is.
#[cfg(feature = "hyper-util")]
#[tokio::test]
async fn a_client_that_is_made_of_hyper_utils_may_follow_redirects() {
    use hyper_util::client::legacy::Client;
    use hyper_util::rt::TokioExecutor;

    use super::sockets::refusing;

    let client = Client::builder(TokioExecutor::new()).build_http::<String>();
    let url = format!("http://{}/", refusing()).parse().unwrap();
    let refused = Arc::new(client.get(url).await.unwrap_err());
    let plain = || BoxError::from(io::Error::other(refused.clone()));
    assert_eq!(verdicts(false, plain).await, [PROOF, PROOF]);
    let wrapped = || BoxError::from(io::Error::other(Outer(plain())));
    assert_eq!(verdicts(false, wrapped).await, [DOUBT, PROOF]);
    // Someone else's error within the client is not.
    let marked = || BoxError::from(Outer(Box::new(ConnectError::new("no idea"))));
    assert_eq!(verdicts(false, marked).await, [PROOF, PROOF]);
}
