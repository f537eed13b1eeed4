//! Doors in odd moments: while the control plane is slow, away or full, and while
//! a room changes under those who stand before it.

use porthouse_model::{ChangeItem, PolicyKey, Revision, RoomId, RoomName, Time};

use super::world::{World, password_rules};
use crate::{Answer, Command, Input, Known, Output, Question, Reply};

fn name(text: &str) -> RoomName {
    text.parse().expect("a name")
}

/// Everything one puddle asks from here on, unanswered.
fn asked(world: &mut World) -> Vec<(crate::QuestionId, Question)> {
    world
        .settle_only(0)
        .into_iter()
        .filter_map(|output| match output {
            Output::Ask { question, what, .. } => Some((question, what)),
            Output::Close { .. }
            | Output::Pause { .. }
            | Output::Resume { .. }
            | Output::HandOver { .. }
            | Output::Hop { .. }
            | Output::Bridge { .. }
            | Output::Applied { .. }
            | Output::Seen { .. }
            | Output::Followed { .. }
            | Output::KeepOut(_)
            | Output::Reply { .. } => None,
        })
        .collect()
}

#[test]
fn a_door_that_cannot_be_looked_up_keeps_its_question_and_ends_the_turn() {
    let mut world = World::with(1, |settings| settings.questions_max = 1);
    world.room("vault", password_rules(1));
    let ada = world.lobby(0);
    world.line(ada, r#"{"op":"join","room":"vault","id":1}"#);
    assert!(world.take_text(ada).contains("challenge"));
    let ben = world.lobby(0);
    world.puddles[0].handle(
        world.now,
        Input::Resync {
            revision: Revision(0),
        },
    );

    world.line_unanswered(ben, r#"{"op":"join","room":"other","id":1}"#);
    assert_eq!(
        asked(&mut world).len(),
        1,
        "as many questions as there may be"
    );
    world.change_only(vec![ChangeItem::Room(world.rooms[&name("vault")].clone())]);
    world.settle_only(0);
    assert_eq!(world.take(ada), b"", "the question stands");
}

#[test]
fn the_password_of_a_deleted_room_does_not_open_its_successor() {
    let mut world = World::new(2);
    let old = world.room("vault", password_rules(1));
    let ada = world.lobby(0);
    world.line(ada, r#"{"op":"join","room":"vault","id":1}"#);
    world.hops_stand = true;
    world.line(
        ada,
        r#"{"op":"answer","room":"vault","password":"open sesame","id":2}"#,
    );
    world.take(ada);
    let mut successor = world.rooms[&name("vault")].clone();
    successor.id = RoomId::from_bytes([9; 16]);
    world.rooms.insert(name("vault"), successor.clone());
    let gone = ChangeItem::RoomGone {
        id: old,
        name: name("vault"),
        template: None,
    };
    world.change(vec![gone, ChangeItem::Room(successor)]);
    world.release_hops();
    let told = world.take_text(ada);
    assert!(
        told.contains(r#""op":"refused","id":2"#) && told.contains("4005"),
        "{told}"
    );
}

#[test]
fn nobody_enters_before_it_is_known_as_whom() {
    let mut world = World::new(1);
    let user = world.session(1);
    world.raw(0, "lobby");
    let ada = world.lobby(0);
    let auth = r#"{"op":"auth","username":"user1","password":"open sesame","id":1}"#;
    world.line_unanswered(ada, auth);
    world.line_unanswered(ada, r#"{"op":"join","room":"lobby","id":2}"#);
    world.run();
    let told = world.take_text(ada);
    let admitted = format!(r#""op":"admitted","id":2,"room":"lobby","client":"{user}""#);
    assert!(told.contains(&admitted), "{told}");
}

#[test]
fn what_cannot_be_looked_up_refuses_only_who_waits_for_it() {
    let mut world = World::new(1);
    world.room("vault", password_rules(1));
    let ada = world.lobby(0);
    world.line(ada, r#"{"op":"join","room":"vault","id":1}"#);
    world.take(ada);
    world.line_unanswered(
        ada,
        r#"{"op":"answer","room":"vault","password":"open sesame","id":2}"#,
    );
    world.line_unanswered(ada, r#"{"op":"join","room":"other","id":3}"#);
    let (mut verdict, mut lookup) = (None, None);
    for (question, what) in asked(&mut world) {
        match what {
            Question::Verify(_) => verdict = Some(question),
            Question::Resolve {
                key: PolicyKey::Room(_),
                ..
            } => lookup = Some(question),
            Question::Resolve { .. } | Question::SignIn { .. } => panic!("{what:?}"),
        }
    }
    let answers = [
        (
            lookup.expect("the other room is asked for"),
            Answer::Unavailable,
        ),
        (
            verdict.expect("the password is judged"),
            Answer::Verified(crate::Verdict::Right(crate::Pass::Password(
                porthouse_model::PasswordVersion(1),
            ))),
        ),
    ];
    for (question, answer) in answers {
        world.puddles[0].handle(world.now, Input::Answered { question, answer });
    }
    world.run();
    let told = world.take_text(ada);
    assert!(told.contains(r#""op":"refused","id":3"#), "{told}");
    assert!(told.contains(r#""op":"admitted","id":2"#), "{told}");
}

#[test]
fn a_kick_finds_who_was_put_back_before_the_door() {
    let mut world = World::new(1);
    world.session(1);
    world.room("vault", password_rules(1));
    let ada = world.lobby_of(0, 1);
    world.line(ada, r#"{"op":"join","room":"vault","id":1}"#);
    world.line(
        ada,
        r#"{"op":"answer","room":"vault","password":"open sesame","id":2}"#,
    );
    world.rule("vault", password_rules(2));
    world.take(ada);
    let client = porthouse_model::ClientId::from_bytes([1; 16]);
    let kick = Command::Kick {
        client,
        room: Some(name("vault")),
        block: None,
    };
    assert_eq!(world.order(&kick), [Reply::Kicked { sockets: 1 }]);
    let told = world.take_text(ada);
    assert!(
        told.contains(r#""op":"closed","room":"vault""#) && told.contains("4006"),
        "{told}"
    );
    world.line(
        ada,
        r#"{"op":"answer","room":"vault","password":"open sesame","id":3}"#,
    );
    assert!(world.take_text(ada).contains(r#""op":"error","id":3"#));
}

#[test]
fn an_absent_room_that_was_asked_for_twice_is_asked_once() {
    let mut world = World::new(1);
    let (ada, ben) = (world.lobby(0), world.lobby(0));
    for client in [ada, ben] {
        world.line_unanswered(client, r#"{"op":"join","room":"lobby","id":1}"#);
    }
    let questions = asked(&mut world);
    assert_eq!(questions.len(), 1);
    let answer = Answer::Resolved {
        revision: Revision(0),
        known: Known::Absent,
    };
    let question = questions[0].0;
    world.puddles[0].handle(Time::ZERO, Input::Answered { question, answer });
    world.run();
    for client in [ada, ben] {
        assert!(world.take_text(client).contains("admitted"));
    }
}
