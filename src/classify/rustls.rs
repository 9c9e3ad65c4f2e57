//! rustls.
//!
//! Whether an error is the handshake's follows from the variant for some (only a handshake has
//! certificates), and from the position for the others.

use std::error::Error;
use std::io;

use rustls::{AlertDescription, CertificateError, InvalidMessage, PeerMisbehaved};

use super::context::Context;
use super::text::Text;
use super::walk::{Flow, below, cast};
use super::{ConnErrorKind, Outlook, alert};

pub(super) fn inspect<'a>(error: &'a (dyn Error + 'static), context: &mut Context) -> Flow<'a> {
    if let Some(error) = cast::<rustls::Error>(error) {
        if is_bad_file(error) && !context.is_below_io() && !context.is_connecting() {
            return Flow::NotConn;
        }
        return match judge(error, context.is_connecting()) {
            Some(Judgement { outlook, handshake }) => {
                if handshake {
                    context.set_unsent();
                }
                context.note_outlook(ConnErrorKind::Tls, outlook);
                Flow::Stop
            }
            None => Flow::NotConn,
        };
    }
    // "https://not a name": a bad URL.
    if cast::<rustls::pki_types::InvalidDnsNameError>(error).is_some() {
        return Flow::NotConn;
    }
    if context.is_below_h2() {
        if let Some(outlook) = cast::<io::Error>(error).and_then(outlook_of_text) {
            context.note_outlook(ConnErrorKind::Tls, outlook);
            return Flow::Stop;
        }
    }
    Flow::Pass
}

/// h2 keeps of an `io::Error` only the kind and the text. So the text is compared with what rustls
/// says *now* for the errors that come after a handshake.
fn outlook_of_text(io: &io::Error) -> Option<Outlook> {
    if io.kind() != io::ErrorKind::InvalidData {
        return None;
    }
    let inner = io.get_ref()?;
    if below(inner).is_some() {
        return None;
    }
    let text = Text::of(inner)?;
    let says = |error: &rustls::Error| {
        Text::of(error).is_some_and(|known| known.as_bytes() == text.as_bytes())
    };
    let mut alerts = 0..=u8::MAX;
    let alert = |code: &u8| says(&rustls::Error::AlertReceived(AlertDescription::from(*code)));
    if let Some(code) = alerts.find(alert) {
        return Some(alert::outlook(code));
    }
    let damage = [
        rustls::Error::DecryptError,
        rustls::Error::PeerSentOversizedRecord,
    ];
    damage.iter().any(says).then_some(Outlook::Transient)
}

/// What `RootCertStore::add` says of a file that holds no certificate. Of a peer's, which would be rare, a
/// connection says the same within an `io::Error`.
fn is_bad_file(error: &rustls::Error) -> bool {
    matches!(
        error,
        rustls::Error::InvalidCertificate(CertificateError::BadEncoding)
    )
}

struct Judgement {
    outlook: Outlook,
    /// The variant alone says that no request can have been sent.
    handshake: bool,
}

fn judge(error: &rustls::Error, connecting: bool) -> Option<Judgement> {
    use rustls::Error as Tls;
    let (outlook, handshake) = match error {
        Tls::InvalidCertificate(certificate) => (of_certificate(certificate), true),
        Tls::NoCertificatesPresented
        | Tls::UnsupportedNameType
        | Tls::PeerIncompatible(_)
        | Tls::NoApplicationProtocol
        | Tls::InvalidEncryptedClientHello(_) => (Outlook::Permanent, true),
        Tls::PeerMisbehaved(PeerMisbehaved::SelectedUnofferedApplicationProtocol) => {
            (Outlook::Permanent, true)
        }
        // The first bytes that a peer without TLS sends are no record. Later, they are a broken one.
        Tls::InvalidMessage(
            InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
        ) if connecting => (Outlook::Permanent, false),
        Tls::AlertReceived(alert) => (alert::outlook(u8::from(*alert)), false),
        // Mistakes of the configuration or of the program, and this machine's own trouble: no clock,
        // no random numbers, a key that does not sign. (`General` has no other use in a client.)
        Tls::InvalidCertRevocationList(_)
        | Tls::InconsistentKeys(_)
        | Tls::BadMaxFragmentSize
        | Tls::General(_)
        | Tls::HandshakeNotComplete
        | Tls::EncryptError
        | Tls::FailedToGetCurrentTime
        | Tls::FailedToGetRandomBytes => return None,
        // Broken, oversized and unexpected records, and whatever comes with later versions.
        _ => (Outlook::Transient, false),
    };
    Some(Judgement { outlook, handshake })
}

/// Only one of a certificate's faults goes away by waiting: that of a clock that is not set yet.
fn of_certificate(error: &CertificateError) -> Outlook {
    match error {
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Outlook::Transient
        }
        _ => Outlook::Permanent,
    }
}
