//! Rooms' rules as a black box keeps them: as their owners wrote them. They are
//! compiled again when they are read.

use porthouse_model::{
    Audience, BroadcastRules, Capabilities, ClientSockets, ConnectionRules, Content, DeliveryRules,
    EntryRules, EntryStep, Format, HistoryRules, Keep, MessageRules, OpeningHours, Order,
    PresenceRules, Rates, RoomRules, Shown, SlowConsumer, Staleness, Surplus, Waiting, WeekSpan,
};
use porthouse_rules::Rules;

use super::code::{Garbled, Kept, Reader, fields, garbled, variants};
use crate::policy::{RoomPolicy, TemplatePolicy};

fields! {
    RoomRules {
        connection, entry, capabilities, messages, broadcast, delivery, history, presence, staleness
    }
    ConnectionRules {
        audience, roles_allowed, roles_denied, users_allowed, users_denied, origins, sockets_max,
        sockets_per_client, joins_per_address, hours
    }
    ClientSockets { sockets_max, surplus }
    OpeningHours { zone, spans }
    WeekSpan { from_minute, to_minute }
    EntryRules { steps }
    Capabilities { anonymous, user, member, roles, owner, device }
    MessageRules { content, bytes_max, format, rates }
    Rates { per_socket, per_client, per_room }
    BroadcastRules { echo, receivers_named, never, always }
    DeliveryRules { order, slow_consumer }
    HistoryRules { keep, durable, directed, waiting }
    Waiting { messages_max, age_max }
    PresenceRules { shown, grace, interval }
    Staleness { admit_max, deliver_max }
}

variants! {
    Audience { 0 Anyone, 1 Users, 2 Members, 3 Nobody, }
    Surplus { 0 Newest, 1 Oldest, }
    EntryStep {
        0 Password(version),
        1 SecondFactor { age_max },
        2 RoomCode(version),
        3 Approval,
        4 Hook(version),
    }
    Content { 0 Any, 1 Text, 2 Binary, }
    Format {
        0 Any,
        1 Json,
        2 JsonSchema(schema),
        3 MessagePack,
        4 Cbor,
        5 Protobuf { descriptors, message },
        6 Expression(expression),
    }
    Order { 0 Live, 1 Ordered, }
    SlowConsumer { 0 Close, 1 DropOldest, 2 DropNewest, 3 Conflate, }
    Keep { 0 None, 1 Latest, 2 Last { messages_max, age_max }, }
    Shown { 0 Off, 1 Counts, 2 Identities, }
}

impl Kept for RoomPolicy {
    fn write(&self, out: &mut Vec<u8>) {
        self.room.write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Garbled> {
        Kept::read(from).map(Self::compile)
    }
}

impl Kept for TemplatePolicy {
    fn write(&self, out: &mut Vec<u8>) {
        self.template.write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Garbled> {
        Kept::read(from).map(Self::compile)
    }
}

/// Of a transient room: its owner's.
impl Kept for Rules {
    fn write(&self, out: &mut Vec<u8>) {
        self.source().write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Garbled> {
        Self::compile(Kept::read(from)?).map_err(|_| garbled("rules that can be kept"))
    }
}
