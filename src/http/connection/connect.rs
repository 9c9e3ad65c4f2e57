use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::Body;
use hyper::client::conn::{http1, http2};
use hyper::rt::{self, Read, Write};
use tower_service::Service;

use super::serial::Serial;
use super::{Executor, Http1Connection, Http2Connection, Task};
use crate::BoxError;

/// Makes [HTTP/1.1 connections](Http1Connection) over what a connector responds with: for
/// [`Reconnect`](crate::Reconnect).
///
/// The connector is any `Service<T>` whose response is hyper's [`Read`] and [`Write`]. `B` is the
/// requests' body.
///
/// # Errors
///
/// The connector's own.
pub struct Http1Connect<C, B> {
    connector: C,
    builder: http1::Builder,
    executor: Executor,
    body: PhantomData<fn(B)>,
}

impl<C, B> Http1Connect<C, B> {
    /// Connects with `connector`; tokio runs the connections.
    pub fn new(connector: C) -> Self {
        Self {
            connector,
            builder: http1::Builder::new(),
            executor: Executor::default(),
            body: PhantomData,
        }
    }

    /// Runs the connections on another executor. Default: `tokio::spawn`.
    #[must_use]
    pub fn executor(mut self, executor: impl rt::Executor<Task> + Send + Sync + 'static) -> Self {
        self.executor = Executor::new(executor);
        self
    }

    /// Changes hyper's options. Default: hyper's.
    #[must_use]
    pub fn configure(mut self, change: impl FnOnce(&mut http1::Builder)) -> Self {
        change(&mut self.builder);
        self
    }
}

impl<C, T, B> Service<T> for Http1Connect<C, B>
where
    C: Service<T, Error: Into<BoxError>, Future: Send + 'static>,
    C::Response: Read + Write + Unpin + Send + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Http1Connection<B>;
    type Error = BoxError;
    type Future = Connecting<Http1Connection<B>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, target: T) -> Self::Future {
        let connecting = self.connector.call(target);
        let (builder, executor) = (self.builder.clone(), self.executor.clone());
        Connecting(Box::pin(async move {
            let io = connecting.await.map_err(Into::into)?;
            let (sender, connection) = builder.handshake(io).await?;
            let (service, driver) = Http1Connection::new(sender, connection.with_upgrades());
            executor.spawn(driver);
            Ok(service)
        }))
    }
}

/// Makes [HTTP/2 connections](Http2Connection) over what a connector responds with: for
/// [`Reconnect`](crate::Reconnect).
///
/// The connector is any `Service<T>` whose response is hyper's [`Read`] and [`Write`]; over TLS it
/// has to agree on `h2` (ALPN), in the clear the peer has to know (prior knowledge). `B` is the
/// requests' body.
///
/// Set TCP_NODELAY on the stream, which hyper-util's `HttpConnector` does not by default
/// (`set_nodelay(true)`). Head and body of a request are two writes here, and without it the second one
/// waits until the peer has acknowledged the first, which it may delay by 40 ms.
///
/// # Errors
///
/// The connector's own, and hyper's if the handshake fails.
pub struct Http2Connect<C, B> {
    connector: C,
    builder: http2::Builder<Executor>,
    executor: Executor,
    body: PhantomData<fn(B)>,
}

impl<C, B> Http2Connect<C, B> {
    /// Connects with `connector`; tokio runs the connections.
    pub fn new(connector: C) -> Self {
        Self::on(Executor::default(), connector)
    }

    /// Connects with `connector`, and runs the connections on another executor than tokio.
    pub fn with_executor(
        connector: C,
        executor: impl rt::Executor<Task> + Send + Sync + 'static,
    ) -> Self {
        Self::on(Executor::new(executor), connector)
    }

    fn on(executor: Executor, connector: C) -> Self {
        Self {
            connector,
            builder: http2::Builder::new(executor.clone()),
            executor,
            body: PhantomData,
        }
    }

    /// Changes hyper's options. Default: hyper's.
    ///
    /// Worth setting: `keep_alive_interval` and `keep_alive_timeout` (with a `timer`), so that a peer
    /// that has gone silent is noticed.
    #[must_use]
    pub fn configure(mut self, change: impl FnOnce(&mut http2::Builder<Executor>)) -> Self {
        change(&mut self.builder);
        self
    }
}

impl<C, T, B> Service<T> for Http2Connect<C, B>
where
    C: Service<T, Error: Into<BoxError>, Future: Send + 'static>,
    C::Response: Read + Write + Unpin + Send + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + Unpin + Send + 'static,
{
    type Response = Http2Connection<B>;
    type Error = BoxError;
    type Future = Connecting<Http2Connection<B>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, target: T) -> Self::Future {
        let connecting = self.connector.call(target);
        let (builder, executor) = (self.builder.clone(), self.executor.clone());
        Connecting(Box::pin(async move {
            let io = connecting.await.map_err(Into::into)?;
            let serial = Serial::default();
            let (sender, connection) = serial.clone().run(builder.handshake(io)).await?;
            let (service, driver) = Http2Connection::new(sender, connection);
            executor.spawn(serial.run(driver));
            Ok(service)
        }))
    }
}

/// A connection in the making.
pub struct Connecting<S>(Pin<Box<dyn Future<Output = Result<S, BoxError>> + Send>>);

impl<S> Future for Connecting<S> {
    type Output = Result<S, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl<S> fmt::Debug for Connecting<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connecting").finish_non_exhaustive()
    }
}

impl<C: Clone, B> Clone for Http1Connect<C, B> {
    fn clone(&self) -> Self {
        Self {
            connector: self.connector.clone(),
            builder: self.builder.clone(),
            executor: self.executor.clone(),
            body: PhantomData,
        }
    }
}

impl<C: Clone, B> Clone for Http2Connect<C, B> {
    fn clone(&self) -> Self {
        Self {
            connector: self.connector.clone(),
            builder: self.builder.clone(),
            executor: self.executor.clone(),
            body: PhantomData,
        }
    }
}

impl<C, B> fmt::Debug for Http1Connect<C, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http1Connect")
            .field("connector", &type_name::<C>())
            .field("executor", &self.executor)
            .finish_non_exhaustive()
    }
}

impl<C, B> fmt::Debug for Http2Connect<C, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http2Connect")
            .field("connector", &type_name::<C>())
            .field("executor", &self.executor)
            .finish_non_exhaustive()
    }
}
