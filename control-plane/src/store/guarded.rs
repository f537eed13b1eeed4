//! Whether every guard holds: judged of what a write changes, under the log's
//! lock and before its revision is given, and of everything there is when a guard
//! is written: without a lock as the log stood at a position, and under the lock
//! of what the log says since. So whichever comes second sees the first, and
//! nobody waits while ten thousand rooms are read.

use std::fmt;

use porthouse_api::node::v1;
use porthouse_model::{Act, ChangeItem, NamePrefix, Role, RoomRules, Template};
use porthouse_rules::{Guarded, Standing, capability_line};
use prost::Message;
use uuid::Uuid;

use super::guards::{self, GuardColumns, GuardRow};
use super::position::{Entry, Position};
use super::{Connection, StoreError, covering, log, resolve};

/// Rooms or templates read at once when a guard is written.
const PAGE_MAX: i64 = 64;
/// Revisions read at once by what catches up.
const CAUGHT_UP_AT_ONCE: i64 = 16;
/// Revisions that may be left to judge under the locks, in pages.
const PAGES_LEFT_MAX: usize = 16;

/// A guard's columns, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assertion {
    pub(crate) prefix: NamePrefix,
    pub(crate) guarded: Guarded,
    pub(crate) act: Act,
}

/// How a guard is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    /// The guard's name, its last part.
    pub(crate) guard: String,
    /// The room or the template, or names that neither covers.
    pub(crate) room: String,
    /// Who could do it.
    pub(crate) audience: String,
    /// What.
    pub(crate) act: &'static str,
    /// By which rule.
    pub(crate) rule: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "guards/{} does not hold: in {} {} may {}, by {}",
            self.guard, self.room, self.audience, self.act, self.rule
        )
    }
}

/// The acts a guard can be about, as they are stored and shown.
const ACTS: [(Act, &str); 7] = [
    (Act::See, "see"),
    (Act::Join, "join"),
    (Act::Send, "send"),
    (Act::ReadHistory, "read_history"),
    (Act::SeePresence, "see_presence"),
    (Act::Invite, "invite"),
    (Act::Kick, "kick"),
];

impl Assertion {
    /// As it is stored; `None`: no guard is about this act.
    pub(crate) fn columns(&self) -> Option<GuardColumns> {
        let (audience, role) = match self.guarded {
            Guarded::Anonymous => ("anonymous", None),
            Guarded::User => ("user", None),
            Guarded::Member(role) => ("member", role.map(|role| role.to_string())),
            Guarded::Owner => ("owner", None),
            Guarded::Device => ("device", None),
        };
        Some(GuardColumns {
            prefix: self.prefix.as_str().to_owned(),
            audience: audience.to_owned(),
            role,
            act: act_name(self.act)?.to_owned(),
        })
    }

    /// As it was stored.
    pub(crate) fn of(columns: &GuardColumns) -> Result<Self, StoreError> {
        const CORRUPT: StoreError = StoreError::Corrupt("guards");
        let role: Option<Role> = match &columns.role {
            None => None,
            Some(role) => Some(role.parse().map_err(|_| CORRUPT)?),
        };
        let prefix = format!("{}*", columns.prefix);
        let act = ACTS.iter().find(|(_, name)| *name == columns.act);
        Ok(Self {
            prefix: prefix.parse().map_err(|_| CORRUPT)?,
            guarded: match columns.audience.as_str() {
                "anonymous" => Guarded::Anonymous,
                "user" => Guarded::User,
                "member" => Guarded::Member(role),
                "owner" => Guarded::Owner,
                "device" => Guarded::Device,
                _ => return Err(CORRUPT),
            },
            act: act.ok_or(CORRUPT)?.0,
        })
    }

    fn begins(&self, text: &str) -> bool {
        text.starts_with(self.prefix.as_str())
    }

    fn room(&self, guard: &str, name: &str, rules: &RoomRules) -> Result<(), StoreError> {
        let breach = self.guarded.breach(rules, self.act);
        self.unless(breach, guard, format!("rooms/{name}"))
    }

    fn template(&self, guard: &str, template: &Template) -> Result<(), StoreError> {
        let breach = self.guarded.breach_covered(&template.rules, self.act);
        self.unless(breach, guard, format!("roomTemplates/{}", template.prefix))
    }

    fn unless(
        &self,
        breach: Option<Standing>,
        guard: &str,
        room: String,
    ) -> Result<(), StoreError> {
        let Some(standing) = breach else {
            return Ok(());
        };
        let line = match self.guarded {
            Guarded::Device => "capabilities.device".to_owned(),
            Guarded::Anonymous | Guarded::User | Guarded::Member(_) | Guarded::Owner => {
                capability_line(standing)
            }
        };
        Err(self.broken(guard, room, standing, line))
    }

    fn broken(&self, guard: &str, room: String, who: Standing, rule: String) -> StoreError {
        StoreError::GuardBroken(Box::new(Broken {
            guard: guard.to_owned(),
            room,
            audience: match who {
                _ if self.guarded == Guarded::Device => "a device".to_owned(),
                Standing::Anonymous => "anonymous".to_owned(),
                Standing::User => "a user".to_owned(),
                Standing::Member(of) => format!("a member in the role {of}"),
                Standing::Owner => "the owner".to_owned(),
            },
            act: act_name(self.act).unwrap_or("change_rules"),
            rule,
        }))
    }

    /// Judges names that begin so and that no room has and no longer prefix
    /// covers.
    async fn uncovered(&self, c: &mut Connection, guard: &str) -> Result<(), StoreError> {
        let text = self.prefix.as_str();
        let mut found = covering::templates_covering(c, &[text]).await?;
        match found.remove(text) {
            Some(template) => self.template(guard, &template),
            None => match self.guarded.breach_unknown() {
                None => Ok(()),
                Some(who) => {
                    let rule = format!(
                        "nodes' own settings, for no template covers {}: make one",
                        self.prefix
                    );
                    let room = format!("rooms/{} that nobody made", self.prefix);
                    Err(self.broken(guard, room, who, rule))
                }
            },
        }
    }

    /// Judges everything there is.
    async fn everywhere(&self, c: &mut Connection, guard: &str) -> Result<(), StoreError> {
        self.uncovered(c, guard).await?;
        let prefix = self.prefix.as_str();
        let mut after = String::new();
        loop {
            let page = guards::rooms_under(c, prefix, &after, PAGE_MAX).await?;
            let Some((_, last)) = page.last() else { break };
            after.clone_from(last);
            let ids: Vec<Uuid> = page.iter().map(|(id, _)| *id).collect();
            let rooms = resolve::rooms_by_id(c, &ids).await?;
            let mut rooms: Vec<_> = rooms.into_values().collect();
            rooms.sort_by(|one, other| one.name.cmp(&other.name));
            for room in rooms {
                self.room(guard, room.name.as_str(), &room.rules)?;
            }
        }
        let mut after = String::new();
        loop {
            let page = guards::templates_under(c, prefix, &after, PAGE_MAX).await?;
            let Some((_, last)) = page.last() else { break };
            after.clone_from(last);
            let ids: Vec<Uuid> = page.iter().map(|(id, _)| *id).collect();
            let mut templates = covering::templates_by_id(c, &ids).await?;
            for id in ids {
                let id = porthouse_model::RoomId::from_bytes(id.into_bytes());
                if let Some(template) = templates.remove(&id) {
                    self.template(guard, &template)?;
                }
            }
        }
        Ok(())
    }

    /// Judges what changed. What did not change held before.
    async fn changed(
        &self,
        c: &mut Connection,
        guard: &str,
        items: &[ChangeItem],
    ) -> Result<(), StoreError> {
        let mut covers_otherwise = false;
        for item in items {
            match item {
                ChangeItem::Room(room) if self.begins(room.name.as_str()) => {
                    self.room(guard, room.name.as_str(), &room.rules)?;
                }
                ChangeItem::Template(template) if self.begins(template.prefix.as_str()) => {
                    self.template(guard, template)?;
                }
                ChangeItem::Template(Template { prefix, .. })
                | ChangeItem::TemplateGone { prefix, .. } => {
                    covers_otherwise |= self.prefix.as_str().starts_with(prefix.as_str());
                }
                // Its name is covered as all are that nobody made.
                ChangeItem::RoomGone { .. }
                | ChangeItem::Room(_)
                | ChangeItem::Member(_)
                | ChangeItem::MemberGone { .. }
                | ChangeItem::Session(_)
                | ChangeItem::Block(_)
                | ChangeItem::BlockGone { .. }
                | ChangeItem::SessionGone(_)
                | ChangeItem::UserGone(_)
                | ChangeItem::ApiKeyGone(_)
                | ChangeItem::DeviceToken(..)
                | ChangeItem::Endpoint(_)
                | ChangeItem::EndpointGone(_) => {}
            }
        }
        if covers_otherwise {
            self.uncovered(c, guard).await?;
        }
        Ok(())
    }
}

/// A guard to be, which held of everything there was as the log stood.
#[derive(Clone, Debug)]
pub(crate) struct Judged {
    assertion: Assertion,
    /// Its name.
    guard: String,
    at: Position,
}

impl Judged {
    /// Judges everything there is. Call it in a snapshot, in which the rooms are those
    /// of the log's head.
    pub(crate) async fn everywhere(
        c: &mut Connection,
        assertion: Assertion,
        guard: &str,
    ) -> Result<Self, StoreError> {
        let at = log::head_position(c).await?;
        assertion.everywhere(c, guard).await?;
        Ok(Self {
            assertion,
            guard: guard.to_owned(),
            at,
        })
    }

    /// What was judged.
    pub(crate) const fn assertion(&self) -> &Assertion {
        &self.assertion
    }

    /// Judges all that was written since.
    pub(crate) async fn catch_up(&mut self, c: &mut Connection) -> Result<(), StoreError> {
        while !self.go_on(c).await? {}
        Ok(())
    }

    /// Judges what is left, if it is little. Call it under the log's lock, and it holds
    /// till the transaction ends.
    ///
    /// # Errors
    ///
    /// [`StoreError::Contended`] if it is too much for others to wait for.
    pub(crate) async fn hold(mut self, c: &mut Connection) -> Result<(), StoreError> {
        for _ in 0..PAGES_LEFT_MAX {
            if self.go_on(c).await? {
                return Ok(());
            }
        }
        Err(StoreError::Contended)
    }

    /// Judges the next revisions; whether they were the last. Each counts, also where
    /// a later one mends it: it was broken then, and then is as good a moment of this
    /// call as any.
    async fn go_on(&mut self, c: &mut Connection) -> Result<bool, StoreError> {
        let entries = log::entries_after(c, &self.at, CAUGHT_UP_AT_ONCE).await?;
        // The log was compacted or replaced meanwhile.
        let entries = entries.ok_or(StoreError::Contended)?;
        let at_end = i64::try_from(entries.len()).is_ok_and(|n| n < CAUGHT_UP_AT_ONCE);
        for entry in entries {
            let items = items_of(&entry)?;
            self.assertion.changed(c, &self.guard, &items).await?;
            self.at = entry.at;
        }
        Ok(at_end)
    }
}

/// What a revision changed.
fn items_of(entry: &Entry) -> Result<Vec<ChangeItem>, StoreError> {
    const CORRUPT: StoreError = StoreError::Corrupt("policy_log.payload");
    let payload = v1::ChangePayload::decode(&*entry.payload).map_err(|_| CORRUPT)?;
    let items = payload.items.into_iter().map(ChangeItem::try_from);
    items.collect::<Result<_, _>>().map_err(|_| CORRUPT)
}

/// Refuses changes that break a guard. Call it under the log's lock.
pub(super) async fn hold(c: &mut Connection, items: &[ChangeItem]) -> Result<(), StoreError> {
    let concerned = items.iter().any(|item| {
        matches!(
            item,
            ChangeItem::Room(_) | ChangeItem::Template(_) | ChangeItem::TemplateGone { .. }
        )
    });
    if !concerned {
        return Ok(());
    }
    for GuardRow { name, columns, .. } in guards::all(c).await? {
        Assertion::of(&columns)?.changed(c, &name, items).await?;
    }
    Ok(())
}

fn act_name(act: Act) -> Option<&'static str> {
    let found = ACTS.iter().find(|(known, _)| *known == act);
    found.map(|(_, name)| *name)
}
