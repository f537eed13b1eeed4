//! Rooms' own codes: each is taken once a user wherever it is shown, and wrong
//! ones are counted.

use porthouse_api::control::v1 as control;
use porthouse_api::node::v1::verify_step_request::Proof;
use porthouse_api::node::v1::{RoomCodeProof, StepVerdict, VerifyStepRequest, VerifyStepResponse};
use porthouse_model::RoomId;
use tonic::Code;
use totp_rs::{Builder, Secret, Totp};
use uuid::Uuid;

use crate::plane::Plane;

/// A room that asks for codes.
pub(crate) struct Lobby {
    id: RoomId,
    app: Totp,
}

impl Lobby {
    pub(crate) async fn new(plane: &Plane) -> Self {
        plane.create_room("lobby").await;
        let room = control::GetRoomRequest {
            name: "rooms/lobby".into(),
        };
        let room = plane.rooms().get_room(room).await.expect("a room");
        let room = room.into_inner().room.expect("the room");
        Self {
            id: room.uid.parse().expect("an identity"),
            app: set_code(plane, "rooms/lobby").await,
        }
    }

    pub(crate) fn code(&self) -> String {
        self.app.generate_current().to_string()
    }

    /// What a node asks for one who shows this, from this address.
    pub(crate) fn question(&self, who: Who, from: &str, code: &str) -> VerifyStepRequest {
        let (client, session) = match who {
            Who::Anonymous(client) => (client, Vec::new()),
            Who::User(session) => (session, session.as_bytes().to_vec()),
        };
        VerifyStepRequest {
            room_id: self.id.as_bytes().to_vec(),
            client_id: client.as_bytes().to_vec(),
            session_id: session,
            address: from.to_owned(),
            proof: Some(Proof::RoomCode(RoomCodeProof {
                code: code.to_owned(),
            })),
            room_name: "lobby".to_owned(),
        }
    }

    async fn show(&self, plane: &Plane, who: Who, from: &str, code: &str) -> VerifyStepResponse {
        let asked = plane
            .feed()
            .verify_step(self.question(who, from, code))
            .await;
        asked.expect("a verdict").into_inner()
    }
}

/// Who stands at the door: a client of this identity, or the user of a session.
#[derive(Clone, Copy)]
pub(crate) enum Who {
    Anonymous(Uuid),
    User(Uuid),
}

fn anonymous(id: u8) -> Who {
    Who::Anonymous(Uuid::from_bytes([id; 16]))
}

async fn set_code(plane: &Plane, of: &str) -> Totp {
    let request = control::SetRoomCodeRequest {
        room: of.to_owned(),
        etag: String::new(),
        ..Default::default()
    };
    let set = plane.doors().set_room_code(request).await.expect("a code");
    let set = set.into_inner();
    assert!(set.door.expect("the door").code_set);
    assert!(set.qr_png.starts_with(b"\x89PNG"));
    let secret = Secret::try_from_base32(&set.secret).expect("base32");
    Builder::new().with_secret(secret).build_noncompliant()
}

/// Signs a new user in.
pub(crate) async fn user(plane: &Plane, name: &str) -> Who {
    let user = control::CreateUserRequest {
        user_id: name.to_owned(),
        password: "correct horse".into(),
        ..control::CreateUserRequest::default()
    };
    plane.users().create_user(user).await.expect("a user");
    let request = control::CreateSessionRequest {
        username: name.to_owned(),
        password: "correct horse".into(),
        ..Default::default()
    };
    let opened = plane.sessions().create_session(request).await;
    let session = opened.expect("a session").into_inner().session;
    let name = session.expect("the session").name;
    let id = name.strip_prefix("sessions/").expect("a session's name");
    Who::User(id.parse().expect("an identity"))
}

#[tokio::test]
async fn a_rooms_code_is_taken_once_a_user_and_by_each_of_two() {
    let plane = Plane::start().await;
    let lobby = Lobby::new(&plane).await;
    let (ada, bob) = (user(&plane, "ada").await, user(&plane, "bob").await);
    let code = lobby.code();
    let shown = lobby.show(&plane, ada, "192.0.2.1", &code).await;
    assert_eq!((shown.verdict(), shown.version), (StepVerdict::Right, 1));
    let again = lobby.show(&plane, ada, "192.0.2.2", &code).await;
    assert_eq!(again.verdict(), StepVerdict::Wrong);
    let other = lobby.show(&plane, bob, "192.0.2.1", &code).await;
    assert_eq!(other.verdict(), StepVerdict::Right);
}

#[tokio::test]
async fn wrong_codes_are_counted_per_user_and_per_network_of_those_without() {
    let plane = Plane::start().await;
    let lobby = Lobby::new(&plane).await;
    let (ada, bob) = (user(&plane, "ada").await, user(&plane, "bob").await);
    for id in 0..5 {
        let from = format!("2a02:8071:1:aa{id:02x}::1");
        let wrong = lobby.show(&plane, ada, &from, "12345").await;
        assert_eq!(wrong.verdict(), StepVerdict::Wrong);
        let wrong = lobby.show(&plane, anonymous(id), &from, "nonsense").await;
        assert_eq!(wrong.verdict(), StepVerdict::Wrong);
    }
    let code = lobby.code();
    let later = lobby.show(&plane, ada, "192.0.2.9", &code).await;
    assert_eq!(later.verdict(), StepVerdict::Later);
    assert!(later.retry_delay.is_some());
    let unlock = control::UnlockUserRequest {
        name: "users/ada".into(),
    };
    plane.users().unlock_user(unlock).await.expect("there");
    let right = lobby.show(&plane, ada, "192.0.2.9", &code).await;
    assert_eq!(right.verdict(), StepVerdict::Right, "an admin lets her in");
    let later = lobby
        .show(&plane, anonymous(9), "2a02:8071:1:aaff::1", &code)
        .await;
    assert_eq!(later.verdict(), StepVerdict::Later);
    for (who, from) in [(bob, "2a02:8071:1:aa00::1"), (anonymous(9), "192.0.2.9")] {
        let right = lobby.show(&plane, who, from, &code).await;
        assert_eq!(right.verdict(), StepVerdict::Right);
    }
}

#[tokio::test]
async fn a_new_code_is_of_a_new_version_and_a_cleared_one_of_none() {
    let plane = Plane::start().await;
    let mut lobby = Lobby::new(&plane).await;
    let old = lobby.code();
    let who = anonymous(1);
    lobby.show(&plane, who, "192.0.2.1", &old).await;
    lobby.app = set_code(&plane, "rooms/lobby").await;
    let shown = lobby.show(&plane, who, "192.0.2.1", &old).await;
    assert_eq!(shown.verdict(), StepVerdict::Wrong);
    let shown = lobby.show(&plane, who, "192.0.2.1", &lobby.code()).await;
    assert_eq!((shown.verdict(), shown.version), (StepVerdict::Right, 2));

    let clear = |etag: &str| control::ClearRoomCodeRequest {
        room: "rooms/lobby".into(),
        etag: etag.to_owned(),
    };
    let mut doors = plane.doors();
    let stale = doors.clear_room_code(clear("stale")).await;
    assert_eq!(stale.expect_err("stale").code(), Code::Aborted);
    let cleared = doors.clear_room_code(clear("")).await.expect("cleared");
    assert!(!cleared.into_inner().door.expect("the door").code_set);
    let shown = lobby.show(&plane, who, "192.0.2.1", &lobby.code()).await;
    assert_eq!(shown.verdict(), StepVerdict::Gone);
    set_code(&plane, "rooms/lobby").await;
    let shown = lobby.show(&plane, who, "192.0.2.1", "000").await;
    assert_eq!(shown.verdict(), StepVerdict::Wrong);
}

#[tokio::test]
async fn nodes_are_told_of_a_rooms_code_as_its_last_step() {
    let plane = Plane::start().await;
    Lobby::new(&plane).await;
    assert_eq!(plane.steps("lobby").await, ["CodeVersion(1)"]);
    set_code(&plane, "rooms/lobby").await;
    assert_eq!(plane.steps("lobby").await, ["CodeVersion(2)"]);
    let password = control::SetRoomPasswordRequest {
        name: "rooms/lobby".into(),
        password: "open sesame".into(),
        etag: String::new(),
        ..Default::default()
    };
    let set = plane.rooms().set_room_password(password).await;
    set.expect("a password");
    let both = ["PasswordVersion(1)", "CodeVersion(2)"];
    assert_eq!(plane.steps("lobby").await, both);
    let clear = control::ClearRoomCodeRequest {
        room: "rooms/lobby".into(),
        etag: String::new(),
    };
    plane.doors().clear_room_code(clear).await.expect("cleared");
    assert_eq!(plane.steps("lobby").await, ["PasswordVersion(1)"]);
}

#[tokio::test]
async fn a_templates_code_is_taken_once_a_user_in_each_room_and_guessed_in_all_together() {
    let plane = Plane::start().await;
    let request = control::CreateRoomTemplateRequest {
        room_template_id: "chat:*".into(),
        ..Default::default()
    };
    let made = plane.room_templates().create_room_template(request).await;
    let made = made.expect("a template").into_inner().room_template;
    let chat = Lobby {
        id: made
            .expect("the template")
            .uid
            .parse()
            .expect("an identity"),
        app: set_code(&plane, "roomTemplates/chat:*").await,
    };
    let ada = user(&plane, "ada").await;
    let code = chat.code();
    let show = async |room: &str, code: &str| {
        let question = VerifyStepRequest {
            room_name: room.to_owned(),
            ..chat.question(ada, "192.0.2.1", code)
        };
        let shown = plane.feed().verify_step(question).await;
        shown.expect("a verdict").into_inner().verdict()
    };
    assert_eq!(show("chat:a", &code).await, StepVerdict::Right);
    assert_eq!(show("chat:a", &code).await, StepVerdict::Wrong);
    assert_eq!(show("chat:b", &code).await, StepVerdict::Right);
    let mut guesses = 0;
    loop {
        let room = format!("chat:{guesses}");
        let verdict = show(&room, "000000x").await;
        if verdict == StepVerdict::Later {
            break;
        }
        assert_eq!(verdict, StepVerdict::Wrong);
        guesses += 1;
        assert!(guesses < 20, "each room is guessed anew");
    }
}
