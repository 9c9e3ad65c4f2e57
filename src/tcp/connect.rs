use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_util::codec::{Decoder, Encoder};
use tower_service::Service;

use super::answers::{ById, EncodeOnly, InOrder, OneWay};
use super::book::{self, Book};
use super::client::Client;
use super::connector::Connector;
use super::correlate::Correlate;
use super::dial::{dial, host_of};
use super::driver::Driver;
use super::error::{Error, ErrorKind};
use super::options::Options;
use super::socket::{Counted, Socket};
use crate::BoxError;

impl<F, C, Req, Res> Service<()> for Connector<F, Req, InOrder>
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
        self.connect((self.codec)(), book::InOrder::new(), |_| Ok(()))
    }
}

impl<F, G, C, K, Req, Res> Service<()> for Connector<F, Req, ById<G>>
where
    F: Fn() -> C,
    C: Encoder<Req> + Decoder<Item = Res> + Send + 'static,
    <C as Encoder<Req>>::Error: Into<BoxError>,
    <C as Decoder>::Error: Into<BoxError>,
    G: Fn() -> K,
    K: Correlate<Req, Res, Id: Send> + Send + 'static,
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

    /// Connects, as with answers in order.
    fn call(&mut self, _: ()) -> Connecting<Req, Res> {
        let book = book::ById::new((self.answers.0)());
        self.connect((self.codec)(), book, |_| Ok(()))
    }
}

impl<F, C, Req> Service<()> for Connector<F, Req, OneWay>
where
    F: Fn() -> C,
    C: Encoder<Req> + Send + 'static,
    C::Error: Into<BoxError>,
    Req: Send + 'static,
{
    type Response = Client<Req, ()>;
    type Error = Error;
    type Future = Connecting<Req, ()>;

    /// Always ready.
    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    /// Connects, as with answers in order.
    fn call(&mut self, _: ()) -> Connecting<Req, ()> {
        let codec = EncodeOnly((self.codec)());
        self.connect(codec, book::OneWay::new(), |socket| {
            let told = socket.unacknowledged();
            told.map(drop)
                .map_err(|error| Error::unsent(ErrorKind::Unsupported, Some(error.into())))
        })
    }
}

impl<F, Req, A> Connector<F, Req, A> {
    fn connect<C, B, Res>(
        &self,
        codec: C,
        book: B,
        check: fn(&Counted) -> Result<(), Error>,
    ) -> Connecting<Req, Res>
    where
        C: Encoder<Req> + Decoder<Item = Res> + Send + 'static,
        <C as Encoder<Req>>::Error: Into<BoxError>,
        <C as Decoder>::Error: Into<BoxError>,
        B: Book<Req, Res = Res> + Send + 'static,
        Req: Send + 'static,
        Res: Send + 'static,
    {
        let address = Arc::clone(&self.address);
        let options = Arc::clone(&self.options);
        #[cfg(feature = "tls")]
        let tls = self.tls.clone();
        Connecting(Box::pin(async move {
            let at = |error: Error| error.at(&address);
            let host = host_of(&address).map_err(at)?;
            let late = || at(Error::unsent(ErrorKind::ConnectTimeout, None));
            if options.connect_timeout.is_zero() {
                return Err(late());
            }
            let connect = async {
                let stream = Counted::new(dial(&address, &options).await?);
                check(&stream)?;
                #[cfg(feature = "tls")]
                if let Some(tls) = &tls {
                    let stream = tls.handshake(host, stream).await?;
                    return Ok(spawn(stream, codec, book, &options));
                }
                #[cfg(not(feature = "tls"))]
                let _ = host;
                Ok(spawn(stream, codec, book, &options))
            };
            timeout(options.connect_timeout, connect)
                .await
                .map_err(|_| late())?
                .map_err(at)
        }))
    }
}

fn spawn<Io, C, B, Req>(io: Io, codec: C, book: B, options: &Options) -> Client<Req, B::Res>
where
    Io: AsyncRead + AsyncWrite + Socket + Unpin + Send + 'static,
    C: Encoder<Req> + Decoder<Item = B::Res> + Send + 'static,
    <C as Encoder<Req>>::Error: Into<BoxError>,
    <C as Decoder>::Error: Into<BoxError>,
    B: Book<Req, Res: Send> + Send + 'static,
    Req: Send + 'static,
{
    let (client, driver) = Driver::new(io, codec, book, options);
    tokio::spawn(driver.run());
    client
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
