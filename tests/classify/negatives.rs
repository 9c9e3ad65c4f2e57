//! What is not a connection error.

use std::fmt;
use std::io;

use tower_conn_retry::{ConnectError, Sent, classify, is_conn_error};

use super::wrappings::WRAPPINGS;

#[test]
fn other_system_errors_in_no_wrapping() {
    let kinds = [
        io::ErrorKind::NotFound,
        io::ErrorKind::AlreadyExists,
        io::ErrorKind::WouldBlock,
        io::ErrorKind::InvalidInput,
        io::ErrorKind::InvalidData,
        io::ErrorKind::WriteZero,
        io::ErrorKind::Interrupted,
        io::ErrorKind::Unsupported,
        io::ErrorKind::OutOfMemory,
        io::ErrorKind::Other,
        io::ErrorKind::AddrInUse,
        io::ErrorKind::PermissionDenied,
    ];
    let mut wrong = Vec::new();
    let mut check = |name: String, make: &dyn Fn() -> io::Error| {
        for wrapping in WRAPPINGS {
            if wrapping.name == "io::Error of another connection kind" {
                continue;
            }
            if is_conn_error(&*(wrapping.wrap)(make())) {
                wrong.push(format!("{name}, {}", wrapping.name));
            }
        }
    };
    for kind in kinds {
        check(format!("{kind:?}"), &|| io::Error::from(kind));
    }
    #[cfg(unix)]
    for (name, code) in [
        ("EBADF", libc::EBADF),
        ("EINVAL", libc::EINVAL),
        ("EINTR", libc::EINTR),
        ("EIO", libc::EIO),
        ("ENOSPC", libc::ENOSPC),
        ("ENOENT", libc::ENOENT),
        ("ENOMEM", libc::ENOMEM),
        ("EACCES", libc::EACCES),
        ("EMFILE", libc::EMFILE),
        ("an errno that does not exist", i32::MAX),
    ] {
        check(name.into(), &|| io::Error::from_raw_os_error(code));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn text_is_no_evidence() {
    for text in [
        "connection refused",
        "Connection reset by peer (os error 104)",
        "dispatch task is gone",
        "operation timed out",
        "failed to lookup address information: Name or service not known",
        "failed to lookup address information: Temporary failure in name resolution",
    ] {
        assert!(!is_conn_error(&io::Error::other(text)), "{text}");
        assert!(!is_conn_error(&Text(text)), "{text}");
        let uncategorized = io::Error::from_raw_os_error(i32::MAX).kind();
        if !text.starts_with("failed to lookup") {
            assert!(
                !is_conn_error(&io::Error::new(uncategorized, text)),
                "{text}"
            );
        }
    }
}

/// JSON that ends too early, as codecs pass it on: the frame that it was in did come.
#[cfg(feature = "serde")]
#[test]
fn content_that_is_no_json() {
    for text in ["[1, 2", "", "{", "\"a", "[1] 2", "no"] {
        let error = serde_json::from_str::<serde_json::Value>(text).unwrap_err();
        assert_eq!(classify(&error), None, "{error:?}");
        let error = io::Error::from(error);
        assert_eq!(classify(&error), None, "{error:?}");
        assert_eq!(classify(&io::Error::other(error)), None);
    }

    /// A connection below the parser.
    struct Lost;

    impl io::Read for Lost {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }

    let error = serde_json::from_reader::<_, serde_json::Value>(Lost).unwrap_err();
    assert!(is_conn_error(&error), "{error:?}");
    assert!(is_conn_error(&io::Error::other(error)));
}

/// The limits that the module's documentation names: nothing of the error is left to be seen.
#[test]
fn what_cannot_be_seen() {
    let reset = || io::Error::from(io::ErrorKind::ConnectionReset);
    assert_eq!(classify(&io::Error::other(reset().to_string())), None);
    // The marker outside still says what it knows.
    let marked = classify(&ConnectError::new(reset().to_string()));
    assert_eq!(marked.map(|found| found.sent()), Some(Sent::No));
}

#[derive(Debug)]
struct Text(&'static str);

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Text {}
