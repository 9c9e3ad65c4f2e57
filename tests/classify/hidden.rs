//! Errors that hold an `io::Error` and show it, but do not pass it on.

use std::error::Error;
use std::fmt;
use std::io;

use tower_conn_retry::ConnErrorKind::{self, Closed, Refused, Reset, Timeout};
use tower_conn_retry::{BoxError, ConnError, ConnectError, Sent, classify, is_conn_error};

use super::wrappings::Transparent;

/// As ureq's error is: it has no `source()`.
#[derive(Debug)]
pub(super) enum NoSource {
    Io(io::Error),
    Text(String),
}

impl fmt::Display for NoSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "io: {error}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl Error for NoSource {}

/// std's own, whose `Debug` is neither that of an errno nor that of a box.
fn end_of_stream() -> io::Error {
    io::Read::read_exact(&mut io::empty(), &mut [0]).unwrap_err()
}

fn errors() -> Vec<(fn() -> io::Error, ConnErrorKind)> {
    let mut errors: Vec<(fn() -> io::Error, ConnErrorKind)> = vec![
        (|| io::ErrorKind::ConnectionReset.into(), Reset),
        (
            || io::Error::new(io::ErrorKind::UnexpectedEof, "early eof"),
            Closed,
        ),
        (end_of_stream, Closed),
    ];
    #[cfg(unix)]
    errors.extend([
        (
            (|| io::Error::from_raw_os_error(libc::ECONNREFUSED)) as fn() -> _,
            Refused,
        ),
        (|| io::Error::from_raw_os_error(libc::ETIMEDOUT), Timeout),
    ]);
    errors
}

/// What tokio-util makes of a stream that ends within a frame. The one text that is evidence by itself,
/// so that it can't be told from the same text in an `io::Error` of that kind.
fn cut_frame() -> io::Error {
    io::Error::other("bytes remaining on stream")
}

#[test]
fn what_an_error_shows_is_seen() {
    let cut_frame = (cut_frame as fn() -> io::Error, Closed);
    for (error, kind) in errors().into_iter().chain([cut_frame]) {
        let expected = Some(ConnError::new(kind));
        assert_eq!(classify(&Transparent(error())), expected, "{kind:?}");
        assert_eq!(classify(&NoSource::Io(error())), expected, "{kind:?}");
        let within = io::Error::other(NoSource::Io(error()));
        assert_eq!(classify(&within), expected, "{kind:?}");
    }
}

/// What `?` makes of it in a service whose error is anyhow's.
#[tokio::test(start_paused = true)]
async fn anyhow_without_context() {
    for (error, kind) in errors() {
        let error = BoxError::from(anyhow::Error::new(error()));
        assert_eq!(classify(&*error), Some(ConnError::new(kind)), "{error}");
    }
    let second = std::time::Duration::from_secs(1);
    let elapsed = tokio::time::timeout(second, std::future::pending::<()>())
        .await
        .unwrap_err();
    assert_eq!(
        classify(&Transparent(elapsed)),
        Some(ConnError::new(Timeout))
    );
    let elapsed = tokio::time::timeout(second, std::future::pending::<()>())
        .await
        .unwrap_err();
    for error in [
        anyhow::Error::new(elapsed),
        anyhow::Error::new(tower::timeout::error::Elapsed::new()),
    ] {
        let error = BoxError::from(error);
        assert_eq!(classify(&*error), Some(ConnError::new(Timeout)), "{error}");
    }
}

/// A type that is transparent about a report, or a report about one that is transparent: `Debug` shows what
/// it is about only in its pretty form.
#[tokio::test(start_paused = true)]
async fn reports_within_and_around() {
    #[derive(Debug)]
    enum App {
        Report(anyhow::Error),
        Io(io::Error),
    }

    impl fmt::Display for App {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self {
                Self::Report(report) => fmt::Display::fmt(report, f),
                Self::Io(error) => write!(f, "io: {error}"),
            }
        }
    }

    impl Error for App {}

    for (error, kind) in errors() {
        let expected = Some(ConnError::new(kind));
        let within = App::Report(anyhow::Error::new(error()));
        assert_eq!(classify(&within), expected, "{within:?}");
        let around = BoxError::from(anyhow::Error::new(App::Io(error())));
        assert_eq!(classify(&*around), expected, "{around:?}");
        let message = App::Report(anyhow::Error::msg(format!("{}", error())));
        assert_eq!(classify(&message), None, "{message:?}");
        let message = App::Report(anyhow::Error::msg(format!("{:#?}", error())));
        assert_eq!(classify(&message), None, "{message:?}");
    }
    let second = std::time::Duration::from_secs(1);
    let elapsed = tokio::time::timeout(second, std::future::pending::<()>()).await;
    let report = anyhow::Error::new(elapsed.unwrap_err());
    assert_eq!(
        classify(&App::Report(report)),
        Some(ConnError::new(Timeout))
    );
}

/// Not proof, as it would be in the open.
#[test]
fn a_resolver_that_is_hidden() {
    let error = || std::net::ToSocketAddrs::to_socket_addrs("no such name:1").unwrap_err();
    assert_eq!(classify(&error()).unwrap().sent(), Sent::No);
    let expected = classify(&error()).map(|found| found.with_sent(Sent::Maybe));
    assert_eq!(classify(&Transparent(error())), expected);
    assert_eq!(classify(&NoSource::Io(error())), expected);
    let report = BoxError::from(anyhow::Error::new(error()));
    assert_eq!(classify(&*report), expected);
}

#[test]
fn it_is_no_proof_and_a_position_still_is() {
    let hidden = || NoSource::Io(io::ErrorKind::ConnectionRefused.into());
    assert_eq!(classify(&hidden()).unwrap().sent(), Sent::Maybe);
    let found = classify(&ConnectError::new(hidden())).unwrap();
    assert_eq!((found.kind(), found.sent()), (Refused, Sent::No));
}

#[test]
#[cfg(unix)]
fn what_is_none_in_the_open_is_none_when_hidden() {
    for code in [
        libc::EBADF,
        libc::EINVAL,
        libc::ENOENT,
        libc::EMFILE,
        libc::EACCES,
        i32::MAX,
    ] {
        let error = || io::Error::from_raw_os_error(code);
        assert_eq!(classify(&NoSource::Io(error())), None, "{code}");
        assert_eq!(classify(&Transparent(error())), None, "{code}");
    }
    // A limit of this machine's, while connecting.
    let error = ConnectError::new(NoSource::Io(io::Error::from_raw_os_error(libc::EMFILE)));
    assert_eq!(classify(&error).unwrap().kind(), ConnErrorKind::Local);
}

/// A message of the peer's, say: whatever it says, it is in quotes.
#[test]
fn a_message_can_not_pass_for_an_error() {
    let mut messages: Vec<String> = vec![
        "deadline has elapsed".into(),
        "request timed out".into(),
        "Elapsed(()): deadline has elapsed".into(),
        "early eof Custom { kind: UnexpectedEof, error: \"early eof\" }".into(),
    ];
    for (error, _) in errors() {
        let error = error();
        messages.extend([
            format!("{error}"),
            format!("{error:?}"),
            format!("{error} {error:?}"),
        ]);
    }
    for message in messages {
        assert_eq!(classify(&NoSource::Text(message.clone())), None);
        assert!(!is_conn_error(&io::Error::other(&*message)), "{message}");
        assert!(!is_conn_error(&Transparent(NoSource::Text(
            message.clone()
        ))));
    }
}

/// An error of an application's with a peer's words in it, and a `Debug` that is written by hand.
pub(super) struct Unquoted {
    pub(super) display: String,
    pub(super) debug: String,
}

impl fmt::Debug for Unquoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.debug)
    }
}

impl fmt::Display for Unquoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.display)
    }
}

impl Error for Unquoted {}

/// What a peer may write that has seen this crate's source.
fn forgeries() -> Vec<String> {
    let mut forgeries: Vec<String> = vec![
        "deadline has elapsed".into(),
        "request timed out".into(),
        "deadline has elapsed Elapsed(())".into(),
        "Elapsed(\n    (),\n)".into(),
    ];
    for (display, debug) in [
        (
            "connection closed before message completed",
            "hyper::Error(IncompleteMessage)",
        ),
        (
            "data was not received within the designated timeout",
            "TimeoutError(())",
        ),
        (
            "invalid peer certificate: UnknownIssuer",
            "InvalidCertificate(UnknownIssuer)",
        ),
        (
            "received corrupt message of type InvalidContentType",
            "InvalidMessage(InvalidContentType)",
        ),
    ] {
        forgeries.extend([
            display.to_owned(),
            debug.to_owned(),
            format!("{display} {debug}"),
            format!("{debug} {display}"),
            format!("{debug} \"{display}\""),
            format!("{display}\n\n{debug}"),
            format!("{debug} {} {display}", "x".repeat(600)),
        ]);
    }
    let dns = "failed to lookup address information: Name or service not known";
    let uncategorized = io::Error::from_raw_os_error(i32::MAX).kind();
    let mut errors: Vec<io::Error> = errors().into_iter().map(|(error, _)| error()).collect();
    errors.push(io::Error::new(uncategorized, dns));
    errors.push(cut_frame());
    for error in errors {
        forgeries.extend([
            format!("{error}"),
            format!("{error:?}"),
            format!("{error:#?}"),
            format!("{error} {error:?}"),
            format!("{error:?} {error}"),
            format!("{error:?} \"{error}\""),
            format!("\" {error} {error:?}"),
            format!("{error}\n\n{error:?}"),
            format!("{error}\n\n{error:#?}"),
            format!("{error} {} {error:?}", "x".repeat(400)),
            format!("{error} {} {error:?}", "x".repeat(600)),
            format!("{error:?} {} {error}", "x".repeat(600)),
        ]);
    }
    forgeries
}

/// Neither in quotes nor without, in a struct, in a report, or after a text of the program's own.
#[test]
fn a_peers_words_are_no_evidence() {
    for text in forgeries() {
        let same = |display: String, debug: String| {
            let error = Unquoted { display, debug };
            assert_eq!(classify(&error), None, "{error}\n{error:?}");
        };
        same(text.clone(), text.clone());
        same(format!("server: {text}"), text.clone());
        same(text.clone(), format!("Server({text})"));
        same(text.clone(), format!("Server {{ text: {text:?} }}"));
        same(format!("server: {text}"), format!("Server(server: {text})"));
        let padding = "x".repeat(300);
        same(format!("{padding}{text}"), text.clone());
        // A `char` that is a quotation mark is no end of a quotation.
        same(
            format!("bad '\"' in {text:?}"),
            format!("Bad {{ found: '\"', line: {text:?} }}"),
        );
        for report in [
            anyhow::Error::msg(text.clone()),
            anyhow::anyhow!("{text}"),
            anyhow::Error::new(NoSource::Text(text.clone())),
        ] {
            let error = BoxError::from(report);
            assert_eq!(classify(&*error), None, "{error}");
        }
    }
}

/// The kind that a remote service reports, by name, in a type whose `Debug` looks like std's own.
#[test]
fn a_peers_kind_and_message_are_no_evidence() {
    mod remote {
        #[derive(Debug)]
        pub(super) struct Error {
            pub(super) kind: std::io::ErrorKind,
            pub(super) message: String,
        }
    }

    impl fmt::Display for remote::Error {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{}: {}", self.kind, self.message)
        }
    }

    impl Error for remote::Error {}

    for (error, _) in errors() {
        let kind = error().kind();
        for message in ["", "no more robots", "Connection reset by peer"] {
            let message = message.into();
            assert_eq!(classify(&remote::Error { kind, message }), None, "{kind:?}");
        }
    }
}

/// The kind that a remote service reports, by name.
#[test]
fn a_peers_kind_is_no_evidence() {
    #[derive(Debug)]
    struct Remote {
        kind: io::ErrorKind,
        detail: String,
    }

    impl fmt::Display for Remote {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{}: {}", self.kind, self.detail)
        }
    }

    impl Error for Remote {}

    for (error, _) in errors() {
        let (kind, detail) = (error().kind(), error().to_string());
        assert_eq!(classify(&Remote { kind, detail }), None, "{kind:?}");
    }
}

/// Texts that are long, or are not to be had.
#[test]
fn texts_of_any_kind_do_no_harm() {
    struct Panics;

    impl fmt::Debug for Panics {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("in Debug, as is part of the test")
        }
    }

    impl fmt::Display for Panics {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("all is well")
        }
    }

    impl Error for Panics {}

    struct Fails;

    impl fmt::Debug for Fails {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            Err(fmt::Error)
        }
    }

    impl fmt::Display for Fails {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            Err(fmt::Error)
        }
    }

    impl Error for Fails {}

    assert_eq!(classify(&Panics), None);
    assert_eq!(classify(&Fails), None);
    for text in [
        "",
        "(os error",
        "(os error 104",
        "(os error )",
        "(os error 99999999999)",
        &"x".repeat(1 << 20),
    ] {
        assert_eq!(classify(&NoSource::Text(text.into())), None);
    }
}
