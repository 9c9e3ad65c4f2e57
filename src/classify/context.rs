use super::{ConnError, ConnErrorKind, Outlook, Sent};

/// What the walk has learned on its way down the chain.
///
/// Two kinds of facts are kept apart. *Position* (`connecting`, `unsent`, …) only ever grows: what
/// is true of an outer step is true of everything below it. *Evidence* is replaced by whatever is
/// found further in, because an outer step's kind is often synthetic (h2 makes a `BrokenPipe` out
/// of any lost connection) while the innermost one is what the system said.
#[derive(Debug, Default)]
pub(super) struct Context {
    /// Everything from here on happened while a connection was being made.
    connecting: bool,
    /// This attempt's request was provably not sent.
    unsent: bool,
    /// Nothing from here on is proof: it may be about another hop than the first.
    unproved: bool,
    /// Everything from here on happened while the peer's name was being resolved.
    resolving: bool,
    /// Everything from here on happened in a handshake, after the transport was connected.
    handshake: bool,
    /// Everything from here on is about the answer's content, unless a connection's own error
    /// turns up below.
    content: bool,
    /// The chain comes from a connection or a client that gives a request only its own stream's errors, never
    /// those of the connection that it shares.
    per_stream: bool,
    /// What hyper says of a received GOAWAY is not taken for proof.
    strict: bool,
    /// There is something further out.
    below: bool,
    /// There is an `io::Error` further out.
    below_io: bool,
    /// An `io::Error` from here on may have been made up by h2.
    below_h2: bool,
    evidence: Option<ConnError>,
    assumed: Option<ConnErrorKind>,
    certain: Option<ConnErrorKind>,
}

impl Context {
    /// A connection was being made, so the request was not sent.
    pub(super) fn set_connecting(&mut self) {
        self.connecting = true;
        self.set_unsent();
    }

    pub(super) fn is_connecting(&self) -> bool {
        self.connecting
    }

    pub(super) fn set_unsent(&mut self) {
        self.unsent |= !self.unproved;
    }

    /// From here on nothing is proof.
    #[cfg_attr(not(any(feature = "redis", feature = "ureq")), allow(dead_code))]
    pub(super) fn set_unproved(&mut self) {
        self.unproved = true;
    }

    /// The peer's name was being resolved: whatever broke, it is [`ConnErrorKind::Dns`].
    #[cfg_attr(not(feature = "reqwest"), allow(dead_code))]
    pub(super) fn set_resolving(&mut self) {
        self.resolving = true;
        self.set_connecting();
    }

    /// Whether an end of stream or a reset further down would be a TLS handshake's.
    #[cfg_attr(
        not(any(feature = "hyper-util", feature = "native-tls")),
        allow(dead_code)
    )]
    pub(super) fn set_handshake(&mut self, handshake: bool) {
        self.handshake = handshake;
    }

    /// Whether a connection was being made, and the transport was there, as far as is known.
    pub(super) fn is_in_handshake(&self) -> bool {
        self.handshake && self.connecting
    }

    #[allow(dead_code)] // only for native-tls, and only where that is OpenSSL
    pub(super) fn is_handshake(&self) -> bool {
        self.handshake || self.connecting
    }

    #[cfg_attr(not(feature = "hyper"), allow(dead_code))]
    pub(super) fn set_content(&mut self, content: bool) {
        self.content = content;
    }

    pub(super) fn is_content(&self) -> bool {
        self.content
    }

    #[cfg_attr(not(feature = "hyper-conn"), allow(dead_code))]
    pub(super) fn set_per_stream(&mut self) {
        self.per_stream = true;
    }

    #[cfg_attr(not(feature = "h2"), allow(dead_code))]
    pub(super) fn is_per_stream(&self) -> bool {
        self.per_stream
    }

    /// As [`set_per_stream`](Self::set_per_stream), unless the walk is a strict one: hyper's clients.
    #[cfg_attr(not(feature = "hyper-util"), allow(dead_code))]
    pub(super) fn set_hypers(&mut self) {
        self.per_stream |= !self.strict;
    }

    /// That an error is below another one is doubt enough: it may be hyper's, seen or not.
    #[cfg_attr(not(feature = "h2"), allow(dead_code))]
    pub(super) fn strict() -> Self {
        Self {
            strict: true,
            ..Self::default()
        }
    }

    pub(super) fn set_below(&mut self) {
        self.below = true;
    }

    /// Nothing but the error itself says whose it is, and that is not enough.
    #[cfg_attr(not(feature = "h2"), allow(dead_code))]
    pub(super) fn is_in_doubt(&self) -> bool {
        self.strict && self.below
    }

    #[cfg_attr(not(any(feature = "hyper", feature = "h2")), allow(dead_code))]
    pub(super) fn set_below_h2(&mut self) {
        self.below_h2 = true;
    }

    pub(super) fn is_below_h2(&self) -> bool {
        self.below_h2
    }

    pub(super) fn set_below_io(&mut self) {
        self.below_io = true;
    }

    #[cfg_attr(not(feature = "rustls"), allow(dead_code))]
    pub(super) fn is_below_io(&self) -> bool {
        self.below_io
    }

    pub(super) fn has_found(&self) -> bool {
        self.evidence.is_some() || self.assumed.is_some()
    }

    /// This is a connection error of this kind, unless something more specific is found below.
    pub(super) fn note(&mut self, kind: ConnErrorKind) {
        self.note_error(ConnError::new(kind));
    }

    /// As [`note`](Self::note), with the outlook.
    pub(super) fn note_outlook(&mut self, kind: ConnErrorKind, outlook: Outlook) {
        self.note_error(ConnError::new(kind).with_outlook(outlook));
    }

    /// As [`note`](Self::note), with everything.
    pub(super) fn note_error(&mut self, error: ConnError) {
        self.evidence = Some(error);
    }

    /// A connection error of this kind, if nothing at all is recognised, and nothing speaks against
    /// it. `None` takes an outer step's assumption back.
    #[cfg_attr(
        not(any(feature = "hyper-util", feature = "hickory")),
        allow(dead_code)
    )]
    pub(super) fn assume(&mut self, kind: Option<ConnErrorKind>) {
        self.assumed = kind;
    }

    /// A connection error whatever is below, of this kind if nothing is recognised.
    pub(super) fn set_certain(&mut self, kind: ConnErrorKind) {
        self.certain = Some(kind);
    }

    /// What is here is the caller's own error, or one about the content: what was seen on the way
    /// is no evidence.
    pub(super) fn refute(&mut self) {
        self.evidence = None;
        self.assumed = None;
    }

    /// A verdict that someone else gave at this position.
    pub(super) fn place(&self, error: ConnError) -> ConnError {
        if self.unsent {
            error.with_sent(Sent::No)
        } else if self.unproved {
            error.with_sent(Sent::Maybe)
        } else {
            error
        }
    }

    /// The verdict at the end of the walk.
    pub(super) fn finish(self) -> Option<ConnError> {
        let assumed = self.assumed.or(self.certain).map(ConnError::new);
        let found = self.evidence.or(assumed)?;
        let kind = match found.kind() {
            _ if self.resolving => ConnErrorKind::Dns,
            ConnErrorKind::Closed
            | ConnErrorKind::Reset
            | ConnErrorKind::Aborted
            | ConnErrorKind::BrokenPipe
                if self.handshake =>
            {
                ConnErrorKind::Tls
            }
            kind => kind,
        };
        Some(self.place(found.with_kind(kind)))
    }
}
