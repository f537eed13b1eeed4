//! Whatever call puts somebody out of a room, or asks them again, says beforehand
//! how many that would be, and does nothing.

use porthouse_api::control::v1::block::Subject;
use porthouse_api::control::v1::{
    Block, CreateBlockRequest, CreateRoomTemplateRequest, DeleteMemberRequest, DeleteRoomRequest,
    DeleteRoomTemplateRequest, Impact, Room, SetRoomCodeRequest, SetRoomHookRequest,
    SetRoomPasswordRequest, SetRoomTemplatePasswordRequest,
};
use porthouse_e2e::backend::Backend;
use porthouse_e2e::house::House;
use porthouse_e2e::multiplexed::Multiplexed;
use porthouse_e2e::raw::Raw;
use tokio_tungstenite::tungstenite::Message;
use tonic::{Response, Status};

use crate::shapes::private;

/// Rehearses a call, and answers how many would leave and be asked on the only node.
macro_rules! rehearse {
    ($client:expr, $call:ident, $request:expr) => {{
        let answer = $client.$call($request).await;
        let answer: Result<Response<_>, Status> = answer;
        let answer = answer.expect("valid").into_inner();
        assert_eq!(answer.revision, 0, "{answer:?}");
        counted(&answer.impact.expect("it is rehearsed"))
    }};
}

fn counted(impact: &Impact) -> (i64, i64) {
    assert!(impact.silent.is_empty(), "{impact:?}");
    let [node] = &impact.nodes[..] else {
        panic!("one node: {impact:?}");
    };
    assert_eq!(node.unsure, 0, "{impact:?}");
    (node.leaving, node.asked)
}

fn password(name: &str) -> SetRoomPasswordRequest {
    SetRoomPasswordRequest {
        name: name.to_owned(),
        password: "open sesame".to_owned(),
        validate_only: true,
        ..Default::default()
    }
}

fn code(room: &str) -> SetRoomCodeRequest {
    SetRoomCodeRequest {
        room: room.to_owned(),
        validate_only: true,
        ..Default::default()
    }
}

fn hook(room: &str) -> SetRoomHookRequest {
    SetRoomHookRequest {
        room: room.to_owned(),
        url: "http://127.0.0.1:9".to_owned(),
        validate_only: true,
        ..Default::default()
    }
}

async fn kept_out(backend: &Backend, who: Subject) -> (i64, i64) {
    let request = CreateBlockRequest {
        parent: "rooms/hall".to_owned(),
        block: Some(Block {
            subject: Some(who),
            ..Default::default()
        }),
        validate_only: true,
    };
    rehearse!(backend.blocks(), create_block, request)
}

async fn no_member(backend: &Backend, room: &str) -> (i64, i64) {
    let request = DeleteMemberRequest {
        name: format!("rooms/{room}/members/ada"),
        validate_only: true,
    };
    rehearse!(backend.members(), delete_member, request)
}

#[tokio::test]
async fn each_call_that_puts_out_or_asks_again_says_how_many_and_does_nothing() {
    let house = House::start().await;
    let backend = house.backend();
    let ada = backend.signed_in_user("ada").await;
    backend.make_room("hall", Room::default()).await;
    backend.make_room("den", private()).await;
    backend.make_member("hall", "ada").await;
    let revision = backend.make_member("den", "ada").await;
    backend.applied(revision).await;
    // Strangers and a member, who can be asked and who cannot.
    let mut raw = Vec::new();
    for token in [None, None, Some(ada.token.as_str())] {
        raw.push(Raw::enter(house.ws(), "hall", token).await);
    }
    let mut lobbies = Vec::new();
    for token in [None, Some(ada.token.as_str())] {
        let mut client = Multiplexed::open(house.ws(), token).await;
        client.join("hall").await;
        lobbies.push(client);
    }
    let mut den = Raw::enter(house.ws(), "den", Some(&ada.token)).await;

    let of_password = rehearse!(backend.rooms(), set_room_password, password("rooms/hall"));
    assert_eq!(of_password, (3, 2));
    let of_code = rehearse!(backend.doors(), set_room_code, code("rooms/hall"));
    assert_eq!(of_code, (3, 2));
    let of_hook = rehearse!(backend.doors(), set_room_hook, hook("rooms/hall"));
    assert_eq!(of_hook, (0, 5), "their backend is asked, of everybody");
    let user = Subject::User("users/ada".to_owned());
    assert_eq!(kept_out(backend, user).await, (2, 0));
    let range = Subject::AddressRange("127.0.0.0/8".to_owned());
    assert_eq!(kept_out(backend, range).await, (5, 0));
    assert_eq!(no_member(backend, "hall").await, (0, 0), "it is open");
    assert_eq!(no_member(backend, "den").await, (1, 0));
    let mut delete = DeleteRoomRequest {
        name: "rooms/hall".to_owned(),
        validate_only: true,
        ..Default::default()
    };
    let gone = rehearse!(backend.rooms(), delete_room, delete.clone());
    assert_eq!(gone, (5, 0));

    // None of it was done, until it is.
    assert!(den.try_say(Message::text("still here")).await);
    assert_eq!(backend.sockets_in("hall").await.len(), 5);
    delete.validate_only = false;
    let deleted = backend.rooms().delete_room(delete).await.expect("there");
    backend.applied(deleted.into_inner().revision).await;
    for socket in &mut raw {
        socket.closed().await;
    }
    lobbies[1].event("authenticated").await;
    for client in &mut lobbies {
        client.event("closed").await;
    }
    assert!(den.try_say(Message::text("still here")).await);
    drop((raw, lobbies, den));
    house.close().await;
}

#[tokio::test]
async fn what_becomes_of_a_templates_rooms_is_said_beforehand() {
    let house = House::start().await;
    let backend = house.backend();
    let name = || "roomTemplates/chat:*".to_owned();
    let create = CreateRoomTemplateRequest {
        room_template_id: "chat:*".to_owned(),
        ..Default::default()
    };
    let made = backend.room_templates().create_room_template(create).await;
    backend
        .applied(made.expect("new").into_inner().revision)
        .await;
    let mut raw = Raw::enter(house.ws(), "chat:a", None).await;
    let mut lobby = Multiplexed::open(house.ws(), None).await;
    lobby.join("chat:b").await;
    let set = SetRoomTemplatePasswordRequest {
        name: name(),
        password: "open sesame".to_owned(),
        validate_only: true,
        ..Default::default()
    };
    let of_password = rehearse!(backend.room_templates(), set_room_template_password, set);
    assert_eq!(of_password, (1, 1));
    let of_code = rehearse!(backend.doors(), set_room_code, code(&name()));
    assert_eq!(of_code, (1, 1));
    let of_hook = rehearse!(backend.doors(), set_room_hook, hook(&name()));
    assert_eq!(of_hook, (0, 2));
    let delete = DeleteRoomTemplateRequest {
        name: name(),
        validate_only: true,
        ..Default::default()
    };
    let gone = rehearse!(backend.room_templates(), delete_room_template, delete);
    assert_eq!(gone, (0, 0), "their rooms are transient ones then");
    assert!(raw.try_say(Message::text("still here")).await);
    drop((raw, lobby));
    house.close().await;
}
