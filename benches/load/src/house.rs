//! Porthouse as a private process: `porthouse dev` on cores of its own and a
//! database of its own, gone afterwards.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tempfile::TempDir;

use crate::cores;
use crate::process::{Process, Started};

/// How long it may take to be ready; a database is made first.
const READY_TIME_MAX: Duration = Duration::from_mins(1);
/// What it takes from the environment of all that Porthouse reads.
const KEPT_VARIABLE: &str = "PORTHOUSE_POSTGRES_BIN";

/// A private Porthouse. Ends with this value.
pub struct House {
    // Before its data, which is removed after it has ended.
    started: Started,
    data: TempDir,
    told: Told,
}

/// What it says of itself when it is ready.
struct Told {
    ws: SocketAddr,
    grpc: SocketAddr,
    admin_key: String,
}

/// How one is run.
#[derive(Clone, Copy, Debug)]
pub struct Built<'a> {
    /// Threads that hold sockets.
    pub puddles: usize,
    /// The cores of it and of its database.
    pub cores: &'a [usize],
    /// Further flags of `porthouse dev`.
    pub flags: &'a [&'a str],
}

impl House {
    /// Starts the program with so many puddles on the server's core, and waits
    /// until it lets clients in.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(program: &Path, puddles: usize) -> anyhow::Result<Self> {
        let built = Built {
            puddles,
            cores: &[cores::SERVER],
            flags: &[],
        };
        Self::build(program, built)
    }

    /// The same, run in some way.
    ///
    /// # Errors
    /// When it does not start.
    pub fn build(program: &Path, built: Built<'_>) -> anyhow::Result<Self> {
        let shown = program.display();
        ensure!(program.exists(), "{shown} is not there: build it first");
        let data = tempfile::tempdir()?;
        let mut command = Command::new(program);
        command
            .args(["dev", "--grpc", "127.0.0.1:0", "--ws", "127.0.0.1:0"])
            .args(["--puddles", &built.puddles.to_string()])
            .args(built.flags)
            .arg("--data-dir")
            .arg(data.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        keep_settings_out(&mut command);
        let child = cores::spawn(built.cores, &mut command);
        let mut started = Started::new(child.with_context(|| format!("{shown} does not start"))?);
        let file = data.path().join("dev.json");
        let told = started
            .until(READY_TIME_MAX, || match fs::read_to_string(&file) {
                Ok(text) => told(&text).map(Some),
                Err(_) => Ok(None),
            })
            .with_context(|| format!("`{shown} dev` is not ready"))?;
        Ok(Self {
            started,
            data,
            told,
        })
    }

    /// Where sockets connect.
    #[must_use]
    pub const fn ws(&self) -> SocketAddr {
        self.told.ws
    }

    /// Where gRPC is served.
    #[must_use]
    pub const fn grpc(&self) -> SocketAddr {
        self.told.grpc
    }

    /// Where its data is.
    #[must_use]
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// A key that may do everything there.
    #[must_use]
    pub fn admin_key(&self) -> &str {
        &self.told.admin_key
    }

    /// Its process; its Postgres is another.
    #[must_use]
    pub fn process(&self) -> Process {
        self.started.process()
    }
}

/// Settings of another Porthouse, and its database, are not for a private one.
pub fn keep_settings_out(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("PORTHOUSE_") && text != KEPT_VARIABLE {
            command.env_remove(&name);
        }
    }
    command.env_remove("DATABASE_URL");
}

fn told(text: &str) -> anyhow::Result<Told> {
    let json: serde_json::Value = serde_json::from_str(text)?;
    let field = |name: &str| {
        let value = json[name].as_str();
        value.with_context(|| format!("dev.json has no `{name}`"))
    };
    Ok(Told {
        ws: field("ws")?.trim_start_matches("ws://").parse()?,
        grpc: field("grpc")?.parse()?,
        admin_key: field("admin_key")?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_ready_dev_tells_is_read() {
        let text = r#"{"grpc":"127.0.0.1:7440","ws":"ws://127.0.0.1:7480","admin_key":"phk_x"}"#;
        let told = told(text).expect("as dev writes it");
        assert_eq!(told.ws.port(), 7480);
        assert_eq!(told.grpc.port(), 7440);
        assert!(super::told(r#"{"grpc":"127.0.0.1:7440"}"#).is_err());
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let refused = House::start(Path::new("/nonexistent"), 1).err();
        let refused = refused.expect("no program").to_string();
        assert!(refused.contains("/nonexistent is not there"), "{refused}");
    }
}
