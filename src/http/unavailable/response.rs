use http::{HeaderMap, StatusCode};

/// A response with a status and headers: `http::Response`, or reqwest's. Sealed.
pub trait HasStatus: sealed::Sealed {
    #[doc(hidden)]
    fn status_code(&self) -> StatusCode;
    #[doc(hidden)]
    fn into_headers(self) -> HeaderMap;
}

macro_rules! has_status {
    ($it:ty $(, $body:ident)?) => {
        impl$(<$body>)? HasStatus for $it {
            fn status_code(&self) -> StatusCode {
                self.status()
            }

            fn into_headers(mut self) -> HeaderMap {
                std::mem::take(self.headers_mut())
            }
        }

        impl$(<$body>)? sealed::Sealed for $it {}
    };
}

has_status!(http::Response<B>, B);
#[cfg(feature = "reqwest")]
has_status!(reqwest::Response);
#[cfg(feature = "reqwest-0-12")]
has_status!(reqwest_0_12::Response);

mod sealed {
    pub trait Sealed {}
}
