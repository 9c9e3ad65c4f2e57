use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_util::codec::{Decoder, Encoder};
use tower_service::Service;

use super::client::Client;
use super::dial::{dial, host_of};
use super::driver::Driver;
use super::error::{Error, ErrorKind};
use super::options::Options;
#[cfg(feature = "tls")]
use super::tls::Tls;
use crate::BoxError;

/// Connects to one address: a `Service<()>` that responds with a [`Client`].
///
/// `F` makes a codec for each connection. `Req`, what the codec encodes, is inferred from the use.
///
/// The options' defaults are such that a peer that has vanished is noticed within 20 s, whether
/// something was sent to it or not. They don't notice a program that hangs while its kernel still
/// acknowledges: only [`response_timeout`](Self::response_timeout) does.
pub struct Connector<F, Req> {
    address: Arc<str>,
    codec: F,
    options: Arc<Options>,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
    requests: PhantomData<fn(Req)>,
}

impl<F, C, Req> Connector<F, Req>
where
    F: Fn() -> C,
    C: Encoder<Req> + Decoder,
{
    /// Connects to `address`, which is `host:port` with a name or an IP address (`[::1]:80` for
    /// IPv6). It is resolved again for every connect, and all that it resolves to is tried in
    /// order. `codec` makes the codec of each connection.
    ///
    /// Nothing happens here; an address of another form fails each connect with
    /// [`ErrorKind::Address`].
    pub fn new(address: impl ToString, codec: F) -> Self {
        Self {
            address: Arc::from(address.to_string()),
            codec,
            options: Arc::default(),
            #[cfg(feature = "tls")]
            tls: None,
            requests: PhantomData,
        }
    }
}

impl<F, Req> Connector<F, Req> {
    /// How long resolving, connecting and the TLS handshake may take together. Default: 5 s.
    /// Zero fails every connect.
    ///
    /// It is divided between the addresses that the name resolves to.
    #[must_use]
    pub fn connect_timeout(self, limit: Duration) -> Self {
        self.set(|options| options.connect_timeout = limit)
    }

    /// After how much silence the kernel probes an idle peer. Default: 10 s. Zero turns the probes
    /// off.
    ///
    /// Three more probes follow, a fifth of this apart, then the peer is taken for dead: 16 s by
    /// default. On Linux and Android it is [`user_timeout`](Self::user_timeout) that says when it is,
    /// unless that is off: at the first probe after so much silence, and not at the very first one. So
    /// set both for an idle peer to be noticed sooner. Rounded to whole seconds, at least 1 and at most
    /// 32,767. On some systems only the first delay can be set.
    #[must_use]
    pub fn keepalive(self, idle: Duration) -> Self {
        self.set(|options| options.keepalive = idle)
    }

    /// For how long sent bytes may stay unacknowledged by the peer's kernel (or the peer's receive
    /// window closed) before the connection is taken for dead. Default: 15 s. Zero leaves it to the
    /// system, which takes a quarter of an hour or so.
    ///
    /// What can't leave this machine, because its own route to the peer is gone, is counted from the
    /// last sign of life of the peer, which may go on sending for a while: with the defaults that can
    /// take more than 30 s. [`response_timeout`](Self::response_timeout) bounds it.
    ///
    /// This is TCP_USER_TIMEOUT, in milliseconds. It has no effect on systems other than Linux and
    /// Android.
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
    /// taken for dead, and everything in flight fails with [`ErrorKind::ResponseTimeout`].
    /// Default: none. Zero fails everything that is not answered at once.
    ///
    /// Time counts from the request that made the peer owe something, and begins anew with all that
    /// arrives: a slow peer with a long queue is not a dead one.
    #[must_use]
    pub fn response_timeout(self, limit: Duration) -> Self {
        self.set(|options| options.response_timeout = Some(limit))
    }

    /// How many requests may be unanswered on one connection; more wait in
    /// [`poll_ready`](Service::poll_ready). Default: 1,024. Zero is taken as 1: no pipelining.
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

    fn set(mut self, set: impl FnOnce(&mut Options)) -> Self {
        set(Arc::make_mut(&mut self.options));
        self
    }
}

impl<F, C, Req, Res> Service<()> for Connector<F, Req>
where
    F: Fn() -> C,
    C: Encoder<Req> + Decoder<Item = Res> + Send + 'static,
    <C as Encoder<Req>>::Error: Into<BoxError>,
    <C as Decoder>::Error: Into<BoxError>,
    Req: Send + 'static,
    Res: Send + 'static,
{
    type Response = Client<Req, Res>;
    type Error = Error;
    type Future = Connecting<Req, Res>;

    /// Always ready.
    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    /// Connects. The future must be polled in a tokio runtime with I/O and time enabled, and spawns
    /// the task of the connection there. Dropping it gives up the attempt.
    fn call(&mut self, _: ()) -> Connecting<Req, Res> {
        let codec = (self.codec)();
        let address = Arc::clone(&self.address);
        let options = Arc::clone(&self.options);
        #[cfg(feature = "tls")]
        let tls = self.tls.clone();
        Connecting(Box::pin(async move {
            let host = host_of(&address)?;
            let late = || Error::unsent(ErrorKind::ConnectTimeout, None);
            if options.connect_timeout.is_zero() {
                return Err(late());
            }
            let connect = async {
                let stream = dial(&address, &options).await?;
                #[cfg(feature = "tls")]
                if let Some(tls) = &tls {
                    let stream = tls.handshake(host, stream).await?;
                    return Ok(spawn(stream, codec, &options));
                }
                #[cfg(not(feature = "tls"))]
                let _ = host;
                Ok(spawn(stream, codec, &options))
            };
            timeout(options.connect_timeout, connect)
                .await
                .unwrap_or_else(|_| Err(late()))
        }))
    }
}

fn spawn<Io, C, Req, Res>(io: Io, codec: C, options: &Options) -> Client<Req, Res>
where
    Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    C: Encoder<Req> + Decoder<Item = Res> + Send + 'static,
    <C as Encoder<Req>>::Error: Into<BoxError>,
    <C as Decoder>::Error: Into<BoxError>,
    Req: Send + 'static,
    Res: Send + 'static,
{
    let (client, driver) = Driver::new(io, codec, options);
    tokio::spawn(driver.run());
    client
}

impl<F: Clone, Req> Clone for Connector<F, Req> {
    fn clone(&self) -> Self {
        Self {
            address: Arc::clone(&self.address),
            codec: self.codec.clone(),
            options: Arc::clone(&self.options),
            #[cfg(feature = "tls")]
            tls: self.tls.clone(),
            requests: PhantomData,
        }
    }
}

impl<F, Req> fmt::Debug for Connector<F, Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("address", &self.address)
            .field("codec", &type_name::<F>())
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Connects: the future of a [`Connector`].
pub struct Connecting<Req, Res>(Pin<Box<dyn Connect<Req, Res>>>);

trait Connect<Req, Res>: Future<Output = Result<Client<Req, Res>, Error>> + Send {}

impl<F, Req, Res> Connect<Req, Res> for F where
    F: Future<Output = Result<Client<Req, Res>, Error>> + Send
{
}

impl<Req, Res> Future for Connecting<Req, Res> {
    type Output = Result<Client<Req, Res>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl<Req, Res> fmt::Debug for Connecting<Req, Res> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connecting").finish()
    }
}
