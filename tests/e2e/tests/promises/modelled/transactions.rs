//! Transactions of the model and of the real Postgres meet by the same drawn steps, on three
//! connections each. They agree in who waits for a number, in who may go on, in the number that
//! is given, in what somebody else sees meanwhile, and in what a node is told, in which order.

use std::time::Duration;

use porthouse_api::node::v1::policy_feed_service_client::PolicyFeedServiceClient;
use porthouse_e2e::backend::Keyed;
use porthouse_e2e::planes::Planes;
use porthouse_e2e::wait::within;
use porthouse_sim::{Interleaved, Step};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_postgres::Client;

use super::seed_of_the_run;
use super::watched::Watched;

const STEPS: usize = 300;
const CONNECTIONS: usize = 3;
/// Lists that are the same in each run.
const SEEDS: u64 = 5;

const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";
const MAKE: &str = "INSERT INTO rooms (id, name, rules) VALUES (gen_random_uuid(), $1, '')";
/// What a transaction of the control plane ends with, to be followed by its commit.
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtext('porthouse.policy_log'))";
const NUMBER: &str = "WITH gone AS (DELETE FROM policy_pending RETURNING id),
     head AS (SELECT revision, chain FROM policy_log ORDER BY revision DESC LIMIT 1),
     appended AS (
         INSERT INTO policy_log (revision, chain, payload)
         SELECT coalesce((SELECT revision FROM head), 0) + 1,
                sha256(coalesce((SELECT chain FROM head), '') || ''::bytea), ''::bytea
         RETURNING revision)
     SELECT revision, pg_notify('porthouse_policy', revision::text)::text FROM appended";

#[tokio::test]
async fn transactions_of_the_model_meet_as_those_of_postgres_do() {
    let planes = Planes::found().await;
    let replica = planes.replica(None).await;
    let key = planes.backend(&replica).make_key(&["node"]).await;
    let feed = planes.backend(&replica).with_key(Some(&key)).feed();
    for seed in (1..=SEEDS).chain([seed_of_the_run()]) {
        let agreed = agree(&planes, feed.clone(), (seed, false)).await;
        assert_eq!(agreed, Ok(()), "seed {seed}");
    }
    // A model that gives numbers without the lock is not that of Postgres.
    for seed in 1..=SEEDS {
        let agreed = agree(&planes, feed.clone(), (seed, true)).await;
        let differs = agreed.expect_err("it is noticed");
        let noticed = ["or waits: true by the model", "is told: ["];
        let noticed = noticed.iter().any(|what| differs.contains(what));
        assert!(noticed, "seed {seed}: {differs}");
    }
    planes.close_replicas(vec![replica]).await;
}

/// One list of steps; where they part, how.
async fn agree(
    planes: &Planes,
    feed: PolicyFeedServiceClient<Keyed>,
    (seed, wrong): (u64, bool),
) -> Result<(), String> {
    let mut model = Interleaved::new(seed, CONNECTIONS, wrong);
    let mut real = Real::new(planes, feed).await;
    let mut agreed = Ok(());
    for number in 0..STEPS {
        let step = model.draw();
        agreed = one(&mut model, &mut real, step).await;
        if let Err(differs) = &agreed {
            agreed = Err(format!("step {number}, {step:?}: {differs}"));
            break;
        }
    }
    real.end();
    agreed
}

async fn one(model: &mut Interleaved, real: &mut Real, step: Step) -> Result<(), String> {
    let expected = model.apply(step);
    let found = real.apply(step).await;
    same("whether it is done, or waits", expected, found)?;
    let may = model.goes_on();
    if matches!(step, Step::Commit { .. } | Step::RollBack { .. }) {
        let went = real.went_on().await;
        same("how many go on", usize::from(!may.is_empty()), went.len())?;
        for on in went {
            same("whether it may go on", true, may.contains(&on))?;
            model.went_on(on);
        }
    }
    let heard = model.heard();
    if !heard.is_empty() {
        same("what a node is told", heard, vec![real.heard().await])?;
    }
    same("what somebody else sees", model.seen(), real.seen().await)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "what is compared is made for it"
)]
fn same<T: std::fmt::Debug + PartialEq>(what: &str, model: T, real: T) -> Result<(), String> {
    if model == real {
        return Ok(());
    }
    Err(format!("{what}: {model:?} by the model, {real:?} in truth"))
}

/// A connection to Postgres, and how far its transaction is.
enum Connection {
    Free(Client),
    /// It has asked for a number.
    Asks(JoinHandle<(Client, i64)>),
    /// It is not to be asked now.
    Busy,
}

/// The real ones.
struct Real {
    connections: Vec<Connection>,
    /// Of the connections' processes.
    processes: Vec<i32>,
    /// Looks on.
    other: Client,
    watched: Watched,
    /// The revision before the first step.
    before: i64,
}

impl Real {
    async fn new(planes: &Planes, feed: PolicyFeedServiceClient<Keyed>) -> Self {
        let other = planes.postgres().await;
        other.batch_execute("BEGIN").await.expect("begun");
        other.execute(LOCK, &[]).await.expect("locked");
        let clear = "DELETE FROM rooms WHERE name LIKE 'room-%'";
        if other.execute(clear, &[]).await.expect("cleared") > 0 {
            other.query_one(NUMBER, &[]).await.expect("numbered");
        }
        other.batch_execute("COMMIT").await.expect("committed");
        let mut connections = Vec::new();
        let mut processes = Vec::new();
        for _ in 0..CONNECTIONS {
            let client = planes.postgres().await;
            let process = client.query_one("SELECT pg_backend_pid()", &[]).await;
            processes.push(process.expect("a number").get(0));
            connections.push(Connection::Free(client));
        }
        let before = other.query_one("SELECT max(revision) FROM policy_log", &[]);
        let before: Option<i64> = before.await.expect("it is read").get(0);
        Self {
            before: before.unwrap_or_default(),
            connections,
            processes,
            other,
            watched: Watched::open(feed).await,
        }
    }

    /// Does a step; answers whether it is done.
    async fn apply(&mut self, step: Step) -> bool {
        match step {
            Step::Begin { on, room } => {
                let client = self.client(on);
                client.batch_execute(BEGIN).await.expect("begun");
                let room = Interleaved::room(room);
                client.execute(MAKE, &[&room]).await.expect("made");
            }
            Step::Number { on } => {
                let Connection::Free(client) =
                    std::mem::replace(&mut self.connections[on], Connection::Busy)
                else {
                    panic!("{on} is busy")
                };
                self.connections[on] = Connection::Asks(tokio::spawn(async move {
                    client.execute(LOCK, &[]).await.expect("locked");
                    let numbered = client.query_one(NUMBER, &[]).await;
                    let revision = numbered.expect("numbered").get(0);
                    (client, revision)
                }));
                return within("a number, or a wait for it", self.is_numbered(on)).await;
            }
            Step::Commit { on } => {
                let committed = self.client(on).batch_execute("COMMIT").await;
                committed.expect("committed");
            }
            Step::RollBack { on } => {
                let undone = self.client(on).batch_execute("ROLLBACK").await;
                undone.expect("undone");
            }
        }
        true
    }

    fn client(&self, on: usize) -> &Client {
        match &self.connections[on] {
            Connection::Free(client) => client,
            Connection::Asks(_) | Connection::Busy => panic!("{on} is busy"),
        }
    }

    /// Whether a number was given to who asks for one, or it waits for somebody.
    async fn is_numbered(&mut self, on: usize) -> bool {
        let blocked = "SELECT cardinality(pg_blocking_pids($1)) > 0";
        loop {
            if let Connection::Asks(asks) = &mut self.connections[on]
                && asks.is_finished()
            {
                let (client, _) = asks.await.expect("it was asked");
                self.connections[on] = Connection::Free(client);
                return true;
            }
            let process = self.processes[on];
            let blocked = self.other.query_one(blocked, &[&process]).await;
            if blocked.expect("an answer").get(0) {
                return false;
            }
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// Who has been given the number that they waited for.
    async fn went_on(&mut self) -> Vec<usize> {
        let mut went = Vec::new();
        for on in 0..self.connections.len() {
            let asks = matches!(self.connections[on], Connection::Asks(_));
            if asks && within("a number, or a wait for it", self.is_numbered(on)).await {
                went.push(on);
            }
        }
        went
    }

    /// The next revision that a node is told of.
    async fn heard(&mut self) -> u64 {
        loop {
            let revision = self.watched.change().await.revision;
            // The watch may begin before the first step.
            if revision > self.before {
                return self.since(revision);
            }
        }
    }

    /// The rooms that are there, and the revision.
    async fn seen(&self) -> (Vec<String>, u64) {
        let seen = "SELECT (SELECT coalesce(array_agg(name::text ORDER BY name), '{}') FROM rooms
                            WHERE name LIKE 'room-%'),
                           (SELECT max(revision) FROM policy_log)";
        let seen = self.other.query_one(seen, &[]).await.expect("it is read");
        let revision: Option<i64> = seen.get(1);
        let revision = revision.unwrap_or(self.before);
        let mut names: Vec<String> = seen.get(0);
        names.sort();
        (names, self.since(revision))
    }

    fn since(&self, revision: i64) -> u64 {
        u64::try_from(revision - self.before).expect("revisions grow")
    }

    /// Whatever is under way is undone, so that nobody waits for it.
    fn end(self) {
        for connection in self.connections {
            match connection {
                Connection::Free(client) => drop(client),
                Connection::Asks(asks) => asks.abort(),
                Connection::Busy => {}
            }
        }
    }
}
