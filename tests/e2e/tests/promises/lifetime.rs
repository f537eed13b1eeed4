//! `porthouse dev` from its start to its end: one at a time in a directory, ended
//! in order by a signal, and its data there again. Never over a given database.

use std::os::unix::fs::PermissionsExt;

use porthouse_api::control::v1::{GetRoomRequest, Room};
use porthouse_e2e::house::{Ground, House, gone};
use porthouse_e2e::program::{Account, Stream, descendants, lives};
use porthouse_e2e::raw::Raw;
use rustix::process::Signal;
use tokio_tungstenite::tungstenite::Message;

/// Debian's `nobody`.
const NOBODY: Account = Account {
    uid: 65_534,
    gid: 65_534,
};

#[tokio::test]
async fn a_signal_ends_it_in_order_and_the_next_start_finds_its_data() {
    let ground = Ground::new(None);
    let mut keys = Vec::new();
    for (start, signal) in [Signal::INT, Signal::TERM].into_iter().enumerate() {
        let mut house = ground.house().await;
        if start == 0 {
            let ada = house.backend().signed_in_user("ada").await;
            keys.push(ada.token);
            house.backend().make_room("hall", Room::default()).await;
        }
        let request = GetRoomRequest {
            name: "rooms/hall".to_owned(),
        };
        let room = house.backend().rooms().get_room(request).await;
        room.expect("it is kept");
        let told = house.data().join("dev.json");
        assert!(told.exists());
        let mode = std::fs::metadata(&told)
            .expect("it is there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "others may read the admin's key");
        let mut sockets = house
            .sockets_on_both_puddles("hall", Some(&keys[0]), 2)
            .await;
        let below = descendants(house.process().pid());
        assert!(!below.is_empty(), "there is a Postgres");

        house.process().signal(signal);
        for socket in &mut sockets {
            assert_eq!(socket.closed().await.code, 1012);
        }
        let status = house.process().exit().await;
        assert!(status.success(), "{signal:?}: {status}");
        assert!(
            below.iter().all(|pid| !lives(*pid)),
            "Postgres is still there"
        );
        assert!(!told.exists(), "dev.json is there while nothing answers");
        house.search();
    }
}

#[tokio::test]
async fn a_second_one_in_the_same_directory_is_refused_and_told_why() {
    let ground = Ground::new(None);
    let mut house = ground.house().await;
    let mut second = ground.start_dev();
    let status = second.exit().await;
    assert!(!status.success(), "two of them");
    let said = second.output(Stream::Err);
    let directory = house.data().display().to_string();
    let holder = format!("process {}", house.process().pid());
    for part in [directory, holder, "--data-dir".to_owned()] {
        assert!(said.contains(&part), "no {part} in: {said}");
    }
    // The first is as well as before.
    assert!(house.data().join("dev.json").exists());
    talk(&house).await;
    house.close().await;
}

#[tokio::test]
async fn one_that_was_killed_leaves_nothing_that_hinders_the_next() {
    let ground = Ground::new(None);
    let mut house = ground.house().await;
    house.backend().make_room("hall", Room::default()).await;
    let below = descendants(house.process().pid());
    house.process().signal(Signal::KILL);
    house.process().exit().await;
    house.search();
    let next = ground.house().await;
    assert!(
        below.iter().all(|pid| !lives(*pid)),
        "an old Postgres is still there"
    );
    let request = GetRoomRequest {
        name: "rooms/hall".to_owned(),
    };
    let room = next.backend().rooms().get_room(request).await;
    room.expect("what was answered is kept");
    let data = next.data().to_owned();
    next.close().await;
    gone(&data.join("dev.json")).await;
}

#[tokio::test]
async fn an_ordinary_user_can_run_it() {
    // As anybody but root, every other test shows it.
    let account = rustix::process::geteuid().is_root().then_some(NOBODY);
    let ground = Ground::new(account);
    let house = ground.house().await;
    talk(&house).await;
    house.close().await;
}

async fn talk(house: &House) {
    let mut first = Raw::enter(house.ws(), "lobby", None).await;
    let mut second = Raw::enter(house.ws(), "lobby", None).await;
    first.say(Message::text("hello")).await;
    assert_eq!(second.next().await, Message::text("hello"));
}
