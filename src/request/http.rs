use std::error::Error;

use http::{HeaderMap, Method, Request, Uri};

use crate::http::Idempotent;

use super::{ByReturn, Destination, Replayable, RequestModel, Unsent};

impl Replayable for Uri {
    fn try_clone(&self) -> Option<Self> {
        Some(self.clone())
    }

    fn destination(&self) -> Destination {
        origin(self).map_or_else(Destination::default, |origin| origin.destination())
    }

    fn destination_hash(&self) -> u64 {
        origin(self).map_or_else(|| Destination::PEER_HASH, |origin| origin.hash64())
    }

    fn size_hint(&self) -> usize {
        size_of::<Self>() + uri_len(self)
    }
}

/// Copied with all its headers and extensions; a body such as `Bytes` or `http_body_util::Full` is
/// shared, not copied.
impl<B: Clone> Replayable for Request<B> {
    fn try_clone(&self) -> Option<Self> {
        Some(self.clone())
    }

    /// A safe or idempotent method (RFC 9110 §9.2.2), an `Idempotency-Key` header, or the
    /// extension [`Idempotent`].
    fn is_idempotent(&self) -> bool {
        is_request_idempotent(self)
    }

    /// Scheme and authority, without credentials and without the scheme's own port; the one peer if
    /// the URI has no authority.
    fn destination(&self) -> Destination {
        self.uri().destination()
    }

    fn destination_hash(&self) -> u64 {
        self.uri().destination_hash()
    }

    /// URI and headers, and the size of the body's type: what is behind it can't be known.
    fn size_hint(&self) -> usize {
        request_len(self)
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

    fn take_back(error: &(dyn Error + 'static)) -> Option<Request<B>> {
        Unsent::find(error)
    }
}

/// What it takes, without what is behind its body.
fn request_len<B>(request: &Request<B>) -> usize {
    size_of::<Request<B>>() + uri_len(request.uri()) + headers_len(request.headers())
}

fn is_request_idempotent<B>(request: &Request<B>) -> bool {
    is_idempotent(request.method(), request.headers())
        || request.extensions().get::<Idempotent>().is_some()
}

/// RFC 9110 §9.2.2, or a key by which the server can tell a replay.
pub(super) fn is_idempotent(method: &Method, headers: &HeaderMap) -> bool {
    method.is_idempotent() || headers.contains_key("idempotency-key")
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

/// Scheme, host and port (if it isn't the scheme's own) of an absolute URI, without credentials.
fn origin(uri: &Uri) -> Option<Origin<'_>> {
    let authority = uri.authority()?;
    let scheme = uri.scheme_str().unwrap_or("http");
    let implied = if scheme == "https" { 443 } else { 80 };
    let (host, port) = host_and_port(authority.as_str());
    Some(Origin {
        scheme,
        host,
        port: port.filter(|port| *port != implied),
    })
}

/// `Authority::host` and `Authority::port_u16`, in a fifth of the time: it runs after each request
/// that succeeds.
fn host_and_port(authority: &str) -> (&str, Option<u16>) {
    let bytes = authority.as_bytes();
    let digits = bytes.iter().rev().take_while(|byte| byte.is_ascii_digit());
    let port_at = bytes.len() - digits.count();
    let (end, port) = match bytes[..port_at].split_last() {
        Some((b':', host)) => (host.len(), authority[port_at..].parse().ok()),
        _ => (bytes.len(), None),
    };
    let user = bytes[..end].iter().rposition(|byte| *byte == b'@');
    (&authority[user.map_or(0, |at| at + 1)..end], port)
}

/// What fails together in HTTP.
pub(super) struct Origin<'a> {
    pub(super) scheme: &'a str,
    /// An IPv6 address comes with its brackets.
    pub(super) host: &'a str,
    /// Only if it isn't the scheme's own.
    pub(super) port: Option<u16>,
}

impl Origin<'_> {
    pub(super) fn destination(&self) -> Destination {
        let Self { scheme, host, port } = self;
        let host = host.to_ascii_lowercase();
        Destination::new(match port {
            Some(port) => format!("{scheme}://{host}:{port}"),
            None => format!("{scheme}://{host}"),
        })
    }

    /// Made without building the name, and quick: it runs after each request that succeeds. It
    /// has to tell destinations apart, not to stand against somebody who seeks collisions: all
    /// they would get is that a [permanent](crate::Outlook::Permanent) error is not believed.
    pub(super) fn hash64(&self) -> u64 {
        let port = self.port.map_or(0, |port| u64::from(port) + 1);
        mix_bytes(mix_bytes(port, self.scheme), self.host)
    }
}

fn mix_bytes(hash: u64, text: &str) -> u64 {
    /// Makes upper and lower case equal, and nothing else that a host may have.
    const LOWER: u64 = 0x2020_2020_2020_2020;
    let words = text.as_bytes().chunks_exact(8);
    let rest = words.remainder().iter();
    let rest = rest.fold(text.len() as u64, |word, byte| word << 8 | u64::from(*byte));
    let words = words.filter_map(|word| word.try_into().ok().map(u64::from_le_bytes));
    let hash = words.fold(hash, |hash, word| mix(hash, word | LOWER));
    mix(hash, rest | LOWER)
}

fn mix(hash: u64, word: u64) -> u64 {
    let product = u128::from(hash ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (product >> 64) as u64 ^ product as u64
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
    fn host_and_port_are_those_of_the_authority() {
        for text in [
            "a",
            "a.b.example",
            "a:80",
            "a:",
            "a1",
            "1.2.3.4",
            "1.2.3.4:5",
            "[::1]",
            "[::1]:65535",
            "u@a:1",
            "u:p@a",
            "u:1@a.b:8080",
            "u:1@[fe80::1]:2",
        ] {
            let authority: http::uri::Authority = text.parse().unwrap();
            let expected = (authority.host(), authority.port_u16());
            assert_eq!(host_and_port(text), expected, "{text}");
        }
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
        assert!(post(Some("\"8e03978e\"")).is_idempotent());
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
