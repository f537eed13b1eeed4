//! All that a switchboard can ask of its shell. Owns the actions' types;
//! decides nothing.

use core::net::IpAddr;
use std::sync::Arc;

use porthouse_model::{ApiKey, PolicyKey, Refused, Revision, Time};

use super::chain::Position;
use super::event::{CallId, RequestId, WatchId};
use crate::input::{Changed, Command, Input, OrderId, PuddleId};
use crate::output::{
    Foreseen, ListedPresent, ListedRoom, ListedSocket, ListedWaiting, MovedSocket,
};
use crate::question::{Answer, QuestionId, SignInBy, Verification};
use crate::recall::Recalled;

/// Something the shell does.
#[derive(Debug)]
pub enum Action {
    /// Tell a puddle. What is told to one arrives in this order.
    Tell {
        /// That one.
        puddle: PuddleId,
        /// What.
        message: ToPuddle,
    },
    /// Open the watch, at another replica than the last where there is one. Any
    /// earlier watch is closed.
    OpenWatch {
        /// Its name.
        watch: WatchId,
        /// Where to go on; `None`: at the log's present head.
        from: Option<Position>,
    },
    /// Ask the control plane how these stand, in one snapshot. The request's own
    /// deadline is [`super::SwitchboardSettings::request_time_max`].
    Resolve {
        /// The request.
        request: RequestId,
        /// At most [`super::SwitchboardSettings::keys_per_request_max`].
        keys: Vec<PolicyKey>,
        /// The snapshot must be at least this new.
        min_revision: Revision,
    },
    /// Ask the control plane whether this passes a step of a room's entry.
    Verify {
        /// The request.
        request: RequestId,
        /// What is shown, and by whom.
        what: Box<Verification>,
    },
    /// Ask the control plane to sign somebody in.
    SignIn {
        /// The request.
        request: RequestId,
        /// By what.
        by: SignInBy,
        /// From where.
        address: IpAddr,
    },
    /// Tell the control plane, on the watch, that every puddle has settled this
    /// revision. Never falls, except after the log was cut or rewound; may be
    /// said again.
    Acknowledge {
        /// The revision.
        revision: Revision,
    },
    /// Answer a backend's call.
    Complete {
        /// The call.
        call: CallId,
        /// The answer.
        result: CallResult,
    },
}

/// Something told to a puddle: an [`Input`] that can be sent.
#[derive(Clone, Debug)]
pub enum ToPuddle {
    /// See [`Input::Answered`].
    Answered {
        /// The question.
        question: QuestionId,
        /// The answer.
        answer: Answer,
    },
    /// See [`Input::Changed`].
    Changed(Arc<Changed>),
    /// See [`Input::Fresh`].
    Fresh {
        /// The log's head.
        revision: Revision,
    },
    /// See [`Input::Resync`].
    Resync {
        /// The head of the log that is followed from here.
        revision: Revision,
    },
    /// See [`Input::Ordered`].
    Ordered {
        /// The order.
        order: OrderId,
        /// What is ordered.
        command: Command,
    },
    /// See [`Input::Drain`].
    Drain {
        /// The last moment.
        until: Time,
    },
}

impl From<ToPuddle> for Input<'_> {
    fn from(told: ToPuddle) -> Self {
        match told {
            ToPuddle::Answered { question, answer } => Self::Answered { question, answer },
            ToPuddle::Changed(changed) => Self::Changed(changed),
            ToPuddle::Fresh { revision } => Self::Fresh { revision },
            ToPuddle::Resync { revision } => Self::Resync { revision },
            ToPuddle::Ordered { order, command } => Self::Ordered { order, command },
            ToPuddle::Drain { until } => Self::Drain { until },
        }
    }
}

/// How a backend's call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallResult {
    /// The API key; `None`: unknown, revoked or expired.
    Key(Option<Arc<ApiKey>>),
    /// The message was queued for so many sockets of this node.
    Published {
        /// How many.
        receivers: u64,
    },
    /// The message has this place in the room's order, and was queued for about
    /// so many sockets of this node.
    Placed {
        /// How many.
        receivers: u64,
        /// Which life of the room's offsets.
        epoch: u64,
        /// Its offset.
        offset: u64,
    },
    /// So many messages are forgotten.
    Purged {
        /// How many.
        messages: u64,
    },
    /// No puddle has a live room of that name.
    NotLive,
    /// The room's rules refuse the message.
    Refused(Refused),
    /// Rooms, ordered by name, their sockets summed over the puddles.
    Rooms {
        /// The page.
        rooms: Vec<ListedRoom>,
        /// Whether more follow.
        more: bool,
    },
    /// Sockets, ordered by puddle, then slot.
    Sockets {
        /// The page.
        sockets: Vec<(PuddleId, ListedSocket)>,
        /// Whether more follow.
        more: bool,
    },
    /// Who is in the room, by its home.
    Present(ListedPresent),
    /// What became of the client's sockets that were in the room, by puddle.
    Moved(Vec<(PuddleId, MovedSocket)>),
    /// Who waits to be let in to the room, by its home.
    Waiting(Vec<ListedWaiting>),
    /// What the change would do to those inside, on all puddles.
    Foreseen(Foreseen),
    /// What the refusal came of; `None`: no puddle keeps it.
    Recalled(Option<Box<Recalled>>),
    /// It was decided about so many sockets.
    Decided {
        /// How many.
        sockets: u64,
    },
    /// So many sockets left.
    Kicked {
        /// How many.
        sockets: u64,
    },
    /// As many calls as may be are under way (`RESOURCE_EXHAUSTED`).
    TooMany,
    /// The control plane or a puddle did not answer in time (`UNAVAILABLE`).
    Unavailable,
}
