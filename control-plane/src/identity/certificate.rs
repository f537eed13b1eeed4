//! Client certificates that stand for API keys: which key one is. Verifies none: TLS
//! has, before a call comes.

use data_encoding::HEXLOWER;
use porthouse_model::TokenHash;
use sha2::{Digest, Sha256};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

/// The longest text that holds a certificate.
const PEM_BYTES_MAX: usize = 16 * 1024;

/// What a certificate must be, for people.
pub(crate) const RULE: &str =
    "one certificate in PEM, of at most 16 KiB: neither a chain nor a private key";

/// The key that the one certificate in a text is; `None`: it is not one.
pub(crate) fn read(pem: &str) -> Option<TokenHash> {
    if pem.len() > PEM_BYTES_MAX || pem.contains("PRIVATE KEY") {
        return None;
    }
    let mut all = CertificateDer::pem_slice_iter(pem.as_bytes());
    match (all.next(), all.next()) {
        (Some(Ok(one)), None) => Some(key_of(&one)),
        (_, _) => None,
    }
}

/// The key that a certificate is. No secret's hash is equal, for none begins as a
/// certificate does.
pub(crate) fn key_of(certificate: &[u8]) -> TokenHash {
    TokenHash::from_bytes(Sha256::digest(certificate).into())
}

/// As people compare it with `openssl x509 -fingerprint -sha256`.
pub(crate) fn shown(key: &[u8]) -> String {
    HEXLOWER.encode(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pem(kind: &str) -> String {
        format!("-----BEGIN {kind}-----\nMAMCAQE=\n-----END {kind}-----\n")
    }

    #[test]
    fn one_certificate_is_a_key_and_nothing_else_is() {
        let one = pem("CERTIFICATE");
        let der = [0x30, 3, 2, 1, 1];
        assert_eq!(read(&one), Some(key_of(&der)));
        for other in [
            String::new(),
            "CERTIFICATE".to_owned(),
            format!("{one}{one}"),
            format!("{one}{}", pem("PRIVATE KEY")),
            pem("PRIVATE KEY"),
            one.replace("MAMCAQE=", "!"),
            format!("{}{one}", " ".repeat(PEM_BYTES_MAX)),
        ] {
            assert_eq!(read(&other), None, "{other}");
        }
    }
}
