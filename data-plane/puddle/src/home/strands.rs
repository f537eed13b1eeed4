//! Clients' ways through a room, each over as many sockets as it takes: who may
//! come back to where they were. Owns which token is worth something still; what
//! they missed stands on the room's shelf.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use porthouse_model::{ClientId, Refused, Revision, Time, UserId};
use porthouse_rules::Hearing;

use super::asking::Stand;
use crate::input::{PuddleId, SocketId};

/// As what somebody comes back, by a token that opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resumes {
    /// Which way it is.
    pub strand: u64,
    /// Which token of it.
    pub number: u32,
    /// What they have seen already.
    pub stand: Stand,
    /// What they may hear, as the door has it.
    pub hearing: Hearing,
    /// Who comes back, where that is a user, who is the same each time.
    pub user: Option<UserId>,
}

/// What a token is to say, so that whoever comes in can come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Thread {
    /// Which way it is.
    pub strand: u64,
    /// Which token of it.
    pub number: u32,
    /// The least offset it is good for.
    pub floor: u64,
}

/// Why somebody is not inside any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    /// They had not come in.
    Outside,
    /// Their socket has ended: they may come back to where they were.
    Cut,
    /// They left: who comes again begins anew.
    Left,
    /// They were put out: the same, and nothing waits for them that is said
    /// meanwhile.
    PutOut,
}

impl Gone {
    /// How somebody has gone who is refused this.
    pub(crate) const fn refused(refused: Refused) -> Self {
        // They may be inside; the node does not know better, or they are.
        if matches!(
            refused,
            Refused::Stale | Refused::Replaced | Refused::Resumed
        ) {
            Self::Left
        } else {
            Self::PutOut
        }
    }
}

/// By what a room was ruled, at some moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ruling {
    /// The revision by which its rules last changed.
    pub revision: Revision,
    /// How often its owner, who has no revisions, had changed them.
    pub times: u64,
}

#[derive(Clone, Copy, Debug)]
struct Strand {
    client: ClientId,
    at: Where,
    /// The newest token that was shown.
    shown: u32,
    /// The newest token that was given.
    given: u32,
    /// The client was inside by the rules of this revision.
    proven: Ruling,
    /// The revision that last changed what is known of the client here.
    touched: Revision,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Where {
    Inside(PuddleId, SocketId),
    Away(Time),
}

/// All ways through one room that are known still.
#[derive(Debug, Default)]
pub(crate) struct Strands {
    strands: BTreeMap<u64, Strand>,
    of_client: BTreeSet<(ClientId, u64)>,
    inside: BTreeMap<(PuddleId, SocketId), u64>,
    away: BTreeSet<(Time, u64)>,
    last: u64,
}

impl Strands {
    /// None yet; numbered after this one. It is drawn: a token may be older than
    /// the home that knows it, and may not be another's there.
    pub(crate) fn after(last: u64) -> Self {
        Self {
            last,
            ..Self::default()
        }
    }

    /// Nobody may come back. No number is given twice.
    pub(crate) fn end_all(&mut self) {
        *self = Self::after(self.last);
    }

    /// Whether a token is worth something: whoever shows it was inside as long
    /// as the room stood like this, and no newer one was shown since. Where it
    /// was shown before, this is the one that counts.
    pub(crate) fn knows(&self, resumes: &Resumes, ruling: Ruling) -> bool {
        self.strands.get(&resumes.strand).is_some_and(|strand| {
            let Ruling { revision, times } = strand.proven;
            let is_theirs = |user: UserId| strand.client == user.into();
            resumes.user.is_none_or(is_theirs)
                && resumes.number >= strand.shown
                && resumes.number <= strand.given
                && times == ruling.times
                && revision >= ruling.revision.max(strand.touched)
        })
    }

    /// Whose way it is.
    pub(crate) fn client(&self, strand: u64) -> Option<ClientId> {
        self.strands.get(&strand).map(|strand| strand.client)
    }

    /// Who is inside on it.
    pub(crate) fn holder(&self, strand: u64) -> Option<(PuddleId, SocketId)> {
        match self.strands.get(&strand)?.at {
            Where::Inside(puddle, socket) => Some((puddle, socket)),
            Where::Away(_) => None,
        }
    }

    /// Somebody comes in, who has no way yet. Answers the way, and its first
    /// token's number.
    pub(crate) fn begin(
        &mut self,
        at: (PuddleId, SocketId),
        client: ClientId,
        (proven, touched): (Ruling, Revision),
    ) -> (u64, u32) {
        self.out(at);
        self.last += 1;
        let strand = Strand {
            client,
            at: Where::Inside(at.0, at.1),
            shown: 0,
            given: 1,
            proven,
            touched,
        };
        self.strands.insert(self.last, strand);
        self.of_client.insert((client, self.last));
        self.inside.insert(at, self.last);
        (self.last, 1)
    }

    /// Somebody comes back on a way that is known, as this client from here on.
    /// Answers the next token's number.
    pub(crate) fn go_on(
        &mut self,
        at: (PuddleId, SocketId),
        client: ClientId,
        resumes: &Resumes,
        proven: Ruling,
    ) -> Option<u32> {
        let number = resumes.strand;
        let strand = self.strands.get_mut(&number)?;
        match strand.at {
            Where::Inside(puddle, socket) => {
                self.inside.remove(&(puddle, socket));
            }
            Where::Away(since) => {
                self.away.remove(&(since, number));
            }
        }
        self.of_client.remove(&(strand.client, number));
        strand.client = client;
        strand.at = Where::Inside(at.0, at.1);
        strand.shown = resumes.number;
        strand.given = strand.given.saturating_add(1);
        strand.proven = proven;
        let given = strand.given;
        self.of_client.insert((client, number));
        self.inside.insert(at, number);
        Some(given)
    }

    /// A socket has ended whose client may come back: it was inside by these
    /// rules until then.
    pub(crate) fn cut(&mut self, at: (PuddleId, SocketId), proven: Option<Ruling>, now: Time) {
        let Some(number) = self.inside.remove(&at) else {
            return;
        };
        let strand = self
            .strands
            .get_mut(&number)
            .expect("who is inside is on it");
        strand.at = Where::Away(now);
        if let Some(proven) = proven {
            strand.proven = proven;
        }
        self.away.insert((now, number));
    }

    /// A socket does not come in after all. What it came by is good as before.
    pub(crate) fn stay_out(&mut self, at: (PuddleId, SocketId), now: Time) {
        let strand = self.inside.get(&at).and_then(|way| self.strands.get(way));
        if strand.is_some_and(|strand| strand.given == 1) {
            self.out(at);
        } else {
            self.cut(at, None, now);
        }
    }

    /// A socket has left, or was put out: its way ends.
    pub(crate) fn out(&mut self, at: (PuddleId, SocketId)) {
        if let Some(number) = self.inside.remove(&at) {
            self.forget(number);
        }
    }

    /// A puddle is gone, and all sockets with it.
    pub(crate) fn lose(&mut self, puddle: PuddleId, now: Time) {
        let lost = self.inside.keys().filter(|(of, _)| *of == puddle);
        let lost: Vec<_> = lost.copied().collect();
        for at in lost {
            self.cut(at, None, now);
        }
    }

    /// What is known of a client here has changed: who was inside by what was
    /// known before is not back by it.
    pub(crate) fn touch(&mut self, client: ClientId, revision: Revision) {
        for number in self.of(client) {
            let strand = self.strands.get_mut(&number).expect("it is listed");
            strand.touched = strand.touched.max(revision);
        }
    }

    /// A client was put out, wherever it is.
    pub(crate) fn end(&mut self, client: ClientId) {
        for number in self.of(client) {
            self.forget(number);
        }
    }

    /// Forgets who has been away for longer than this, and those who left first
    /// while there are more than so many.
    pub(crate) fn keep(&mut self, now: Time, time_max: Duration) {
        while let Some((since, number)) = self.away.first().copied()
            && now.since(since) > time_max
        {
            self.forget(number);
        }
    }

    /// Keeps no more than so many: those who left first are forgotten first, and
    /// then who came first.
    pub(crate) fn shrink(&mut self, strands_max: usize) {
        while self.strands.len() > strands_max {
            let first = self.away.first().map(|(_, number)| *number);
            let first = first.or_else(|| self.strands.keys().next().copied());
            self.forget(first.expect("there is at least one"));
        }
    }

    /// When the first who is away is forgotten.
    pub(crate) fn due(&self, time_max: Duration) -> Option<Time> {
        self.away.first().map(|(since, _)| *since + time_max)
    }

    /// When the last who is away is forgotten.
    pub(crate) fn until(&self, time_max: Duration) -> Option<Time> {
        self.away.last().map(|(since, _)| *since + time_max)
    }

    pub(crate) fn len(&self) -> usize {
        self.strands.len()
    }

    fn of(&self, client: ClientId) -> Vec<u64> {
        let theirs = self.of_client.range((client, 0)..=(client, u64::MAX));
        theirs.map(|(_, number)| *number).collect()
    }

    fn forget(&mut self, number: u64) {
        let Some(strand) = self.strands.remove(&number) else {
            return;
        };
        self.of_client.remove(&(strand.client, number));
        match strand.at {
            Where::Inside(puddle, socket) => {
                self.inside.remove(&(puddle, socket));
            }
            Where::Away(since) => {
                self.away.remove(&(since, number));
            }
        }
    }

    pub(crate) fn check(&self) {
        let strands = self.strands.len();
        assert_eq!(self.of_client.len(), strands, "each is of a client");
        let places = self.inside.len() + self.away.len();
        assert_eq!(places, strands, "each is inside or away");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: (PuddleId, SocketId) = (
        PuddleId(0),
        SocketId {
            slot: 1,
            generation: 0,
        },
    );
    const THERE: (PuddleId, SocketId) = (PuddleId(1), HERE.1);
    const ADA: ClientId = ClientId::from_bytes([1; 16]);

    fn ruled(revision: u64) -> Ruling {
        Ruling {
            revision: Revision(revision),
            times: 0,
        }
    }

    fn token(strand: u64, number: u32) -> Resumes {
        Resumes {
            strand,
            number,
            stand: Stand {
                epoch: 1,
                offset: 0,
            },
            hearing: Hearing::Named,
            user: None,
        }
    }

    fn begun() -> (Strands, u64) {
        let mut strands = Strands::default();
        let (strand, number) = strands.begin(HERE, ADA, (ruled(1), Revision(0)));
        assert_eq!(number, 1);
        (strands, strand)
    }

    #[test]
    fn the_newest_token_shown_counts_and_older_ones_are_nothing() {
        let (mut strands, strand) = begun();
        strands.cut(HERE, Some(ruled(1)), Time::ZERO);
        for given in [2, 3] {
            assert!(strands.knows(&token(strand, 1), ruled(1)), "shown again");
            let next = strands.go_on(THERE, ADA, &token(strand, 1), ruled(1));
            assert_eq!(next, Some(given));
            assert_eq!(strands.holder(strand), Some(THERE));
        }
        strands.go_on(HERE, ADA, &token(strand, 3), ruled(1));
        assert!(!strands.knows(&token(strand, 1), ruled(1)));
        assert!(!strands.knows(&token(strand, 2), ruled(1)));
        assert!(!strands.knows(&token(strand, 5), ruled(1)), "never given");
        strands.check();
    }

    #[test]
    fn nobody_is_back_by_what_changed_while_they_were_away() {
        let (mut strands, strand) = begun();
        strands.cut(HERE, Some(ruled(4)), Time::ZERO);
        assert!(strands.knows(&token(strand, 1), ruled(4)));
        assert!(!strands.knows(&token(strand, 1), ruled(5)), "other rules");
        strands.touch(ADA, Revision(5));
        assert!(
            !strands.knows(&token(strand, 1), ruled(4)),
            "another standing"
        );
        strands.end(ADA);
        assert_eq!(strands.len(), 0);
        strands.check();
    }

    #[test]
    fn who_left_or_was_put_out_has_no_way_back() {
        let (mut strands, strand) = begun();
        strands.out(HERE);
        assert!(!strands.knows(&token(strand, 1), ruled(1)));
        strands.check();
    }

    #[test]
    fn those_who_left_first_are_forgotten_first() {
        let mut strands = Strands::default();
        let seconds = |seconds| Time::ZERO + Duration::from_secs(seconds);
        let mut numbers = Vec::new();
        for slot in 0..4 {
            let at = (
                PuddleId(0),
                SocketId {
                    slot,
                    generation: 0,
                },
            );
            numbers.push(strands.begin(at, ADA, (ruled(1), Revision(0))).0);
            if slot > 0 {
                strands.cut(at, None, seconds(slot.into()));
            }
        }
        strands.keep(seconds(11), Duration::from_secs(9));
        assert_eq!(strands.len(), 3);
        assert_eq!(strands.until(Duration::from_secs(9)), Some(seconds(12)));
        strands.shrink(2);
        assert!(!strands.knows(&token(numbers[2], 1), ruled(1)));
        assert!(strands.knows(&token(numbers[3], 1), ruled(1)));
        assert!(
            strands.knows(&token(numbers[0], 1), ruled(1)),
            "who is inside stays"
        );
        strands.lose(PuddleId(0), seconds(12));
        strands.check();
    }
}
