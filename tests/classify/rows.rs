//! The table, row by row, in every wrapping.

use std::io;

use tower_conn_retry::ConnErrorKind::{self, *};
use tower_conn_retry::Outlook::{self, *};
use tower_conn_retry::{ConnError, ConnectError, NotSent, Sent, Unsent, classify};

use super::wrappings::WRAPPINGS;

struct Row {
    name: &'static str,
    error: fn() -> io::Error,
    kind: ConnErrorKind,
    outlook: Outlook,
    /// Counts only while connecting.
    local: bool,
}

macro_rules! rows {
    ($($name:literal: $error:expr => $kind:ident $outlook:ident $($local:ident)?;)*) => {
        &[$(Row {
            name: $name,
            error: || $error,
            kind: $kind,
            outlook: $outlook,
            local: rows!(@local $($local)?),
        }),*]
    };
    (@local) => { false };
    (@local connecting) => { true };
}

#[cfg(unix)]
const ERRNOS: &[Row] = rows! {
    "ECONNREFUSED": errno(libc::ECONNREFUSED) => Refused Transient;
    "ECONNRESET": errno(libc::ECONNRESET) => Reset Transient;
    "ECONNABORTED": errno(libc::ECONNABORTED) => Aborted Transient;
    "EPIPE": errno(libc::EPIPE) => BrokenPipe Transient;
    "ESHUTDOWN": errno(libc::ESHUTDOWN) => BrokenPipe Transient;
    "ENOTCONN": errno(libc::ENOTCONN) => NotConnected Transient;
    "ENETUNREACH": errno(libc::ENETUNREACH) => Unreachable Transient;
    "EHOSTUNREACH": errno(libc::EHOSTUNREACH) => Unreachable Transient;
    "EHOSTDOWN": errno(libc::EHOSTDOWN) => Unreachable Transient;
    "ENOPROTOOPT": errno(libc::ENOPROTOOPT) => Unreachable Transient;
    "ENETDOWN": errno(libc::ENETDOWN) => NetworkDown Transient;
    "ENETRESET": errno(libc::ENETRESET) => NetworkDown Transient;
    "ENODEV": errno(libc::ENODEV) => NetworkDown Transient;
    "EADDRNOTAVAIL": errno(libc::EADDRNOTAVAIL) => AddressUnavailable Transient;
    "ETIMEDOUT": errno(libc::ETIMEDOUT) => Timeout Transient;
    "EAGAIN": errno(libc::EAGAIN) => Timeout Transient;
    "EMFILE": errno(libc::EMFILE) => Local Transient connecting;
    "ENFILE": errno(libc::ENFILE) => Local Transient connecting;
    "ENOBUFS": errno(libc::ENOBUFS) => Local Transient connecting;
    "ENOMEM": errno(libc::ENOMEM) => Local Transient connecting;
    "EAFNOSUPPORT": errno(libc::EAFNOSUPPORT) => Local Permanent connecting;
    "EADDRINUSE": errno(libc::EADDRINUSE) => AddressUnavailable Transient connecting;
    "ENOENT": errno(libc::ENOENT) => Refused Transient connecting;
    "EACCES": errno(libc::EACCES) => Local Permanent connecting;
    "EPERM": errno(libc::EPERM) => Local Permanent connecting;
};
#[cfg(target_os = "linux")]
const LINUX: &[Row] = rows! {
    "ENONET": errno(libc::ENONET) => Unreachable Transient;
};
#[cfg(not(unix))]
const ERRNOS: &[Row] = &[];
#[cfg(not(target_os = "linux"))]
const LINUX: &[Row] = &[];

const KINDS: &[Row] = rows! {
    "kind ConnectionRefused": kind(io::ErrorKind::ConnectionRefused) => Refused Transient;
    "kind ConnectionReset": kind(io::ErrorKind::ConnectionReset) => Reset Transient;
    "kind ConnectionAborted": kind(io::ErrorKind::ConnectionAborted) => Aborted Transient;
    "kind BrokenPipe": kind(io::ErrorKind::BrokenPipe) => BrokenPipe Transient;
    "kind NotConnected": kind(io::ErrorKind::NotConnected) => NotConnected Transient;
    "kind UnexpectedEof": kind(io::ErrorKind::UnexpectedEof) => Closed Transient;
    "kind HostUnreachable": kind(io::ErrorKind::HostUnreachable) => Unreachable Transient;
    "kind NetworkUnreachable": kind(io::ErrorKind::NetworkUnreachable) => Unreachable Transient;
    "kind NetworkDown": kind(io::ErrorKind::NetworkDown) => NetworkDown Transient;
    "kind AddrNotAvailable": kind(io::ErrorKind::AddrNotAvailable) => AddressUnavailable Transient;
    "kind TimedOut": kind(io::ErrorKind::TimedOut) => Timeout Transient;
    "kind PermissionDenied": kind(io::ErrorKind::PermissionDenied) => Local Permanent connecting;
    "kind AddrInUse": kind(io::ErrorKind::AddrInUse) => AddressUnavailable Transient connecting;
    "kind with a text": io::Error::new(io::ErrorKind::ConnectionReset, "told so") => Reset Transient;
    "kind around a stranger": io::Error::new(io::ErrorKind::BrokenPipe, std::fmt::Error) => BrokenPipe Transient;
};

#[cfg(unix)]
fn errno(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

fn kind(kind: io::ErrorKind) -> io::Error {
    io::Error::from(kind)
}

fn rows() -> impl Iterator<Item = &'static Row> {
    ERRNOS.iter().chain(LINUX).chain(KINDS)
}

#[test]
fn every_row_in_every_wrapping() {
    let mut wrong = Vec::new();
    for row in rows() {
        let sure = ConnError::new(row.kind).with_outlook(row.outlook);
        for wrapping in WRAPPINGS {
            // An outer kind stands if what is inside is none (EMFILE inside a TimedOut).
            if row.local && wrapping.name == "io::Error of another connection kind" {
                continue;
            }
            let found = classify(&*(wrapping.wrap)((row.error)()));
            let expected = (!row.local).then_some(sure);
            if found != expected {
                wrong.push(format!("{}, {}: {found:?}", row.name, wrapping.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_row_below_an_error_of_connecting_was_not_sent() {
    let mut wrong = Vec::new();
    for row in rows() {
        let expected = ConnError::new(row.kind)
            .with_outlook(row.outlook)
            .with_sent(Sent::No);
        for wrapping in WRAPPINGS {
            let error = ConnectError::new((wrapping.wrap)((row.error)()));
            let found = classify(&error);
            let wrapped = classify(&*(wrapping.wrap)(io::Error::other(error)));
            if (found, wrapped) != (Some(expected), Some(expected)) {
                wrong.push(format!(
                    "{}, {}: {found:?}, {wrapped:?}",
                    row.name, wrapping.name
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_request_that_is_handed_back_was_not_sent() {
    for row in rows() {
        let expected = (!row.local).then_some(
            ConnError::new(row.kind)
                .with_outlook(row.outlook)
                .with_sent(Sent::No),
        );
        assert_eq!(
            classify(&NotSent::new((row.error)())),
            expected,
            "{}",
            row.name
        );
        assert_eq!(
            classify(&Unsent::new("the request", (row.error)())),
            expected,
            "{}",
            row.name
        );
    }
}

#[test]
fn an_error_of_connecting_is_a_connection_error_whatever_is_inside() {
    let other = Some(ConnError::new(Other).with_sent(Sent::No));
    assert_eq!(classify(&ConnectError::new("no idea")), other);
    assert_eq!(classify(&ConnectError::new(std::fmt::Error)), other);
    assert_eq!(
        classify(&ConnectError::new(kind(io::ErrorKind::InvalidInput))),
        other
    );
    // `NotSent` says only what it says.
    assert_eq!(classify(&NotSent::new("no idea")), None);
    assert_eq!(classify(&Unsent::new((), std::fmt::Error)), None);
}

#[tokio::test(start_paused = true)]
async fn timers_of_tokio_and_tower_are_timeouts() {
    let elapsed = tokio::time::timeout(
        std::time::Duration::from_secs(1),
        std::future::pending::<()>(),
    )
    .await
    .unwrap_err();
    let expected = Some(ConnError::new(Timeout));
    assert_eq!(classify(&elapsed), expected);
    assert_eq!(classify(&io::Error::other(elapsed)), expected);
    let elapsed = tower::timeout::error::Elapsed::new();
    assert_eq!(classify(&elapsed), expected);
    assert_eq!(classify(&std::sync::Arc::new(elapsed)), expected);
}
