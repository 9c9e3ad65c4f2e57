use super::http::{headers_len, is_idempotent};
use super::origin::Origin;
use super::{Destination, Replayable, Spelling};

/// The types of different versions are different ones.
macro_rules! replayable {
    ($request:ty) => {
        /// Copied unless its body is a stream; [`ReplayBodyLayer`](crate::ReplayBodyLayer#reqwest) is for those.
        impl Replayable for $request {
            fn try_clone(&self) -> Option<Self> {
                <$request>::try_clone(self)
            }

            /// A safe or idempotent method (RFC 9110 §9.2.2), or an `Idempotency-Key` header that is not empty.
            fn is_idempotent(&self) -> bool {
                is_idempotent(self.method(), self.headers())
            }

            /// Scheme and authority, without credentials.
            fn destination(&self) -> Destination {
                Origin::new(self.url().scheme(), self.url().authority()).destination()
            }

            fn destination_hash(&self) -> u64 {
                Origin::new(self.url().scheme(), self.url().authority()).hash64()
            }

            #[inline]
            fn spelling(&self) -> Option<Spelling<'_>> {
                Some(Spelling::Url(self.url().as_str()))
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
    };
}

#[cfg(feature = "reqwest")]
replayable!(reqwest::Request);
#[cfg(feature = "reqwest-0-12")]
replayable!(reqwest_0_12::Request);

#[cfg(test)]
mod tests {
    use super::*;

    fn a_destination_is_scheme_and_authority_without_credentials<R: Replayable>(
        request: fn(&str) -> R,
    ) {
        let one = request("http://user:secret@Example.com:80/a");
        assert_eq!(one.destination().to_string(), "http://example.com");
        let other = request("http://example.com/b");
        assert_eq!(one.destination_hash(), other.destination_hash());
        let port = request("https://a:8443?b/c");
        assert_eq!(port.destination().to_string(), "https://a:8443");
        let parts = port.spelling().and_then(Spelling::parts);
        assert_eq!(parts, Some((true, "a:8443")));
    }

    #[cfg(feature = "reqwest")]
    #[test]
    fn the_destination_of_reqwest() {
        a_destination_is_scheme_and_authority_without_credentials(|url| {
            reqwest::Request::new(http::Method::GET, url.parse().unwrap())
        });
    }

    #[cfg(feature = "reqwest-0-12")]
    #[test]
    fn the_destination_of_reqwest_0_12() {
        a_destination_is_scheme_and_authority_without_credentials(|url| {
            reqwest_0_12::Request::new(http::Method::GET, url.parse().unwrap())
        });
    }
}
