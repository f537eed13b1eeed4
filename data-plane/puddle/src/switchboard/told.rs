//! What came from the control plane, told to those it concerns: the log to all
//! puddles and to what the node knows itself, answers to their askers. Owns the
//! translation of what was found; never a decision about it.

use std::sync::Arc;

use porthouse_model::{Change, PolicyKey, Resolved, Time};

use super::event::{RequestId, Snapshot};
use super::resolves::{Asker, Landed};
use super::watch::Heard;
use super::{Action, CallResult, Position, Switchboard, ToPuddle};
use crate::input::{Changed, PuddleId};
use crate::policy::{Outcome, RoomPolicy, TemplatePolicy};
use crate::question::{Answer, Known};

impl Switchboard {
    /// Tells what the watch heard. A change comes with its content.
    pub(super) fn heard(&mut self, now: Time, heard: Heard, change: Option<Change>) {
        match heard {
            Heard::Nothing | Heard::On => {}
            Heard::Anew(place) => self.follow_anew(now, place),
            Heard::Next => {
                let change = change.expect("the next revision came as a change");
                let changed = Arc::new(Changed::compile(change));
                self.counters.changes += 1;
                self.known.change(&changed);
                self.tell_all(&ToPuddle::Changed(changed));
            }
            Heard::Fresh(revision) => {
                self.known.fresh(now, revision);
                self.unheard.clear();
                self.tell_all(&ToPuddle::Fresh { revision });
            }
        }
    }

    /// A log of which nothing is known yet, or not this.
    fn follow_anew(&mut self, now: Time, head: Position) {
        let revision = head.revision;
        let is_first = self.counters.resyncs == 0;
        self.counters.resyncs += 1;
        self.resolves.restart(revision);
        if !is_first {
            for asker in self.errands.give_up() {
                self.answer(now, asker, Answer::Unavailable);
            }
        }
        self.applied.restart(revision);
        self.known.resync(now, revision);
        self.unheard.clear();
        self.tell_all(&ToPuddle::Resync { revision });
    }

    /// What was acknowledged on a stream that broke may not have arrived.
    pub(super) fn acknowledge_again(&mut self) {
        if let Some(revision) = self.applied.acknowledged() {
            self.out.push(Action::Acknowledge { revision });
        }
    }

    /// A request to resolve has ended.
    pub(super) fn resolved(&mut self, now: Time, request: RequestId, found: Option<Snapshot>) {
        let answer = found.as_ref();
        let answer = answer.map(|snapshot| (snapshot.revision, snapshot.found.len()));
        let askers = match self.resolves.landed(request, answer) {
            Some(Landed::Answered(askers)) => askers,
            Some(Landed::Unavailable(askers)) => {
                for asker in askers {
                    self.answer(now, asker, Answer::Unavailable);
                }
                return;
            }
            None => return,
        };
        let Snapshot { revision, found } = found.expect("only an answer answers");
        for (askers, found) in askers.into_iter().zip(found) {
            let known = known(found);
            for asker in askers {
                self.answer(
                    now,
                    asker,
                    Answer::Resolved {
                        revision,
                        known: known.clone(),
                    },
                );
            }
        }
    }

    /// A password or a sign-in has ended.
    pub(super) fn errand_ended(&mut self, now: Time, request: RequestId, answer: Option<Answer>) {
        if let Some(Asker {
            puddle: Some(puddle),
            question,
        }) = self.errands.landed(request)
        {
            let answer = answer.unwrap_or(Answer::Unavailable);
            self.known.overheard(now, &answer);
            self.counters.unavailable += u64::from(matches!(answer, Answer::Unavailable));
            self.tell(puddle, ToPuddle::Answered { question, answer });
        }
    }

    /// Gives an asker its one answer.
    pub(super) fn answer(&mut self, now: Time, asker: Asker, answer: Answer) {
        let for_puddle = asker.puddle.is_some();
        let unavailable = matches!(answer, Answer::Unavailable);
        self.counters.unavailable += u64::from(for_puddle && unavailable);
        let question = asker.question;
        match asker.puddle {
            Some(puddle) => self.tell(puddle, ToPuddle::Answered { question, answer }),
            None => match self.known.answered(now, question, &answer) {
                Outcome::Known(PolicyKey::ApiKey(hash)) => {
                    let result = self.key_result(now, &hash);
                    let result = result.expect("it is known now");
                    for call in self.calls.key_known(&hash) {
                        self.complete(call, result.clone());
                    }
                }
                Outcome::Unavailable(PolicyKey::ApiKey(hash)) => {
                    for call in self.calls.key_known(&hash) {
                        self.complete(call, CallResult::Unavailable);
                    }
                }
                Outcome::AskAgain { question, what } => self.ask_for_node(now, question, what),
                // For the puddles that ask next.
                Outcome::Known(_) | Outcome::Unavailable(_) => {}
                Outcome::NotMine => unreachable!("the node asked"),
            },
        }
    }

    pub(super) fn tell_all(&mut self, message: &ToPuddle) {
        for puddle in 0..self.settings.puddles {
            self.tell(PuddleId(puddle), message.clone());
        }
    }

    pub(super) fn tell(&mut self, puddle: PuddleId, message: ToPuddle) {
        self.out.push(Action::Tell { puddle, message });
    }
}

/// What was found, compiled once for all who asked.
fn known(found: Resolved) -> Known {
    match found {
        Resolved::Room(room) => Known::Room(Arc::new(RoomPolicy::compile(room))),
        Resolved::Template(template) => {
            Known::Templated(Arc::new(TemplatePolicy::compile(template)))
        }
        Resolved::Block(block) => Known::Block(block),
        Resolved::Session(session) => Known::Session(Arc::new(session)),
        Resolved::Member(member) => Known::Member(member),
        Resolved::ApiKey(api_key) => Known::ApiKey(Arc::new(api_key)),
        Resolved::Endpoint(endpoint) => Known::Endpoint(Arc::new(endpoint)),
        Resolved::Absent => Known::Absent,
    }
}
