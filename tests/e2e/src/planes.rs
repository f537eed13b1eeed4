//! Control plane and node as processes of their own, over one Postgres: that of
//! a house, in a database beside the house's own.
//!
//! Owns the order in which an operator starts them (migrate, the first key, a
//! replica, a node's key, the node) and that either can be killed and started
//! again. Never restarts anything by itself.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::Arc;

use rustix::process::Signal;
use serde_json::Value;
use tokio_postgres::NoTls;

use crate::backend::Backend;
use crate::house::House;
use crate::program::{Process, Stream, command};
use crate::secrets::Secrets;
use crate::wait::within;
use crate::wire::Wire;

/// The database's name.
const DATABASE: &str = "planes";
/// Any free port.
const ANY_PORT: &str = "127.0.0.1:0";

/// A replica of the control plane.
#[derive(Debug)]
pub struct Replica {
    process: Process,
    /// Where it serves gRPC.
    pub grpc: SocketAddr,
    /// Where operators ask, if it was told to listen for them.
    pub operators: Option<SocketAddr>,
}

/// A node.
#[derive(Debug)]
pub struct Node {
    process: Process,
    /// Where sockets connect.
    pub ws: SocketAddr,
    /// Where it serves live.v1.
    pub grpc: SocketAddr,
    /// Where operators ask, if it was told to listen for them.
    pub operators: Option<SocketAddr>,
}

/// What the planes share.
#[derive(Debug)]
pub struct Planes {
    house: House,
    database_url: String,
    admin_key: String,
}

impl Planes {
    /// Makes a database and its first API key.
    ///
    /// # Panics
    /// When that fails, as everything below.
    pub async fn found() -> Self {
        let house = House::start().await;
        let create = format!("CREATE DATABASE {DATABASE}");
        execute(&url(&house, "postgres"), &create).await;
        let database_url = url(&house, DATABASE);
        let migrated = said(&database_url, &["migrate"]).await;
        assert!(migrated.ends_with("migrations applied"), "{migrated}");
        let admin_key = said(&database_url, &["control", "init"]).await;
        let admin_key = house.secrets().keep("the first key", admin_key.trim());
        Self {
            house,
            database_url,
            admin_key,
        }
    }

    /// A new database beside those that a house has, and this role; answers its URL.
    pub async fn empty(house: &House, name: &str, role: &str) -> String {
        // Each by itself: a database is made outside of any transaction.
        for create in [
            format!("CREATE DATABASE {name}"),
            format!("CREATE ROLE {role} LOGIN"),
        ] {
            execute(&url(house, "postgres"), &create).await;
        }
        url(house, name)
    }

    /// From here on whoever connects has each statement written into Postgres' log,
    /// with what was bound to it.
    pub async fn log_statements(&self) {
        for (setting, value) in [
            ("log_min_messages", "log"),
            ("log_statement", "all"),
            ("log_parameter_max_length", "-1"),
            ("log_parameter_max_length_on_error", "-1"),
            ("log_min_error_statement", "log"),
        ] {
            let set = format!("ALTER DATABASE {DATABASE} SET {setting} = '{value}'");
            self.sql(&set).await;
        }
    }

    /// Does this in the database, past the control plane.
    ///
    /// # Panics
    /// When Postgres refuses it.
    pub async fn sql(&self, statements: &str) {
        execute(&self.database_url, statements).await;
    }

    /// Has nobody connect to the planes' database any more, and cuts who is.
    pub async fn shut_database(&self) {
        let shut = format!("ALTER DATABASE {DATABASE} ALLOW_CONNECTIONS false");
        let cut = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{DATABASE}'"
        );
        for statement in [shut, cut] {
            execute(&url(&self.house, "postgres"), &statement).await;
        }
    }

    /// Lets everybody in again.
    pub async fn open_database(&self) {
        let open = format!("ALTER DATABASE {DATABASE} ALLOW_CONNECTIONS true");
        execute(&url(&self.house, "postgres"), &open).await;
    }

    /// A connection to the planes' database.
    pub async fn postgres(&self) -> tokio_postgres::Client {
        let connecting = tokio_postgres::connect(&self.database_url, NoTls);
        let (client, connection) = within("Postgres", connecting)
            .await
            .expect("Postgres lets us in");
        tokio::spawn(connection);
        client
    }

    /// What Postgres has logged so far.
    ///
    /// # Panics
    /// When there is no log.
    #[must_use]
    pub fn postgres_log(&self) -> String {
        let log = std::fs::read(self.house.data().join("postgres.log"));
        String::from_utf8_lossy(&log.expect("there is a log")).into_owned()
    }

    /// A key to seal secrets under.
    pub async fn secrets_key(&self) -> String {
        let line = said(&self.database_url, &["control", "secrets-key", "first"]).await;
        let line = line.trim();
        let key = line.rsplit([' ', ':', '=']).find(|part| part.len() > 8);
        self.house
            .secrets()
            .keep("a key that seals", key.expect("a key"));
        line.to_owned()
    }

    /// Starts a replica of the control plane, on this address if one is given.
    pub async fn replica(&self, address: Option<SocketAddr>) -> Replica {
        self.replica_with(address, &[], &[]).await
    }

    /// The same with further flags and variables.
    pub async fn replica_with(
        &self,
        address: Option<SocketAddr>,
        flags: &[&str],
        variables: &[(&str, &str)],
    ) -> Replica {
        let address = address.map_or_else(|| ANY_PORT.to_owned(), |address| address.to_string());
        let mut command = with_database(&self.database_url, &["control", "--grpc", &address]);
        command.args(flags).env("PORTHOUSE_LOG_FORMAT", "json");
        command.envs(variables.iter().copied());
        let mut process = Process::start("porthouse control", command, None);
        // One line says both.
        let (grpc, operators) = if flags.contains(&"--operators") {
            let [grpc, operators] = listeners(&mut process, ["grpc", "operators"]).await;
            (grpc, Some(operators))
        } else {
            let [grpc] = listeners(&mut process, ["grpc"]).await;
            (grpc, None)
        };
        Replica {
            process,
            grpc,
            operators,
        }
    }

    /// Starts a node that asks a replica and waits until it would take clients;
    /// `flags` are further ones.
    pub async fn node(&self, name: &str, replica: &Replica, flags: &[&str]) -> Node {
        self.node_over(replica.grpc, name, replica, flags).await
    }

    /// The same where the replica is reached by way of another address.
    pub async fn node_over(
        &self,
        way: SocketAddr,
        name: &str,
        replica: &Replica,
        flags: &[&str],
    ) -> Node {
        let key = self.backend(replica).make_key(&["node"]).await;
        let control = format!("http://{way}");
        let mut command = command(["node", "--name", name, "--control", &control]);
        command
            .args(["--ws", ANY_PORT, "--grpc", ANY_PORT, "--puddles", "2"])
            .args(flags)
            .env("PORTHOUSE_API_KEY", key)
            .env("PORTHOUSE_LOG_FORMAT", "json");
        let mut process = Process::start("porthouse node", command, None);
        let [ws, grpc] = listeners(&mut process, ["ws", "grpc"]).await;
        let operators = if flags.contains(&"--operators") {
            let [operators] = listeners(&mut process, ["operators"]).await;
            Some(operators)
        } else {
            None
        };
        ready(ws).await;
        Node {
            process,
            ws,
            grpc,
            operators,
        }
    }

    /// Starts a node that shows a replica a certificate, of this authority, and no key;
    /// waits until it would take clients.
    pub async fn node_by_certificate(
        &self,
        name: &str,
        replica: &Replica,
        shows: Shows<'_>,
    ) -> Node {
        let mut process = Process::start("porthouse node", by(name, replica, shows), None);
        let [ws, grpc] = listeners(&mut process, ["ws", "grpc"]).await;
        ready(ws).await;
        Node {
            process,
            ws,
            grpc,
            operators: None,
        }
    }

    /// Starts such a node, waits until its log says this, and kills it. The line.
    pub async fn node_that_says(
        &self,
        name: &str,
        replica: &Replica,
        shows: Shows<'_>,
        says: &str,
    ) -> String {
        let mut process = Process::start("porthouse node", by(name, replica, shows), None);
        let line = process
            .line(says, |_, line| line.contains(says).then(|| line.to_owned()))
            .await;
        process.signal(Signal::KILL);
        process.exit().await;
        line
    }

    /// A backend that asks a replica, with the first key.
    #[must_use]
    pub fn backend(&self, replica: &Replica) -> Backend {
        self.backend_at(replica.grpc)
    }

    /// A backend that asks whoever serves at an address.
    #[must_use]
    pub fn backend_at(&self, grpc: SocketAddr) -> Backend {
        let secrets = Arc::clone(self.house.secrets());
        Backend::new(&grpc.to_string(), Some(&self.admin_key), secrets)
    }

    /// What may not be said.
    #[must_use]
    pub const fn secrets(&self) -> &Arc<Secrets> {
        self.house.secrets()
    }

    /// Stops everything in order and searches all that was said; `killed` are
    /// processes that ended before.
    pub async fn close(self, node: Node, replicas: Vec<Replica>, killed: Vec<Process>) {
        self.end(Some(node), replicas, killed).await;
    }

    /// The same where there is no node.
    pub async fn close_replicas(self, replicas: Vec<Replica>) {
        self.end(None, replicas, Vec::new()).await;
    }

    async fn end(self, node: Option<Node>, replicas: Vec<Replica>, killed: Vec<Process>) {
        let mut processes: Vec<_> = node.into_iter().map(|node| node.process).collect();
        processes.extend(replicas.into_iter().map(|replica| replica.process));
        for process in &mut processes {
            process.signal(Signal::TERM);
            let status = process.exit().await;
            assert!(status.success(), "ended with {status}");
        }
        for process in processes.iter().chain(&killed) {
            for stream in [Stream::Out, Stream::Err] {
                let found = self.house.secrets().found_in(&process.output(stream));
                assert_eq!(found, [""; 0], "was said");
            }
        }
        self.house.close().await;
    }
}

impl Node {
    /// Its process's number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Waits until it has ended by itself.
    pub async fn ended(mut self) -> ExitStatus {
        self.process.exit().await
    }

    /// Kills it as an operating system short of memory would.
    pub async fn kill(mut self) -> Process {
        self.process.signal(Signal::KILL);
        self.process.exit().await;
        self.process
    }

    /// Stops it where it stands, as a machine does that is suspended; its
    /// connections stay up.
    pub fn suspend(&self) {
        self.process.signal(Signal::STOP);
    }

    /// Has it go on where it stood.
    pub fn go_on(&self) {
        self.process.signal(Signal::CONT);
    }
}

impl Replica {
    /// Its process's number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Stops it where it stands, as a machine does that is suspended; its
    /// connections stay up.
    pub fn suspend(&self) {
        self.process.signal(Signal::STOP);
    }

    /// Has it go on where it stood.
    pub fn go_on(&self) {
        self.process.signal(Signal::CONT);
    }

    /// Kills it as an operating system short of memory would.
    pub async fn kill(mut self) -> Process {
        self.process.signal(Signal::KILL);
        self.process.exit().await;
        self.process
    }
}

/// The authority of the control plane, and the certificate and key that are shown to it.
pub type Shows<'a> = (&'a Path, (&'a Path, &'a Path));

/// A node that shows a certificate, and no key.
fn by(name: &str, replica: &Replica, (authority, (certificate, key)): Shows<'_>) -> Command {
    let control = format!("https://{}", replica.grpc);
    let mut command = command(["node", "--name", name, "--control", &control]);
    command
        .args(["--ws", ANY_PORT, "--grpc", ANY_PORT, "--puddles", "2"])
        .arg("--control-authority-file")
        .arg(authority)
        .arg("--control-certificate-file")
        .arg(certificate)
        .arg("--control-key-file")
        .arg(key)
        .env("PORTHOUSE_LOG_FORMAT", "json");
    command
}

/// Where a database is that a house's Postgres has.
fn url(house: &House, database: &str) -> String {
    let socket = house.data().join("postgres/socket");
    let socket = socket.canonicalize().expect("Postgres has a socket");
    let host = socket.display();
    format!("postgresql:///{database}?user=porthouse&host={host}")
}

async fn execute(url: &str, statements: &str) {
    let connected = within("Postgres", tokio_postgres::connect(url, NoTls)).await;
    let (client, connection) = connected.expect("Postgres lets us in");
    let connection = tokio::spawn(connection);
    let done = within("Postgres to do it", client.batch_execute(statements)).await;
    done.unwrap_or_else(|refused| panic!("{statements}: {refused:?}"));
    drop(client);
    let _ = connection.await;
}

fn with_database(url: &str, arguments: &[&str]) -> Command {
    let mut command = command(arguments);
    command.env("DATABASE_URL", url);
    command
}

/// Runs a command to its good end and answers what it printed.
async fn said(database_url: &str, arguments: &[&str]) -> String {
    let command = with_database(database_url, arguments);
    let mut process = Process::start(&arguments.join(" "), command, None);
    let status = process.exit().await;
    assert!(status.success(), "{arguments:?} ended with {status}");
    process.output(Stream::Out)
}

/// Waits until a process logs where it listens.
async fn listeners<const N: usize>(process: &mut Process, fields: [&str; N]) -> [SocketAddr; N] {
    process
        .line("where it listens", |_, line| {
            let event: Value = serde_json::from_str(line).ok()?;
            let message = event["fields"]["message"].as_str()?;
            message.ends_with(" listens").then(|| {
                fields.map(|field| {
                    let address = event["fields"][field].as_str().expect("it is logged");
                    let address = address.trim_start_matches("Some(").trim_end_matches(')');
                    address.parse().expect("an address")
                })
            })
        })
        .await
}

/// Waits until a node would take clients.
async fn ready(ws: SocketAddr) {
    let asking = async {
        let mut ask = tokio::time::interval(std::time::Duration::from_millis(20));
        loop {
            ask.tick().await;
            let mut wire = Wire::connect(ws).await;
            let request = format!("GET /-/ready HTTP/1.1\r\nHost: {ws}\r\n\r\n");
            wire.send(request.as_bytes()).await;
            if wire.answer().await.status == 200 {
                return;
            }
        }
    };
    within("a node that is ready", asking).await;
}
