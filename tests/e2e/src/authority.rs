//! An authority that signs certificates, by the program `openssl`. Owns the directory they
//! are in; what they are good for is a test's.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A key that `openssl` draws, as flags.
const KEY: [&str; 5] = [
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-nodes",
];

/// An authority.
#[derive(Debug)]
pub struct Authority {
    directory: tempfile::TempDir,
}

/// A certificate and its private key.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The file of the certificate.
    pub certificate: PathBuf,
    /// The file of its key.
    pub key: PathBuf,
}

impl Certificate {
    /// The certificate in PEM.
    ///
    /// # Panics
    /// When it cannot be read, as everything below.
    #[must_use]
    pub fn pem(&self) -> String {
        std::fs::read_to_string(&self.certificate).expect("it was written")
    }

    /// The private key in PEM.
    #[must_use]
    pub fn key_pem(&self) -> String {
        std::fs::read_to_string(&self.key).expect("it was written")
    }
}

impl Authority {
    /// A new one, of this name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let own = Self { directory };
        let certificate = own.at("authority");
        openssl(&certificate, name, &[]);
        own
    }

    /// Its own certificate.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.at("authority").certificate
    }

    /// A certificate of this name for who serves on this machine, or asks.
    #[must_use]
    pub fn sign(&self, name: &str) -> Certificate {
        let (own, certificate) = (self.at("authority"), self.at(name));
        let (signer, key) = (text(&own.certificate), text(&own.key));
        let flags = [
            "-CA",
            signer,
            "-CAkey",
            key,
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-addext",
            "extendedKeyUsage=serverAuth,clientAuth",
        ];
        openssl(&certificate, name, &flags);
        certificate
    }

    fn at(&self, name: &str) -> Certificate {
        let place = self.directory.path();
        Certificate {
            certificate: place.join(format!("{name}.crt")),
            key: place.join(format!("{name}.key")),
        }
    }
}

/// Makes a key and a certificate of it, its own authority unless flags say otherwise.
fn openssl(made: &Certificate, name: &str, flags: &[&str]) {
    let output = Command::new("openssl")
        .args(["req", "-x509", "-sha256", "-days", "2"])
        .args(KEY)
        .args(["-subj", &format!("/CN={name}")])
        .args(["-out", text(&made.certificate), "-keyout", text(&made.key)])
        .args(flags)
        .output();
    let output = output.expect("`openssl` runs: install it");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

fn text(path: &Path) -> &str {
    path.to_str().expect("our own name")
}
