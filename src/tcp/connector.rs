use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::codec::Encoder;

use super::answers::{ById, InOrder, OneWay};
use super::options::Options;
#[cfg(feature = "tls")]
use super::tls::Tls;

/// Connects to one address: a `Service<()>` that responds with a [`Client`](super::Client).
///
/// `F` makes a codec for each connection. `Req`, what the codec encodes, is inferred from the use. `A`
/// says how answers find their requests: [`InOrder`], [`ById`] or not at all ([`OneWay`]).
///
/// The options' defaults are such that, on Linux and Android, a peer that has vanished, or can't be
/// reached any more, is noticed within 20 s, whether something was sent to it or not. They don't
/// notice a program that hangs while its kernel still acknowledges: only
/// [`response_timeout`](Self::response_timeout) does.
pub struct Connector<F, Req, A = InOrder> {
    pub(super) address: Arc<str>,
    pub(super) codec: F,
    pub(super) answers: A,
    pub(super) options: Arc<Options>,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<Tls>,
    requests: PhantomData<fn(Req)>,
}

impl<F, C, Req> Connector<F, Req>
where
    F: Fn() -> C,
    C: Encoder<Req>,
{
    /// Connects to `address`, which is `host:port` with a name or an IP address (`[::1]:80` for
    /// IPv6). It is resolved again for every connect, and all that it resolves to is tried: IPv6 and
    /// IPv4 in turn, the next one when one has failed or after 250 ms, until one connects (as in
    /// RFC 8305 §5; both families are looked up before the first attempt). A peer may so see a
    /// connection that is closed at once. `codec` makes the codec of each connection.
    ///
    /// Nothing happens here; an address of another form fails each connect with
    /// [`ErrorKind::Address`](super::ErrorKind::Address).
    pub fn new(address: impl ToString, codec: F) -> Self {
        Self {
            address: Arc::from(address.to_string()),
            codec,
            answers: InOrder,
            options: Arc::default(),
            #[cfg(feature = "tls")]
            tls: None,
            requests: PhantomData,
        }
    }
}

impl<F, Req> Connector<F, Req> {
    /// Finds the requests of answers by an id, so that they may come in any order. `correlate`
    /// makes a [`Correlate`](super::Correlate) for each connection.
    ///
    /// An answer to a caller that has gone is read and thrown away; until it comes, the request
    /// counts as one in flight. Where peers leave requests unanswered, set a
    /// [`response_timeout`](Self::response_timeout): once [`max_in_flight`](Self::max_in_flight)
    /// of them are, nothing else moves, and it ends the connection.
    #[must_use]
    pub fn correlate<G, K>(self, correlate: G) -> Connector<F, Req, ById<G>>
    where
        G: Fn() -> K,
    {
        self.answers(ById(correlate))
    }

    /// For protocols without answers: a request is done, with `()`, when the peer's *kernel* has
    /// acknowledged the last byte of its frame. The codec need not be a decoder.
    ///
    /// **Acknowledged is not processed.** The peer's program may be killed, or reset the
    /// connection, before it has read what its kernel acknowledged; those messages are lost and
    /// counted as done. A protocol that needs more needs answers. When the connection ends,
    /// whatever was not seen to be acknowledged before fails, [sent](super::Error::sent) or not as
    /// always. Whatever the peer sends is the end of the connection
    /// ([`ErrorKind::UnexpectedAnswer`](super::ErrorKind::UnexpectedAnswer)).
    ///
    /// No event tells of an acknowledgement. So while something is unacknowledged, one system call
    /// (SIOCOUTQ of `tcp(7)`) looks after each write and then after 1, 2, 4, 8, 16, 16 … ms. A peer
    /// may delay its acknowledgements: by 40 ms on Linux, by 500 ms at most (RFC 9293 §3.8.6.3).
    ///
    /// Linux and Android only. Elsewhere, and where a sandbox does not have that call, each connect
    /// fails with [`ErrorKind::Unsupported`](super::ErrorKind::Unsupported).
    #[must_use]
    pub fn one_way(self) -> Connector<F, Req, OneWay> {
        self.answers(OneWay)
    }
}

impl<F, Req, A> Connector<F, Req, A> {
    /// How long resolving, connecting and the TLS handshake may take together. Default: 5 s.
    /// Zero fails every connect.
    #[must_use]
    pub fn connect_timeout(self, limit: Duration) -> Self {
        self.set(|options| options.connect_timeout = limit)
    }

    /// After how much silence the kernel probes an idle peer. Default: 10 s. Zero turns the probes
    /// off.
    ///
    /// Three more probes follow, a fifth of this apart, then the peer is taken for dead: 16 s by
    /// default. **On Linux and Android this alone does not say when that is:** there
    /// [`user_timeout`](Self::user_timeout) does, unless it is off. A silent peer is taken for dead by
    /// the first probe that is due after so much silence, but not by the very first one; so with
    /// `keepalive(2 s)` and nothing else it takes 15 s still. Set both for an idle peer to be noticed
    /// sooner.
    ///
    /// Rounded to whole seconds, at least 1 and at most 32,767. On some systems only the first delay
    /// can be set.
    #[must_use]
    pub fn keepalive(self, idle: Duration) -> Self {
        self.set(|options| options.keepalive = idle)
    }

    /// For how long sent bytes may stay unacknowledged by the peer's kernel (or the peer's receive
    /// window closed) before the connection is taken for dead. Default: 15 s. Zero leaves it to the
    /// system, which takes a quarter of an hour or so.
    ///
    /// This is TCP_USER_TIMEOUT, in milliseconds; everything in flight then fails with
    /// [`ErrorKind::Io`](super::ErrorKind::Io) and what the kernel says: ETIMEDOUT, or why nothing got
    /// through. The kernel does not always see it: while nothing can leave this machine, because its
    /// own route to the peer is gone, it counts from the last sign of life of the peer, which may go on
    /// for long. So the connection's task has a look too (SIOCOUTQ of `tcp(7)`), 16 times in this time
    /// while requests are under way. Where the kernel has not noticed a second later, the task does,
    /// with an [`io::Error`](std::io::Error) of the kind `TimedOut`: within 18 s by default. What had
    /// not been acknowledged by then is not sent again by the kernel, so that it does not arrive after
    /// what is sent on the next connection.
    ///
    /// Both are for Linux and Android. Elsewhere this has no effect, and
    /// [`response_timeout`](Self::response_timeout) bounds it.
    #[must_use]
    pub fn user_timeout(self, limit: Duration) -> Self {
        self.set(|options| options.user_timeout = limit)
    }

    /// Whether small writes are sent at once (TCP_NODELAY). Default: yes. Requests that come
    /// together share a write either way.
    #[must_use]
    pub fn nodelay(self, nodelay: bool) -> Self {
        self.set(|options| options.nodelay = nodelay)
    }

    /// For how long a peer that owes an answer may send nothing at all before the connection is
    /// taken for dead, and everything in flight fails with
    /// [`ErrorKind::ResponseTimeout`](super::ErrorKind::ResponseTimeout).
    /// Default: none. Zero fails everything that is not answered at once.
    ///
    /// Time counts from the request that made the peer owe something, and begins anew with all that
    /// arrives: a slow peer with a long queue is not a dead one. One-way messages are owed an
    /// acknowledgement.
    #[must_use]
    pub fn response_timeout(self, limit: Duration) -> Self {
        self.set(|options| options.response_timeout = Some(limit))
    }

    /// How many requests may be unanswered on one connection; more wait in
    /// [`poll_ready`](tower_service::Service::poll_ready). Default: 1,024. Zero is taken as 1: no pipelining.
    #[must_use]
    pub fn max_in_flight(self, requests: usize) -> Self {
        self.set(|options| options.max_in_flight = requests)
    }

    /// Speaks TLS, with a [`Tls`] or an `Arc<rustls::ClientConfig>`.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: impl Into<Tls>) -> Self {
        self.tls = Some(tls.into());
        self
    }

    fn answers<B>(self, answers: B) -> Connector<F, Req, B> {
        Connector {
            address: self.address,
            codec: self.codec,
            answers,
            options: self.options,
            #[cfg(feature = "tls")]
            tls: self.tls,
            requests: PhantomData,
        }
    }

    fn set(mut self, set: impl FnOnce(&mut Options)) -> Self {
        set(Arc::make_mut(&mut self.options));
        self
    }
}

impl<F: Clone, Req, A: Clone> Clone for Connector<F, Req, A> {
    fn clone(&self) -> Self {
        Self {
            address: Arc::clone(&self.address),
            codec: self.codec.clone(),
            answers: self.answers.clone(),
            options: Arc::clone(&self.options),
            #[cfg(feature = "tls")]
            tls: self.tls.clone(),
            requests: PhantomData,
        }
    }
}

impl<F, Req, A: fmt::Debug> fmt::Debug for Connector<F, Req, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("address", &self.address)
            .field("codec", &type_name::<F>())
            .field("answers", &self.answers)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
