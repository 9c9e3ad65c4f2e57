//! The requests.

use bytes::Bytes;
use hyper::{Method, Request};

/// Who says that the request may be sent twice, if its method does not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Key {
    /// Nobody.
    No,
    /// The caller, with an `Idempotency-Key`.
    Caller,
    /// The `IdempotencyKeyLayer`.
    Layer,
    /// The caller, with `Idempotent`: the server does not learn of it.
    Marked,
}

/// What is alike.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) method: Method,
    pub(crate) key: Key,
    has_body: bool,
}

impl Kind {
    const fn new(name: &'static str, method: Method, key: Key, has_body: bool) -> Self {
        Self {
            name,
            method,
            key,
            has_body,
        }
    }

    pub(crate) fn may_repeat(&self) -> bool {
        self.method.is_idempotent() || self.key != Key::No
    }

    pub(crate) fn has_key(&self) -> bool {
        matches!(self.key, Key::Caller | Key::Layer)
    }
}

/// In turn. An odd number of them, so that who takes every second one takes each.
pub(crate) static HTTP: [Kind; 11] = [
    Kind::new("get", Method::GET, Key::No, false),
    Kind::new("put", Method::PUT, Key::No, true),
    Kind::new("keyed", Method::POST, Key::Caller, true),
    Kind::new("plain", Method::POST, Key::No, true),
    Kind::new("head", Method::HEAD, Key::No, false),
    Kind::new("keyed-empty", Method::POST, Key::Caller, false),
    Kind::new("plain-empty", Method::POST, Key::No, false),
    Kind::new("delete", Method::DELETE, Key::No, false),
    Kind::new("layer", Method::POST, Key::Layer, true),
    Kind::new("layer-patch", Method::PATCH, Key::Layer, true),
    Kind::new("plain-patch", Method::PATCH, Key::No, true),
];

/// The same for gRPC.
pub(crate) static GRPC: [Kind; 5] = [
    Kind::new("keyed", Method::POST, Key::Caller, true),
    Kind::new("plain", Method::POST, Key::No, true),
    Kind::new("marked", Method::POST, Key::Marked, true),
    Kind::new("layer", Method::POST, Key::Layer, true),
    Kind::new("plain-empty", Method::POST, Key::No, false),
];

/// The headers by which the server knows a request.
pub(crate) const ID: &str = "id";
pub(crate) const KEY: &str = "idempotency-key";

pub(crate) struct Call {
    pub(crate) kind: &'static Kind,
    pub(crate) id: String,
    /// The caller's.
    pub(crate) key: Option<String>,
    pub(crate) body: Bytes,
}

impl Call {
    pub(crate) fn new(kinds: &'static [Kind], n: usize) -> Self {
        let kind = &kinds[n % kinds.len()];
        let id = format!("{}/{n}", kind.name);
        let key = (kind.key == Key::Caller).then(|| format!("\"key-{n}\""));
        let body = match kind.has_body {
            true => Bytes::from(format!("the body of {id}")),
            false => Bytes::new(),
        };
        Self {
            kind,
            id,
            key,
            body,
        }
    }

    pub(crate) fn request(&self, base: &str) -> Request<Bytes> {
        let request = Request::builder()
            .method(&self.kind.method)
            .uri(format!("{base}/{}", self.id))
            .header(ID, &self.id);
        let request = match &self.key {
            Some(key) => request.header(KEY, key),
            None => request,
        };
        request.body(self.body.clone()).unwrap()
    }
}
