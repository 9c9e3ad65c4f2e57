use std::time::Duration;

use bytes::Bytes;
use reqwest::{Request, Url};

use super::{Codec, HttpCodec, parts};
use crate::BoxError;

/// The first byte: not one of `http::Request`.
const FORMAT: u8 = 0x81;

impl Codec<Request> for HttpCodec {
    fn encode(&self, request: &Request, into: &mut Vec<u8>) -> Result<(), BoxError> {
        let body = match request.body() {
            Some(body) => Some(body.as_bytes().ok_or("a streaming body can't be stored")?),
            None => None,
        };
        into.push(FORMAT);
        let target = request.url().as_str();
        parts::encode(
            request.method(),
            target,
            request.version(),
            request.headers(),
            into,
        )?;
        let timeout = request.timeout();
        into.push(timeout.is_some().into());
        let timeout = timeout.copied().unwrap_or_default();
        into.extend(timeout.as_secs().to_le_bytes());
        into.extend(timeout.subsec_nanos().to_le_bytes());
        into.push(body.is_some().into());
        into.extend_from_slice(body.unwrap_or_default());
        Ok(())
    }

    fn decode(&self, mut bytes: &[u8]) -> Result<Request, BoxError> {
        let bytes = &mut bytes;
        if parts::array(bytes)? != [FORMAT] {
            return Err("not a request of reqwest in a known format".into());
        }
        let parts = parts::decode(bytes)?;
        let mut request = Request::new(parts.method, Url::parse(&parts.target)?);
        *request.version_mut() = parts.version;
        *request.headers_mut() = parts.headers;
        let [has_timeout] = parts::array(bytes)?;
        let seconds = u64::from_le_bytes(parts::array(bytes)?);
        let nanos = u32::from_le_bytes(parts::array(bytes)?);
        if nanos >= 1_000_000_000 {
            return Err("not a time".into());
        }
        *request.timeout_mut() = (has_timeout == 1).then(|| Duration::new(seconds, nanos));
        let [has_body] = parts::array(bytes)?;
        *request.body_mut() = (has_body == 1).then(|| Bytes::copy_from_slice(bytes).into());
        Ok(request)
    }
}
