//! What puddles of one node tell each other, as a black box keeps it. Passwords
//! and codes on their way to a sibling's door are left out (see `Secret`).

use porthouse_model::{Denial, Refusal};

use super::code::{Garbled, Kept, Reader, fields, variants};
use crate::counting::{Counted, CountingHop, Once};
use crate::home::{
    Absence, Ask, Claim, FromHome, Gone, Guest, Heard, OwnerAct, Page, Placed, Range, Rated,
    Resumes, Said, Saying, Since, Stand, Thread, ToHome, Unsaid, Viewer, Welcome,
};
use crate::hop::{Hop, RoomMessage};
use crate::output::WireForm;
use crate::people::{
    Batch, Devices, Owned, OwnerRuleFault, Page as PresentPage, Present, RoomLife,
};
use crate::puddle::Whom;
use crate::room::{Governed, Transient};
use crate::sibling::{Claim as SiblingClaim, Command, End, Pair, SiblingHop, SiblingSaid};
use crate::waiting::{Decision, Fate, WaitingHop};
use crate::wire::multiplexed::{Answer, Comeback, Id};

variants! {
    Hop {
        0 Enter { room, visit },
        1 Entered { room, visit },
        2 Leave { room },
        3 Message(message),
        4 ToHome(asked),
        5 Placed(placed),
        6 FromHome(said),
        7 Waiting(hop),
        8 Sibling(hop),
        9 Counting(hop),
        10 Kicked { room, whom, time },
        11 Kick { room, client, time },
        12 Credit { hops, bytes },
        13 CreditAsks { hops, bytes },
    }
    Whom { 0 Client(client), 1 Anonymous(range), }
    WireForm { 0 Raw, 1 Multiplexed, 2 EventStream, }
    RoomLife { 0 Peer, 1 Peerless, }
    Governed { 0 Persistent(policy), 1 Templated(policy), 2 Transient(transient), }
    Ask {
        0 Arrive(guest),
        1 Here(guest),
        2 Depart { socket, gone },
        3 Send(saying),
        4 Claim { client, key },
        5 Unclaim { client, key },
        6 Read { range, viewer },
        7 Look(after),
        8 LookAway,
        9 Own { by, act },
    }
    Gone { 0 Outside, 1 Cut, 2 Left, 3 PutOut, }
    Rated { 0 Client, 1 Network(address), }
    OwnerAct { 0 Pass(client), 1 Rule(rules), }
    Said {
        0 Welcome(welcome),
        1 Lapsed,
        2 Refused(refused),
        3 Stands(stand),
        4 Go(socket, refused),
        5 Present(page),
        6 Changed(batch),
        7 Owned(transient),
        8 Ended(refused),
        9 Done(transient),
        10 Unruly(fault),
        11 Taken(offset),
        12 Stored(offset),
        13 Slow(socket, time),
        14 Unsaid(socket, unsaid),
        15 Claimed(claim),
        16 Read(page),
    }
    Unsaid { 0 Refused(refused), 1 TooManyKeys, }
    Since { 0 Recovered(missed), 1 Gap, }
    Claim { 0 New, 1 Known(offset), 2 Expired, 3 Full, }
    WaitingHop {
        0 Apply { room, socket, client, username },
        1 Withdraw { room, socket },
        2 Decide { room, client, decision },
        3 Ended { room, socket, fate },
        4 Crowd { room, clients },
    }
    Decision { 0 Admit, 1 Refuse, }
    Fate { 0 Decided(decision), 1 Crowded, }
    Counted {
        0 Ask { ask, what },
        1 May { ask, may },
        2 Spent(room, client, socket),
        3 Owns(room, client),
        4 OwnsNoMore(room, client),
    }
    Once {
        0 Join(room, address, rate),
        1 Post(room, address, rate),
        2 Make(room, client, socket),
    }
    SiblingSaid {
        0 Bind(claim),
        1 Bound,
        2 Unbound,
        3 Do(id, command),
        4 Done,
        5 Told(frames),
        6 Cut,
        7 Moved(room),
        8 Ended(end),
        9 Gone,
    }
    Command {
        0 Answer(answer),
        1 Leave,
        2 Decide(client, decision),
        3 Kick(client, comeback),
        4 History(range),
        5 Presence(after),
        6 Own(act),
        7 Renew(token),
    }
    End { 0 Left(id), 1 Refused(id, refusal), 2 Closed(refusal), }
    Answer { 0 Password(password), 1 Code(code), }
    Comeback { 0 AtOnce, 1 Later, }
    Id { 0 Natural(number), 1 Negative(number), 2 Text(text), }
}

fields! {
    RoomMessage { room, room_id, from, kind, payload, to, except }
    ToHome { room, ask, governed, as_of, what }
    FromHome { room, ask, what }
    Transient { rules, life, owned }
    Owned { life, owner, epoch }
    Guest {
        socket, client, user, username, posts, form, makes, hearing, waited, resumes, heard, as_of
    }
    Absence { after, since }
    Resumes { strand, number, stand, hearing, user }
    Thread { strand, number, floor }
    Stand { epoch, offset }
    Heard { stand, hearing }
    Saying { message, speaker, key, waits, rated }
    Range { after, before, last }
    Viewer { client, since, hearing }
    Welcome { stand, transient, waited, dropped, latest, since, missed, thread }
    Placed { message, stand, speaker }
    Page { messages, through, complete }
    PresentPage { seq, count, present, more }
    Present { client, username, devices }
    Devices { raw, multiplexed, event_streams }
    Batch { seq, count, joined, left, updated }
    SiblingHop { pair, what }
    Pair { raw, sibling }
    SiblingClaim { secret, token, room }
    Refusal { id, denial }
    Denial { refused, after_ms }
}

impl Kept for CountingHop {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Garbled> {
        Kept::read(from).map(Self)
    }
}

impl Kept for OwnerRuleFault {
    fn write(&self, out: &mut Vec<u8>) {
        self.rule.to_owned().write(out);
        self.needed.to_owned().write(out);
    }

    /// Its texts are the program's own, so there are few, and they stay.
    fn read(from: &mut Reader<'_>) -> Result<Self, Garbled> {
        let mut text = || Ok(&*Box::leak(from.text()?.into()));
        Ok(Self {
            rule: text()?,
            needed: text()?,
        })
    }
}
