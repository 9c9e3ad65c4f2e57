use http::{HeaderMap, StatusCode};

/// A response with a status and headers: `http::Response`, or reqwest's. Sealed.
pub trait HasStatus: sealed::Sealed {
    #[doc(hidden)]
    fn status_code(&self) -> StatusCode;
    #[doc(hidden)]
    fn into_headers(self) -> HeaderMap;
}

impl<B> HasStatus for http::Response<B> {
    fn status_code(&self) -> StatusCode {
        self.status()
    }

    fn into_headers(self) -> HeaderMap {
        self.into_parts().0.headers
    }
}

#[cfg(feature = "reqwest")]
impl HasStatus for reqwest::Response {
    fn status_code(&self) -> StatusCode {
        self.status()
    }

    fn into_headers(mut self) -> HeaderMap {
        std::mem::take(self.headers_mut())
    }
}

mod sealed {
    pub trait Sealed {}
    impl<B> Sealed for http::Response<B> {}
    #[cfg(feature = "reqwest")]
    impl Sealed for reqwest::Response {}
}
