use super::Outlook;

/// What a received alert means for another attempt (RFC 8446 §6, and for the codes that TLS 1.3 no
/// longer has, RFC 5246 §7.2 and RFC 6066 §9).
///
/// Permanent: what is about certificates, names, versions, ciphers and protocols. Transient:
/// close_notify (0), internal_error (80), user_canceled (90), no_renegotiation (100), and what a
/// damaged record leads to: unexpected_message (10), bad_record_mac (20), decryption_failed (21),
/// record_overflow (22), decompression_failure (30), decode_error (50), decrypt_error (51).
pub(super) fn outlook(alert: u8) -> Outlook {
    match alert {
        // handshake_failure, no_certificate, bad_certificate, unsupported_certificate,
        // certificate_revoked, certificate_expired, certificate_unknown, illegal_parameter,
        // unknown_ca, access_denied
        40..=49
        // export_restriction, protocol_version, insufficient_security, inappropriate_fallback
        | 60 | 70 | 71 | 86
        // missing_extension, unsupported_extension, certificate_unobtainable, unrecognized_name,
        // bad_certificate_status_response, bad_certificate_hash_value, unknown_psk_identity,
        // certificate_required
        | 109..=116
        // no_application_protocol
        | 120 => Outlook::Permanent,
        _ => Outlook::Transient,
    }
}

#[cfg(test)]
mod tests {
    use super::{Outlook, outlook};

    #[test]
    fn about_identity_and_agreement_is_permanent_damage_is_not() {
        for permanent in [40, 42, 44, 45, 46, 48, 70, 71, 112, 116, 120] {
            assert_eq!(outlook(permanent), Outlook::Permanent, "alert {permanent}");
        }
        for transient in [0, 10, 20, 21, 22, 50, 51, 80, 90, 100, 255] {
            assert_eq!(outlook(transient), Outlook::Transient, "alert {transient}");
        }
    }
}
