use std::fmt;
use std::sync::Arc;

use rustls::client::ClientConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{RootCertStore, crypto};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::error::{Error, ErrorKind};
use super::socket::Counted;
use crate::BoxError;

/// How a [`Connector`](super::Connector) speaks TLS.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
    server_name: Option<Arc<str>>,
}

impl Tls {
    /// Trusts the platform's root certificates, which are read from disk here and now, once.
    ///
    /// The crypto provider is the one installed as the process's default, or else ring.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Tls`] if the platform has no usable root certificate.
    pub fn platform() -> Result<Self, Error> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        // Platforms ship certificates that rustls can't use; they are skipped.
        let (usable, _) = roots.add_parsable_certificates(found.certs);
        if usable == 0 {
            let source: BoxError = match found.errors.into_iter().next() {
                Some(error) => error.into(),
                None => "the platform has no usable root certificate".into(),
            };
            return Err(failed(source));
        }
        Self::trusting(roots)
    }

    /// Trusts these root certificates and no others. The crypto provider is as for
    /// [`platform`](Self::platform).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Tls`] if one of them can't be used.
    pub fn roots(
        certificates: impl IntoIterator<Item = CertificateDer<'static>>,
    ) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates {
            roots.add(certificate).map_err(failed)?;
        }
        Self::trusting(roots)
    }

    fn trusting(roots: RootCertStore) -> Result<Self, Error> {
        let provider = CryptoProvider::get_default()
            .cloned()
            .unwrap_or_else(|| Arc::new(crypto::ring::default_provider()));
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(failed)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self::with_config(Arc::new(config)))
    }

    /// Shows this certificate (with its chain, end entity first) to a peer that asks for one.
    /// Default: none, or what the configuration says.
    ///
    /// With TLS 1.3, a peer that refuses it, or that wanted one and got none, says so after the
    /// handshake: not connecting fails, but what is called first.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Tls`] if the key can't be read, or is not that of the certificate.
    pub fn client_certificate(
        mut self,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, Error> {
        let config = Arc::make_mut(&mut self.config);
        let key = CertifiedKey::from_der(chain, key, config.crypto_provider()).map_err(failed)?;
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(key));
        Ok(self)
    }

    /// Uses this configuration: ALPN, a verifier of its own, or whatever else it says.
    pub fn with_config(config: Arc<ClientConfig>) -> Self {
        Self {
            config,
            server_name: None,
        }
    }

    /// The name (or IP address) that the peer's certificate must be valid for.
    ///
    /// Default: the host of the connector's address. A name that is not a valid host name fails
    /// each connect with [`ErrorKind::Tls`].
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(Arc::from(name.into()));
        self
    }

    pub(super) async fn handshake(
        &self,
        host: &str,
        io: Counted,
    ) -> Result<TlsStream<Counted>, Error> {
        let name = self.server_name.as_deref().unwrap_or(host).to_owned();
        let name = ServerName::try_from(name).map_err(failed)?;
        TlsConnector::from(Arc::clone(&self.config))
            .connect(name, io)
            .await
            .map_err(failed)
    }
}

fn failed(source: impl Into<BoxError>) -> Error {
    Error::unsent(ErrorKind::Tls, Some(source.into()))
}

impl From<Arc<ClientConfig>> for Tls {
    fn from(config: Arc<ClientConfig>) -> Self {
        Self::with_config(config)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}
