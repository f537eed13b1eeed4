//! What a client was told can be explained, by the id that it was told, however it
//! was told; what would be decided is said beforehand, and a rehearsed change says
//! whom it would put out.

use porthouse_api::control::v1::explain_request::About;
use porthouse_api::control::v1::{
    Act, CapabilityRules, Case, ConnectionRules, Decision, EntryRules, EntryStep, ExplainRequest,
    ExplainResponse, Impact, MessageRules, Preset, Room, RoomRules, SecondFactorStep,
    UpdateRoomRequest, case, entry_step,
};
use porthouse_api::live::v1::{PublishRequest, publish_request};
use porthouse_e2e::backend::Backend;
use porthouse_e2e::house::House;
use porthouse_e2e::multiplexed::Multiplexed;
use porthouse_e2e::planes::Planes;
use porthouse_e2e::raw::Raw;
use porthouse_e2e::wait::within;
use porthouse_e2e::wire::Wire;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tonic_types::StatusExt;

use crate::shapes::{for_users, private};

async fn explain(backend: &Backend, about: About) -> ExplainResponse {
    let request = ExplainRequest { about: Some(about) };
    let answer = backend.policy().explain(request).await;
    answer.expect("an explanation").into_inner()
}

async fn refusal(backend: &Backend, id: &str) -> ExplainResponse {
    let told = explain(backend, About::RefusalId(id.to_owned())).await;
    assert_eq!(told.decision(), Decision::Refused);
    assert!(
        !told.found.is_empty() && !told.remedy.is_empty(),
        "{told:?}"
    );
    assert!(told.node.starts_with("nodes/"), "{told:?}");
    told
}

/// The rule, as it is explained by the id in a refusal's JSON.
async fn rule_of(backend: &Backend, refused: &serde_json::Value) -> String {
    let id = refused["refusal_id"].as_str().expect("an id");
    let told = refusal(backend, id).await;
    assert_eq!(refused["rule"], told.rule.as_str());
    assert_eq!(refused["needed"], told.needed.as_str());
    told.rule
}

fn with_rules(rules: RoomRules) -> Room {
    Room {
        rules: Some(rules),
        ..Room::default()
    }
}

fn preset(preset: Preset) -> Room {
    with_rules(RoomRules {
        capabilities: Some(CapabilityRules {
            preset: preset.into(),
            ..CapabilityRules::default()
        }),
        ..RoomRules::default()
    })
}

#[tokio::test]
async fn a_refusal_is_explained_by_the_id_that_the_client_was_told() {
    let house = House::start().await;
    let backend = house.backend();
    let eve = backend.signed_in_user("eve").await;
    let origins = with_rules(RoomRules {
        connection: Some(ConnectionRules {
            origins: vec!["https://app.example".to_owned()],
            ..ConnectionRules::default()
        }),
        ..RoomRules::default()
    });
    backend.make_room("vault", private()).await;
    backend.make_room("office", for_users()).await;
    backend.make_room("pages", origins).await;
    backend.make_room("seen", preset(Preset::Members)).await;
    let revision = backend
        .make_room("news", preset(Preset::AnnounceOnly))
        .await;
    backend.applied(revision).await;

    // An HTTP status and a body.
    let mut told = Vec::new();
    for (room, token) in [
        ("vault", Some(&eve.token)),
        ("office", None),
        ("seen", None),
    ] {
        let refused = Raw::refused(house.ws(), room, token.map(String::as_str)).await;
        told.push(rule_of(backend, &refused.body).await);
    }
    assert_eq!(
        told,
        [
            "visibility.private",
            "connection.user_required",
            "capabilities.join"
        ]
    );

    // A close frame's reason.
    let mut page = Wire::open(house.ws(), "/pages", &["Origin: https://other.example"]).await;
    let closed = page.closed().await;
    let (_, id) = closed.reason.rsplit_once("; ").expect("an id");
    let told = refusal(backend, id).await;
    assert_eq!(
        (told.rule.as_str(), told.code),
        ("connection.origins", 4008)
    );
    assert_eq!(told.found, "a page of the origin https://other.example");
    assert_eq!(
        (told.room.as_str(), told.user_uid.as_str()),
        ("rooms/pages", "")
    );

    house.close().await;
}

#[tokio::test]
async fn an_event_is_explained_as_it_was_beforehand_and_what_never_was_is_not() {
    let house = House::start().await;
    let backend = house.backend();
    let eve = backend.signed_in_user("eve").await;
    backend.make_room("vault", private()).await;
    let news = preset(Preset::AnnounceOnly);
    let revision = backend.make_room("news", news).await;
    backend.applied(revision).await;

    // An event, at the door and inside.
    let mut client = Multiplexed::open(house.ws(), Some(&eve.token)).await;
    let refused = client.ask("join", json!({"room": "vault"})).await;
    assert_eq!(rule_of(backend, &refused).await, "visibility.private");
    client.join("news").await;
    let send = client
        .ask_with("send", json!({"room": "news"}), Message::text("hi"))
        .await;
    assert_eq!(rule_of(backend, &send).await, "capabilities.send");
    let told = refusal(backend, send["refusal_id"].as_str().expect("an id")).await;
    assert_eq!(told.room, "rooms/news");
    assert_eq!(told.session, eve.session);

    // The same case, explained beforehand.
    let case = |room: &str, act: Act| Case {
        who: Some(case::Who::User("users/eve".to_owned())),
        room: format!("rooms/{room}"),
        act: act.into(),
        ..Case::default()
    };
    for (room, act, rule) in [
        ("vault", Act::Join, "visibility.private"),
        ("news", Act::Send, "capabilities.send"),
    ] {
        let told = explain(backend, About::Case(case(room, act))).await;
        assert_eq!(
            (told.decision(), told.rule.as_str()),
            (Decision::Refused, rule)
        );
    }

    let gone = ExplainRequest {
        about: Some(About::RefusalId("0000000000000000".to_owned())),
    };
    let gone = backend.policy().explain(gone).await.expect_err("never was");
    assert_eq!(gone.code(), tonic::Code::NotFound);
    assert!(gone.message().contains("keeps"), "{gone:?}");
    drop(client);
    house.close().await;
}

#[tokio::test]
async fn a_device_that_is_refused_is_explained_by_its_token() {
    let house = House::start().await;
    let backend = house.backend();
    backend.make_user("ada", "correct horse").await;
    let revision = backend.make_room("vault", private()).await;
    let (token, secret) = backend.make_device("ada", &["vault"]).await;
    backend.applied(revision).await;
    let refused = Raw::refused(house.ws(), "vault", Some(&secret)).await;
    assert_eq!(rule_of(backend, &refused.body).await, "visibility.private");
    let id = refused.body["refusal_id"].as_str().expect("an id");
    let told = refusal(backend, id).await;
    assert_eq!(
        (told.device_token.as_str(), told.session.as_str()),
        (token.as_str(), "")
    );
    assert!(told.found.contains("a device"), "{told:?}");
    let case = Case {
        who: Some(case::Who::DeviceToken(token)),
        room: "rooms/vault".to_owned(),
        ..Case::default()
    };
    let beforehand = explain(backend, About::Case(case)).await;
    assert_eq!((beforehand.rule, beforehand.found), (told.rule, told.found));
    house.close().await;
}

/// A page that signs in, a posted message, a request that is none, a backend.
#[tokio::test]
async fn whoever_opens_no_socket_is_told_an_id_that_is_explained_too() {
    let house = House::start().await;
    let (backend, ws) = (house.backend(), house.ws());
    backend.make_user("ada", "correct horse").await;
    let rules = RoomRules {
        messages: Some(MessageRules {
            text: Some(false),
            ..MessageRules::default()
        }),
        ..RoomRules::default()
    };
    let revision = backend.make_room("mute", with_rules(rules)).await;
    backend.applied(revision).await;
    let wrong = json!({"username": "ada", "password": "wrong horse"}).to_string();
    for (head, content, body, rule) in [
        (
            "POST /-/session",
            "application/json",
            wrong.as_str(),
            "sign_in",
        ),
        ("POST /-/session", "text/plain", "x", "http.content_type"),
        ("POST /mute", "text/plain", "x", "messages.text"),
        ("POST /mute?token=x", "text/plain", "x", "credential.in_url"),
    ] {
        let mut wire = Wire::connect(ws).await;
        let length = body.len();
        let whole = format!(
            "{head} HTTP/1.1\r\nHost: {ws}\r\nContent-Type: {content}\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        wire.send(whole.as_bytes()).await;
        let answer = wire.answer().await.json();
        assert_eq!(rule_of(backend, &answer).await, rule, "{answer}");
    }

    let inside = Raw::enter(ws, "mute", None).await;
    let publish = PublishRequest {
        room: "rooms/mute".to_owned(),
        message: Some(publish_request::Message::Text("words".to_owned())),
        ..PublishRequest::default()
    };
    let status = backend.live().publish(publish).await;
    let status = status.expect_err("the room takes no text");
    let details = status.get_error_details();
    let info = details.error_info().expect("a reason");
    let told = refusal(backend, &info.metadata["refusal_id"]).await;
    assert_eq!(
        (told.rule.as_str(), told.room.as_str()),
        ("messages.text", "rooms/mute")
    );
    drop(inside);
    house.close().await;
}

/// Which node refused is answered; one that may have, and is away, is named.
#[tokio::test]
async fn what_a_node_knows_that_is_away_is_said_to_be_missing() {
    let planes = Planes::found().await;
    let replica = planes.replica(None).await;
    let one = planes.node("one", &replica, &[]).await;
    let two = planes.node("two", &replica, &[]).await;
    let backend = planes.backend(&replica);
    backend.make_room("office", for_users()).await;
    let revision = backend.make_room("hall", Room::default()).await;
    backend.applied(revision).await;
    let mut ids = Vec::new();
    for (node, name) in [(&one, "nodes/one"), (&two, "nodes/two")] {
        let refused = Raw::refused(node.ws, "office", None).await;
        let id = refused.body["refusal_id"].as_str().expect("an id");
        assert_eq!(refusal(&backend, id).await.node, name);
        ids.push(id.to_owned());
    }
    let inside = [
        Raw::enter(one.ws, "hall", None).await,
        Raw::enter(two.ws, "hall", None).await,
        Raw::enter(two.ws, "hall", None).await,
    ];
    let impact = closing(&backend).await;
    assert_eq!(
        counted(&impact),
        [("nodes/one".to_owned(), 1), ("nodes/two".to_owned(), 2)]
    );
    assert!(impact.silent.is_empty(), "{impact:?}");

    // Its lease lasts: it may be serving somebody still.
    let killed = two.kill().await;
    let impact = closing(&backend).await;
    assert_eq!(counted(&impact), [("nodes/one".to_owned(), 1)]);
    assert_eq!(impact.silent, ["nodes/two"]);
    assert_eq!(refusal(&backend, &ids[0]).await.node, "nodes/one");
    let about = |id: &str| ExplainRequest {
        about: Some(About::RefusalId(id.to_owned())),
    };
    let away = backend.policy().explain(about(&ids[1])).await;
    let away = away.expect_err("its node is away");
    assert_eq!(away.code(), tonic::Code::Unavailable);
    assert!(away.message().contains("two"), "{away:?}");

    // It is over: nobody is silent, and what it kept is gone.
    let mut impact = impact;
    within("a lease that is over", async {
        while !impact.silent.is_empty() {
            impact = closing(&backend).await;
        }
    })
    .await;
    assert_eq!(counted(&impact), [("nodes/one".to_owned(), 1)]);
    let gone = backend.policy().explain(about(&ids[1])).await;
    assert_eq!(gone.expect_err("forgotten").code(), tonic::Code::NotFound);

    // One that has come meanwhile counts.
    let three = planes.node("three", &replica, &[]).await;
    let joined = Raw::enter(three.ws, "hall", None).await;
    let impact = closing(&backend).await;
    assert_eq!(
        counted(&impact),
        [("nodes/one".to_owned(), 1), ("nodes/three".to_owned(), 1)]
    );
    drop((inside, joined));
    let ended = three.kill().await;
    planes.close(one, vec![replica], vec![killed, ended]).await;
}

/// How many would leave, by node.
fn counted(impact: &Impact) -> Vec<(String, i64)> {
    let nodes = impact.nodes.iter();
    nodes
        .map(|node| (node.name.clone(), node.leaving))
        .collect()
}

/// Says what closing the hall to all but members would do.
async fn closing(backend: &Backend) -> Impact {
    let request = UpdateRoomRequest {
        room: Some(Room {
            name: "rooms/hall".to_owned(),
            ..private()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["visibility".to_owned()],
        }),
        validate_only: true,
    };
    let rehearsed = backend.rooms().update_room(request).await.expect("valid");
    rehearsed.into_inner().impact.expect("it is rehearsed")
}

#[tokio::test]
async fn a_refusal_is_explained_by_a_replica_that_the_node_does_not_watch() {
    let planes = Planes::found().await;
    let watched = planes.replica(None).await;
    let other = planes.replica(None).await;
    let node = planes.node("one", &watched, &[]).await;
    let backend = planes.backend(&watched);
    let revision = backend.make_room("office", for_users()).await;
    backend.applied(revision).await;
    let refused = Raw::refused(node.ws, "office", None).await;
    let elsewhere = planes.backend(&other);
    assert_eq!(
        rule_of(&elsewhere, &refused.body).await,
        "connection.user_required"
    );
    planes.close(node, vec![watched, other], Vec::new()).await;
}

#[tokio::test]
async fn a_rehearsed_change_counts_whom_it_then_puts_out_or_asks() {
    let house = House::start().await;
    let backend = house.backend();
    let ada = backend.signed_in_user("ada").await;
    let revision = backend.make_room("hall", Room::default()).await;
    backend.applied(revision).await;
    // Strangers: four raw, two that can be asked; and a user who is both.
    let mut raw = house.sockets_on_both_puddles("hall", None, 3).await;
    let mut asked = Vec::new();
    for token in [None, None, Some(ada.token.as_str())] {
        let mut client = Multiplexed::open(house.ws(), token).await;
        client.join("hall").await;
        asked.push(client);
    }
    let factor = EntryStep {
        kind: Some(entry_step::Kind::SecondFactor(SecondFactorStep::default())),
    };
    let rules = RoomRules {
        entry: Some(EntryRules {
            steps: vec![factor],
            ..EntryRules::default()
        }),
        ..RoomRules::default()
    };
    let impact = rehearse(backend, rules.clone(), "rules.entry.steps").await;
    // Who is not signed in has no second factor to be asked for.
    assert_eq!(impact, (u64::try_from(raw.len()).expect("few") + 2, 1, 0));

    let room = with_rules(rules);
    let revision = backend
        .change_room("hall", room, &["rules.entry.steps"])
        .await;
    backend.applied(revision).await;
    for socket in &mut raw {
        assert_eq!(socket.closed().await.code, 4103);
    }
    for client in &mut asked[..2] {
        let closed = client.event("closed").await;
        assert_eq!(rule_of(backend, &closed).await, "connection.user_required");
    }
    asked[2].event("authenticated").await;
    let challenge = asked[2].event("challenge").await;
    assert_eq!(challenge["step"], "second_factor");
    drop((raw, asked));
    house.close().await;
}

/// A change to whom members are: the node must learn who is one before it can say.
#[tokio::test]
async fn a_rehearsal_waits_for_what_a_node_must_learn() {
    let house = House::start().await;
    let backend = house.backend();
    let ada = backend.signed_in_user("ada").await;
    let eve = backend.signed_in_user("eve").await;
    backend.make_room("hall", Room::default()).await;
    let revision = backend.make_member("hall", "ada").await;
    backend.applied(revision).await;
    let mut inside = Vec::new();
    for token in [&ada.token, &eve.token, &eve.token] {
        inside.push(Raw::enter(house.ws(), "hall", Some(token)).await);
    }
    let impact = closing(backend).await;
    assert!(impact.silent.is_empty(), "{impact:?}");
    let [node] = &impact.nodes[..] else {
        panic!("one node: {impact:?}");
    };
    assert_eq!((node.leaving, node.asked, node.unsure), (2, 0, 0));
    let revision = backend
        .change_room("hall", private(), &["visibility"])
        .await;
    backend.applied(revision).await;
    let mut eves = inside.split_off(1);
    for socket in &mut eves {
        assert_eq!(socket.closed().await.code, 4003);
    }
    assert!(inside[0].try_say(Message::text("still here")).await);
    drop((inside, eves));
    house.close().await;
}

/// Leaving, asked and unsure, on the only node.
async fn rehearse(backend: &Backend, rules: RoomRules, path: &str) -> (u64, u64, u64) {
    let request = UpdateRoomRequest {
        room: Some(Room {
            name: "rooms/hall".to_owned(),
            ..with_rules(rules)
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec![path.to_owned()],
        }),
        validate_only: true,
    };
    let rehearsed = backend.rooms().update_room(request).await.expect("valid");
    let impact = rehearsed.into_inner().impact.expect("it is rehearsed");
    assert!(impact.silent.is_empty(), "{impact:?}");
    let [node] = &impact.nodes[..] else {
        panic!("one node: {impact:?}");
    };
    let number = |count: i64| u64::try_from(count).expect("a count");
    (
        number(node.leaving),
        number(node.asked),
        number(node.unsure),
    )
}
