//! The store against a real server, and what of a server or a stream is refused.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use porthouse_model::RoomId;

use super::*;

/// A server in a directory of its own, killed when dropped.
struct Server {
    child: Child,
    url: String,
    directory: PathBuf,
}

impl Server {
    fn start() -> Self {
        let name = format!("porthouse-store-{}", rand::random::<u64>());
        let directory = std::env::temp_dir().join(name);
        let mut child = Command::new(program())
            .args(["--addr", "127.0.0.1", "--port", "-1", "--jetstream"])
            .arg("--store_dir")
            .arg(&directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a NATS server runs");
        let log = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut url = String::new();
        for line in log.lines().map_while(Result::ok) {
            if let Some((_, at)) = line.split_once("Listening for client connections on ") {
                url = format!("nats://{}", at.trim());
            }
            if line.contains("Server is ready") {
                break;
            }
        }
        assert!(!url.is_empty(), "it says where it listens");
        Self {
            child,
            url,
            directory,
        }
    }

    fn settings(&self) -> NatsSettings {
        NatsSettings::at(&self.url).expect("an address")
    }

    async fn open(&self) -> Nats {
        let nats = Nats::open(&self.settings()).await;
        nats.expect("the server fits")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It is ours, and nothing of it is needed any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// The server's program: named, on the path, or fetched by `scripts/setup`.
fn program() -> PathBuf {
    if let Some(named) = std::env::var_os("PORTHOUSE_NATS_SERVER") {
        return named.into();
    }
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .chain([tools])
        .map(|directory| directory.join("nats-server"))
        .find(|program| program.is_file());
    found.expect("there is no nats-server: run `scripts/setup`")
}

fn room(number: u8) -> StoredRoom {
    StoredRoom {
        id: RoomId::from_bytes([number; 16]),
        name: format!("room-{number}").parse().expect("a name"),
    }
}

async fn append(nats: &Nats, number: u8, after: Mark, record: &[u8]) -> FromStore {
    let append = ToStore::Append {
        after,
        record: record.into(),
        lasts: Some(Duration::from_hours(1)),
    };
    nats.answer(&room(number), append).await
}

async fn appended(nats: &Nats, number: u8, after: Mark, record: &[u8]) -> Mark {
    let FromStore::Appended(mark) = append(nats, number, after, record).await else {
        panic!("it is not appended");
    };
    mark
}

async fn read(nats: &Nats, number: u8, bytes_max: usize) -> Vec<Box<[u8]>> {
    match nats
        .answer(&room(number), ToStore::Read { bytes_max })
        .await
    {
        FromStore::Read(records) => records.into_iter().map(|record| record.bytes).collect(),
        other @ (FromStore::Appended(_)
        | FromStore::Forgotten
        | FromStore::TooLong
        | FromStore::Overtaken
        | FromStore::Failed) => panic!("not read but {other:?}"),
    }
}

#[tokio::test]
async fn records_are_read_in_order_and_of_their_room_alone() {
    let server = Server::start();
    let nats = server.open().await;
    assert_eq!(read(&nats, 1, 1_000).await, [] as [Box<[u8]>; 0]);
    let mut last = Mark::default();
    for number in 0..50_u8 {
        last = appended(&nats, 1, last, &[number]).await;
        appended(&nats, 100 + number, Mark::default(), &[200]).await;
    }
    let all: Vec<Box<[u8]>> = (0..50_u8).map(|number| [number].into()).collect();
    assert_eq!(read(&nats, 1, 1_000).await, all);
    assert_eq!(read(&nats, 1, 10).await, all[40..], "the newest");
}

#[tokio::test]
async fn of_two_who_write_one_is_overtaken() {
    let server = Server::start();
    let (one, other) = (server.open().await, server.open().await);
    let first = appended(&one, 1, Mark::default(), b"first").await;
    let overtaken = append(&other, 1, Mark::default(), b"fork").await;
    assert_eq!(overtaken, FromStore::Overtaken);
    appended(&other, 1, first, b"second").await;
    assert_eq!(append(&one, 1, first, b"fork").await, FromStore::Overtaken);
    let kept: Vec<Box<[u8]>> = vec![(*b"first").into(), (*b"second").into()];
    assert_eq!(read(&one, 1, 1_000).await, kept);
}

#[tokio::test]
async fn what_is_forgotten_is_gone_and_the_next_goes_on_after_it() {
    let server = Server::start();
    let nats = server.open().await;
    let first = appended(&nats, 1, Mark::default(), b"1").await;
    let second = appended(&nats, 1, first, b"2").await;
    appended(&nats, 2, Mark::default(), b"another").await;
    let forget = ToStore::Forget { through: first };
    assert_eq!(nats.answer(&room(1), forget).await, FromStore::Forgotten);
    let left: Vec<Box<[u8]>> = vec![(*b"2").into()];
    assert_eq!(read(&nats, 1, 1_000).await, left);
    let forgotten = nats.answer(&room(1), ToStore::ForgetRoom).await;
    assert_eq!(forgotten, FromStore::Forgotten);
    assert_eq!(read(&nats, 1, 1_000).await, [] as [Box<[u8]>; 0]);
    assert_eq!(read(&nats, 2, 1_000).await.len(), 1);
    appended(&nats, 1, second, b"3").await;
}

#[tokio::test]
async fn a_record_ends_by_its_age_and_the_next_goes_on_after_it() {
    let server = Server::start();
    let nats = server.open().await;
    let append = ToStore::Append {
        after: Mark::default(),
        record: (*b"short").into(),
        lasts: Some(Duration::from_secs(1)),
    };
    let FromStore::Appended(mark) = nats.answer(&room(1), append).await else {
        panic!("it is not appended");
    };
    let gone = async {
        let all = || ToStore::Read { bytes_max: 1_000 };
        // One that ends while it is read has the whole read fail.
        while nats.answer(&room(1), all()).await != FromStore::Read(Vec::new()) {
            sleep(START_LOOK).await;
        }
    };
    timeout(Duration::from_secs(20), gone)
        .await
        .expect("it ends");
    appended(&nats, 1, mark, b"next").await;
}

#[tokio::test]
async fn a_stream_that_would_lose_something_is_refused_at_the_start() {
    let server = Server::start();
    let nats = server.open().await;
    let aged = Config {
        max_age: Duration::from_secs(100),
        ..config()
    };
    let changed = nats.context.update_stream(aged).await;
    changed.expect("a stream can be changed");
    let refused = Nats::open(&server.settings()).await;
    let refused = refused.expect_err("it would lose what was stored");
    assert!(refused.to_string().contains("`max_age`"), "{refused}");
    let answer = nats.answer(&room(1), ToStore::Read { bytes_max: 1 }).await;
    assert_eq!(answer, FromStore::Failed, "nor read later");
}

#[tokio::test]
async fn a_server_that_is_too_old_is_refused_at_the_start() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept()?;
        let info = r#"{"server_id":"x","version":"2.12.6","max_payload":1048576,"proto":1}"#;
        write!(stream, "INFO {info}\r\n")?;
        let mut buffer = [0; 1_024];
        while stream.read(&mut buffer)? > 0 {
            stream.write_all(b"PONG\r\n")?;
        }
        std::io::Result::Ok(())
    });
    let settings = NatsSettings::at(&format!("nats://{address}")).expect("an address");
    let refused = Nats::open(&settings).await.expect_err("it is too old");
    assert!(refused.to_string().contains("2.12.6"), "{refused}");
}

#[tokio::test]
async fn a_server_that_is_away_is_waited_for_and_nothing_is_stored_meanwhile() {
    let nowhere = NatsSettings::at("nats://127.0.0.1:1").expect("an address");
    let nats = Nats::open(&nowhere).await.expect("the node starts");
    let answer = append(&nats, 1, Mark::default(), b"x").await;
    assert_eq!(answer, FromStore::Failed);
}

#[test]
fn rooms_of_other_names_or_ids_have_other_subjects() {
    let room = |id: u8, name: &str| {
        subject(&StoredRoom {
            id: porthouse_model::RoomId::from_bytes([id; 16]),
            name: name.parse().expect("a name"),
        })
    };
    assert_eq!(
        room(1, "a.b"),
        "porthouse.history.01010101010101010101010101010101.612e62"
    );
    assert_ne!(room(1, "a"), room(2, "a"));
}

#[test]
fn a_stream_that_would_lose_something_is_named_by_its_field() {
    assert_eq!(unfit(&config()), None);
    let aged = Config {
        max_age: Duration::from_secs(1),
        ..config()
    };
    assert_eq!(unfit(&aged), Some("max_age"));
    let replicated = Config {
        num_replicas: 3,
        ..config()
    };
    assert_eq!(unfit(&replicated), None);
}

#[tokio::test]
async fn a_record_longer_than_the_server_takes_is_said_to_be_and_the_next_is_stored() {
    let server = Server::start();
    let nats = server.open().await;
    let most = nats.client.server_info().max_payload;
    let long = vec![7; most - HEADER_BYTES_MAX + 1];
    let refused = append(&nats, 1, Mark::default(), &long).await;
    assert_eq!(refused, FromStore::TooLong);
    appended(&nats, 1, Mark::default(), &long[1..]).await;
}

#[tokio::test]
async fn a_stream_that_somebody_deletes_is_made_anew_and_operators_are_told() {
    let server = Server::start();
    let nats = server.open().await;
    let sign = nats.sign();
    assert_eq!(sign.read(), Store::Connected);
    let last = appended(&nats, 1, Mark::default(), b"1").await;
    let deleted = nats.context.delete_stream(STREAM).await;
    deleted.expect("it was there");
    assert_eq!(append(&nats, 1, last, b"2").await, FromStore::Failed);
    assert_eq!(sign.read(), Store::Lagging);
    // Of what is gone nothing is left to forget.
    let forgotten = nats.answer(&room(2), ToStore::ForgetRoom).await;
    assert_eq!(forgotten, FromStore::Forgotten);
    // A home reads what came of what failed.
    assert_eq!(read(&nats, 1, 1_000).await, [] as [Box<[u8]>; 0]);
    assert_eq!((sign.read(), sign.times_made()), (Store::Connected, 1));
    appended(&nats, 1, Mark::default(), b"2").await;
    let kept: Vec<Box<[u8]>> = vec![(*b"2").into()];
    assert_eq!(read(&nats, 1, 1_000).await, kept);
}

#[tokio::test]
async fn operators_are_told_of_a_store_that_is_away_or_is_none() {
    let mut server = Server::start();
    let nats = server.open().await;
    let sign = nats.sign();
    let aged = Config {
        max_age: Duration::from_secs(100),
        ..config()
    };
    let changed = nats.context.update_stream(aged).await;
    changed.expect("a stream can be changed");
    let all = || ToStore::Read { bytes_max: 1 };
    assert_eq!(nats.answer(&room(1), all()).await, FromStore::Failed);
    assert_eq!(sign.read(), Store::Refused);
    let mended = nats.context.update_stream(config()).await;
    mended.expect("a stream can be changed");
    assert_eq!(read(&nats, 1, 1).await, [] as [Box<[u8]>; 0]);
    assert_eq!(sign.read(), Store::Connected);
    server.child.kill().expect("it is ours");
    let away = async {
        while sign.read() != Store::Away {
            sleep(START_LOOK).await;
        }
    };
    timeout(Duration::from_secs(20), away)
        .await
        .expect("it is noticed");
}

#[tokio::test]
async fn all_of_a_room_is_forgotten_by_its_identity_and_nothing_else() {
    let server = Server::start();
    let nats = server.open().await;
    let room = |id: u8, name: &str| StoredRoom {
        id: RoomId::from_bytes([id; 16]),
        name: name.parse().expect("a name"),
    };
    let kept = room(2, "chat:a");
    for room in [room(1, "chat:a"), room(1, "chat:b"), kept.clone()] {
        let record = ToStore::Append {
            after: Mark::default(),
            record: Box::from(*b"said"),
            lasts: None,
        };
        let answer = nats.answer(&room, record).await;
        assert!(matches!(answer, FromStore::Appended(_)), "{answer:?}");
    }
    let subjects = async || {
        let listed = nats.subjects().await.expect("subjects");
        let listed = listed.filter_map(async |subject| subject.ok().map(|(subject, _)| subject));
        let mut listed: Vec<String> = listed.collect().await;
        listed.sort();
        listed
    };
    let ids: Vec<_> = subjects().await.iter().map(|name| room_of(name)).collect();
    let [one, two] = [1, 2].map(|id| Some(RoomId::from_bytes([id; 16])));
    assert_eq!(ids, [one, one, two]);
    nats.forget_all_of(RoomId::from_bytes([1; 16]))
        .await
        .expect("forgotten");
    assert_eq!(subjects().await, [subject(&kept)]);
    for other in ["", "porthouse.history", "porthouse.history.01.61", "a.b"] {
        assert_eq!(room_of(other), None, "{other}");
    }
}
