//! The clients in question, each in the layer as its documentation says.

use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Request, Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tonic::Status;
use tonic::body::Body;
use tonic::transport::Endpoint;
use tower::{BoxError, Layer, Service, ServiceBuilder, ServiceExt};
use tower_conn_retry::http::Idempotent;
use tower_conn_retry::http::connection::{Http1Connect, Http2Connect};
use tower_conn_retry::{IdempotencyKeyLayer, Reconnect, ReplayBodyLayer, RetryOnConnErr};

use super::caller::{Caller, said};
use super::calls::{Call, GRPC, ID, KEY, Key};
use super::echo::EchoClient;
use super::origin::Version;
use super::tls::Tls;

/// hyper-util's pool leaves a caller waiting for ever once in a while, bare or in reqwest: if its connection
/// ends in the moment in which it is given the request. So the calls through it have a limit.
const STUCK: Duration = Duration::from_secs(5);

/// Where the calls go.
pub(crate) struct Target {
    pub(crate) version: Version,
    /// Scheme and authority.
    pub(crate) base: String,
    pub(crate) tls: Option<Tls>,
}

/// The same with each of the two connectors, which are not of one type.
macro_rules! connecting {
    ($target:expr, $connector:ident => $client:expr) => {
        match &$target.tls {
            None => {
                let $connector = HttpConnector::new();
                $client
            }
            Some(tls) => {
                let $connector = tls.connector($target.version);
                $client
            }
        }
    };
}

impl Target {
    /// hyper-util's client.
    pub(crate) fn pooled(&self, layer: RetryOnConnErr) -> Caller {
        let mut builder = Client::builder(TokioExecutor::new());
        builder.http2_only(self.version == Version::H2);
        let layer = layer.attempt_timeout(STUCK);
        connecting!(self, connector => self.hyper(layer, builder.build(connector)))
    }

    /// Our own, in a `Reconnect`.
    pub(crate) fn one_connection(&self, layer: RetryOnConnErr) -> Caller {
        let uri: Uri = self.base.parse().unwrap();
        connecting!(self, connector => match self.version {
            Version::H1 => self.hyper(layer, Reconnect::to(Http1Connect::new(connector), uri)),
            Version::H2 => self.hyper(layer, Reconnect::to(Http2Connect::new(connector), uri)),
        })
    }

    fn hyper<S>(&self, layer: RetryOnConnErr, client: S) -> Caller
    where
        S: Service<Request<Full<Bytes>>, Response = Response<Incoming>> + Clone + Send + 'static,
        S: Service<Request<Full<Bytes>>, Error: Into<BoxError>, Future: Send>,
    {
        let base = self.base.clone();
        let service = layer.layer(client);
        Caller::http(service.links(), service, move |call| {
            call.request(&base).map(Full::new)
        })
    }

    pub(crate) fn reqwest(&self, layer: RetryOnConnErr) -> Caller {
        let builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never());
        let builder = match self.version {
            Version::H1 => builder.http1_only(),
            Version::H2 => builder.http2_prior_knowledge(),
        };
        #[cfg(feature = "_tests")]
        let builder = match &self.tls {
            None => builder,
            Some(tls) => builder.tls_backend_preconfigured(tls.client_for(self.version)),
        };
        let base = self.base.clone();
        let layer = layer.redirects_off().attempt_timeout(STUCK);
        let service = layer.layer(builder.build().unwrap());
        Caller::http(service.links(), service, move |call| {
            reqwest::Request::try_from(call.request(&base)).unwrap()
        })
    }

    /// Its calls of one message.
    pub(crate) fn tonic(&self, layer: RetryOnConnErr) -> Caller {
        let endpoint = Endpoint::from_shared(self.base.clone()).unwrap();
        #[cfg(feature = "_tests")]
        let endpoint = match &self.tls {
            None => endpoint,
            Some(tls) => endpoint.tls_config(tls.tonic()).unwrap(),
        };
        let channel = endpoint.connect_lazy();
        let service =
            layer.layer(channel.map_request(|request: Request<_>| request.map(Body::new)));
        let links = service.links();
        let service = ServiceBuilder::new()
            .map_err(Status::from)
            .layer(ReplayBodyLayer::new(1 << 16))
            .service(service);
        let keyed = EchoClient::new(IdempotencyKeyLayer::new().layer(service.clone()));
        let client = EchoClient::new(service);
        Caller::new(&GRPC, links, move |call| {
            let (mut keyed, mut client) = (keyed.clone(), client.clone());
            let message = message(call);
            match call.kind.key {
                Key::Layer => async move { said(keyed.say(message).await) }.boxed(),
                _ => async move { said(client.say(message).await) }.boxed(),
            }
        })
    }
}

fn message(call: &Call) -> tonic::Request<Bytes> {
    let mut message = tonic::Request::new(call.body.clone());
    let metadata = message.metadata_mut();
    metadata.insert(ID, call.id.parse().unwrap());
    if let Some(key) = &call.key {
        metadata.insert(KEY, key.parse().unwrap());
    }
    if call.kind.key == Key::Marked {
        message.extensions_mut().insert(Idempotent);
    }
    message
}
