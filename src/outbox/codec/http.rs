use bytes::Bytes;
use http::Request;

use super::{Codec, parts};
use crate::BoxError;

/// Stores HTTP requests: `http::Request` with a body of `Bytes` or `Vec<u8>`, and, with the feature `reqwest`
/// or `reqwest-0-12`, `reqwest::Request`.
///
/// | | is stored |
/// |---|---|
/// | method, URI, version | yes |
/// | headers | yes, in their order, repeated ones too; sensitive ones stay marked as such, and are stored as they are |
/// | body | yes; reqwest's streams can't be, and the call fails |
/// | reqwest's timeout of a request | yes |
/// | extensions | no |
///
/// Credentials among the headers are in the file for whoever can read it, and may be stale when the
/// request is sent: [`ConnErrorPolicy::prepare`](crate::ConnErrorPolicy::prepare) can write them anew
/// before each replay.
#[derive(Debug, Clone, Copy, Default)]
pub struct HttpCodec;

/// The first byte, so that the format can change.
const FORMAT: u8 = 1;

impl<B: AsRef<[u8]> + From<Bytes>> Codec<Request<B>> for HttpCodec {
    fn encode(&self, request: &Request<B>, into: &mut Vec<u8>) -> Result<(), BoxError> {
        into.push(FORMAT);
        let target = request.uri().to_string();
        parts::encode(
            request.method(),
            &target,
            request.version(),
            request.headers(),
            into,
        )?;
        into.extend_from_slice(request.body().as_ref());
        Ok(())
    }

    fn decode(&self, mut bytes: &[u8]) -> Result<Request<B>, BoxError> {
        if parts::array(&mut bytes)? != [FORMAT] {
            return Err("not an HTTP request of a known format".into());
        }
        let parts = parts::decode(&mut bytes)?;
        let mut request = Request::new(B::from(Bytes::copy_from_slice(bytes)));
        *request.method_mut() = parts.method;
        *request.uri_mut() = parts.target.parse()?;
        *request.version_mut() = parts.version;
        *request.headers_mut() = parts.headers;
        Ok(request)
    }
}
