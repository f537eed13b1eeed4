//! What one puddle asked for, all the node's puddles know.

use porthouse_model::{PolicyKey, Resolved, Revision};

use super::rig::{Rig, answers, requests};
use crate::input::PuddleId;
use crate::policy::tests::model::{session, token};
use crate::question::{Question, QuestionId};
use crate::switchboard::{Action, Event, RequestId, Snapshot, WatchEnd};

fn ask_for_session(rig: &mut Rig, puddle: u8, question: u64) {
    rig.handle(Event::Asked {
        puddle: PuddleId(puddle),
        question: QuestionId(question),
        what: Question::Resolve {
            key: PolicyKey::Session(token(1)),
            min_revision: Revision(0),
        },
    });
}

fn session_found(rig: &mut Rig, request: u64, found: Resolved) {
    rig.handle(Event::Resolved {
        request: RequestId(request),
        found: Some(Snapshot {
            revision: Revision(0),
            found: vec![found],
        }),
    });
}

fn lose_the_watch(rig: &mut Rig) {
    rig.handle(Event::WatchLost {
        watch: rig.watch,
        reason: WatchEnd::Retry,
    });
}

fn resolves(actions: &[Action]) -> usize {
    let resolves = |action: &&Action| matches!(action, Action::Resolve { .. });
    actions.iter().filter(resolves).count()
}

#[test]
fn a_room_that_one_puddle_knows_is_known_to_all_while_the_control_plane_is_away() {
    let mut rig = Rig::watching();
    rig.ask(0, 1, "lobby", 0);
    rig.settle();
    rig.found(RequestId(0), "lobby", 0);
    rig.settle();
    let revision = rig.change().0;
    lose_the_watch(&mut rig);
    rig.ask(1, 1, "lobby", revision);
    let actions = rig.settle();
    assert_eq!(requests(&actions), [], "nobody need be asked");
    assert_eq!(answers(&actions), [(1, 1, Some(revision))]);
}

#[test]
fn a_session_that_one_puddle_knows_is_known_to_all() {
    let mut rig = Rig::watching();
    ask_for_session(&mut rig, 0, 1);
    rig.settle();
    let mut found = session(1, 1);
    found.expires = porthouse_model::UnixTime::from_millis(60_000);
    rig.handle(Event::Wall(porthouse_model::UnixTime::from_millis(0)));
    session_found(&mut rig, 0, Resolved::Session(found));
    rig.settle();
    lose_the_watch(&mut rig);
    ask_for_session(&mut rig, 1, 1);
    let actions = rig.settle();
    assert_eq!(resolves(&actions), 0);
    assert_eq!(answers(&actions), [(1, 1, Some(0))]);
    // It has ended: whether it was prolonged, only the control plane knows.
    rig.pass(core::time::Duration::from_mins(1));
    ask_for_session(&mut rig, 1, 2);
    assert_eq!(resolves(&rig.settle()), 1);
}

#[test]
fn that_there_is_no_session_is_told_to_nobody_else() {
    let mut rig = Rig::watching();
    ask_for_session(&mut rig, 0, 1);
    rig.settle();
    session_found(&mut rig, 0, Resolved::Absent);
    rig.settle();
    ask_for_session(&mut rig, 1, 1);
    assert_eq!(resolves(&rig.settle()), 1, "it may have been opened since");
}

#[test]
fn a_puddle_that_began_anew_takes_nothing_old_for_new() {
    let mut rig = Rig::watching();
    rig.ask(0, 1, "lobby", 0);
    rig.settle();
    rig.found(RequestId(0), "lobby", 0);
    rig.settle();
    let puddle = PuddleId(1);
    rig.handle(Event::PuddleRestarted { puddle });
    rig.ask(1, 1, "lobby", 0);
    assert_eq!(requests(&rig.settle()).len(), 1, "it has had no word since");
    rig.progress();
    rig.ask(1, 2, "lobby", 0);
    assert_eq!(answers(&rig.settle()), [(1, 2, Some(0))]);
}
