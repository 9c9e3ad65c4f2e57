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

#[cfg(any(feature = "reqwest", feature = "reqwest-0-12"))]
macro_rules! of_reqwest {
    ($it:ty) => {
        impl HasStatus for $it {
            fn status_code(&self) -> StatusCode {
                self.status()
            }

            fn into_headers(mut self) -> HeaderMap {
                std::mem::take(self.headers_mut())
            }
        }

        impl sealed::Sealed for $it {}
    };
}

#[cfg(feature = "reqwest")]
of_reqwest!(reqwest::Response);
#[cfg(feature = "reqwest-0-12")]
of_reqwest!(reqwest_0_12::Response);

mod sealed {
    pub trait Sealed {}
    impl<B> Sealed for http::Response<B> {}
}
