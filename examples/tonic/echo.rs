//! What tonic's code generator makes of this, by hand, so that the example needs no `protoc`:
//!
//! ```text
//! service Echo {
//!     rpc Say(Text) returns (Text);           // back it comes
//!     rpc Count(Text) returns (stream Text);  // three times; "breaks": once, and then nothing
//!     rpc Join(stream Text) returns (Text);   // all of them as one
//!     rpc Chat(stream Text) returns (stream Text); // each of them back, as it comes
//! }
//! ```
#![allow(dead_code, reason = "the example and the tests each use a part")]

use std::future::Future;

use bytes::{Buf, BufMut, Bytes};
use futures_util::stream::{self, BoxStream, Stream, StreamExt};
use http::uri::PathAndQuery;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body as HttpBody, Incoming};
use tonic::body::Body;
use tonic::client::GrpcService;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Request, Response, Status, Streaming};
use tower::service_fn;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The client, over any service that is a gRPC channel.
#[derive(Debug, Clone)]
pub(crate) struct EchoClient<T> {
    inner: tonic::client::Grpc<T>,
}

impl<T> EchoClient<T>
where
    T: GrpcService<Body>,
    T::Error: Into<BoxError>,
    T::ResponseBody: HttpBody<Data = Bytes, Error: Into<BoxError> + Send> + Send + 'static,
{
    pub(crate) fn new(channel: T) -> Self {
        let inner = tonic::client::Grpc::new(channel);
        Self { inner }
    }

    pub(crate) async fn say(&mut self, request: Request<Bytes>) -> Result<Response<Bytes>, Status> {
        self.ready().await?;
        self.inner.unary(request, path("Say"), TextCodec).await
    }

    pub(crate) async fn count(
        &mut self,
        request: Request<Bytes>,
    ) -> Result<Response<Streaming<Bytes>>, Status> {
        self.ready().await?;
        self.inner
            .server_streaming(request, path("Count"), TextCodec)
            .await
    }

    pub(crate) async fn join(
        &mut self,
        request: Request<impl Stream<Item = Bytes> + Send + 'static>,
    ) -> Result<Response<Bytes>, Status> {
        self.ready().await?;
        self.inner
            .client_streaming(request, path("Join"), TextCodec)
            .await
    }

    pub(crate) async fn chat(
        &mut self,
        request: Request<impl Stream<Item = Bytes> + Send + 'static>,
    ) -> Result<Response<Streaming<Bytes>>, Status> {
        self.ready().await?;
        self.inner.streaming(request, path("Chat"), TextCodec).await
    }

    async fn ready(&mut self) -> Result<(), Status> {
        let ready = self.inner.ready().await;
        ready.map_err(|error| Status::unknown(error.into().to_string()))
    }
}

fn path(method: &str) -> PathAndQuery {
    let path = format!("/echo.Echo/{method}");
    path.parse().expect("a path")
}

/// The server's half.
pub(crate) async fn answer(
    request: hyper::Request<Incoming>,
) -> hyper::Response<UnsyncBoxBody<Bytes, Status>> {
    let mut grpc = tonic::server::Grpc::new(TextCodec);
    let answer = match request.uri().path() {
        "/echo.Echo/Say" => grpc.unary(service_fn(say), request).await,
        "/echo.Echo/Count" => grpc.server_streaming(service_fn(count), request).await,
        "/echo.Echo/Join" => grpc.client_streaming(service_fn(join), request).await,
        "/echo.Echo/Chat" => grpc.streaming(service_fn(chat), request).await,
        _ => Status::unimplemented("no such method").into_http(),
    };
    answer.map(UnsyncBoxBody::new)
}

async fn say(request: Request<Bytes>) -> Result<Response<Bytes>, Status> {
    Ok(Response::new(request.into_inner()))
}

async fn count(
    request: Request<Bytes>,
) -> Result<Response<BoxStream<'static, Result<Bytes, Status>>>, Status> {
    let text = request.into_inner();
    Ok(Response::new(if text == "breaks" {
        stream::iter([Ok(text)]).chain(stream::pending()).boxed()
    } else {
        stream::iter([Ok(text.clone()), Ok(text.clone()), Ok(text)]).boxed()
    }))
}

fn join(
    request: Request<Streaming<Bytes>>,
) -> impl Future<Output = Result<Response<Bytes>, Status>> {
    let mut texts = request.into_inner();
    async move {
        let mut all = Vec::new();
        while let Some(text) = texts.message().await? {
            all.extend_from_slice(&text);
        }
        Ok(Response::new(all.into()))
    }
}

async fn chat(request: Request<Streaming<Bytes>>) -> Result<Response<Streaming<Bytes>>, Status> {
    Ok(Response::new(request.into_inner()))
}

/// A message is its bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct TextCodec;

impl Codec for TextCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for TextCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item);
        Ok(())
    }
}

impl Decoder for TextCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}
