//! The real control plane: what is commanded, done by its own calls, and what a node is told
//! of it. Compares nothing.

use std::collections::{BTreeMap, BTreeSet};

use porthouse_api::control::v1 as control;
use porthouse_api::node::v1::policy_feed_service_client::PolicyFeedServiceClient;
use porthouse_api::node::{RULES_KNOWN, v1 as node};
use porthouse_e2e::backend::{Backend, Keyed};
use porthouse_model::{Change, Credential, CredentialKind, PolicyKey, Resolved, RoomRules};
use porthouse_sim::{Command, Modelled};
use prost_types::FieldMask;
use tonic::{Code, Status};

use super::names::Names;
use super::rules::{visibility, written};
use super::watched::Watched;

const PASSWORD: &str = "correct horse";
/// What a label is worth that somebody has.
const HAS_IT: &str = "yes";

/// The real control plane, as administrators and a node know it.
pub(super) struct Real {
    backend: Backend,
    feed: PolicyFeedServiceClient<Keyed>,
    watched: Watched,
    pub(super) names: Names,
    /// Names of sessions and tokens, in the order in which they were opened.
    opened: Vec<String>,
    labels: BTreeMap<u32, BTreeSet<u32>>,
    revision: i64,
}

impl Real {
    pub(super) async fn new(backend: &Backend) -> Self {
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
        let feed = backend.with_key(Some(&key)).feed();
        let watched = Watched::open(feed.clone()).await;
        Self {
            backend: backend.clone(),
            feed,
            revision: watched.head(),
            watched,
            names: Names::new(users),
            opened: Vec::new(),
            labels: BTreeMap::new(),
        }
    }

    pub(super) async fn resolve(&self, keys: &[PolicyKey]) -> Vec<Resolved> {
        let request = node::ResolveRequest {
            min_revision: self.revision,
            rules_known: RULES_KNOWN,
            keys: keys.iter().map(Into::into).collect(),
        };
        let answer = self.feed.clone().resolve(request).await;
        let found = answer.expect("an answer").into_inner().resolved;
        let read = |resolved: node::Resolved| resolved.try_into().expect("our own words");
        found.into_iter().map(read).collect()
    }

    /// Does what is commanded; answers what the node is told, if anything changed.
    pub(super) async fn apply(&mut self, command: &Command) -> Option<Change> {
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
        let change = self.watched.change().await;
        assert_eq!(change.revision, revision, "one revision a command");
        Some(change.try_into().expect("our own words"))
    }

    async fn call(&mut self, command: &Command) -> Result<i64, Status> {
        match *command {
            Command::PutRoom { room, ref rules } => self.put_room(name(room), rules).await,
            Command::SetPassword { room } => self.set_password(room).await,
            Command::ClearPassword { room } => self.clear_password(room).await,
            Command::DeleteRoom { room } => self.delete_room(room).await,
            Command::PutTemplate { prefix, ref rules } => self.put_template(prefix, rules).await,
            Command::DeleteTemplate { prefix } => self.delete_template(prefix).await,
            Command::AddMember { room, user } => self.add_member(room, user).await,
            Command::RemoveMember { room, user } => self.remove_member(room, user).await,
            Command::Block { room, user } => self.block(room, user).await,
            Command::Unblock { room, user } => self.unblock(room, user).await,
            Command::Label { user, label, some } => self.label(user, label, some).await,
            Command::Group { room, label, some } => self.group(room, label, some).await,
            Command::OpenSession { user } => Ok(self.open_session(user).await),
            Command::OpenDevice { user, rooms } => self.open_device(user, rooms).await,
            Command::DeviceRooms { session, rooms } => self.device_rooms(session, rooms).await,
            Command::EndSession { session } => self.end_session(session).await,
            Command::EndUser { user } => self.end_user(user).await,
        }
    }

    async fn set_password(&self, room: u32) -> Result<i64, Status> {
        let request = control::SetRoomPasswordRequest {
            name: room_name(room),
            password: "open sesame".into(),
            ..Default::default()
        };
        let set = self.backend.rooms().set_room_password(request).await?;
        Ok(set.into_inner().revision)
    }

    async fn clear_password(&self, room: u32) -> Result<i64, Status> {
        let request = control::ClearRoomPasswordRequest {
            name: room_name(room),
            ..Default::default()
        };
        let cleared = self.backend.rooms().clear_room_password(request).await?;
        Ok(cleared.into_inner().revision)
    }

    async fn delete_room(&self, room: u32) -> Result<i64, Status> {
        let request = control::DeleteRoomRequest {
            name: room_name(room),
            ..Default::default()
        };
        let gone = self.backend.rooms().delete_room(request).await?;
        Ok(gone.into_inner().revision)
    }

    async fn delete_template(&self, prefix: u32) -> Result<i64, Status> {
        let request = control::DeleteRoomTemplateRequest {
            name: format!("roomTemplates/{}", Modelled::prefix(prefix)),
            ..Default::default()
        };
        let mut templates = self.backend.room_templates();
        let gone = templates.delete_room_template(request).await?;
        Ok(gone.into_inner().revision)
    }

    async fn add_member(&self, room: u32, user: u32) -> Result<i64, Status> {
        let request = control::CreateMemberRequest {
            parent: room_name(room),
            user_id: self.names.user_at(user).to_owned(),
            ..Default::default()
        };
        let made = self.backend.members().create_member(request).await?;
        Ok(made.into_inner().revision)
    }

    async fn remove_member(&self, room: u32, user: u32) -> Result<i64, Status> {
        let request = control::DeleteMemberRequest {
            name: format!("{}/members/{}", room_name(room), self.names.user_at(user)),
            ..Default::default()
        };
        let gone = self.backend.members().delete_member(request).await?;
        Ok(gone.into_inner().revision)
    }

    async fn block(&self, room: u32, user: u32) -> Result<i64, Status> {
        let request = control::CreateBlockRequest {
            parent: room_name(room),
            block: Some(control::Block {
                subject: Some(control::block::Subject::User(self.user_name(user))),
                ..Default::default()
            }),
            ..Default::default()
        };
        let made = self.backend.blocks().create_block(request).await?;
        Ok(made.into_inner().revision)
    }

    async fn unblock(&self, room: u32, user: u32) -> Result<i64, Status> {
        let list = control::ListBlocksRequest {
            parent: room_name(room),
            user: self.user_name(user),
            ..Default::default()
        };
        let mut blocks = self.backend.blocks();
        let listed = blocks.list_blocks(list).await?.into_inner().blocks;
        let Some(block) = listed.into_iter().next() else {
            return Ok(self.revision);
        };
        let request = control::DeleteBlockRequest { name: block.name };
        let gone = blocks.delete_block(request).await?;
        Ok(gone.into_inner().revision)
    }

    async fn open_session(&mut self, user: u32) -> i64 {
        let name = self.names.user_at(user);
        let opened = self.backend.sign_in(name, PASSWORD).await;
        self.opened((CredentialKind::Session, &opened.token), opened.session);
        self.revision
    }

    async fn open_device(&mut self, user: u32, rooms: u32) -> Result<i64, Status> {
        let request = control::CreateDeviceTokenRequest {
            device_token: Some(control::DeviceToken {
                owner: self.user_name(user),
                display_name: "a sensor".to_owned(),
                rooms: some_rooms(rooms),
                ..Default::default()
            }),
            ..Default::default()
        };
        let mut tokens = self.backend.device_tokens();
        let made = tokens.create_device_token(request).await?.into_inner();
        let name = made.device_token.expect("it is answered").name;
        self.opened((CredentialKind::DeviceToken, &made.secret), name);
        Ok(made.revision)
    }

    async fn device_rooms(&self, session: u32, rooms: u32) -> Result<i64, Status> {
        let request = control::UpdateDeviceTokenRequest {
            device_token: Some(control::DeviceToken {
                name: self.opened[index(session)].clone(),
                rooms: some_rooms(rooms),
                ..Default::default()
            }),
            update_mask: Some(FieldMask {
                paths: vec!["rooms".into()],
            }),
            ..Default::default()
        };
        let mut tokens = self.backend.device_tokens();
        let changed = tokens.update_device_token(request).await?;
        Ok(changed.into_inner().revision)
    }

    async fn end_session(&self, session: u32) -> Result<i64, Status> {
        let name = self.opened[index(session)].clone();
        if name.starts_with("sessions/") {
            let request = control::RevokeSessionRequest { name };
            let gone = self.backend.sessions().revoke_session(request).await?;
            return Ok(gone.into_inner().revision);
        }
        let request = control::DeleteDeviceTokenRequest {
            name,
            ..Default::default()
        };
        let mut tokens = self.backend.device_tokens();
        let gone = tokens.delete_device_token(request).await?;
        Ok(gone.into_inner().revision)
    }

    async fn end_user(&self, user: u32) -> Result<i64, Status> {
        let request = control::RevokeAllSessionsRequest {
            user: self.user_name(user),
        };
        let gone = self.backend.sessions().revoke_all_sessions(request).await?;
        Ok(gone.into_inner().revision)
    }

    /// Something by which somebody comes was opened.
    fn opened(&mut self, (kind, token): (CredentialKind, &str), name: String) {
        let token = Credential::parse(kind, token).expect("a token").hash();
        let (_, id) = name.split_once('/').expect("a name");
        self.names.opened(id.parse().expect("an identity"), token);
        self.opened.push(name);
    }

    fn user_name(&self, user: u32) -> String {
        format!("users/{}", self.names.user_at(user))
    }

    async fn put_room(&self, room: String, rules: &RoomRules) -> Result<i64, Status> {
        let wanted = control::Room {
            name: format!("rooms/{room}"),
            visibility: visibility(rules).into(),
            rules: Some(written(rules)),
            ..Default::default()
        };
        let update = control::UpdateRoomRequest {
            room: Some(wanted.clone()),
            update_mask: Some(FieldMask {
                paths: vec!["visibility".into(), "rules".into()],
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

    async fn put_template(&self, prefix: u32, rules: &RoomRules) -> Result<i64, Status> {
        let prefix = Modelled::prefix(prefix);
        let wanted = control::RoomTemplate {
            name: format!("roomTemplates/{prefix}"),
            rules: Some(written(rules)),
            ..Default::default()
        };
        let update = control::UpdateRoomTemplateRequest {
            room_template: Some(wanted.clone()),
            update_mask: Some(FieldMask {
                paths: vec!["rules".into()],
            }),
            validate_only: false,
        };
        let mut templates = self.backend.room_templates();
        match templates.update_room_template(update).await {
            Err(absent) if absent.code() == Code::NotFound => {
                let create = control::CreateRoomTemplateRequest {
                    room_template_id: prefix,
                    room_template: Some(wanted),
                    ..Default::default()
                };
                let made = templates.create_room_template(create).await?;
                Ok(made.into_inner().revision)
            }
            updated => Ok(updated?.into_inner().revision),
        }
    }

    async fn label(&mut self, user: u32, label: u32, some: bool) -> Result<i64, Status> {
        let own = self.labels.entry(user).or_default();
        if some {
            own.insert(label);
        } else {
            own.remove(&label);
        }
        let labels = own.iter().map(|own| (key(*own), HAS_IT.to_owned()));
        let labels = labels.collect();
        let request = control::UpdateUserRequest {
            user: Some(control::User {
                name: self.user_name(user),
                labels,
                ..Default::default()
            }),
            update_mask: Some(FieldMask {
                paths: vec!["labels".into()],
            }),
            ..Default::default()
        };
        let changed = self.backend.users().update_user(request).await?;
        Ok(changed.into_inner().revision)
    }

    async fn group(&self, room: u32, label: u32, some: bool) -> Result<i64, Status> {
        let mut groups = self.backend.member_groups();
        if !some {
            let request = control::DeleteMemberGroupRequest {
                name: format!("{}/memberGroups/{}", room_name(room), key(label)),
            };
            let gone = groups.delete_member_group(request).await?;
            return Ok(gone.into_inner().revision);
        }
        let request = control::CreateMemberGroupRequest {
            parent: room_name(room),
            member_group_id: key(label),
            member_group: Some(control::MemberGroup {
                label_key: key(label),
                label_value: HAS_IT.to_owned(),
                ..Default::default()
            }),
            validate_only: false,
        };
        let made = groups.create_member_group(request).await?;
        Ok(made.into_inner().revision)
    }
}

/// The key of a label, and the name of the group that it makes members.
fn key(label: u32) -> String {
    format!("label-{label}")
}

fn some_rooms(rooms: u32) -> Vec<String> {
    let all = (0..).zip(Modelled::rooms());
    let some = all.filter(|(room, _): &(u32, String)| rooms >> room & 1 == 1);
    some.map(|(_, name)| format!("rooms/{name}")).collect()
}

fn name(room: u32) -> String {
    let mut rooms = Modelled::rooms();
    rooms.nth(index(room)).expect("a room of the model")
}

fn room_name(room: u32) -> String {
    format!("rooms/{}", name(room))
}

fn index(number: u32) -> usize {
    usize::try_from(number).expect("a small number")
}
