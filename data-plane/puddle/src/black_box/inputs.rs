//! All that can happen to a puddle, and what it is when it begins, as a black box
//! keeps them. What has come from a socket is kept as it was read, so whatever a
//! client shows is in it; what is on its way to be verified elsewhere is not.

use super::code::{Garbled, Kept, Reader, fields, garbled, variants, write_bytes};
use super::words::numbers;
use crate::bridge::{FromStore, Mark, Record, StoreRequest};
use crate::input::{Changed, ChangedItem, Command, Input, OrderId, Publish, PuddleId, SocketId};
use crate::people::OwnerRule;
use crate::question::{Answer, Known, Pass, QuestionId, Secret, SignInVerdict, Verdict};
use crate::resume::ResumeKeys;
use crate::seed::{SecretSeed, Seed, Seeds};
use crate::settings::{HistoryStore, Hosts, Paces, Settings, StoreLimits, TransientMakers};

const CONNECTED: u8 = 1;
const RECEIVED: u8 = 2;
const WRITABLE: u8 = 3;
const LOST: u8 = 4;
const HOPPED: u8 = 5;
const RESTARTED: u8 = 6;
const ANSWERED: u8 = 7;
const CHANGED: u8 = 8;
const FRESH: u8 = 9;
const RESYNC: u8 = 10;
const ORDERED: u8 = 11;
const FOLLOW: u8 = 12;
const UNFOLLOW: u8 = 13;
const BRIDGED: u8 = 14;
const WALL: u8 = 15;
const DRAIN: u8 = 16;

/// Writes an input. No input begins with zero.
pub(super) fn write_input(input: &Input<'_>, out: &mut Vec<u8>) {
    match input {
        Input::Connected { socket, address } => both(CONNECTED, socket, address, out),
        Input::Received { socket, bytes } => {
            one(RECEIVED, socket, out);
            write_bytes(bytes, out);
        }
        Input::Writable { socket } => one(WRITABLE, socket, out),
        Input::Lost { socket } => one(LOST, socket, out),
        Input::Hopped { from, hop } => both(HOPPED, from, hop, out),
        Input::Restarted { puddle } => one(RESTARTED, puddle, out),
        Input::Answered { question, answer } => both(ANSWERED, question, answer, out),
        Input::Changed(changed) => one(CHANGED, changed, out),
        Input::Fresh { revision } => one(FRESH, revision, out),
        Input::Resync { revision } => one(RESYNC, revision, out),
        Input::Ordered { order, command } => both(ORDERED, order, command, out),
        Input::Follow { room } => one(FOLLOW, room, out),
        Input::Unfollow { room } => one(UNFOLLOW, room, out),
        Input::Bridged { request, answer } => both(BRIDGED, request, answer, out),
        Input::Wall(wall) => one(WALL, wall, out),
        Input::Drain { until } => one(DRAIN, until, out),
    }
}

fn one(kind: u8, first: &impl Kept, out: &mut Vec<u8>) {
    out.push(kind);
    first.write(out);
}

fn both(kind: u8, first: &impl Kept, second: &impl Kept, out: &mut Vec<u8>) {
    one(kind, first, out);
    second.write(out);
}

/// Reads an input of this kind. What a socket sent is put where it may be read in
/// place.
pub(super) fn read_input<'a>(
    kind: u8,
    from: &mut Reader<'_>,
    received: &'a mut Vec<u8>,
) -> Result<Input<'a>, Garbled> {
    Ok(match kind {
        CONNECTED => Input::Connected {
            socket: Kept::read(from)?,
            address: Kept::read(from)?,
        },
        RECEIVED => {
            let socket = Kept::read(from)?;
            received.clear();
            received.extend_from_slice(from.bytes()?);
            Input::Received {
                socket,
                bytes: received,
            }
        }
        WRITABLE => Input::Writable {
            socket: Kept::read(from)?,
        },
        LOST => Input::Lost {
            socket: Kept::read(from)?,
        },
        HOPPED => Input::Hopped {
            from: Kept::read(from)?,
            hop: Kept::read(from)?,
        },
        RESTARTED => Input::Restarted {
            puddle: Kept::read(from)?,
        },
        ANSWERED => Input::Answered {
            question: Kept::read(from)?,
            answer: Kept::read(from)?,
        },
        CHANGED => Input::Changed(Kept::read(from)?),
        FRESH => Input::Fresh {
            revision: Kept::read(from)?,
        },
        RESYNC => Input::Resync {
            revision: Kept::read(from)?,
        },
        ORDERED => Input::Ordered {
            order: Kept::read(from)?,
            command: Kept::read(from)?,
        },
        FOLLOW => Input::Follow {
            room: Kept::read(from)?,
        },
        UNFOLLOW => Input::Unfollow {
            room: Kept::read(from)?,
        },
        BRIDGED => Input::Bridged {
            request: Kept::read(from)?,
            answer: Kept::read(from)?,
        },
        WALL => Input::Wall(Kept::read(from)?),
        DRAIN => Input::Drain {
            until: Kept::read(from)?,
        },
        _ => return Err(garbled("input")),
    })
}

numbers! { Mark OrderId PuddleId QuestionId StoreRequest }

variants! {
    Answer {
        0 Resolved { revision, known },
        1 Verified(verdict),
        2 SignIn(verdict),
        3 Unavailable,
    }
    Known {
        0 Room(room),
        1 Templated(template),
        2 Session(session),
        3 Member(member),
        4 Block(block),
        5 ApiKey(key),
        6 Endpoint(endpoint),
        7 Absent,
    }
    Verdict {
        0 Right(pass),
        1 Wrong,
        2 Gone,
        3 NotEnrolled,
        4 Later(time),
        5 Refused,
        6 Away,
    }
    Pass { 0 Password(version), 1 SecondFactor, 2 RoomCode(version), 3 Hook(version), }
    ChangedItem {
        0 Room(room),
        1 RoomGone { id, name, template },
        2 Template(template),
        3 TemplateGone { prefix, next },
        4 Other(item),
    }
    Command {
        0 Publish(publish),
        1 Purge { room, through },
        2 ListRooms { after, rooms_max },
        3 ListSockets { room, after, sockets_max },
        4 ListPresent { room, after, clients_max },
        5 Move { client, from, to },
        6 ListWaiting { room },
        7 DecideWaiting { room, client, decision },
        8 Foresee(item),
        9 Recall(refusal),
        10 Kick { client, room, block },
    }
    FromStore {
        0 Read(records),
        1 Appended(mark),
        2 Forgotten,
        3 TooLong,
        4 Overtaken,
        5 Failed,
    }
    HistoryStore { 0 Nowhere, 1 Bridged, }
    TransientMakers { 0 Anyone, 1 Users, 2 Nobody, }
    OwnerRule {
        0 Audience, 1 Approval, 2 Content, 3 BytesMax, 4 Capabilities, 5 Presence,
    }
}

fields! {
    SocketId { slot, generation }
    Changed { revision, items }
    Publish { room, kind, payload, to, except }
    Record { mark, bytes }
    Seeds { chance, secrets }
    Settings {
        puddle, puddles, hosts, transient_makers, transient_rules, transient_life, owner_rules,
        transient_rooms_max, transient_rooms_per_client_max, owner_silent_time_max,
        presence_entries_max, sockets_max, handshakes_per_address_max, request_head_bytes_max,
        request_headers_max, handshake_time_max, entry_time_max, lobby_time_max, bind_time_max,
        password_attempts_max, code_attempts_max, expiring_ahead, seen_every, approval_time_max, waiting_max,
        before_start_bytes_max, rooms_per_socket_max, rooms_max, header_line_bytes_max,
        receivers_named_max, idle_frames_max, socket_backlog_bytes_max, payload_bytes_max,
        inbound_bytes_max, close_time_max, closing_bytes_max, slice_sockets_max, questions_max,
        questions_per_socket_max, policy_entries_max, absent_time_max, kick_block_time, kicked_max,
        hop_slots_max, hop_bytes_max, ask_slots_max, ask_bytes_max, homes_max, home_idle_time_max,
        history_bytes_max, room_history_bytes_max, history_store, store, history_page_messages_max,
        history_page_bytes_max, key_time_max, keys_per_client_max, keys_max, rated_clients_max,
        room_rate_ahead_max, waiting_members_max, resume_keys, resume_time_max, resumes_max,
        recovered_bytes_max, paces, joining_addresses_max, silence_time_max
    }
    Hosts {
        endpoint_suffix, page_origins, trusted_proxies
    }
    Paces {
        ping_rate_max, empty_message_rate_max, move_rate_max, read_rate_max, haste_rate_max
    }
    StoreLimits {
        waits_max, wait_bytes_max, requests_max, reads_max, forgets_max
    }
}

impl Kept for Seed {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_le_bytes());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Garbled> {
        from.array().map(u64::from_le_bytes).map(Self)
    }
}

impl Kept for SecretSeed {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.reveal());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Garbled> {
        from.array().map(Self::new)
    }
}

/// What others verify is left out: a puddle passes it on, whatever it is.
impl Kept for Secret {
    fn write(&self, _out: &mut Vec<u8>) {}

    fn read(_from: &mut Reader<'_>) -> Result<Self, Garbled> {
        Ok(Self::new(String::new()))
    }
}

impl Kept for SignInVerdict {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Right {
                session,
                token,
                revision,
                device_mark,
            } => {
                both(0, session, token, out);
                revision.write(out);
                let mark = device_mark.as_ref().map(|mark| mark.expose().to_owned());
                mark.write(out);
            }
            // The client is told both, so the bytes written are of them.
            Self::CodeNeeded { challenge, expires } => {
                both(1, &challenge.expose().to_owned(), expires, out);
            }
            Self::Wrong => out.push(2),
            Self::Gone => out.push(3),
            Self::Later(time) => one(4, time, out),
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Garbled> {
        Ok(match u8::read(from)? {
            0 => Self::Right {
                session: Kept::read(from)?,
                token: Kept::read(from)?,
                revision: Kept::read(from)?,
                device_mark: Option::<String>::read(from)?.map(Secret::new),
            },
            1 => Self::CodeNeeded {
                challenge: Secret::new(Kept::read(from)?),
                expires: Kept::read(from)?,
            },
            2 => Self::Wrong,
            3 => Self::Gone,
            4 => Self::Later(Kept::read(from)?),
            _ => return Err(garbled("verdict about a sign-in")),
        })
    }
}

/// Only keys that were drawn for one process are in it; of others their names.
impl Kept for ResumeKeys {
    fn write(&self, out: &mut Vec<u8>) {
        self.kept().write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Garbled> {
        Kept::read(from).map(|keys: Vec<([u8; 4], Option<[u8; 32]>)>| Self::again(&keys))
    }
}

impl<const N: usize> Kept for [u8; N] {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Garbled> {
        from.array()
    }
}
