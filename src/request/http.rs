use std::error::Error;
use std::time::Duration;

use http::{HeaderMap, Method, Request, Uri};

use super::origin::Origin;
use super::{ByReturn, Destination, Replayable, RequestModel, Spelling, Unsent};
use crate::Ticket;
use crate::http::{Idempotent, Recording, has_key};
use crate::outbox::MaxAge;

impl Replayable for Uri {
    fn try_clone(&self) -> Option<Self> {
        Some(self.clone())
    }

    fn destination(&self) -> Destination {
        origin(self).map_or_else(Destination::default, |origin| origin.destination())
    }

    #[inline]
    fn destination_hash(&self) -> u64 {
        origin(self).map_or_else(|| Destination::PEER_HASH, |origin| origin.hash64())
    }

    #[inline]
    fn spelling(&self) -> Option<Spelling<'_>> {
        let secure = match self.scheme_str()? {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let authority = self.authority()?.as_str();
        Some(Spelling::Parts { secure, authority })
    }

    fn size_hint(&self) -> usize {
        size_of::<Self>() + uri_len(self)
    }
}

/// Copied with all its headers and extensions; a body such as `Bytes` or `http_body_util::Full` is
/// shared, not copied.
#[diagnostic::do_not_recommend] // it would be told of `B: Clone` alone, without what helps
impl<B: Clone> Replayable for Request<B> {
    fn try_clone(&self) -> Option<Self> {
        Some(self.clone())
    }

    /// Yes, unless the body is a [`ReplayBody`](crate::ReplayBody) of which too much was read, or that
    /// has failed. To be asked when an attempt is over: whoever still reads the body for it is
    /// superseded, so that what is said here holds for the next one.
    fn can_replay(&self) -> bool {
        let recording = self.extensions().get::<Recording>();
        recording.is_none_or(Recording::claim)
    }

    /// A safe or idempotent method (RFC 9110 §9.2.2), an `Idempotency-Key` header that is not empty, or
    /// the extension [`Idempotent`].
    fn is_idempotent(&self) -> bool {
        is_request_idempotent(self)
    }

    /// Scheme and authority, without credentials and without the scheme's own port; the one peer if
    /// the URI has no authority.
    fn destination(&self) -> Destination {
        self.uri().destination()
    }

    #[inline]
    fn destination_hash(&self) -> u64 {
        self.uri().destination_hash()
    }

    #[inline]
    fn spelling(&self) -> Option<Spelling<'_>> {
        self.uri().spelling()
    }

    /// URI, headers, the size of the body's type, and of the body itself what a
    /// [`ReplayBody`](crate::ReplayBody) keeps, or will. What is behind any other one can't be known: of
    /// a `Full<Bytes>` no byte counts.
    fn size_hint(&self) -> usize {
        request_len(self)
    }

    /// The extension [`MaxAge`].
    fn max_age(&self) -> Option<Duration> {
        self.extensions().get().map(|MaxAge(limit)| *limit)
    }
}

/// With any body.
impl<B: Send + 'static> RequestModel<Request<B>> for ByReturn {
    fn try_clone(_: &Request<B>) -> Option<Request<B>> {
        None
    }

    fn can_replay(_: &Request<B>) -> bool {
        true
    }

    fn is_idempotent(request: &Request<B>) -> bool {
        is_request_idempotent(request)
    }

    fn destination(request: &Request<B>) -> Destination {
        request.uri().destination()
    }

    fn destination_hash(request: &Request<B>) -> u64 {
        request.uri().destination_hash()
    }

    fn size_hint(request: &Request<B>) -> usize {
        request_len(request)
    }

    fn may_redirect(_: &Request<B>) -> bool {
        false
    }

    fn max_age(request: &Request<B>) -> Option<Duration> {
        request.extensions().get().map(|MaxAge(limit)| *limit)
    }

    fn set_ticket(_: &mut Request<B>, _: Ticket) {}

    fn take_back(error: &(dyn Error + 'static)) -> Option<Request<B>> {
        Unsent::find(error)
    }
}

/// What it takes, without what is behind its body unless that is said here.
fn request_len<B>(request: &Request<B>) -> usize {
    let recording = request.extensions().get::<Recording>();
    let body = recording.map_or(0, Recording::known_bytes);
    let head = size_of::<Request<B>>() + uri_len(request.uri()) + headers_len(request.headers());
    head.saturating_add(body)
}

fn is_request_idempotent<B>(request: &Request<B>) -> bool {
    is_idempotent(request.method(), request.headers())
        || request.extensions().get::<Idempotent>().is_some()
}

/// RFC 9110 §9.2.2, or a key by which the server can tell a replay.
pub(super) fn is_idempotent(method: &Method, headers: &HeaderMap) -> bool {
    method.is_idempotent() || has_key(headers)
}

/// What the headers take on the heap, about.
pub(super) fn headers_len(headers: &HeaderMap) -> usize {
    headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum::<usize>()
        + headers.capacity() * size_of::<http::HeaderValue>()
}

fn uri_len(uri: &Uri) -> usize {
    uri.authority()
        .map_or(0, |authority| authority.as_str().len())
        + uri.path_and_query().map_or(0, |path| path.as_str().len())
}

#[inline]
fn origin(uri: &Uri) -> Option<Origin<'_>> {
    let scheme = uri.scheme_str().unwrap_or("http");
    Some(Origin::new(scheme, uri.authority()?.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destination(uri: &str) -> String {
        uri.parse::<Uri>().unwrap().destination().to_string()
    }

    fn hash(uri: &str) -> u64 {
        uri.parse::<Uri>().unwrap().destination_hash()
    }

    #[test]
    fn a_destination_is_scheme_and_authority_without_credentials() {
        assert_eq!(
            destination("http://Example.com:80/a?b"),
            "http://example.com"
        );
        assert_eq!(
            destination("https://example.com:8443/"),
            "https://example.com:8443"
        );
        assert_eq!(
            destination("https://user:secret@example.com/"),
            "https://example.com"
        );
        assert_eq!(destination("http://[::1]:3000/"), "http://[::1]:3000");
        assert_eq!(destination("/only/a/path"), "the peer");
    }

    #[test]
    fn the_hash_is_equal_for_equal_destinations() {
        assert_eq!(
            hash("http://EXAMPLE.com/a"),
            hash("http://u:p@example.com:80/b")
        );
        assert_ne!(hash("http://example.com/"), hash("https://example.com/"));
        assert_ne!(hash("http://example.com/"), hash("http://example.com:81/"));
        assert_eq!(hash("/a"), hash("/b"));
    }

    #[test]
    fn the_spelling_is_read_from_http_and_https_only() {
        let parts = |uri: &str| {
            let uri: Uri = uri.parse().unwrap();
            let parts = uri.spelling().and_then(Spelling::parts);
            parts.map(|(secure, authority)| (secure, authority.to_owned()))
        };
        assert_eq!(parts("HTTP://Robot:80/a"), Some((false, "Robot:80".into())));
        assert_eq!(parts("https://robot"), Some((true, "robot".into())));
        assert_eq!(parts("ws://robot/"), None);
        assert_eq!(parts("robot:80"), None);
        assert_eq!(parts("/a"), None);
    }

    #[test]
    fn a_key_makes_a_post_idempotent() {
        let post = |key: Option<&str>| {
            let builder = Request::post("http://a/").header("x-other", "1");
            match key {
                Some(key) => builder.header("Idempotency-Key", key),
                None => builder,
            }
            .body(())
            .unwrap()
        };
        assert!(!post(None).is_idempotent());
        for key in ["\"8e03978e\"", "8e03978e", "\"", "\" 1 \""] {
            assert!(post(Some(key)).is_idempotent(), "{key}");
        }
        for empty in ["", " ", "\t", "\"\"", " \" \" "] {
            assert!(!post(Some(empty)).is_idempotent(), "{empty:?}");
        }
        let methods = [
            "GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "POST", "PATCH", "CONNECT",
        ];
        let idempotent = methods.map(|method| {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            is_idempotent(&method, &HeaderMap::new())
        });
        assert_eq!(
            idempotent,
            [true, true, true, true, true, true, false, false, false]
        );
    }
}
