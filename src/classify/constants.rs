//! Errors that have no word of their own but constants of their libraries: what they look like in [`hidden`].
//!
//! Only where there is no typed way to them: their types, or the predicates of these, are out of reach. None
//! of what is here has a place for anybody else's words. Those that are taken as a whole have, in one of their
//! texts at least, what an error of somebody else's is not likely to have: a mere "timed out" of a `TimedOut`
//! (quinn's, say) may be an application's about anything.
//!
//! [`hidden`]: super::hidden

use std::fmt;
use std::io;

use super::ConnErrorKind;
use super::text::Text;

/// Both texts of an error, in whole.
pub(super) struct Whole {
    display: &'static str,
    debug: &'static str,
    pub(super) kind: ConnErrorKind,
}

impl Whole {
    const fn new(display: &'static str, debug: &'static str, kind: ConnErrorKind) -> Self {
        Self {
            display,
            debug,
            kind,
        }
    }

    pub(super) fn are(&self, display: &[u8], debug: &[u8]) -> bool {
        self.display.as_bytes() == display && self.debug.as_bytes() == debug
    }
}

pub(super) const WHOLE: &[Whole] = &[
    // reqwest 0.11 to 0.13, below an error of its that is hidden itself.
    Whole::new("operation timed out", "TimedOut", ConnErrorKind::Timeout),
    // tower-http 0.6, `TimeoutBody`.
    Whole::new(
        "data was not received within the designated timeout",
        "TimeoutError(())",
        ConnErrorKind::Timeout,
    ),
    // aws-smithy-async 1.
    Whole::new("timed out", "TimedOutError", ConnErrorKind::Timeout),
    // fastwebsockets 0.10.
    Whole::new("Unexpected EOF", "UnexpectedEOF", ConnErrorKind::Closed),
    // bb8 0.8 and 0.9: no connection in time, for whatever reason.
    Whole::new("Timed out in bb8", "TimedOut", ConnErrorKind::Timeout),
    // deadpool 0.10 to 0.13. (A pool that is in use is no matter of the connection: that is `Wait`.)
    Whole::new(
        "Timeout occurred while creating a new object",
        "Timeout(Create)",
        ConnErrorKind::Timeout,
    ),
    Whole::new(
        "Timeout occurred while recycling an object",
        "Timeout(Recycle)",
        ConnErrorKind::Timeout,
    ),
    // awc 3.
    Whole::new(
        "Failed to connect to host: Internal error: connector has been disconnected",
        "Connect(Disconnected)",
        ConnErrorKind::Closed,
    ),
    Whole::new(
        "Failed to connect to host: Timeout while establishing connection",
        "Connect(Timeout)",
        ConnErrorKind::Timeout,
    ),
    Whole::new(
        "Timeout while waiting for response",
        "Timeout",
        ConnErrorKind::Timeout,
    ),
    // bollard 0.19.
    Whole::new(
        "Timeout error",
        "RequestTimeoutError",
        ConnErrorKind::Timeout,
    ),
    // jsonrpsee 0.26.
    Whole::new("Request timeout", "RequestTimeout", ConnErrorKind::Timeout),
    // tarpc 0.34 to 0.38.
    Whole::new(
        "the connection to the server was already shutdown",
        "Shutdown",
        ConnErrorKind::Closed,
    ),
    Whole::new(
        "the request exceeded its deadline",
        "DeadlineExceeded",
        ConnErrorKind::Timeout,
    ),
    // async-imap 0.9 to 0.12.
    Whole::new("connection lost", "ConnectionLost", ConnErrorKind::Closed),
    // russh 0.40 to 0.65.
    Whole::new("Disconnected", "Disconnect", ConnErrorKind::Closed),
    Whole::new(
        "Connection closed by the remote side",
        "HUP",
        ConnErrorKind::Closed,
    ),
    Whole::new(
        "Connection timeout",
        "ConnectionTimeout",
        ConnErrorKind::Timeout,
    ),
    Whole::new(
        "Keepalive timeout",
        "KeepaliveTimeout",
        ConnErrorKind::Timeout,
    ),
    Whole::new(
        "Inactivity timeout",
        "InactivityTimeout",
        ConnErrorKind::Timeout,
    ),
    // mail-send 0.5.
    Whole::new("Connection timeout", "Timeout", ConnErrorKind::Timeout),
    // rustis 0.19.
    Whole::new(
        "Disconnected by peer",
        "DisconnectedByPeer",
        ConnErrorKind::Closed,
    ),
    Whole::new(
        "The I/O operation’s timeout expired",
        "Timeout",
        ConnErrorKind::Timeout,
    ),
    // tokio-socks 0.5: the proxy can't be reached.
    Whole::new(
        "Proxy server unreachable",
        "ProxyServerUnreachable",
        ConnErrorKind::Other,
    ),
    // tokio-websockets 0.10 to 0.13: whatever the resolver said.
    Whole::new(
        "client DNS lookup failed",
        "CannotResolveHost",
        ConnErrorKind::Dns,
    ),
    // lettre 0.11: the stream ended within an answer.
    Whole::new(
        "response error: incomplete response",
        "lettre::transport::smtp::Error { kind: Response, source: \"incomplete response\" }",
        ConnErrorKind::Closed,
    ),
    // ldap3 0.11 and 0.12: the task that drives the connection has gone.
    Whole::new(
        "op send error: channel closed",
        "OpSend { source: SendError { .. } }",
        ConnErrorKind::Closed,
    ),
    Whole::new(
        "result recv error: channel closed",
        "ResultRecv { source: RecvError(()) }",
        ConnErrorKind::Closed,
    ),
    // Those that have a file of their own, where they are hidden (or are of another version): tungstenite,
    Whole::new(
        "Handshake not finished",
        "HandshakeIncomplete",
        ConnErrorKind::Closed,
    ),
    Whole::new(
        "Connection reset without closing handshake",
        "ResetWithoutClosingHandshake",
        ConnErrorKind::Closed,
    ),
    // tokio-postgres,
    Whole::new(
        "connection closed",
        "Error { kind: Closed, cause: None }",
        ConnErrorKind::Closed,
    ),
    // sqlx,
    Whole::new(
        "pool timed out while waiting for an open connection",
        "PoolTimedOut",
        ConnErrorKind::Timeout,
    ),
    // rumqttc,
    Whole::new(
        "Connection closed by peer abruptly",
        "ConnectionAborted",
        ConnErrorKind::Closed,
    ),
    // ureq.
    Whole::new("timeout: global", "Timeout(Global)", ConnErrorKind::Timeout),
    Whole::new(
        "timeout: per call",
        "Timeout(PerCall)",
        ConnErrorKind::Timeout,
    ),
    Whole::new(
        "timeout: connect",
        "Timeout(Connect)",
        ConnErrorKind::Timeout,
    ),
    Whole::new(
        "timeout: receive response",
        "Timeout(RecvResponse)",
        ConnErrorKind::Timeout,
    ),
    Whole::new(
        "timeout: receive body",
        "Timeout(RecvBody)",
        ConnErrorKind::Timeout,
    ),
];

/// What both texts of an error have around one and the same detail, which may be of anybody's making: in
/// `Debug` it is in quotes, so that what is around it is the library's.
pub(super) struct Around {
    display: [&'static str; 2],
    debug: [&'static str; 2],
    pub(super) kind: ConnErrorKind,
}

impl Around {
    const fn new(
        display: [&'static str; 2],
        debug: [&'static str; 2],
        kind: ConnErrorKind,
    ) -> Self {
        Self {
            display,
            debug,
            kind,
        }
    }

    pub(super) fn are(&self, display: &[u8], debug: &[u8]) -> bool {
        let detail = between(display, self.display);
        let detail = detail.and_then(|detail| std::str::from_utf8(detail).ok());
        let (Some(detail), Some(quoted)) = (detail, between(debug, self.debug)) else {
            return false;
        };
        Text::start_of(format_args!("{detail:?}")).as_bytes() == quoted
    }
}

fn between<'a>(text: &'a [u8], [begin, end]: [&str; 2]) -> Option<&'a [u8]> {
    let rest = text.strip_prefix(begin.as_bytes())?;
    rest.strip_suffix(end.as_bytes())
}

pub(super) const AROUND: &[Around] = &[
    // fred 10. It is said of a connection that is lost, or was not made.
    Around::new(
        ["IO Error: ", ""],
        ["Error { details: ", ", kind: IO }"],
        ConnErrorKind::Other,
    ),
    Around::new(
        ["Timeout Error: ", ""],
        ["Error { details: ", ", kind: Timeout }"],
        ConnErrorKind::Timeout,
    ),
    Around::new(
        ["Canceled: ", ""],
        ["Error { details: ", ", kind: Canceled }"],
        ConnErrorKind::Closed,
    ),
    // mongodb 3, with one or two servers, of which none can be reached. (More make it too long.)
    Around::new(
        [
            "Kind: ",
            ", labels: {}, source: None, server response: None",
        ],
        [
            "Error { kind: ServerSelection { message: ",
            " }, labels: {}, wire_version: None, source: None, server_response: None }",
        ],
        ConnErrorKind::Timeout,
    ),
    // tiberius 0.13.
    of_tiberius(
        "Io { kind: ConnectionRefused, message: ",
        ConnErrorKind::Refused,
    ),
    of_tiberius(
        "Io { kind: ConnectionReset, message: ",
        ConnErrorKind::Reset,
    ),
    of_tiberius(
        "Io { kind: ConnectionAborted, message: ",
        ConnErrorKind::Aborted,
    ),
    of_tiberius(
        "Io { kind: BrokenPipe, message: ",
        ConnErrorKind::BrokenPipe,
    ),
    of_tiberius("Io { kind: UnexpectedEof, message: ", ConnErrorKind::Closed),
    of_tiberius("Io { kind: TimedOut, message: ", ConnErrorKind::Timeout),
];

const fn of_tiberius(begin: &'static str, kind: ConnErrorKind) -> Around {
    let display = "An error occurred during the attempt of performing I/O: ";
    Around::new([display, ""], [begin, " }"], kind)
}

/// An error of hyper's (0.14 and 1) that lost its connection, of this kind and description. The kind's name is
/// shown without quotes.
pub(super) struct OfHyper(&'static str, &'static str);

pub(super) const OF_HYPER: &[OfHyper] = &[
    OfHyper(
        "IncompleteMessage",
        "connection closed before message completed",
    ),
    OfHyper("ChannelClosed", "channel closed"),
];

impl fmt::Display for OfHyper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.1)
    }
}

impl fmt::Debug for OfHyper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("hyper::Error")
            .field(&format_args!("{}", self.0))
            .finish()
    }
}

/// An `io::Error` of std's (1.85 and later) with a message that is no box and no errno's. Only std can make
/// one; a struct of somebody else's may look the same, but does not say the same.
pub(super) struct OfStd {
    pub(super) kind: io::ErrorKind,
    pub(super) message: &'static str,
}

pub(super) const OF_STD: &[OfStd] = &[
    // `Read::read_exact`.
    OfStd {
        kind: io::ErrorKind::UnexpectedEof,
        message: "failed to fill whole buffer",
    },
    // `TcpStream::connect_timeout`.
    OfStd {
        kind: io::ErrorKind::TimedOut,
        message: "connection timed out",
    },
];

impl fmt::Debug for OfStd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.kind)
            .field("message", &self.message)
            .finish()
    }
}
