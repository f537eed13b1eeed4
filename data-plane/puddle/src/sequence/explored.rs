//! Every course an entry can take, explored until no new state is found: whatever
//! is answered, changed, lost or late, nobody gets in who has not passed every step of the
//! rules of that moment, every question has one outcome, and it ends.

use std::collections::BTreeSet;

use porthouse_model::{Audience, ConnectionRules, EntryRules, PasswordVersion, Role, RoomRules};
use porthouse_rules::Standing;

use super::*;

const ATTEMPTS_MAX: u8 = 2;

/// Every door there can be, as far as an entry can tell.
fn doors() -> Vec<Option<Result<(Rules, Standing), Refused>>> {
    let rules = |audience, password: Option<u64>| {
        let password = password.map(|version| EntryRules::by_password(PasswordVersion(version)));
        Rules::compile(RoomRules {
            connection: ConnectionRules {
                audience,
                ..ConnectionRules::default()
            },
            entry: password.unwrap_or_default(),
            ..RoomRules::default()
        })
        .expect("valid")
    };
    let open = |audience, password, standing| Some(Ok((rules(audience, password), standing)));
    vec![
        None,
        Some(Err(Refused::SessionEnded)),
        open(Audience::Anyone, None, Standing::Anonymous),
        open(Audience::Anyone, Some(1), Standing::User),
        open(Audience::Anyone, Some(2), Standing::User),
        open(Audience::Members, Some(2), Standing::Member(Role::MEMBER)),
        open(Audience::Members, None, Standing::User),
    ]
}

fn door(known: Option<&Result<(Rules, Standing), Refused>>) -> Door<'_> {
    match known {
        None => Door::Unknown,
        Some(Err(refused)) => Door::Shut(*refused),
        Some(Ok((rules, standing))) => Door::Open {
            rules,
            visitor: Visitor::of(*standing),
        },
    }
}

fn events() -> [Event; 10] {
    use Verdict::{Gone, Later, Right, Wrong};
    [
        Event::Look,
        Event::Answered,
        Event::Judged(Right(Pass::Password(PasswordVersion(1)))),
        Event::Judged(Right(Pass::Password(PasswordVersion(2)))),
        Event::Judged(Wrong),
        Event::Judged(Gone),
        Event::Judged(Later(Duration::from_secs(1))),
        Event::Enlisted,
        Event::Unavailable,
        Event::Late,
    ]
}

#[test]
fn no_course_admits_who_does_not_satisfy_the_rules_of_that_moment() {
    let doors = doors();
    let (mut steps, mut depth) = (0_u64, 0_u32);
    let mut known = BTreeSet::new();
    for questions in [Questions::Allowed, Questions::Impossible] {
        let mut states = vec![Sequence::new(ATTEMPTS_MAX, questions)];
        while !states.is_empty() {
            depth += 1;
            let mut next = Vec::new();
            for state in states {
                for event in events() {
                    for known_door in &doors {
                        let step = state.step(event, door(known_door.as_ref()));
                        steps += 1;
                        judge(state, event, door(known_door.as_ref()), step);
                        next.extend(step.next);
                    }
                }
            }
            next.retain(|state| known.insert(format!("{state:?}")));
            states = next;
        }
    }
    println!(
        "{} states, {steps} steps, {depth} events in a row",
        known.len()
    );
    assert!(
        known.len() > 15,
        "the exploration reaches more than the first states"
    );
}

/// What must hold of every single step.
fn judge(state: Sequence, event: Event, door: Door<'_>, step: Step) {
    match step.action {
        Action::Admit(passed) => {
            assert!(
                matches!(event, Event::Enlisted),
                "only a room that comes here is entered"
            );
            let Door::Open { rules, visitor } = door else {
                panic!("{state:?} was admitted through {door:?}");
            };
            assert_eq!(rules.enter(&visitor, &passed), Entry::Admit);
        }
        Action::Challenge { attempts_left } => {
            assert!(attempts_left > 0, "who is asked may answer");
            let asked = step.next.is_some_and(|next| next.is_asking());
            assert!(asked, "who is asked is listened to");
            assert!(!state.is_asking(), "nobody is asked twice at once");
        }
        Action::Verify => assert!(
            state.is_asking(),
            "only an answer that was asked for is judged"
        ),
        Action::Refuse(_) => assert_eq!(step.next, None, "a refusal is the end"),
        Action::Wait | Action::Nothing | Action::Enlist => {
            assert!(step.next.is_some(), "an entry that is not over goes on");
        }
    }
    match event {
        Event::Late => assert_eq!(step.action, Action::Refuse(Refused::EntryTooSlow)),
        Event::Judged(Verdict::Wrong) if matches!(state, Sequence::Verifying(_)) => {
            assert!(
                matches!(
                    step.action,
                    Action::Refuse(_) | Action::Challenge { .. } | Action::Wait | Action::Enlist
                ),
                "a wrong answer is asked again or refused"
            );
        }
        Event::Look | Event::Answered | Event::Judged(_) | Event::Enlisted | Event::Unavailable => {
        }
    }
}

#[test]
fn a_raw_socket_is_told_where_the_question_is_asked() {
    let doors = doors();
    let knock = Sequence::new(ATTEMPTS_MAX, Questions::Impossible);
    let step = knock.step(Event::Look, door(doors[3].as_ref()));
    assert_eq!(step.action, Action::Refuse(Refused::PasswordNeeded));
}

#[test]
fn a_password_newer_than_is_known_here_waits_for_its_change() {
    let doors = doors();
    let (old, new) = (door(doors[3].as_ref()), door(doors[4].as_ref()));
    let mut sequence = Sequence::new(ATTEMPTS_MAX, Questions::Allowed);
    for (event, door, action) in [
        (Event::Look, old, Action::Challenge { attempts_left: 2 }),
        (Event::Answered, old, Action::Verify),
        (
            Event::Judged(Verdict::Right(Pass::Password(PasswordVersion(2)))),
            old,
            Action::Wait,
        ),
        (Event::Look, new, Action::Enlist),
    ] {
        let step = sequence.step(event, door);
        assert_eq!(step.action, action);
        sequence = step.next.expect("it goes on");
    }
}

#[test]
fn the_last_wrong_answer_is_the_end() {
    let doors = doors();
    let door = door(doors[3].as_ref());
    let mut sequence = Sequence::new(ATTEMPTS_MAX, Questions::Allowed);
    let mut actions = Vec::new();
    let wrong = Event::Judged(Verdict::Wrong);
    for event in [Event::Look, Event::Answered, wrong, Event::Answered, wrong] {
        let step = sequence.step(event, door);
        actions.push(step.action);
        let Some(next) = step.next else { break };
        sequence = next;
    }
    assert_eq!(actions.len(), 5);
    assert_eq!(actions[2], Action::Challenge { attempts_left: 1 });
    assert_eq!(actions[4], Action::Refuse(Refused::PasswordWrong));
}
