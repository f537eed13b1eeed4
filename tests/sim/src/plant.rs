//! Bugs that are put into the world on purpose, each between two of the real parts or into a
//! model, never into shipped code. A checker that does not catch them proves nothing.

use std::collections::VecDeque;
use std::sync::Arc;

use porthouse_model::{Capabilities, ChangeItem, Format, Rates, Room, RoomRules};
use porthouse_puddle::{Changed, ChangedItem, Hop, RoomMessage};

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plant {
    /// Revisions are numbered when a transaction wants one, not under a lock held to its commit.
    NumberWithoutLock,
    /// An answer read before a change passes for one read after it.
    NoTombstone,
    /// Progress is said by the clock, not from a successful read.
    ProgressFromTimer,
    /// What a socket does not take is kept by the shell, and written after the close.
    BacklogKept,
    /// A room that was just made is not told to those who believe that there is none.
    NegativeEntryKept,
    /// Credit between puddles is lost now and then.
    LeakedCredit,
    /// A puddle hears that another sends it a room's messages before it does.
    AdmittedBeforeInterest,
    /// A message for some is a message for all on other puddles.
    PredicateDropped,
    /// The node says that a revision is applied as soon as it has heard of it.
    AcknowledgedEarly,
    /// Two messages between puddles change places.
    HopsSwapped,
    /// Two messages that a room's home has put in order change places on their way.
    PlacedSwapped,
    /// One of them comes twice.
    PlacedTwice,
    /// One of them is lost, and what it costs with it.
    PlacedLost,
    /// A home's answer is lost, and what it costs with it.
    HomeAnswerLost,
    /// A home is not told that somebody has gone.
    PresenceLeaveLost,
    /// What has changed of who is there is told twice.
    PresenceTwice,
    /// A message that is sent again is given another key.
    KeyForgotten,
    /// What one reads of the past, another gets too.
    HistoryWithoutPredicate,
    /// What waited is handed over twice.
    WaitingTwice,
    /// Nobody is told that offsets begin anew.
    EpochDropped,
    /// Of what somebody who comes back has missed, one message is lost.
    ResumeLosesOne,
    /// The store of durable rooms says that it has something before that is safe.
    ReceiptBeforeStored,
    /// What a backend wants forgotten is not.
    PurgeForgotten,
    /// One puddle does not hear that the node goes away.
    DrainUnheard,
    /// Whoever comes back to go on is let in by the rules of when they were inside.
    ResumeSkipsTodaysRules,
    /// A byte of a message is another on its way to other puddles.
    ByteChanged,
    /// Puddles are not told that sessions have ended.
    RevocationLost,
    /// Puddles are not told of new members.
    GrantLost,
    /// Close frames are never written, and the connection stays.
    CloseLost,
    /// An administrator who waits until a change is applied is answered when the node has heard of
    /// it.
    WaitsForHearing,
    /// Puddles are told that nothing has changed while nothing is heard.
    SilenceUnnoticed,
    /// Who was kicked may come back at once.
    KickForgotten,
    /// Puddles are not told that a device has other rooms.
    DeviceRoomsKept,
    /// Of what a reader of events has missed, one message is lost.
    StreamLosesOne,
    /// A socket that was moved is not told so.
    MovedUntold,
    /// Puddles are not told that a user is blocked.
    BlockUntold,
    /// Of two templates that cover a name the one with the shorter prefix counts.
    PrefixIgnored,
    /// What is said before a handshake is over arrives after it.
    EarlyMessageSaid,
    /// The node is told that everybody may speak in every room.
    ActsForgotten,
    /// A code is read, and written as taken a while after.
    CodeTwice,
    /// What an owner's backend says is taken for a yes.
    HookUnheard,
    /// Something on the way sends a posted message once more.
    PostedTwice,
    /// A ticket is read, and written as used a while after.
    TicketTwice,
    /// A ticket is good for ever.
    TicketOutlives,
    /// A ticket is good at every path and for every page.
    TicketAnywhere,
    /// By which upgrade a ticket was used is not known when its answer was lost.
    TicketForgetsUpgrade,
    /// The node is told that sessions never end by themselves.
    SessionOutlives,
    /// The node is told that sessions end long before they do.
    SessionCutShort,
    /// Idle time is counted by the clock, and not by what is known of who was seen.
    IdleExpiryAfterAnOutage,
    /// An issuer that is withdrawn takes only some of its sessions with it.
    IssuerKept,
    /// Who loses a label keeps what a group gave by it.
    GroupKept,
    /// Who inside turns somebody away lets them in.
    RefusalUnheard,
    /// A puddle that began anew is not told whom the others keep out.
    AnewUntold,
    /// The node is told of no lists of users and roles.
    ListsForgotten,
    /// The node is told that pages of any origin may come in.
    OriginsForgotten,
    /// The node is told that rooms are always open.
    HoursForgotten,
    /// The node is told that any number may be inside at once.
    PlacesForgotten,
    /// The node is told that anything may be said as fast as one likes.
    RatesForgotten,
    /// The node is told that anything may be said, JSON or not.
    FormatForgotten,
    /// The same of rooms that take other formats.
    FormatsForgotten,
    /// The node is told of no role that hears nothing.
    HearingForgotten,
    /// The node is told of no role that hears everything.
    OverhearingForgotten,
    /// The node is told that a client may speak as fast as it likes.
    ClientsUncounted,
    /// The node is told that any number may come in from one network.
    JoinsUncounted,
    /// Puddles are not told that an endpoint is withdrawn.
    WithdrawnEndpointKept,
    /// Puddles are not told that an endpoint has changed.
    EndpointChangeUntold,
}

impl Plant {
    /// All of them, by the names they are asked for.
    pub const ALL: [(&'static str, Self); 66] = [
        ("number-without-lock", Self::NumberWithoutLock),
        ("no-tombstone", Self::NoTombstone),
        ("progress-from-timer", Self::ProgressFromTimer),
        ("backlog-kept", Self::BacklogKept),
        ("negative-entry-kept", Self::NegativeEntryKept),
        ("leaked-credit", Self::LeakedCredit),
        ("admitted-before-interest", Self::AdmittedBeforeInterest),
        ("predicate-dropped", Self::PredicateDropped),
        ("acknowledged-early", Self::AcknowledgedEarly),
        ("hops-swapped", Self::HopsSwapped),
        ("placed-swapped", Self::PlacedSwapped),
        ("placed-twice", Self::PlacedTwice),
        ("placed-lost", Self::PlacedLost),
        ("home-answer-lost", Self::HomeAnswerLost),
        ("presence-leave-lost", Self::PresenceLeaveLost),
        ("presence-twice", Self::PresenceTwice),
        ("key-forgotten", Self::KeyForgotten),
        ("history-without-predicate", Self::HistoryWithoutPredicate),
        ("waiting-twice", Self::WaitingTwice),
        ("epoch-dropped", Self::EpochDropped),
        ("resume-loses-one", Self::ResumeLosesOne),
        ("receipt-before-stored", Self::ReceiptBeforeStored),
        ("purge-forgotten", Self::PurgeForgotten),
        ("drain-unheard", Self::DrainUnheard),
        ("resume-skips-todays-rules", Self::ResumeSkipsTodaysRules),
        ("byte-changed", Self::ByteChanged),
        ("revocation-lost", Self::RevocationLost),
        ("grant-lost", Self::GrantLost),
        ("close-lost", Self::CloseLost),
        ("waits-for-hearing", Self::WaitsForHearing),
        ("silence-unnoticed", Self::SilenceUnnoticed),
        ("kick-forgotten", Self::KickForgotten),
        ("device-rooms-kept", Self::DeviceRoomsKept),
        ("stream-loses-one", Self::StreamLosesOne),
        ("moved-untold", Self::MovedUntold),
        ("block-untold", Self::BlockUntold),
        ("prefix-ignored", Self::PrefixIgnored),
        ("early-message-said", Self::EarlyMessageSaid),
        ("acts-forgotten", Self::ActsForgotten),
        ("code-twice", Self::CodeTwice),
        ("hook-unheard", Self::HookUnheard),
        ("posted-twice", Self::PostedTwice),
        ("ticket-twice", Self::TicketTwice),
        ("ticket-outlives", Self::TicketOutlives),
        ("ticket-anywhere", Self::TicketAnywhere),
        ("ticket-forgets-upgrade", Self::TicketForgetsUpgrade),
        ("session-outlives", Self::SessionOutlives),
        ("session-cut-short", Self::SessionCutShort),
        ("idle-expiry-after-an-outage", Self::IdleExpiryAfterAnOutage),
        ("issuer-kept", Self::IssuerKept),
        ("group-kept", Self::GroupKept),
        ("refusal-unheard", Self::RefusalUnheard),
        ("anew-untold", Self::AnewUntold),
        ("lists-forgotten", Self::ListsForgotten),
        ("origins-forgotten", Self::OriginsForgotten),
        ("hours-forgotten", Self::HoursForgotten),
        ("places-forgotten", Self::PlacesForgotten),
        ("rates-forgotten", Self::RatesForgotten),
        ("format-forgotten", Self::FormatForgotten),
        ("formats-forgotten", Self::FormatsForgotten),
        ("hearing-forgotten", Self::HearingForgotten),
        ("overhearing-forgotten", Self::OverhearingForgotten),
        ("clients-uncounted", Self::ClientsUncounted),
        ("joins-uncounted", Self::JoinsUncounted),
        ("withdrawn-endpoint-kept", Self::WithdrawnEndpointKept),
        ("endpoint-change-untold", Self::EndpointChangeUntold),
    ];

    /// The bug of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(of, _)| *of == name)
            .map(|&(_, plant)| plant)
    }

    /// Whether it loses a hop, now and then.
    pub(crate) fn loses(self, hop: &Hop) -> bool {
        (self == Self::PlacedLost && matches!(hop, Hop::Placed(_)))
            || (self == Self::HomeAnswerLost && says(hop, &["Read(", "Taken(", "Present("]))
            || (self == Self::PresenceLeaveLost && says(hop, &["Depart "]))
    }

    /// Whether it has a hop come twice, now and then.
    pub(crate) fn doubles(self, hop: &Hop) -> bool {
        (self == Self::PlacedTwice && matches!(hop, Hop::Placed(_)))
            || (self == Self::PresenceTwice && says(hop, &["Changed("]))
    }

    /// Whether the last two hops on their way change places.
    pub(crate) fn swaps(self, ring: &VecDeque<Hop>) -> bool {
        let mut last = ring.iter().rev();
        match (self, last.next(), last.next()) {
            (Self::HopsSwapped, Some(Hop::Message(_)), Some(Hop::Message(_)))
            | (Self::PlacedSwapped, Some(Hop::Placed(_)), Some(Hop::Placed(_))) => true,
            (_, Some(_) | None, Some(_) | None) => false,
        }
    }
}

/// Whether a hop to or from a home is one of these: only its words tell.
fn says(hop: &Hop, words: &[&str]) -> bool {
    let told = match hop {
        Hop::ToHome(asked) => format!("{asked:?}"),
        Hop::FromHome(said) => format!("{said:?}"),
        Hop::Enter { .. }
        | Hop::Entered { .. }
        | Hop::Leave { .. }
        | Hop::Message(_)
        | Hop::Placed(_)
        | Hop::Waiting(_)
        | Hop::Kicked { .. }
        | Hop::Kick { .. }
        | Hop::Credit { .. }
        | Hop::CreditAsks { .. }
        | Hop::Sibling(_)
        | Hop::Counting(_) => return false,
    };
    let what = told.rsplit_once(" what: ").map_or("", |(_, what)| what);
    words.iter().any(|word| what.starts_with(word))
}

/// A message that has forgotten for whom it was.
pub(crate) fn without_predicate(message: &RoomMessage) -> Hop {
    Hop::Message(Arc::new(RoomMessage {
        to: Box::default(),
        except: Box::default(),
        ..copy(message)
    }))
}

/// A message of which the last byte is another, if it is of some lengths.
pub(crate) fn with_another_byte(message: &RoomMessage) -> Hop {
    let mut changed = copy(message);
    if let Some(last) = changed.payload.last_mut() {
        *last ^= 1;
    }
    Hop::Message(Arc::new(changed))
}

/// A message that reaches nobody, and costs the same credit.
pub(crate) fn to_nowhere(message: &RoomMessage) -> Hop {
    Hop::Message(Arc::new(RoomMessage {
        room: "nowhere".parse().expect("a room name"),
        ..copy(message)
    }))
}

fn copy(message: &RoomMessage) -> RoomMessage {
    RoomMessage {
        room: message.room.clone(),
        room_id: message.room_id,
        from: message.from,
        kind: message.kind,
        payload: message.payload.clone(),
        to: message.to.clone(),
        except: message.except.clone(),
    }
}

/// A room of which the node is not told all.
pub(crate) fn forget_some(plant: Option<Plant>, room: &mut Room) {
    let Some(plant) = plant else {
        return;
    };
    let RoomRules {
        connection,
        capabilities,
        messages,
        broadcast,
        ..
    } = &mut *room.rules;
    if plant == Plant::ActsForgotten {
        *capabilities = Capabilities::open();
    }
    if plant == Plant::ListsForgotten {
        connection.users_allowed.clear();
        connection.users_denied.clear();
        connection.roles_allowed.clear();
        connection.roles_denied.clear();
    }
    if plant == Plant::OriginsForgotten {
        connection.origins.clear();
    }
    if plant == Plant::HoursForgotten {
        connection.hours = None;
    }
    if plant == Plant::PlacesForgotten {
        (connection.sockets_max, connection.sockets_per_client) = (None, None);
    }
    if plant == Plant::RatesForgotten {
        messages.rates = Rates::default();
    }
    if matches!(plant, Plant::FormatForgotten | Plant::FormatsForgotten) {
        messages.format = Format::Any;
    }
    if plant == Plant::HearingForgotten {
        broadcast.never.clear();
    }
    if plant == Plant::OverhearingForgotten {
        broadcast.always.clear();
    }
    if plant == Plant::ClientsUncounted {
        messages.rates.per_client = None;
    }
    if plant == Plant::JoinsUncounted {
        connection.joins_per_address = None;
    }
}

/// A change that does not say that rooms stand differently now.
pub(crate) fn without_rooms(changed: &Changed) -> Changed {
    let items = changed.items.iter().filter_map(|item| match item {
        ChangedItem::Room(_) | ChangedItem::Template(_) | ChangedItem::TemplateGone { .. } => None,
        ChangedItem::RoomGone { id, name, template } => Some(ChangedItem::RoomGone {
            id: *id,
            name: name.clone(),
            template: template.clone(),
        }),
        ChangedItem::Other(other) => Some(ChangedItem::Other(other.clone())),
    });
    Changed {
        revision: changed.revision,
        items: items.collect(),
    }
}

/// What a change says of other things than rooms, and is not told where this is planted.
const fn is_untold(plant: Plant, item: &ChangeItem) -> bool {
    let ends = matches!(item, ChangeItem::SessionGone(_) | ChangeItem::UserGone(_));
    let grants = matches!(item, ChangeItem::Member(_));
    let blocks = matches!(item, ChangeItem::Block(_));
    let devices = matches!(item, ChangeItem::DeviceToken(..));
    let withdraws = matches!(item, ChangeItem::EndpointGone(_));
    let leads = matches!(item, ChangeItem::Endpoint(_));
    (matches!(plant, Plant::RevocationLost) && ends)
        || (matches!(plant, Plant::WithdrawnEndpointKept) && withdraws)
        || (matches!(plant, Plant::EndpointChangeUntold) && leads)
        || (matches!(plant, Plant::DeviceRoomsKept) && devices)
        || (matches!(plant, Plant::GrantLost) && grants)
        || (matches!(plant, Plant::BlockUntold) && blocks)
}

/// A change that does not say all.
pub(crate) fn without_some(plant: Plant, changed: &Changed) -> Changed {
    let items = changed.items.iter().filter_map(|item| match item {
        ChangedItem::Other(other) if is_untold(plant, other) => None,
        ChangedItem::Other(other) => Some(ChangedItem::Other(other.clone())),
        ChangedItem::Room(room) => Some(ChangedItem::Room(Arc::clone(room))),
        ChangedItem::Template(template) => Some(ChangedItem::Template(Arc::clone(template))),
        ChangedItem::RoomGone { id, name, template } => Some(ChangedItem::RoomGone {
            id: *id,
            name: name.clone(),
            template: template.clone(),
        }),
        ChangedItem::TemplateGone { prefix, next } => Some(ChangedItem::TemplateGone {
            prefix: prefix.clone(),
            next: next.clone(),
        }),
    });
    Changed {
        revision: changed.revision,
        items: items.collect(),
    }
}
