//! Questions: one resolve for many askers, each answered once, in time.

use core::time::Duration;

use porthouse_model::{ClientId, PasswordVersion, Revision};

use super::rig::{Rig, answers, other_room, requests};
use crate::input::PuddleId;
use crate::policy::tests::model::name;
use crate::question::{Answer, Pass, Proof, Question, QuestionId, Secret, Verdict, Verification};
use crate::seed::Seed;
use crate::switchboard::{
    Action, Event, RequestId, Snapshot, SwitchboardSettings, ToPuddle, WatchEnd,
};

#[test]
fn nothing_is_resolved_before_the_log_is_followed() {
    let mut rig = Rig::new(SwitchboardSettings::new(1, Seed(7)));
    rig.ask(0, 1, "lobby", 0);
    let actions = rig.settle();
    assert_eq!(requests(&actions), []);
    rig.opening(&actions);
    rig.position = rig.position.then(&[1]);
    rig.open();
    let put_out = requests(&rig.settle());
    assert_eq!(
        put_out,
        [(RequestId(0), vec![name("lobby")], 1)],
        "as new as the head"
    );
}

#[test]
fn a_broken_watch_does_not_stop_answers() {
    let mut rig = Rig::watching();
    rig.handle(Event::WatchLost {
        watch: rig.watch,
        reason: WatchEnd::Retry,
    });
    rig.ask(0, 1, "lobby", 0);
    assert_eq!(requests(&rig.settle()).len(), 1);
    rig.found(RequestId(0), "lobby", 3);
    assert_eq!(answers(&rig.settle()), [(0, 1, Some(3))]);
}

#[test]
fn one_request_answers_all_who_need_nothing_newer() {
    let mut rig = Rig::watching();
    rig.ask(0, 1, "lobby", 0);
    rig.ask(1, 1, "lobby", 0);
    assert_eq!(requests(&rig.settle()).len(), 1);
    rig.ask(0, 2, "lobby", 0);
    assert_eq!(requests(&rig.settle()), []);
    rig.found(RequestId(0), "lobby", 0);
    assert_eq!(
        answers(&rig.settle()),
        [(0, 1, Some(0)), (1, 1, Some(0)), (0, 2, Some(0))]
    );
}

#[test]
fn who_needs_something_newer_does_not_join() {
    let mut rig = Rig::watching();
    rig.ask(0, 1, "lobby", 0);
    rig.settle();
    rig.change();
    rig.ask(1, 1, "lobby", 1);
    let put_out = requests(&rig.settle());
    assert_eq!(put_out, [(RequestId(1), vec![name("lobby")], 1)]);
    rig.ask(0, 2, "lobby", 1);
    assert_eq!(requests(&rig.settle()), []);
    rig.found(RequestId(0), "lobby", 0);
    assert_eq!(answers(&rig.settle()), [(0, 1, Some(0))]);
    rig.found(RequestId(1), "lobby", 1);
    assert_eq!(answers(&rig.settle()), [(1, 1, Some(1)), (0, 2, Some(1))]);
}

#[test]
fn keys_of_a_turn_go_together_up_to_the_limit() {
    let mut rig = Rig::watching_with(|settings| {
        settings.keys_per_request_max = 2;
        settings.requests_max = 2;
    });
    for number in 0..5 {
        rig.ask(0, number, &format!("r{number}"), 0);
    }
    let sizes: Vec<_> = requests(&rig.settle())
        .iter()
        .map(|(_, keys, _)| keys.len())
        .collect();
    assert_eq!(sizes, [2, 2]);
    rig.handle(Event::Resolved {
        request: RequestId(0),
        found: None,
    });
    let actions = rig.settle();
    assert_eq!(answers(&actions), [(0, 0, None), (0, 1, None)]);
    assert_eq!(requests(&actions), [(RequestId(2), vec![name("r4")], 0)]);
}

#[test]
fn what_an_answer_had_no_place_for_is_asked_for_again() {
    let mut rig = Rig::watching();
    for number in 0..3 {
        rig.ask(0, number, &format!("r{number}"), 0);
    }
    assert_eq!(requests(&rig.settle()).len(), 1);
    rig.change();
    rig.found(RequestId(0), "r0", 0);
    let actions = rig.settle();
    assert_eq!(answers(&actions), [(0, 0, Some(0))]);
    let rest = vec![name("r1"), name("r2")];
    assert_eq!(requests(&actions), [(RequestId(1), rest, 0)]);
    rig.found(RequestId(1), "r1", 1);
    let actions = rig.settle();
    assert_eq!(answers(&actions), [(0, 1, Some(1))]);
    assert_eq!(requests(&actions), [(RequestId(2), vec![name("r2")], 0)]);
    rig.found(RequestId(2), "r2", 1);
    assert_eq!(answers(&rig.settle()), [(0, 2, Some(1))]);
}

#[test]
fn an_answer_to_more_than_was_asked_for_is_none() {
    let mut rig = Rig::watching();
    rig.ask(0, 1, "lobby", 0);
    rig.settle();
    let found = vec![porthouse_model::Resolved::Absent; 2];
    let revision = Revision(0);
    rig.handle(Event::Resolved {
        request: RequestId(0),
        found: Some(Snapshot { revision, found }),
    });
    assert_eq!(answers(&rig.settle()), [(0, 1, None)]);
}

#[test]
fn an_answer_that_is_too_old_or_too_short_is_none() {
    let mut rig = Rig::watching();
    rig.change();
    rig.ask(0, 1, "lobby", 1);
    rig.settle();
    rig.found(RequestId(0), "lobby", 0);
    assert_eq!(answers(&rig.settle()), [(0, 1, None)]);
    rig.ask(0, 2, "lobby", 1);
    rig.settle();
    let found = Some(Snapshot {
        revision: Revision(1),
        found: Vec::new(),
    });
    rig.handle(Event::Resolved {
        request: RequestId(1),
        found,
    });
    assert_eq!(answers(&rig.settle()), [(0, 2, None)]);
}

#[test]
fn nobody_waits_without_bound_and_no_late_answer_counts() {
    let mut rig = Rig::new(SwitchboardSettings::new(1, Seed(7)));
    rig.ask(0, 1, "held", 0);
    rig.settle();
    rig.pass(Duration::from_secs(10));
    assert_eq!(answers(&rig.settle()), [(0, 1, None)]);

    let mut rig = Rig::watching();
    rig.ask(0, 1, "lobby", 0);
    rig.settle();
    rig.pass(Duration::from_secs(10));
    assert_eq!(answers(&rig.settle()), [(0, 1, None)]);
    rig.found(RequestId(0), "lobby", 0);
    assert_eq!(answers(&rig.settle()), []);
}

#[test]
fn so_many_questions_wait_and_no_more() {
    let mut rig = Rig::watching_with(|settings| settings.questions_max = 2);
    for question in 0..3 {
        rig.ask(0, question, "lobby", 0);
    }
    assert_eq!(answers(&rig.settle()), [(0, 2, None)]);
    rig.found(RequestId(0), "lobby", 0);
    rig.ask(0, 3, "yard", 0);
    assert_eq!(answers(&rig.settle()), [(0, 0, Some(0)), (0, 1, Some(0))]);
}

#[test]
fn a_log_that_was_cut_is_asked_what_the_old_one_was_asked() {
    let mut rig = Rig::watching();
    rig.change();
    rig.change();
    rig.ask(0, 1, "lobby", 2);
    rig.settle();
    rig.handle(Event::WatchLost {
        watch: rig.watch,
        reason: WatchEnd::Resync,
    });
    let actions = rig.pass_to_deadline();
    rig.opening(&actions);
    rig.ask(1, 1, "lobby", 2);
    assert_eq!(requests(&rig.settle()), []);
    rig.position = super::super::Position::START.then(&[1]);
    rig.open();
    let put_out = requests(&rig.settle());
    assert_eq!(put_out, [(RequestId(1), vec![name("lobby")], 1)]);
    rig.found(RequestId(0), "lobby", 2);
    assert_eq!(answers(&rig.settle()), [], "read from the old log");
    rig.found(RequestId(1), "lobby", 1);
    let mut told = answers(&rig.settle());
    told.sort_unstable();
    assert_eq!(told, [(0, 1, Some(1)), (1, 1, Some(1))]);
}

#[test]
fn a_puddle_that_began_anew_is_answered_nothing_it_did_not_ask() {
    let mut rig = Rig::watching();
    rig.ask(0, 1, "lobby", 0);
    rig.ask(1, 1, "lobby", 0);
    rig.ask(0, 2, "yard", 0);
    rig.settle();
    rig.ask(0, 3, "late", 0);
    rig.handle(Event::PuddleRestarted {
        puddle: PuddleId(0),
    });
    assert_eq!(
        requests(&rig.settle()),
        [(RequestId(1), vec![name("late")], 0)],
        "the others will know it"
    );
    rig.handle(Event::Resolved {
        request: RequestId(0),
        found: None,
    });
    assert_eq!(answers(&rig.settle()), [(1, 1, None)]);
}

fn password(question: u64) -> Event {
    let what = Question::Verify(Box::new(Verification {
        room: other_room(),
        name: "lobby".parse().expect("a name"),
        client: ClientId::from_bytes([1; 16]),
        user: None,
        session: None,
        address: [127, 0, 0, 1].into(),
        proof: Proof::Password(Secret::new("open sesame".to_owned())),
    }));
    Event::Asked {
        puddle: PuddleId(0),
        question: QuestionId(question),
        what,
    }
}

fn verdicts(actions: &[Action]) -> Vec<(u64, bool)> {
    let verdicts = actions.iter().filter_map(|action| match action {
        Action::Tell {
            message: ToPuddle::Answered { question, answer },
            ..
        } => Some((
            question.0,
            matches!(answer, Answer::Verified(Verdict::Right(_))),
        )),
        _ => None,
    });
    verdicts.collect()
}

fn errands(actions: &[Action]) -> Vec<RequestId> {
    let errands = actions.iter().filter_map(|action| match action {
        Action::Verify { request, .. } => Some(*request),
        _ => None,
    });
    errands.collect()
}

#[test]
fn passwords_wait_their_turn_and_each_has_one_verdict() {
    let mut rig = Rig::watching_with(|settings| settings.errands_max = 1);
    rig.handle(password(1));
    rig.handle(password(2));
    let first = errands(&rig.settle());
    assert_eq!(first.len(), 1);
    let verdict = Some(Verdict::Right(Pass::Password(PasswordVersion(1))));
    rig.handle(Event::Verified {
        request: first[0],
        verdict,
    });
    let actions = rig.settle();
    assert_eq!(verdicts(&actions), [(1, true)]);
    assert_eq!(errands(&actions).len(), 1);
    rig.handle(Event::Verified {
        request: first[0],
        verdict,
    });
    assert_eq!(verdicts(&rig.settle()), []);
    rig.pass(Duration::from_secs(10));
    assert_eq!(verdicts(&rig.settle()), [(2, false)]);
}

#[test]
fn a_verdict_of_a_log_that_was_cut_does_not_count() {
    let mut rig = Rig::watching();
    rig.handle(password(1));
    let request = errands(&rig.settle())[0];
    rig.handle(Event::WatchLost {
        watch: rig.watch,
        reason: WatchEnd::Resync,
    });
    let actions = rig.pass_to_deadline();
    rig.opening(&actions);
    rig.open();
    assert_eq!(verdicts(&rig.settle()), [(1, false)]);
    let verdict = Some(Verdict::Right(Pass::Password(PasswordVersion(1))));
    rig.handle(Event::Verified { request, verdict });
    assert_eq!(verdicts(&rig.settle()), []);
}

#[test]
fn no_secret_is_shown() {
    let mut rig = Rig::watching();
    rig.handle(password(1));
    let actions = rig.settle();
    assert!(!format!("{:?} {actions:?}", rig.board).contains("sesame"));
}
