//! An identity provider (`OpenID` Connect): the npm package `oidc-provider` in a Node process of its
//! own, over TLS. Owns its start and what a test asks of it; what it signs, the
//! package signs. `provider/provider.mjs` has the rest.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::{Process, Stream};
use crate::wire::Wire;

/// Names a directory of modules with the package; else that which `scripts/setup`
/// fetches is taken.
const MODULES_VARIABLE: &str = "PORTHOUSE_OIDC_MODULES";

/// A provider.
#[derive(Debug)]
pub struct Provider {
    // Killed when dropped.
    _process: Process,
    asked: SocketAddr,
    /// What its tokens have as `iss`.
    pub issuer: String,
}

impl Provider {
    /// Starts one, whose one key is `rsa-1`.
    ///
    /// # Panics
    /// When it does not start, as everything below.
    pub async fn start() -> Self {
        let mut command = Command::new("node");
        command.arg(here().join("provider.mjs")).arg(modules());
        let mut process = Process::start("oidc-provider", command, None);
        let (issuer, asked) = process
            .line("where it serves", |stream, line| {
                let said = line.strip_prefix("provider ")?;
                let (issuer, asked) = said.split_once(" asked ")?;
                (stream == Stream::Out).then(|| (issuer.to_owned(), asked.parse().ok()))
            })
            .await;
        Self {
            _process: process,
            asked: asked.expect("an address"),
            issuer,
        }
    }

    /// Where its keys are.
    #[must_use]
    pub fn jwks_uri(&self) -> String {
        format!("{}/jwks", self.issuer)
    }

    /// The certificates by which it is trusted.
    #[must_use]
    pub fn authority() -> PathBuf {
        here().join("certificates/authority.crt")
    }

    /// Has these keys from now on, and signs with the first.
    pub async fn keys(&self, names: &[&str]) {
        self.ask(&format!("/keys/{}", names.join(","))).await;
    }

    /// Signs somebody in, and answers the token that says so.
    pub async fn token(&self, subject: &str) -> String {
        self.ask(&format!("/token/{subject}")).await
    }

    async fn ask(&self, path: &str) -> String {
        let mut wire = Wire::connect(self.asked).await;
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        wire.send(request.as_bytes()).await;
        let answer = wire.answer().await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    }
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("provider")
}

fn modules() -> PathBuf {
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/provider/node_modules");
    let modules = std::env::var_os(MODULES_VARIABLE).map_or(fetched, PathBuf::from);
    assert!(
        modules.join("oidc-provider/package.json").is_file(),
        "there is no oidc-provider: run `scripts/setup`, or name its node_modules by \
         {MODULES_VARIABLE}"
    );
    modules
}
