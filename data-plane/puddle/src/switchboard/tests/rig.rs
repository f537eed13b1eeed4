//! A switchboard on a bench: events in, actions out, a log to follow. Owns the
//! bench; judges nothing.

use core::time::Duration;

use porthouse_model::{Change, PolicyKey, Revision, RoomName, Time};

use crate::input::PuddleId;
use crate::policy::tests::model::{name, room, room_id};
use crate::question::{Answer, Question, QuestionId};
use crate::seed::Seed;
use crate::switchboard::{
    Action, Call, CallId, CallResult, Event, Position, RequestId, Snapshot, Switchboard,
    SwitchboardSettings, ToPuddle, WatchId,
};

pub(super) const START: Time = Time::from_nanos(1_000_000_000);

/// A switchboard, its clock, and the place in the log that it has heard of.
pub(super) struct Rig {
    pub(super) board: Switchboard,
    pub(super) now: Time,
    pub(super) position: Position,
    pub(super) watch: WatchId,
    actions: Vec<Action>,
}

impl Rig {
    pub(super) fn new(settings: SwitchboardSettings) -> Self {
        Self {
            board: Switchboard::new(settings, START),
            now: START,
            position: Position::START,
            watch: WatchId(0),
            actions: Vec::new(),
        }
    }

    /// Two puddles, the watch open at the log's start.
    pub(super) fn watching() -> Self {
        Self::watching_with(|_| {})
    }

    pub(super) fn watching_with(change: impl FnOnce(&mut SwitchboardSettings)) -> Self {
        let mut settings = SwitchboardSettings::new(2, Seed(7));
        change(&mut settings);
        let mut rig = Self::new(settings);
        let opening = rig.settle();
        assert_eq!(rig.opening(&opening), None);
        rig.open();
        rig.settle();
        rig
    }

    pub(super) fn handle(&mut self, event: Event) {
        self.board.handle(self.now, event);
        self.board.check();
    }

    pub(super) fn settle(&mut self) -> Vec<Action> {
        self.board.settle(self.now, &mut self.actions);
        self.board.check();
        std::mem::take(&mut self.actions)
    }

    pub(super) fn pass(&mut self, span: Duration) {
        self.now = self.now + span;
    }

    /// Lets time pass to the next deadline.
    pub(super) fn pass_to_deadline(&mut self) -> Vec<Action> {
        let mut actions = self.settle();
        let due = self
            .board
            .settle(self.now, &mut actions)
            .expect("a watch has a deadline");
        self.now = self.now.max(due.at);
        actions.extend(self.settle());
        actions
    }

    /// From where the watch is opened; remembers its name.
    pub(super) fn opening(&mut self, actions: &[Action]) -> Option<Position> {
        let opening = actions.iter().find_map(|action| match action {
            Action::OpenWatch { watch, from } => Some((*watch, *from)),
            _ => None,
        });
        let (watch, from) = opening.expect("the watch is opened");
        self.watch = watch;
        from
    }

    pub(super) fn open(&mut self) {
        self.handle(Event::WatchOpened {
            watch: self.watch,
            head: self.position,
        });
    }

    pub(super) fn progress(&mut self) {
        self.handle(Event::Progress {
            watch: self.watch,
            head: self.position,
        });
    }

    /// The next revision of the log, of nothing.
    pub(super) fn change(&mut self) -> Revision {
        let payload = vec![7];
        self.position = self.position.then(&payload);
        let Position { revision, chain } = self.position;
        let change = Change {
            revision,
            items: Vec::new(),
        };
        self.handle(Event::Changed {
            watch: self.watch,
            change,
            payload,
            chain,
        });
        revision
    }

    pub(super) fn ask(&mut self, puddle: u8, question: u64, text: &str, min_revision: u64) {
        let what = Question::Resolve {
            key: PolicyKey::Room(name(text)),
            min_revision: Revision(min_revision),
        };
        let (puddle, question) = (PuddleId(puddle), QuestionId(question));
        self.handle(Event::Asked {
            puddle,
            question,
            what,
        });
    }

    /// Answers a request for one key by a room.
    pub(super) fn found(&mut self, request: RequestId, text: &str, revision: u64) {
        let found = vec![porthouse_model::Resolved::Room(room(1, text, 1))];
        let found = Some(Snapshot {
            revision: Revision(revision),
            found,
        });
        self.handle(Event::Resolved { request, found });
    }

    pub(super) fn call(&mut self, call: u64, what: Call) {
        self.handle(Event::Called {
            call: CallId(call),
            what,
        });
    }

    pub(super) fn applied(&mut self, puddle: u8, revision: u64) {
        let (puddle, revision) = (PuddleId(puddle), Revision(revision));
        self.handle(Event::Applied { puddle, revision });
    }
}

/// The requests put out: name, room names, and how new they must be.
pub(super) fn requests(actions: &[Action]) -> Vec<(RequestId, Vec<RoomName>, u64)> {
    let requests = actions.iter().filter_map(|action| match action {
        Action::Resolve {
            request,
            keys,
            min_revision,
        } => {
            let names = keys.iter().map(|key| match key {
                PolicyKey::Room(name) => name.clone(),
                other => panic!("no room: {other:?}"),
            });
            Some((*request, names.collect(), min_revision.0))
        }
        _ => None,
    });
    requests.collect()
}

/// The answers told: puddle, question, and the room that was found.
pub(super) fn answers(actions: &[Action]) -> Vec<(u8, u64, Option<u64>)> {
    let answers = actions.iter().filter_map(|action| match action {
        Action::Tell {
            puddle,
            message: ToPuddle::Answered { question, answer },
        } => {
            let revision = match answer {
                Answer::Resolved { revision, .. } => Some(revision.0),
                Answer::Unavailable => None,
                other => panic!("no answer to a resolve: {other:?}"),
            };
            Some((puddle.0, question.0, revision))
        }
        _ => None,
    });
    answers.collect()
}

pub(super) fn acknowledged(actions: &[Action]) -> Vec<u64> {
    let said = actions.iter().filter_map(|action| match action {
        Action::Acknowledge { revision } => Some(revision.0),
        _ => None,
    });
    said.collect()
}

pub(super) fn completed(actions: Vec<Action>) -> Vec<(u64, CallResult)> {
    let completed = actions.into_iter().filter_map(|action| match action {
        Action::Complete { call, result } => Some((call.0, result)),
        _ => None,
    });
    completed.collect()
}

/// What puddles are told of the log: puddle, word and revision.
pub(super) fn told(actions: &[Action]) -> Vec<(u8, &'static str, u64)> {
    let told = actions.iter().filter_map(|action| match action {
        Action::Tell { puddle, message } => match message {
            ToPuddle::Changed(changed) => Some((puddle.0, "changed", changed.revision.0)),
            ToPuddle::Fresh { revision } => Some((puddle.0, "fresh", revision.0)),
            ToPuddle::Resync { revision } => Some((puddle.0, "resync", revision.0)),
            ToPuddle::Drain { .. } => Some((puddle.0, "drain", 0)),
            ToPuddle::Answered { .. } | ToPuddle::Ordered { .. } => None,
        },
        _ => None,
    });
    told.collect()
}

/// A room's identity that no test room has.
pub(super) fn other_room() -> porthouse_model::RoomId {
    room_id(99)
}
