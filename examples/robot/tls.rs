//! Certificates, made when the program starts.

use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;
use tower_conn_retry::{BoxError, tcp};

/// The name that the robot expects in the certificate, whatever address it dials.
const NAME: &str = "base.robot.test";

#[derive(Clone)]
pub(crate) struct Certificates {
    /// The base's own certificate.
    pub(crate) genuine: TlsAcceptor,
    /// A certificate of the same name that nobody trusts.
    pub(crate) impostor: TlsAcceptor,
    /// What the robot trusts.
    pub(crate) client: tcp::Tls,
    /// The same for a robot that is another process, as PEM.
    #[cfg(feature = "outbox-disk")]
    pub(crate) root: String,
}

impl Certificates {
    pub(crate) fn generate() -> Result<Self, BoxError> {
        let genuine = generate_simple_self_signed([NAME.to_owned()])?;
        let impostor = generate_simple_self_signed([NAME.to_owned()])?;
        Ok(Self {
            genuine: acceptor(&genuine)?,
            impostor: acceptor(&impostor)?,
            client: trusting(genuine.cert.der().clone())?,
            #[cfg(feature = "outbox-disk")]
            root: genuine.cert.pem(),
        })
    }
}

/// What trusts a base with this certificate.
pub(crate) fn trusting(root: CertificateDer<'static>) -> Result<tcp::Tls, BoxError> {
    let mut roots = RootCertStore::empty();
    roots.add(root)?;
    let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(tcp::Tls::with_config(Arc::new(client)).server_name(NAME))
}

fn acceptor(own: &CertifiedKey<rcgen::KeyPair>) -> Result<TlsAcceptor, BoxError> {
    let key = PrivatePkcs8KeyDer::from(own.signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key.into())?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
