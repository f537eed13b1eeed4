//! The simulator's model of the control plane and its database is held against the real ones:
//! one random list of commands to both, and they agree in what nodes are told of each and in what
//! they read after it. `PORTHOUSE_MODEL_SEED` draws another list.

use std::collections::BTreeMap;
use std::time::Duration;

use porthouse_api::control::v1 as control;
use porthouse_api::node::v1 as node;
use porthouse_api::node::v1::policy_feed_service_client::PolicyFeedServiceClient;
use porthouse_api::node::v1::watch_request::Message as Word;
use porthouse_api::node::v1::watch_response::Message as Frame;
use porthouse_e2e::backend::{Backend, Keyed, SignedIn};
use porthouse_e2e::house::House;
use porthouse_e2e::wait::within;
use porthouse_model::{
    Change, ChangeItem, Credential, CredentialKind, EntryRules, PolicyKey, Resolved, RoomId,
    RoomRules, SessionId, TokenHash, UserId,
};
use porthouse_sim::{Asked, Command, Modelled};
use prost_types::FieldMask;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

const COMMANDS: usize = 300;
/// The youngest sessions that are looked at.
const SESSIONS: usize = 6;
const PASSWORD: &str = "correct horse";

#[tokio::test]
async fn the_model_of_the_control_plane_agrees_with_the_real_one() {
    let seed = std::env::var("PORTHOUSE_MODEL_SEED");
    let seed = seed.map_or(1, |seed| seed.parse().expect("a number"));
    let house = House::start().await;
    let mut model = Modelled::new(seed);
    let mut of_model = Names::new(Modelled::users().collect());
    let mut real = Real::new(house.backend()).await;
    for step in 0..COMMANDS {
        let command = model.draw();
        let told = model.apply(&command);
        let heard = real.apply(command).await;
        let told = told.map(|change| of_model.told(&change));
        let heard = heard.map(|change| real.names.told(&change));
        assert_eq!(told, heard, "seed {seed}, {step}: {command:?}");
        if let Command::OpenSession { .. } = command {
            let (id, token) = model.youngest();
            of_model.opened(id, token);
        }
        for about in real.names.all() {
            let found = real.resolve(&real.names.key(&about)).await;
            let expected = model.resolve(of_model.key(&about));
            assert_eq!(
                of_model.found(&expected),
                real.names.found(&found),
                "seed {seed}, {about:?} after {step}: {command:?}"
            );
        }
    }
    house.close().await;
}

/// What nodes ask about.
#[derive(Clone, Debug)]
enum About {
    Room(String),
    Member(String, String),
    Session(usize),
}

/// What each side calls the same things: identities to names.
#[derive(Debug)]
struct Names {
    users: Vec<(String, UserId)>,
    rooms: BTreeMap<String, RoomId>,
    rooms_ever: Vec<(RoomId, String)>,
    sessions: Vec<(SessionId, TokenHash)>,
}

impl Names {
    const fn new(users: Vec<(String, UserId)>) -> Self {
        Self {
            users,
            rooms: BTreeMap::new(),
            rooms_ever: Vec::new(),
            sessions: Vec::new(),
        }
    }

    fn opened(&mut self, id: SessionId, token: TokenHash) {
        self.sessions.push((id, token));
    }

    fn room(&self, id: RoomId) -> &str {
        let ever = self.rooms_ever.iter().find(|(of, _)| *of == id);
        &ever.expect("a room that was told").1
    }

    fn user(&self, id: UserId) -> &str {
        let known = self.users.iter().find(|(_, of)| *of == id);
        &known.expect("a user").0
    }

    fn session(&self, id: SessionId) -> usize {
        let opened = self.sessions.iter().position(|(of, _)| *of == id);
        opened.expect("a session that was opened")
    }

    /// What is asked about: members of rooms that were there, as a node asks.
    fn all(&self) -> Vec<About> {
        let rooms = Modelled::rooms().map(About::Room);
        let members = self.rooms.keys().flat_map(|room| {
            let users = self.users.iter();
            users.map(|(user, _)| About::Member(room.clone(), user.clone()))
        });
        let sessions = self.sessions.len().saturating_sub(SESSIONS)..self.sessions.len();
        rooms
            .chain(members)
            .chain(sessions.map(About::Session))
            .collect()
    }

    fn key(&self, about: &About) -> PolicyKey {
        match about {
            About::Room(name) => PolicyKey::Room(name.parse().expect("a name")),
            About::Member(room, user) => {
                let known = self.users.iter().find(|(of, _)| of == user);
                PolicyKey::Member(self.rooms[room], known.expect("a user").1)
            }
            About::Session(number) => PolicyKey::Session(self.sessions[*number].1),
        }
    }

    /// A change in words that both sides share; learns what rooms are called.
    fn told(&mut self, change: &Change) -> Vec<String> {
        let mut told: Vec<_> = change.items.iter().map(|item| self.item(item)).collect();
        told.sort();
        told
    }

    fn item(&mut self, item: &ChangeItem) -> String {
        match item {
            ChangeItem::Room(room) => {
                let name = room.name.to_string();
                self.rooms.insert(name.clone(), room.id);
                self.rooms_ever.push((room.id, name.clone()));
                format!("{name}: {}", rules(&room.rules))
            }
            ChangeItem::RoomGone { id, name, template } => {
                assert_eq!(self.room(*id), name.as_str());
                format!("{name} is gone, under {template:?}")
            }
            ChangeItem::Member(member) => {
                let (room, user) = (self.room(member.room), self.user(member.user));
                format!("{user} in {room} as {:?}", member.role)
            }
            ChangeItem::MemberGone { room, user } => {
                format!("{} not in {}", self.user(*user), self.room(*room))
            }
            ChangeItem::SessionGone(id) => format!("session {} is gone", self.session(*id)),
            ChangeItem::UserGone(id) => format!("{} is gone", self.user(*id)),
            ChangeItem::Session(_)
            | ChangeItem::DeviceToken(..)
            | ChangeItem::Template(_)
            | ChangeItem::TemplateGone { .. }
            | ChangeItem::Block(_)
            | ChangeItem::BlockGone { .. }
            | ChangeItem::ApiKeyGone(_)
            | ChangeItem::Endpoint(_)
            | ChangeItem::EndpointGone(_) => panic!("nothing of the kind was done: {item:?}"),
        }
    }

    /// An answer in words that both sides share.
    fn found(&self, found: &Resolved) -> String {
        match found {
            Resolved::Room(room) => {
                assert_eq!(self.room(room.id), room.name.as_str());
                format!("{}: {}", room.name, rules(&room.rules))
            }
            Resolved::Session(session) => {
                assert_eq!(self.user(session.user), session.username.as_str());
                format!(
                    "session {} of {}",
                    self.session(session.id),
                    session.username
                )
            }
            Resolved::Member(member) => format!("{:?}", member.role),
            Resolved::Absent => "absent".to_owned(),
            Resolved::Template(_)
            | Resolved::Block(_)
            | Resolved::ApiKey(_)
            | Resolved::Endpoint(_) => panic!("nothing of the kind was asked about: {found:?}"),
        }
    }
}

/// Rules, but for the number of the password.
fn rules(rules: &RoomRules) -> String {
    let password = rules.entry.password().is_some();
    let others = RoomRules {
        entry: EntryRules::default(),
        ..rules.clone()
    };
    format!("password {password}, {others:?}")
}

/// The real control plane, as administrators and a node know it.
struct Real {
    backend: Backend,
    feed: PolicyFeedServiceClient<Keyed>,
    frames: Streaming<node::WatchResponse>,
    names: Names,
    opened: Vec<SignedIn>,
    revision: i64,
}

impl Real {
    async fn new(backend: &Backend) -> Self {
        let mut users = Vec::new();
        for (name, _) in Modelled::users() {
            backend.make_user(&name, PASSWORD).await;
            let get = control::GetUserRequest {
                name: format!("users/{name}"),
            };
            let user = backend.users().get_user(get).await.expect("it is there");
            let uid = user.into_inner().user.expect("a user").uid;
            users.push((name, uid.parse().expect("an identity")));
        }
        let key = backend.make_key(&["node"]).await;
        let mut feed = backend.with_key(Some(&key)).feed();
        let (words, said) = mpsc::channel(16);
        let start = node::WatchStart {
            node: "observer".into(),
            incarnation: vec![1; 16],
            ..Default::default()
        };
        say(&words, Word::Start(start)).await.expect("nobody waits");
        let frames = feed.watch(ReceiverStream::new(said)).await;
        let mut frames = frames.expect("the watch opens").into_inner();
        let Some(Frame::Opened(opened)) = next(&mut frames).await else {
            panic!("the first frame is `opened`")
        };
        tokio::spawn(live(words));
        Self {
            backend: backend.clone(),
            feed,
            frames,
            names: Names::new(users),
            opened: Vec::new(),
            revision: opened.head.unwrap_or_default().revision,
        }
    }

    async fn resolve(&self, key: &PolicyKey) -> Resolved {
        let request = node::ResolveRequest {
            min_revision: self.revision,
            keys: vec![key.into()],
            ..Default::default()
        };
        let answer = self.feed.clone().resolve(request).await;
        let mut found = answer.expect("an answer").into_inner().resolved;
        found.remove(0).try_into().expect("our own words")
    }

    /// Does what is commanded; answers what the node is told, if anything changed.
    async fn apply(&mut self, command: Command) -> Option<Change> {
        let revision = match self.call(command).await {
            Ok(revision) => revision,
            Err(refused) => {
                let nothing = [
                    Code::NotFound,
                    Code::AlreadyExists,
                    Code::FailedPrecondition,
                ];
                assert!(nothing.contains(&refused.code()), "{command:?}: {refused}");
                return None;
            }
        };
        if revision <= self.revision {
            return None;
        }
        self.revision = revision;
        loop {
            match next(&mut self.frames).await {
                Some(Frame::Change(change)) => {
                    assert_eq!(change.revision, revision, "one revision a command");
                    return Some(change.try_into().expect("our own words"));
                }
                Some(Frame::Progress(_)) => {}
                other => panic!("not a change: {other:?}"),
            }
        }
    }

    async fn call(&mut self, command: Command) -> Result<i64, Status> {
        let user = |user: u32| self.names.users[index(user)].0.clone();
        match command {
            Command::PutRoom { room, asked } => self.put_room(name(room), asked).await,
            Command::SetPassword { room } => {
                let request = control::SetRoomPasswordRequest {
                    name: format!("rooms/{}", name(room)),
                    password: "open sesame".into(),
                    ..Default::default()
                };
                let set = self.backend.rooms().set_room_password(request).await?;
                Ok(set.into_inner().revision)
            }
            Command::ClearPassword { room } => {
                let request = control::ClearRoomPasswordRequest {
                    name: format!("rooms/{}", name(room)),
                    ..Default::default()
                };
                let cleared = self.backend.rooms().clear_room_password(request).await?;
                Ok(cleared.into_inner().revision)
            }
            Command::DeleteRoom { room } => {
                let request = control::DeleteRoomRequest {
                    name: format!("rooms/{}", name(room)),
                    ..Default::default()
                };
                let gone = self.backend.rooms().delete_room(request).await?;
                Ok(gone.into_inner().revision)
            }
            Command::AddMember { room, user: who } => {
                let request = control::CreateMemberRequest {
                    parent: format!("rooms/{}", name(room)),
                    user_id: user(who),
                    ..Default::default()
                };
                let made = self.backend.members().create_member(request).await?;
                Ok(made.into_inner().revision)
            }
            Command::RemoveMember { room, user: who } => {
                let request = control::DeleteMemberRequest {
                    name: format!("rooms/{}/members/{}", name(room), user(who)),
                };
                let gone = self.backend.members().delete_member(request).await?;
                Ok(gone.into_inner().revision)
            }
            Command::OpenSession { user: who } => {
                let opened = self.backend.sign_in(&user(who), PASSWORD).await;
                let id = opened.session.strip_prefix("sessions/").expect("a name");
                let token = Credential::parse(CredentialKind::Session, &opened.token);
                let token = token.expect("a token").hash();
                self.names.opened(id.parse().expect("an identity"), token);
                self.opened.push(opened);
                Ok(0)
            }
            Command::EndSession { session } => {
                let request = control::RevokeSessionRequest {
                    name: self.opened[index(session)].session.clone(),
                };
                let gone = self.backend.sessions().revoke_session(request).await?;
                Ok(gone.into_inner().revision)
            }
            Command::EndUser { user: who } => {
                let request = control::RevokeAllSessionsRequest {
                    user: format!("users/{}", user(who)),
                };
                let gone = self.backend.sessions().revoke_all_sessions(request).await?;
                Ok(gone.into_inner().revision)
            }
        }
    }

    async fn put_room(&self, room: String, asked: Asked) -> Result<i64, Status> {
        let wanted = control::Room {
            name: format!("rooms/{room}"),
            rules: Some(asked_of(asked)),
            ..Default::default()
        };
        let update = control::UpdateRoomRequest {
            room: Some(wanted.clone()),
            update_mask: Some(FieldMask {
                paths: vec!["rules".into()],
            }),
            validate_only: false,
        };
        match self.backend.rooms().update_room(update).await {
            Err(absent) if absent.code() == Code::NotFound => {
                let create = control::CreateRoomRequest {
                    room_id: room,
                    room: Some(wanted),
                    ..Default::default()
                };
                let made = self.backend.rooms().create_room(create).await?;
                Ok(made.into_inner().revision)
            }
            updated => Ok(updated?.into_inner().revision),
        }
    }
}

fn asked_of(asked: Asked) -> control::RoomRules {
    control::RoomRules {
        connection: Some(control::ConnectionRules {
            user_required: Some(asked.users_only),
            ..Default::default()
        }),
        messages: Some(control::MessageRules {
            binary: Some(!asked.text_only),
            bytes_max: Some(asked.bytes_max),
            ..Default::default()
        }),
        broadcast: Some(control::BroadcastRules {
            echo: Some(asked.echo),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn name(room: u32) -> String {
    let mut rooms = Modelled::rooms();
    rooms.nth(index(room)).expect("a room of the model")
}

fn index(number: u32) -> usize {
    usize::try_from(number).expect("a small number")
}

/// Lives as a node does, until the watch ends.
async fn live(words: mpsc::Sender<node::WatchRequest>) {
    let mut beat = tokio::time::interval(Duration::from_secs(1));
    loop {
        beat.tick().await;
        let alive = Word::Alive(node::WatchAlive::default());
        if say(&words, alive).await.is_err() {
            return;
        }
    }
}

async fn say(
    words: &mpsc::Sender<node::WatchRequest>,
    word: Word,
) -> Result<(), mpsc::error::SendError<node::WatchRequest>> {
    let word = node::WatchRequest {
        message: Some(word),
    };
    words.send(word).await
}

async fn next(frames: &mut Streaming<node::WatchResponse>) -> Option<Frame> {
    let frame = within("a frame", frames.message()).await;
    frame.expect("the watch is open")?.message
}
