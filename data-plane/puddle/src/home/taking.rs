//! What becomes of something said in a room that keeps: judged, put in its
//! place, and kept as far as the rules say. Read again here too, and handed to
//! who comes in.

use core::time::Duration;
use std::sync::Arc;

use porthouse_model::{ClientId, Keep, Refused, Revision, RoomId, Time};

use super::asking::{Ask, Said, Saying, Unsaid, Welcome};
use super::away::Absence;
use super::guests::{Guest, Known};
use super::keys::Claim;
use super::placed::{Placed, Viewer};
use super::shelf::{Page, PageLimits, Range, Retention};
use super::strands::Gone;
use super::{Allowance, Home, Stand};
use crate::hop::RoomMessage;
use crate::input::{PuddleId, SocketId};
use crate::people::{Arrival, Owned};
use crate::seed::Chance;
use crate::settings::Settings;

/// What came of something said.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It has this place: every puddle that has the room is told.
    Placed(Arc<Placed>),
    /// It was said before, at this offset.
    Known(Option<u64>),
    /// It was not taken.
    Unsaid(Unsaid),
}

/// What somebody who was away can still be told when they are back.
#[derive(Clone, Debug)]
pub(crate) enum Since {
    /// Exactly what they missed of what is theirs to see.
    Recovered(Vec<Arc<Placed>>),
    /// Not everything.
    Gap,
}

impl Since {
    /// What they are told.
    pub(super) fn messages(&self) -> &[Arc<Placed>] {
        match self {
            Self::Recovered(missed) => missed,
            Self::Gap => &[],
        }
    }
}

/// What a home makes of something that is asked.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It says this.
    Said(Said),
    /// Something was said in the room, and this came of it.
    Outcome(Outcome),
    /// Nothing yet.
    Later,
    /// Nothing yet: it waits for the store.
    Queued,
    /// Not before the store was read.
    Deferred(Ask),
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker {
    /// When.
    pub now: Time,
    /// Which puddle.
    pub from: PuddleId,
    /// What the answer is to be given with.
    pub ask: u64,
    /// Whom it knows to own the room.
    pub claim: Option<Owned>,
    /// Which room of the name it knows.
    pub room_id: Option<RoomId>,
}

impl Home {
    /// Something is asked.
    pub(crate) fn answer(
        &mut self,
        asker: Asker,
        what: Ask,
        settings: &Settings,
        allowance: &Allowance,
        chance: &mut Chance,
    ) -> Answer {
        let is_behind = asker.room_id != self.governed.id();
        if is_behind && let Some(answer) = behind(&what, asker.room_id) {
            return answer;
        }
        if self.is_unread() {
            return Answer::Deferred(what);
        }
        let Asker {
            now,
            from,
            ask,
            claim,
            ..
        } = asker;
        Answer::Said(match what {
            Ask::Arrive(guest) => {
                let arrival = Arrival {
                    now,
                    from,
                    ask,
                    guest,
                };
                if self.has_lapsed(&arrival, allowance) {
                    return Answer::Said(Said::Lapsed);
                }
                match self.place(arrival, claim, settings, allowance) {
                    Some(said) => said,
                    None => return Answer::Later,
                }
            }
            Ask::Here(guest) => {
                let stands = self.here(now, from, guest, claim, settings);
                if is_behind {
                    return Answer::Later;
                }
                stands
            }
            Ask::Send(saying) if self.is_durable() => {
                return match self.take_durably(asker, saying, chance, allowance) {
                    Ok(()) => Answer::Queued,
                    Err(why) => Answer::Outcome(Outcome::Unsaid(why)),
                };
            }
            Ask::Send(saying) => return Answer::Outcome(self.take(from, &saying, now, allowance)),
            Ask::Claim { client, key } => Said::Claimed(self.claim(client, &key, now, allowance)),
            Ask::Read { range, viewer } => {
                let page = PageLimits {
                    messages_max: settings.history_page_messages_max,
                    bytes_max: settings.history_page_bytes_max,
                };
                Said::Read(self.read(range, viewer, now, page))
            }
            Ask::Look(after) => {
                let entries_max = settings.presence_entries_max.max(1);
                Said::Present(self.people.look(from, after, entries_max))
            }
            Ask::Own { by, act } => self.act(by, &act, settings),
            Ask::Depart { .. } | Ask::Unclaim { .. } | Ask::LookAway => {
                unreachable!("who leaves opens no home")
            }
        })
    }

    /// Somebody says something. A key that was given before stands for what was
    /// said then, and is charged to no rate.
    pub(crate) fn take(
        &mut self,
        from: PuddleId,
        saying: &Saying,
        now: Time,
        allowance: &Allowance,
    ) -> Outcome {
        let Some(client) = saying.message.from else {
            return Outcome::Placed(self.put(now, &saying.message, None));
        };
        let key = saying.key.as_deref();
        match key.map_or(Claim::New, |key| self.look(client, key, now, allowance)) {
            Claim::New => {}
            Claim::Known(offset) => return Outcome::Known(offset),
            Claim::Expired => return Outcome::Unsaid(Unsaid::Refused(Refused::KeyExpired)),
            Claim::Full => return Outcome::Unsaid(Unsaid::TooManyKeys),
        }
        let rates = self.governed.rules().source().messages.rates;
        let pace = allowance.pace(saying.waits);
        let counted = (client, saying.rated);
        if let Err(refused) = self.spent.take(&rates, counted, now, pace) {
            return Outcome::Unsaid(Unsaid::Refused(refused));
        }
        let placed = self.put(now, &saying.message, Some((from, saying.speaker)));
        if let Some(key) = key {
            self.keys.claim(client, key, Some(placed.offset()), now);
        }
        Outcome::Placed(placed)
    }

    /// How far the room is ahead of its rate, if it has one.
    pub(crate) fn ahead(&self, now: Time) -> Option<Duration> {
        let rates = &self.governed.rules().source().messages.rates;
        self.spent.ahead(rates, now)
    }

    /// A backend says something, which is counted as what is said inside is.
    pub(crate) fn take_published(&mut self, now: Time) -> Result<(), Refused> {
        let rates = self.governed.rules().source().messages.rates;
        self.spent.take_room(&rates, now, Duration::ZERO)
    }

    /// A key is given for something that goes its way without this home.
    pub(crate) fn claim(
        &mut self,
        client: ClientId,
        key: &str,
        now: Time,
        allowance: &Allowance,
    ) -> Claim {
        let claim = self.look(client, key, now, allowance);
        if claim == Claim::New {
            self.keys.claim(client, key, None, now);
        }
        claim
    }

    /// It did not go its way.
    pub(crate) fn unclaim(&mut self, client: ClientId, key: &str) {
        self.keys.unclaim(client, key);
    }

    pub(super) fn look(
        &mut self,
        client: ClientId,
        key: &str,
        now: Time,
        allowance: &Allowance,
    ) -> Claim {
        match self.keys.look(client, key, now, allowance.key_time_max) {
            Claim::New if self.keys.of(client) >= allowance.keys_per_client_max => Claim::Full,
            // A room may have as many as are left for all others: however many have
            // all they may, some are left for one more.
            Claim::New if self.keys.len() >= allowance.keys_left => Claim::Full,
            claim @ (Claim::New | Claim::Known(_) | Claim::Expired | Claim::Full) => claim,
        }
    }

    /// Gives a message its place, and keeps it.
    pub(crate) fn put(
        &mut self,
        now: Time,
        message: &Arc<RoomMessage>,
        speaker: Option<(PuddleId, SocketId)>,
    ) -> Arc<Placed> {
        let Stand { epoch, offset } = self.stand();
        let placed = Arc::new(Placed {
            message: Arc::clone(message),
            stand: Stand {
                epoch,
                offset: offset + 1,
            },
            speaker,
        });
        self.keep(now, &placed);
        placed
    }

    /// Keeps a message that has its place.
    pub(super) fn keep(&mut self, now: Time, placed: &Arc<Placed>) {
        self.offset = placed.offset();
        self.keep_latest(placed);
        let retention = self.retention();
        self.shelf.put(now, placed, &retention);
    }

    /// Keeps one that was kept before; only the fact of it is known where it is
    /// hollow.
    pub(super) fn keep_again(
        &mut self,
        aged: (Time, Duration),
        placed: &Arc<Placed>,
        hollow: bool,
    ) {
        self.offset = placed.offset();
        self.keep_latest(placed);
        let retention = self.retention();
        self.shelf.put_again(aged, placed, hollow, &retention);
    }

    fn keep_latest(&mut self, placed: &Arc<Placed>) {
        if self.governed.rules().source().history.keep == Keep::Latest && !placed.is_directed() {
            self.latest = Some(Arc::clone(placed));
        }
    }

    /// What is kept, for those who read and for those who are away.
    pub(crate) fn retention(&self) -> Retention {
        let history = &self.governed.rules().source().history;
        let (kept, age) = match history.keep {
            Keep::None | Keep::Latest => (0, Duration::ZERO),
            Keep::Last {
                messages_max,
                age_max,
            } => (messages_max, age_max),
        };
        let (waiting, waits) = history.waiting.map_or((0, Duration::ZERO), |waiting| {
            (waiting.messages_max, waiting.age_max)
        });
        Retention {
            messages_max: usize::try_from(kept.max(waiting)).unwrap_or(usize::MAX),
            age_max: age.max(waits),
            directed: history.directed,
        }
    }

    /// Somebody inside reads what was said.
    pub(crate) fn read(&self, range: Range, viewer: Viewer, now: Time, limits: PageLimits) -> Page {
        match self.governed.rules().source().history.keep {
            Keep::Latest => self.read_latest(range, viewer),
            Keep::None => self
                .shelf
                .read(range, self.offset, self.offset, viewer, limits),
            Keep::Last {
                messages_max,
                age_max,
            } => {
                let old = self.shelf.older_than(age_max, now);
                let floor = self.offset.saturating_sub(messages_max.into()).max(old);
                self.shelf.read(range, floor, self.offset, viewer, limits)
            }
        }
    }

    fn read_latest(&self, range: Range, viewer: Viewer) -> Page {
        let asked = |placed: &&Arc<Placed>| {
            let offset = placed.offset();
            range.after.is_none_or(|after| offset > after)
                && range.before.is_none_or(|before| offset < before)
                && range.last != Some(0)
                && viewer.may_see(placed)
        };
        let latest = self.latest.iter().filter(asked).cloned();
        let messages: Vec<_> = latest.collect();
        let enough = messages.len() as u64;
        Page {
            complete: range.last.is_some_and(|last| last <= enough)
                || range.after.unwrap_or(0) + enough >= self.offset,
            messages,
            through: self.offset,
        }
    }

    /// Nothing up to an offset is kept any more. Answers how many messages went.
    pub(crate) fn purge(&mut self, through: u64) -> u64 {
        let latest = self.latest.take_if(|latest| latest.offset() <= through);
        let shelved = self.shelf.purge(through.min(self.offset));
        shelved + u64::from(latest.is_some())
    }

    /// Somebody stands in the door: [`Said::Welcome`] or [`Said::Refused`].
    pub(crate) fn arrive(
        &mut self,
        from: PuddleId,
        mut guest: Guest,
        now: Time,
        allowance: &Allowance,
    ) -> Said {
        let waited = self.away.back(guest.client);
        guest.waited = waited.map(Box::new);
        let (client, hearing) = (guest.client, guest.hearing);
        let (since, thread) = self.go_on(from, &guest, now, allowance);
        let heard = guest.heard.as_deref().copied();
        let missed = heard.map(|heard| self.missed(&heard, client, now, allowance));
        self.count_in(from, guest);
        let (waited, dropped) = waited.map_or_else(Default::default, |absence| {
            let viewer = Viewer {
                client,
                since: absence.after,
                hearing,
            };
            self.waiting(viewer, now, allowance)
        });
        let latest = self.latest.as_ref().filter(|latest| {
            let heard = waited.last();
            heard.is_none_or(|last| last.offset() < latest.offset())
        });
        Said::Welcome(Welcome {
            transient: self.transient(),
            stand: self.stand(),
            since,
            missed,
            thread,
            latest: latest.cloned(),
            waited,
            dropped,
        })
    }

    /// What waits for somebody who was away: no more at once than a socket may
    /// have queued. And how many messages more it was.
    fn waiting(&self, viewer: Viewer, now: Time, allowance: &Allowance) -> (Vec<Arc<Placed>>, u32) {
        let Some(waiting) = self.governed.rules().source().history.waiting else {
            return (Vec::new(), 0);
        };
        let old = self.shelf.older_than(waiting.age_max, now);
        let messages_max = usize::try_from(waiting.messages_max).unwrap_or(usize::MAX);
        self.shelf.newest(
            (viewer.since.max(old), self.offset),
            |placed| viewer.may_see(placed),
            messages_max,
            allowance.recovered_bytes_max,
        )
    }

    /// The last socket of a client has gone. What is said from here on waits for
    /// who may hear it: not for who was put out, nor for who may have been, where
    /// their puddle knew less than is known here.
    pub(crate) fn left(
        &mut self,
        gone: &Known,
        (how, as_of): (Gone, Revision),
        now: Time,
        allowance: &Allowance,
    ) {
        let Some(waiting) = self.governed.rules().source().history.waiting else {
            return;
        };
        let absence = match how {
            Gone::Outside => gone.waited.as_deref().copied(),
            Gone::Cut | Gone::Left if as_of >= self.touched => Some(Absence {
                after: self.offset,
                since: now,
            }),
            Gone::Cut | Gone::Left | Gone::PutOut => None,
        };
        self.away.forget(now, waiting.age_max);
        // What waited for another socket of theirs, which did not come in.
        let before = self.away.back(gone.client).filter(|_| absence.is_some());
        let absences = absence.filter(|_| gone.user).into_iter().chain(before);
        if let Some(absence) = absences.min_by_key(|absence| absence.after) {
            self.away
                .left(gone.client, absence, allowance.waiting_members_max);
        }
    }

    /// What waited was handed to a socket that did not come in; others of the
    /// client are there: it waits for the next.
    pub(super) fn hand_back(
        &mut self,
        (client, absence): (ClientId, Absence),
        allowance: &Allowance,
    ) {
        let members_max = allowance.waiting_members_max;
        self.away.left(client, absence, members_max);
    }
}

impl Home {
    /// A client may not have been allowed to hear what is said: nothing of it
    /// waits for them.
    pub(super) fn forget_absence(&mut self, client: ClientId) {
        self.away.back(client);
        self.guests.forget_waited(client);
    }
}

/// What is asked by a puddle that has not heard yet that another room has taken
/// the name, and is not to reach that one: nothing crosses between the two.
fn behind(what: &Ask, room_id: Option<RoomId>) -> Option<Answer> {
    match what {
        // Who is inside of a room that is gone is put out when that is heard of.
        Ask::Here(_) if room_id.is_some() => Some(Answer::Later),
        Ask::Send(_) => {
            let why = Unsaid::Refused(Refused::Stale);
            Some(Answer::Outcome(Outcome::Unsaid(why)))
        }
        Ask::Arrive(_) | Ask::Claim { .. } | Ask::Read { .. } | Ask::Look(_) => {
            Some(Answer::Said(Said::Refused(Refused::Stale)))
        }
        // Who is inside is told apart when it hears of the other room.
        Ask::Here(_)
        | Ask::Depart { .. }
        | Ask::Unclaim { .. }
        | Ask::LookAway
        | Ask::Own { .. } => None,
    }
}
