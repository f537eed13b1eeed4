//! Rooms that survive whatever happens to the node, and who was put back before a door.

use super::*;
use crate::checker::line::Ask;
use crate::checker::stored::Kept;

fn durable() -> Course {
    let kept = Some(Kept {
        messages_max: 2,
        seconds_max: 100,
    });
    let mut course = Course::of(Door { kept, ..door() });
    course.enters(BOB, 0);
    course.enters(CAROL, 0);
    course
}

const fn receipt(message: u32, offset: u64) -> Line<'static> {
    Line::Receipt {
        socket: BOB,
        room: ROOM,
        id: message as u64,
        level: Level::Stored,
        offset: Some(offset),
    }
}

impl Course {
    fn stores(&mut self, message: u32, offset: u64) {
        self.goes(Line::Sent {
            socket: BOB,
            room: ROOM,
            message,
            body: body(message),
            id: Some(message.into()),
            keyed: false,
            level: Level::Stored,
            named: None,
        });
        self.goes(receipt(message, offset));
    }

    fn joins(&mut self, stand: Stand) -> Result<(), Violation> {
        self.goes(Line::Request {
            socket: ADA,
            id: 1,
            ask: Ask::Join,
            room: Some(ROOM),
            shown: None,
            resumes: None,
        });
        let written = self.now();
        self.sees(Line::Admitted {
            socket: ADA,
            room: ROOM,
            client: client(ADA),
            stand: Some(stand),
            recovered: None,
            written,
        })
    }
}

fn is_p4(outcome: Result<(), Violation>) {
    assert_eq!(outcome.expect_err("it is lost").promise, "P4");
}

#[test]
fn what_was_stored_is_there_for_who_comes_afterwards() {
    for (stand, is_there) in [((1, 1), true), ((1, 0), false), ((2, 1), false)] {
        let mut course = durable();
        course.stores(0, 1);
        course.connects(ADA, None);
        let (epoch, offset) = stand;
        let outcome = course.joins(Stand { epoch, offset });
        if is_there {
            outcome.expect("it is there");
        } else {
            is_p4(outcome);
        }
    }
}

#[test]
fn what_is_read_holds_what_was_stored_before_as_long_as_it_is_kept() {
    let lacking = Line::Read {
        socket: CAROL,
        room: ROOM,
        id: 7,
        count: 0,
        through: 1,
        complete: false,
    };
    let mut course = durable();
    course.stores(0, 1);
    course.reads(CAROL, 7);
    course.goes(lacking);
    course.breaks("P4", Line::Finished);
    // Two more have taken its place.
    let mut course = durable();
    course.stores(0, 1);
    course.says(BOB, 1, &[]);
    course.says(BOB, 2, &[]);
    course.reads(CAROL, 7);
    course.goes(lacking);
}

#[test]
fn two_are_not_stored_in_one_place() {
    let mut course = durable();
    course.stores(0, 1);
    course.says(BOB, 1, &[]);
    course.breaks("P4", course.heard(CAROL, (BOB, 1), live(1)));
}

#[test]
fn a_receipt_says_what_was_asked_for() {
    let mut course = durable();
    course.says(BOB, 0, &[]);
    course.breaks("P4", receipt(0, 1));
}

/// Bob is out by a new password, says something before he knows, and is asked for it.
fn put_back() -> Course {
    let mut course = Course::of(door());
    course.enters(BOB, 0);
    course.enters(ADA, 0);
    let password = Some(3);
    course.rules(2, Door { password, ..door() });
    course.goes(Line::Acknowledged { revision: 2 });
    course.says(BOB, 0, &[]);
    course.goes(Line::Challenged {
        socket: BOB,
        room: ROOM,
    });
    course.rules(3, door());
    course.goes(Line::Acknowledged { revision: 3 });
    course.goes(Line::Challenged {
        socket: ADA,
        room: ROOM,
    });
    course.is_admitted(ADA, 0);
    course
}

#[test]
fn what_was_on_its_way_while_one_was_put_back_is_heard_once_they_are_in_again() {
    let mut course = put_back();
    course.is_admitted(BOB, 0);
    course.hears(ADA, (BOB, 0), live(1));
}

#[test]
fn what_was_on_its_way_is_not_heard_of_who_stays_out() {
    let mut course = put_back();
    course.breaks("P6", course.heard(ADA, (BOB, 0), live(1)));
}

/// Bob says something in a room that takes one message a second, and asks for something.
fn held_up(answered: bool) -> Course {
    let mut course = Course::of(door());
    course.enters(BOB, 0);
    let mut narrow = door().narrow;
    narrow.per_room = Some(crate::checker::narrow::Pace {
        per_second: 1,
        burst: 1,
    });
    course.rules(2, Door { narrow, ..door() });
    course.goes(Line::Acknowledged { revision: 2 });
    for message in 0..3 {
        course.says(BOB, message, &[]);
    }
    for id in [8, 9] {
        course.goes(Line::Request {
            socket: BOB,
            id,
            ask: Ask::Ping,
            room: None,
            shown: None,
            resumes: None,
        });
        if answered && id == 8 {
            course.goes(Line::Reply { socket: BOB, id });
        }
    }
    course
}

#[test]
fn who_is_held_up_is_waited_for_no_longer_than_what_they_said_may_take() {
    for (answered, seconds) in [(false, 9), (true, 6)] {
        let mut course = held_up(answered);
        course.step += (seconds - 1) * SECOND / 1_000;
        course.goes(Line::Finished);
        course.step += 2 * SECOND / 1_000;
        course.breaks("P15", Line::Finished);
    }
}

#[test]
fn who_comes_back_is_let_in_by_todays_rules() {
    let mut course = Course::of(door());
    course.connects(ADA, None);
    let today = Door {
        password: Some(3),
        admit_max: 1_000 * SECOND,
        ..door()
    };
    course.rules(2, today);
    course.goes(Line::Acknowledged { revision: 2 });
    let stand = Stand {
        epoch: 1,
        offset: 0,
    };
    assert_eq!(course.joins(stand).expect_err("it is not in").promise, "P6");
}
