//! What the requests of `http` and of reqwest have in common.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};

use crate::BoxError;

/// Without the body, which comes last and needs no length.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) method: Method,
    pub(super) target: String,
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
}

const VERSIONS: [(u8, Version); 5] = [
    (9, Version::HTTP_09),
    (10, Version::HTTP_10),
    (11, Version::HTTP_11),
    (20, Version::HTTP_2),
    (30, Version::HTTP_3),
];

pub(super) fn encode(
    method: &Method,
    target: &str,
    version: Version,
    headers: &HeaderMap,
    into: &mut Vec<u8>,
) -> Result<(), BoxError> {
    let version = VERSIONS.iter().find(|(_, known)| *known == version);
    into.push(version.ok_or("an unknown version of HTTP")?.0);
    put(method.as_str().as_bytes(), into)?;
    put(target.as_bytes(), into)?;
    into.extend(u32::try_from(headers.len())?.to_le_bytes());
    for (name, value) in headers {
        put(name.as_str().as_bytes(), into)?;
        put(value.as_bytes(), into)?;
        into.push(value.is_sensitive().into());
    }
    Ok(())
}

/// Leaves what comes after.
pub(super) fn decode(bytes: &mut &[u8]) -> Result<Parts, BoxError> {
    let [version] = array(bytes)?;
    let version = VERSIONS.iter().find(|(number, _)| *number == version);
    let mut parts = Parts {
        version: version.ok_or("an unknown version of HTTP")?.1,
        method: Method::from_bytes(take(bytes)?)?,
        target: String::from_utf8(take(bytes)?.to_vec())?,
        headers: HeaderMap::new(),
    };
    for _ in 0..u32::from_le_bytes(array(bytes)?) {
        let name = HeaderName::from_bytes(take(bytes)?)?;
        let mut value = HeaderValue::from_bytes(take(bytes)?)?;
        let [sensitive] = array(bytes)?;
        value.set_sensitive(sensitive == 1);
        parts.headers.try_append(name, value)?;
    }
    Ok(parts)
}

fn put(field: &[u8], into: &mut Vec<u8>) -> Result<(), BoxError> {
    into.extend(u32::try_from(field.len())?.to_le_bytes());
    into.extend_from_slice(field);
    Ok(())
}

fn take<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], BoxError> {
    let len = usize::try_from(u32::from_le_bytes(array(bytes)?))?;
    let (field, rest) = bytes.split_at_checked(len).ok_or(CUT)?;
    *bytes = rest;
    Ok(field)
}

pub(super) fn array<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], BoxError> {
    let (array, rest) = bytes.split_first_chunk().ok_or(CUT)?;
    *bytes = rest;
    Ok(*array)
}

const CUT: &str = "the request is cut off";
