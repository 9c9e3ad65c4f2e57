use std::time::Duration;

use super::{Codec, HttpCodec, parts};
use crate::BoxError;

/// The first byte: not one of `http::Request`. The same for all versions of reqwest.
const FORMAT: u8 = 0x81;

macro_rules! codec {
    ($reqwest:ident) => {
        impl Codec<$reqwest::Request> for HttpCodec {
            fn encode(
                &self,
                request: &$reqwest::Request,
                into: &mut Vec<u8>,
            ) -> Result<(), BoxError> {
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
                encode_rest(request.timeout().copied(), body, into);
                Ok(())
            }

            fn decode(&self, mut bytes: &[u8]) -> Result<$reqwest::Request, BoxError> {
                if parts::array(&mut bytes)? != [FORMAT] {
                    return Err("not a request of reqwest in a known format".into());
                }
                let parts = parts::decode(&mut bytes)?;
                let target = $reqwest::Url::parse(&parts.target)?;
                let mut request = $reqwest::Request::new(parts.method, target);
                *request.version_mut() = parts.version;
                *request.headers_mut() = parts.headers;
                let (timeout, body) = decode_rest(bytes)?;
                *request.timeout_mut() = timeout;
                *request.body_mut() = body.map(|body| body.to_vec().into());
                Ok(request)
            }
        }
    };
}

#[cfg(feature = "reqwest")]
codec!(reqwest);
#[cfg(feature = "reqwest-0-12")]
codec!(reqwest_0_12);

fn encode_rest(timeout: Option<Duration>, body: Option<&[u8]>, into: &mut Vec<u8>) {
    into.push(timeout.is_some().into());
    let timeout = timeout.unwrap_or_default();
    into.extend(timeout.as_secs().to_le_bytes());
    into.extend(timeout.subsec_nanos().to_le_bytes());
    into.push(body.is_some().into());
    into.extend_from_slice(body.unwrap_or_default());
}

fn decode_rest(mut bytes: &[u8]) -> Result<(Option<Duration>, Option<&[u8]>), BoxError> {
    let [has_timeout] = parts::array(&mut bytes)?;
    let seconds = u64::from_le_bytes(parts::array(&mut bytes)?);
    let nanos = u32::from_le_bytes(parts::array(&mut bytes)?);
    if nanos >= 1_000_000_000 {
        return Err("not a time".into());
    }
    let timeout = (has_timeout == 1).then(|| Duration::new(seconds, nanos));
    let [has_body] = parts::array(&mut bytes)?;
    Ok((timeout, (has_body == 1).then_some(bytes)))
}
