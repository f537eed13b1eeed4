//! What a change does to what is known. Owns the rules by which each kind of
//! change meets each kind of entry; never an answer.

use std::sync::Arc;

use porthouse_model::{
    ApiKeyId, Block, ChangeItem, PolicyKey, Revision, RoomId, RoomName, Session, SessionId, UserId,
};

use super::cache::{Entry, Source};
use super::flight::Mortal;
use super::template::unnamed;
use super::{Policy, TemplatePolicy, Touched};
use crate::input::ChangedItem;
use crate::question::Known;

impl Policy {
    /// Applies one change, and leaves its tombstone for answers under way.
    pub(super) fn apply(
        &mut self,
        revision: Revision,
        item: &ChangedItem,
        touched: &mut Vec<Touched>,
    ) {
        match item {
            ChangedItem::Room(policy) => {
                let name = &policy.room.name;
                self.replace(&PolicyKey::Room(name.clone()), revision, || {
                    Known::Room(Arc::clone(policy))
                });
                touched.push(Touched::Room(name.clone()));
            }
            ChangedItem::RoomGone { id, name, template } => {
                self.room_gone(revision, *id, name, template.as_ref());
                touched.push(Touched::Room(name.clone()));
            }
            ChangedItem::Template(policy) => self.templated(revision, policy, touched),
            ChangedItem::TemplateGone { prefix, next } => {
                self.template_gone(revision, prefix, next.as_ref(), touched);
            }
            ChangedItem::Other(item) => self.apply_other(revision, item, touched),
        }
    }

    fn apply_other(&mut self, revision: Revision, item: &ChangeItem, touched: &mut Vec<Touched>) {
        match item {
            ChangeItem::Room(_)
            | ChangeItem::RoomGone { .. }
            | ChangeItem::Template(_)
            | ChangeItem::TemplateGone { .. } => {
                unreachable!("rules are compiled before they are told")
            }
            ChangeItem::Member(member) => {
                let key = PolicyKey::Member(member.room, member.user);
                self.replace(&key, revision, || Known::Member(*member));
                touched.push(Touched::Member(member.room, member.user));
            }
            ChangeItem::MemberGone { room, user } => {
                self.replace(&PolicyKey::Member(*room, *user), revision, || Known::Absent);
                touched.push(Touched::Member(*room, *user));
            }
            ChangeItem::Session(session) => self.session_changed(revision, session),
            ChangeItem::DeviceToken(token, session) => {
                self.flights.end(Mortal::Session(session.id), revision);
                self.replace(&PolicyKey::Session(*token), revision, || {
                    Known::Session(Arc::new(session.clone()))
                });
                touched.push(Touched::Device(session.id));
            }
            ChangeItem::Block(block) => {
                self.blocked(revision, *block);
                touched.push(Touched::Block(block.room, block.user));
            }
            ChangeItem::BlockGone { room, user } => {
                self.replace(&PolicyKey::Block(*room, *user), revision, || Known::Absent);
                touched.push(Touched::Block(*room, *user));
            }
            ChangeItem::SessionGone(id) => {
                self.flights.end(Mortal::Session(*id), revision);
                self.session_gone(revision, *id, touched);
            }
            ChangeItem::UserGone(user) => self.user_gone(revision, *user, touched),
            ChangeItem::ApiKeyGone(id) => self.api_key_gone(revision, *id),
            ChangeItem::Endpoint(endpoint) => {
                let key = PolicyKey::Endpoint(endpoint.address.clone());
                self.replace(&key, revision, || {
                    Known::Endpoint(Arc::new(endpoint.clone()))
                });
                touched.push(Touched::Endpoint(endpoint.address.clone()));
            }
            ChangeItem::EndpointGone(address) => {
                let key = PolicyKey::Endpoint(address.clone());
                self.replace(&key, revision, || Known::Absent);
                touched.push(Touched::Endpoint(address.clone()));
            }
        }
    }

    /// The room's identity must be the one that is known: a name that was given
    /// again meanwhile stays with the new room.
    fn room_gone(
        &mut self,
        revision: Revision,
        id: RoomId,
        name: &RoomName,
        template: Option<&Arc<TemplatePolicy>>,
    ) {
        let key = PolicyKey::Room(name.clone());
        let is_other = self
            .cache
            .peek(&key)
            .is_some_and(|entry| match &entry.known {
                Known::Room(policy) => policy.room.id != id,
                Known::Absent
                | Known::Templated(_)
                | Known::Session(_)
                | Known::Member(_)
                | Known::Block(_)
                | Known::ApiKey(_)
                | Known::Endpoint(_) => false,
            });
        if is_other {
            self.flights.touch(&key, revision);
        } else {
            self.replace(&key, revision, || unnamed(template));
        }
        self.flights.end(Mortal::Room(id), revision);
        for key in self.cache.index().of_room(id) {
            self.replace(&key, revision, || Known::Absent);
        }
    }

    /// A block is kept though nobody asked for it: somebody inside, of whom
    /// nothing had to be asked before, may be whom it means.
    fn blocked(&mut self, revision: Revision, block: Block) {
        let key = PolicyKey::Block(block.room, block.user);
        if self.cache.peek(&key).is_some() {
            self.replace(&key, revision, || Known::Block(block));
        } else {
            self.flights.touch(&key, revision);
            self.told_of(&key, revision, Known::Block(block));
        }
    }

    /// A room that had no blocked users until this revision has some: who is
    /// inside and of whom nothing is known is not one of them.
    pub(crate) fn not_blocked(&mut self, key: &PolicyKey) {
        if self.cache.peek(key).is_none() {
            self.told_of(key, self.told(), Known::Absent);
        }
    }

    fn user_gone(&mut self, revision: Revision, user: UserId, touched: &mut Vec<Touched>) {
        self.flights.end(Mortal::User(user), revision);
        for session in self.cache.index().sessions_of(user) {
            self.session_gone(revision, session, touched);
        }
    }

    /// Nobody is judged again: what a session gains is asked for at doors alone.
    fn session_changed(&mut self, revision: Revision, session: &Session) {
        self.flights.end(Mortal::Session(session.id), revision);
        if let Some(key) = self.cache.index().session(session.id) {
            self.replace(&key, revision, || Known::Session(Arc::new(session.clone())));
        }
    }

    /// A session that was read after this revision was opened after it.
    fn session_gone(&mut self, revision: Revision, id: SessionId, touched: &mut Vec<Touched>) {
        if let Some(key) = self.cache.index().session(id)
            && self.replace(&key, revision, || Known::Absent)
        {
            touched.push(Touched::Session(id));
        }
    }

    fn api_key_gone(&mut self, revision: Revision, id: ApiKeyId) {
        self.flights.end(Mortal::ApiKey(id), revision);
        if let Some(key) = self.cache.index().api_key(id) {
            self.replace(&key, revision, || Known::Absent);
        }
    }

    /// Replaces an entry in place, one of absence too, unless it already knows of
    /// this revision. What nobody asked for is not kept.
    pub(super) fn replace(
        &mut self,
        key: &PolicyKey,
        revision: Revision,
        known: impl FnOnce() -> Known,
    ) -> bool {
        self.flights.touch(key, revision);
        let older = self
            .cache
            .peek(key)
            .is_some_and(|entry| entry.is_before(revision));
        if older {
            self.told_of(key, revision, known());
            self.made_sure(key);
        }
        older
    }

    /// Absence that the log told needs no expiry: it would tell of the end.
    fn told_of(&mut self, key: &PolicyKey, revision: Revision, known: Known) {
        let entry = Entry {
            known,
            revision,
            expires: None,
            source: Source::Told,
            clock: self.clock,
        };
        self.cache.put(key.clone(), entry);
    }
}
