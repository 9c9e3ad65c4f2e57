use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Codec;
use crate::BoxError;

/// Stores serde's types as JSON.
///
/// JSON and not something shorter, as a program that is updated finds messages of its older self: with
/// names in them, a field can be added (`#[serde(default)]`) or left out. What JSON does not have can't be stored:
/// maps with keys that are not text or numbers; NaN and infinities come back as an error.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use tower_conn_retry::Codec;
/// use tower_conn_retry::outbox::Json;
///
/// #[derive(Debug, PartialEq, Serialize, Deserialize)]
/// struct Reading { sensor: String, value: f64 }
///
/// # fn main() -> Result<(), tower_conn_retry::BoxError> {
/// let reading = Reading { sensor: "lidar".into(), value: 2.5 };
/// let mut bytes = Vec::new();
/// Json.encode(&reading, &mut bytes)?;
/// let back: Reading = Json.decode(&bytes)?;
/// assert_eq!(back, reading);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Json;

impl<Req: Serialize + DeserializeOwned> Codec<Req> for Json {
    fn encode(&self, request: &Req, into: &mut Vec<u8>) -> Result<(), BoxError> {
        Ok(serde_json::to_writer(into, request)?)
    }

    fn decode(&self, bytes: &[u8]) -> Result<Req, BoxError> {
        Ok(serde_json::from_slice(bytes)?)
    }
}
