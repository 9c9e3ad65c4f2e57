use reqwest::{Request, Url};

use super::http::{headers_len, is_idempotent};
use super::origin::Origin;
use super::{Destination, Replayable};

/// Copied unless its body is a stream; [`ReplayBodyLayer`](crate::ReplayBodyLayer#reqwest) is for those.
impl Replayable for Request {
    fn try_clone(&self) -> Option<Self> {
        Request::try_clone(self)
    }

    /// A safe or idempotent method (RFC 9110 §9.2.2), or an `Idempotency-Key` header.
    fn is_idempotent(&self) -> bool {
        is_idempotent(self.method(), self.headers())
    }

    /// Scheme and authority, without credentials.
    fn destination(&self) -> Destination {
        origin(self.url()).destination()
    }

    fn destination_hash(&self) -> u64 {
        origin(self.url()).hash64()
    }

    /// URL, headers, and the body as far as it is in memory.
    fn size_hint(&self) -> usize {
        let body = self.body().and_then(|body| body.as_bytes());
        size_of::<Self>()
            + self.url().as_str().len()
            + headers_len(self.headers())
            + body.map_or(0, <[u8]>::len)
    }

    /// reqwest follows redirects by default, and nothing in its errors tells that it did.
    fn may_redirect(&self) -> bool {
        true
    }
}

fn origin(url: &Url) -> Origin<'_> {
    Origin {
        scheme: url.scheme(),
        authority: url.authority(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_scheme_and_authority_without_credentials() {
        let request = |url: &str| Request::new(reqwest::Method::GET, url.parse().unwrap());
        let one = request("http://user:secret@Example.com:80/a");
        assert_eq!(one.destination().to_string(), "http://example.com");
        assert_eq!(
            one.destination_hash(),
            request("http://example.com/b").destination_hash()
        );
        assert_eq!(
            request("https://a:8443/").destination().to_string(),
            "https://a:8443"
        );
    }
}
