//! What a `porthouse.v1` client is told of the people in a room, as it is
//! written. Owns the events' JSON; decides nothing.

use porthouse_model::{ClientId, MessageKind, RoomName, Username};
use serde::{Serialize, Serializer};

use super::Id;
use crate::people::{Batch, Devices, Owned, Page, Present, RoomLife};
use crate::wire::explanation::as_text;
use crate::wire::frame;

/// Something told about a room's people. One text frame, all of it header line.
#[derive(Debug, Serialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(crate) enum PeopleEvent<'a> {
    /// Who is there, or how that has changed.
    Presence {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a Id>,
        #[serde(serialize_with = "as_text")]
        room: &'a RoomName,
        #[serde(flatten)]
        what: Told<'a>,
    },
    /// Who owns a transient room now.
    Owner {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a Id>,
        #[serde(serialize_with = "as_text")]
        room: &'a RoomName,
        #[serde(serialize_with = "as_text")]
        owner: ClientId,
        life: Life,
        epoch: u64,
    },
    /// The owner has changed a transient room's rules.
    Rules {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a Id>,
        #[serde(serialize_with = "as_text")]
        room: &'a RoomName,
        epoch: u64,
    },
}

/// What a `presence` event says.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Told<'a> {
    /// Some of those who are there: the reply to having asked.
    Page {
        seq: u64,
        count: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        present: Option<Vec<Entry<'a>>>,
        #[serde(skip_serializing_if = "is_not")]
        more: bool,
    },
    /// What has changed.
    Batch {
        seq: u64,
        count: usize,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        joined: Vec<Entry<'a>>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        left: Vec<Gone>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        updated: Vec<Entry<'a>>,
    },
    /// Nothing more is told.
    Ended { ended: bool },
}

/// A client that is there.
#[derive(Debug, Serialize)]
pub(crate) struct Entry<'a> {
    #[serde(serialize_with = "as_text")]
    client: ClientId,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    devices: EntryDevices,
}

#[derive(Debug, Serialize)]
struct EntryDevices {
    #[serde(skip_serializing_if = "is_none")]
    raw: u32,
    #[serde(skip_serializing_if = "is_none")]
    multiplexed: u32,
    #[serde(skip_serializing_if = "is_none")]
    event_streams: u32,
}

/// A client that has gone.
#[derive(Debug)]
pub(crate) struct Gone(ClientId);

/// How long a transient room lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Life {
    /// As long as its owner is in it.
    Peer,
    /// As long as anybody is.
    Peerless,
}

impl<'a> PeopleEvent<'a> {
    /// Some of those who are there.
    pub(crate) fn page(id: Option<&'a Id>, room: &'a RoomName, page: &'a Page) -> Self {
        let what = Told::Page {
            seq: page.seq,
            count: page.count,
            present: page.present.as_deref().map(entries),
            more: page.more,
        };
        Self::Presence { id, room, what }
    }

    /// What has changed.
    pub(crate) fn batch(room: &'a RoomName, batch: &'a Batch) -> Self {
        let what = Told::Batch {
            seq: batch.seq,
            count: batch.count,
            joined: entries(&batch.joined),
            left: batch.left.iter().copied().map(Gone).collect(),
            updated: entries(&batch.updated),
        };
        Self::Presence {
            id: None,
            room,
            what,
        }
    }

    /// Nothing more is told of this room's people.
    pub(crate) const fn ended(room: &'a RoomName) -> Self {
        let what = Told::Ended { ended: true };
        Self::Presence {
            id: None,
            room,
            what,
        }
    }

    /// Who owns a room now.
    pub(crate) fn owner(id: Option<&'a Id>, room: &'a RoomName, owned: Owned) -> Self {
        let life = match owned.life {
            RoomLife::Peer => Life::Peer,
            RoomLife::Peerless => Life::Peerless,
        };
        Self::Owner {
            id,
            room,
            owner: owned.owner,
            life,
            epoch: owned.epoch,
        }
    }

    /// Appends the event's frame.
    pub(crate) fn frame(&self, out: &mut Vec<u8>) {
        let line = serde_json::to_vec(self).expect("an event is JSON");
        frame::message(MessageKind::Text, &line, out);
    }
}

fn entries(present: &[Present]) -> Vec<Entry<'_>> {
    present.iter().map(entry).collect()
}

fn entry(present: &Present) -> Entry<'_> {
    let Devices {
        raw,
        multiplexed,
        event_streams,
    } = present.devices;
    Entry {
        client: present.client,
        username: present.username.as_ref().map(Username::as_str),
        devices: EntryDevices {
            raw,
            multiplexed,
            event_streams,
        },
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes the field by reference"
)]
const fn is_none(count: &u32) -> bool {
    *count == 0
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes the field by reference"
)]
const fn is_not(flag: &bool) -> bool {
    !*flag
}

impl Serialize for Gone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: ClientId = ClientId::from_bytes([1; 16]);

    fn room() -> RoomName {
        "lobby".parse().expect("a room's name")
    }

    fn written(event: &PeopleEvent<'_>) -> String {
        let mut out = Vec::new();
        event.frame(&mut out);
        let line = out.windows(2).position(|two| two == b"{\"");
        String::from_utf8(out.split_off(line.expect("a line"))).expect("UTF-8")
    }

    fn present(username: Option<&str>) -> Present {
        Present {
            client: CLIENT,
            username: username.map(|name| name.parse().expect("a name")),
            devices: Devices {
                raw: 2,
                multiplexed: 0,
                event_streams: 0,
            },
        }
    }

    #[test]
    fn presence_is_written_as_documented() {
        let (id, room) = (Id::Natural(3), room());
        let mut page = Page {
            seq: 7,
            count: 300,
            present: Some(vec![present(Some("ada"))]),
            more: true,
        };
        assert_eq!(
            written(&PeopleEvent::page(Some(&id), &room, &page)),
            r#"{"op":"presence","id":3,"room":"lobby","seq":7,"count":300,"present":[{"client":"01010101-0101-0101-0101-010101010101","username":"ada","devices":{"raw":2}}],"more":true}"#
        );
        (page.present, page.more) = (None, false);
        assert_eq!(
            written(&PeopleEvent::page(None, &room, &page)),
            r#"{"op":"presence","room":"lobby","seq":7,"count":300}"#
        );
        let batch = Batch {
            seq: 8,
            count: 301,
            joined: vec![present(None)],
            left: vec![CLIENT],
            updated: Vec::new(),
        };
        assert_eq!(
            written(&PeopleEvent::batch(&room, &batch)),
            r#"{"op":"presence","room":"lobby","seq":8,"count":301,"joined":[{"client":"01010101-0101-0101-0101-010101010101","devices":{"raw":2}}],"left":["01010101-0101-0101-0101-010101010101"]}"#
        );
        assert_eq!(
            written(&PeopleEvent::ended(&room)),
            r#"{"op":"presence","room":"lobby","ended":true}"#
        );
    }

    #[test]
    fn owners_and_their_rules_are_written_as_documented() {
        let room = room();
        let owned = Owned {
            life: RoomLife::Peerless,
            owner: CLIENT,
            epoch: 2,
        };
        assert_eq!(
            written(&PeopleEvent::owner(None, &room, owned)),
            r#"{"op":"owner","room":"lobby","owner":"01010101-0101-0101-0101-010101010101","life":"peerless","epoch":2}"#
        );
        let (id, epoch) = (Some(&Id::Natural(1)), 3);
        let rules = PeopleEvent::Rules {
            id,
            room: &room,
            epoch,
        };
        assert_eq!(
            written(&rules),
            r#"{"op":"rules","id":1,"room":"lobby","epoch":3}"#
        );
    }
}
