//! Files by which TLS is spoken: those of who serves gRPC, and those of who asks the
//! control plane.
//! Shows nothing of a key.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use porthouse_control::TlsSettings;
use porthouse_node::{ControlTls, GrpcTls};
use zeroize::Zeroizing;

/// The longest file of certificates or of a key, in bytes.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// A certificate and its key.
type Pair = (Vec<u8>, Zeroizing<Vec<u8>>);

/// By what gRPC is served over TLS.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Own {
    /// The certificate of whoever serves gRPC in PEM, and those that lead to its authority;
    /// with it gRPC is spoken over TLS alone
    #[arg(
        long,
        value_name = "FILE",
        env = "PORTHOUSE_TLS_CERTIFICATE_FILE",
        requires = "tls_key_file"
    )]
    tls_certificate_file: Option<PathBuf>,
    /// The private key of that certificate in PEM
    #[arg(
        long,
        value_name = "FILE",
        env = "PORTHOUSE_TLS_KEY_FILE",
        requires = "tls_certificate_file"
    )]
    tls_key_file: Option<PathBuf>,
}

impl Own {
    /// The certificate and its key; none: no TLS.
    fn held(&self) -> anyhow::Result<Option<Pair>> {
        match (&self.tls_certificate_file, &self.tls_key_file) {
            (Some(certificate), Some(key)) => Ok(Some((read(certificate)?, read(key)?.into()))),
            (_, _) => Ok(None),
        }
    }

    /// What the files hold, for a node.
    pub(crate) fn given(&self) -> anyhow::Result<Option<GrpcTls>> {
        let held = self.held()?;
        Ok(held.map(|(certificate, key)| GrpcTls { certificate, key }))
    }
}

/// By what the control plane speaks TLS.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Serving {
    #[command(flatten)]
    own: Own,
    /// Certificates of the authority that signs those of clients, in PEM; nodes, and other
    /// services, may then be let in by a certificate instead of an API key
    /// (`CreateApiKey` with `certificate`)
    #[arg(
        long,
        value_name = "FILE",
        env = "PORTHOUSE_TLS_CLIENT_AUTHORITY_FILE",
        requires = "tls_certificate_file"
    )]
    tls_client_authority_file: Option<PathBuf>,
}

impl Serving {
    /// What the files hold; none: no TLS.
    pub(crate) fn given(&self) -> anyhow::Result<Option<TlsSettings>> {
        let Some((certificate, key)) = self.own.held()? else {
            return Ok(None);
        };
        let authority = self.tls_client_authority_file.as_deref();
        Ok(Some(TlsSettings {
            certificate,
            key,
            client_authority: authority.map(read).transpose()?,
        }))
    }
}

/// By what a control plane that speaks TLS is asked.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Asking {
    /// Certificates of the authority that signs the control plane's, in PEM, where it is
    /// asked over https [default: those that this machine trusts]
    #[arg(long, value_name = "FILE", env = "PORTHOUSE_CONTROL_AUTHORITY_FILE")]
    control_authority_file: Option<PathBuf>,
}

impl Asking {
    /// What the file holds.
    pub(crate) fn given(&self) -> anyhow::Result<ControlTls> {
        let authority = self.control_authority_file.as_deref();
        Ok(ControlTls {
            authority: authority.map(read).transpose()?,
            certificate: None,
        })
    }
}

/// The certificate by which a node is known.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Shown {
    #[command(flatten)]
    asking: Asking,
    /// The certificate in PEM by which the control plane knows the node, instead of an API
    /// key
    #[arg(
        long,
        value_name = "FILE",
        env = "PORTHOUSE_CONTROL_CERTIFICATE_FILE",
        requires = "control_key_file"
    )]
    control_certificate_file: Option<PathBuf>,
    /// The private key of that certificate in PEM
    #[arg(
        long,
        value_name = "FILE",
        env = "PORTHOUSE_CONTROL_KEY_FILE",
        requires = "control_certificate_file"
    )]
    control_key_file: Option<PathBuf>,
}

impl Shown {
    /// What the files hold, for who asks control planes at these addresses.
    pub(crate) fn given(&self, control: &[String]) -> anyhow::Result<ControlTls> {
        let (Some(certificate), Some(key)) =
            (&self.control_certificate_file, &self.control_key_file)
        else {
            return self.asking.given();
        };
        if let Some(plain) = control.iter().find(|url| !url.starts_with("https://")) {
            bail!(
                "the control plane at {plain} is asked without TLS, so it is never shown the \
                 certificate (control_certificate_file): name it as https://…"
            );
        }
        Ok(ControlTls {
            certificate: Some((read(certificate)?, read(key)?.into())),
            ..self.asking.given()?
        })
    }
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let shown = file.display();
    let bytes = std::fs::metadata(file)
        .with_context(|| format!("cannot read {shown}"))?
        .len();
    ensure!(
        bytes <= FILE_BYTES_MAX,
        "{shown} is too long to hold certificates or a key"
    );
    let held = std::fs::read(file).with_context(|| format!("cannot read {shown}"))?;
    ensure!(
        held.windows(11).any(|part| part == b"-----BEGIN "),
        "{shown} holds nothing in PEM"
    );
    Ok(held)
}
