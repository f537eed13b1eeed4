//! Who may decides about others: by a line from inside, and by a backend.

use porthouse_api::control::v1::{
    ApprovalStep, EntryRules, EntryStep, Room, RoomRules, Visibility, entry_step,
};
use porthouse_api::live::v1::{
    DecideWaitingRequest, ListWaitingRequest, MoveOutcome, MoveRequest, WaitingClient,
    WaitingDecision, WireForm,
};
use porthouse_e2e::house::House;
use porthouse_e2e::multiplexed::Multiplexed;
use porthouse_e2e::raw::Raw;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tonic::Code;

#[tokio::test]
async fn the_owner_of_a_transient_room_kicks_and_nobody_else() {
    let house = House::start().await;
    let mut owner = house.multiplexed().await;
    let owner_id = owner.join("den").await;
    let ada = house.backend().signed_in_user("ada").await;
    let mut guest = Multiplexed::open(house.ws(), Some(&ada.token)).await;
    guest.event("authenticated").await;
    let guest_id = guest.join("den").await;
    let mut raw = Vec::new();
    for _ in 0..8 {
        raw.push(Raw::enter(house.ws(), "den", Some(&ada.token)).await);
    }
    let refused = guest
        .ask("kick", json!({"room": "den", "client": owner_id}))
        .await;
    assert_eq!(refused["op"], "refused", "{refused}");
    assert_eq!(refused["rule"], "capabilities.kick");
    let kicked = owner
        .ask("kick", json!({"room": "den", "client": guest_id}))
        .await;
    assert_eq!(kicked["op"], "kicked", "{kicked}");
    assert_eq!(kicked["client"], guest_id);
    assert_eq!(guest.event("closed").await["code"], 4006);
    for socket in &mut raw {
        assert_eq!(socket.closed().await.code, 4006);
    }
    let kept_out = guest.ask("join", json!({"room": "den"})).await;
    assert_eq!(kept_out["code"], 4012, "{kept_out}");
    drop((owner, guest, raw));
    house.close().await;
}

#[tokio::test]
async fn a_backend_sees_who_waits_and_decides() {
    let house = House::start().await;
    let backend = house.backend();
    let approval = EntryStep {
        kind: Some(entry_step::Kind::Approval(ApprovalStep {})),
    };
    let room = Room {
        rules: Some(RoomRules {
            entry: Some(EntryRules {
                steps: vec![approval],
                ..Default::default()
            }),
            ..Default::default()
        }),
        ..Default::default()
    };
    backend
        .applied(backend.make_room("vault", room).await)
        .await;
    let ada = backend.signed_in_user("ada").await;
    let mut first = Multiplexed::open(house.ws(), Some(&ada.token)).await;
    let client = first.event("authenticated").await["client"].clone();
    let client = client.as_str().expect("a client id").to_owned();
    let challenge = first.ask("join", json!({"room": "vault"})).await;
    assert_eq!(challenge["step"], "approval", "{challenge}");
    let mut stranger = house.multiplexed().await;
    stranger.ask("join", json!({"room": "vault"})).await;

    let ask = ListWaitingRequest {
        room: "rooms/vault".to_owned(),
    };
    let listed = backend.live().list_waiting(ask.clone()).await;
    let waiting = listed.expect("who waits").into_inner().clients;
    assert_eq!(waiting.len(), 2);
    let its = WaitingClient {
        client: client.clone(),
        user: "users/ada".to_owned(),
        sockets: 1,
    };
    assert!(waiting.contains(&its), "{waiting:?}");
    let other = waiting.iter().find(|one| **one != its).expect("another");
    assert_eq!(other.user, "");
    let decide = |client: &str, decision: WaitingDecision| DecideWaitingRequest {
        room: "rooms/vault".to_owned(),
        client: client.to_owned(),
        decision: decision.into(),
    };
    let admit = decide(&client, WaitingDecision::Admit);
    let admitted = backend.live().decide_waiting(admit.clone()).await;
    assert_eq!(admitted.expect("it waits").into_inner().sockets, 1);
    assert_eq!(first.event("admitted").await["room"], "vault");
    let again = backend.live().decide_waiting(admit).await;
    assert_eq!(again.expect_err("it is in").code(), Code::NotFound);
    let refuse = decide(&other.client, WaitingDecision::Refuse);
    backend
        .live()
        .decide_waiting(refuse)
        .await
        .expect("it waits");
    assert_eq!(stranger.event("refused").await["code"], 4010);
    let listed = backend.live().list_waiting(ask).await;
    assert!(listed.expect("who waits").into_inner().clients.is_empty());
    drop((first, stranger));
    house.close().await;
}

#[tokio::test]
async fn a_backend_moves_a_client_and_the_other_rooms_rules_hold() {
    let house = House::start().await;
    let backend = house.backend();
    let ada = backend.signed_in_user("ada").await;
    let den = Room {
        visibility: Visibility::Private.into(),
        ..Room::default()
    };
    backend.make_room("hall", Room::default()).await;
    backend.make_room("yard", Room::default()).await;
    backend.applied(backend.make_room("den", den).await).await;
    let mut client = Multiplexed::open(house.ws(), Some(&ada.token)).await;
    client.event("authenticated").await;
    let id = client.join("hall").await;
    let mut raw = Vec::new();
    for _ in 0..8 {
        raw.push(Raw::enter(house.ws(), "hall", Some(&ada.token)).await);
    }
    let request = |room: &str, target: &str| MoveRequest {
        client: id.clone(),
        room: format!("rooms/{room}"),
        target_room: format!("rooms/{target}"),
    };
    let moved = backend.live().r#move(request("hall", "yard")).await;
    let moved = moved.expect("it is inside").into_inner().sockets;
    assert_eq!(moved.len(), 9);
    for socket in &moved {
        let fine = [MoveOutcome::Inside, MoveOutcome::Entering];
        assert!(fine.contains(&socket.outcome()), "{socket:?}");
    }
    let told = client.event("moved").await;
    assert_eq!(
        (&told["room"], &told["to"]),
        (&json!("hall"), &json!("yard"))
    );
    assert_eq!(client.event("admitted").await["room"], "yard");
    // What is said before it is inside is held until then.
    for socket in &mut raw {
        socket.say(Message::text("from the hall")).await;
    }
    for _ in &raw {
        let heard = client.message("yard").await;
        assert_eq!(heard, Message::text("from the hall"));
    }
    let refused = client.ask("join", json!({"room": "den"})).await;
    assert_eq!(refused["rule"], "visibility.private", "{refused}");
    let moved = backend.live().r#move(request("yard", "den")).await;
    let moved = moved.expect("it is inside").into_inner().sockets;
    let stays = moved.iter().find(|socket| {
        socket.wire_form() == WireForm::Multiplexed && socket.outcome() == MoveOutcome::Refused
    });
    let stays = stays.expect("its puddle knows the den");
    assert_eq!(stays.rule, "visibility.private");
    let said = client
        .ask_with("send", json!({"room": "yard"}), Message::text("still here"))
        .await;
    assert_eq!(said["op"], "receipt", "{said}");
    let nowhere = backend.live().r#move(request("hall", "yard")).await;
    assert_eq!(nowhere.expect_err("it has left").code(), Code::NotFound);
    drop((client, raw));
    house.close().await;
}
