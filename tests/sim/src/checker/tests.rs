//! What the checker made of lines once, and should not have: each by hand, beside the broken
//! promise that it is not to be taken for.

use super::line::{
    Body, Door, Edit, Kind, Line, Named, Place, Range, Shape, Stamp, Stand, Way, Who,
};
use super::narrow::Narrow;
use super::stored::Level;
use super::violation::Violation;
use super::{Bounds, Checker};

const SECOND: u64 = 1_000_000_000;
const ROOM: u32 = 0;
// In the order in which they connect.
const BOB: u32 = 0;
const CAROL: u32 = 1;
const ADA: u32 = 2;

/// A checker, and the step it is.
struct Course {
    checker: Checker,
    step: u64,
    connected: u32,
}

impl Course {
    /// A room with this door, and Ada, Bob and Carol signed in.
    fn of(door: Door) -> Self {
        let checker = Checker::new(Bounds {
            entry_nanos_max: SECOND,
            handshake_nanos_max: SECOND,
            key_nanos_max: 60 * SECOND,
            presence_entries_max: 1_000,
            idle_nanos_max: 0,
            history_bytes_max: 1 << 20,
            ticket_nanos_max: 30 * SECOND,
        });
        let mut course = Self {
            checker,
            step: 0,
            connected: 0,
        };
        course.rules(1, door);
        course.goes(Line::Acknowledged { revision: 1 });
        for user in [ADA, BOB, CAROL] {
            let client = client(user);
            course.goes(Line::SignedIn {
                session: user,
                user,
                client,
                until: None,
                issuer: None,
                rooms: None,
            });
        }
        course
    }

    fn rules(&mut self, revision: u64, door: Door) {
        let edits = [Edit::Room { room: ROOM, door }];
        self.goes(Line::Committed {
            revision,
            edits: &edits,
        });
    }

    fn sees(&mut self, line: Line<'_>) -> Result<(), Violation> {
        self.step += 1;
        self.checker.read(self.step, self.step * 1_000, &line)
    }

    #[track_caller]
    fn goes(&mut self, line: Line<'_>) {
        self.sees(line).expect("no promise is broken");
    }

    #[track_caller]
    fn breaks(&mut self, promise: &str, line: Line<'_>) {
        let broken = self.sees(line).expect_err("a promise is broken");
        assert_eq!(broken.promise, promise, "{broken}");
    }

    fn now(&self) -> Stamp {
        Stamp {
            step: self.step,
            at: self.step * 1_000,
        }
    }

    /// Somebody connects, to this room's own address or to none.
    fn connects(&mut self, who: u32, room: Option<u32>) {
        // Those before are out there, and say nothing.
        while self.connected <= who {
            let socket = self.connected;
            self.connected += 1;
            self.goes(Line::Connect {
                socket,
                room: room.filter(|_| socket == who),
                way: Way::Frames,
                session: Some(socket),
                bogus: false,
                page: false,
                network: socket,
            });
        }
    }

    fn enters(&mut self, who: u32, offset: u64) {
        self.connects(who, None);
        let written = self.now();
        self.goes(Line::Upgraded {
            socket: who,
            admits: false,
            written,
        });
        self.is_admitted(who, offset);
    }

    fn is_admitted(&mut self, who: u32, offset: u64) {
        let written = self.now();
        self.goes(Line::Admitted {
            socket: who,
            room: ROOM,
            client: client(who),
            stand: Some(Stand { epoch: 1, offset }),
            recovered: None,
            written,
        });
    }

    fn says(&mut self, who: u32, message: u32, to: &[u128]) {
        self.goes(Line::Sent {
            socket: who,
            room: ROOM,
            message,
            body: body(message),
            id: Some(u64::from(message)),
            keyed: true,
            level: Level::default(),
            named: Some(Named { to, except: &[] }),
        });
    }

    fn reads(&mut self, who: u32, id: u64) {
        self.goes(Line::Reads {
            socket: who,
            room: ROOM,
            id,
            range: Range::default(),
        });
    }

    /// What somebody gets of what another said.
    fn heard(
        &self,
        who: u32,
        (from, message): (u32, u32),
        place: impl Into<Option<Place>>,
    ) -> Line<'static> {
        Line::Delivered {
            socket: who,
            room: Some(ROOM),
            from: Some(client(from)),
            message: Some(message),
            body: body(message),
            place: place.into(),
            written: self.now(),
        }
    }

    #[track_caller]
    fn hears(&mut self, who: u32, said: (u32, u32), place: impl Into<Option<Place>>) {
        self.goes(self.heard(who, said, place));
    }
}

const fn client(user: u32) -> u128 {
    10 + user as u128
}

const fn body(message: u32) -> Body {
    Body {
        kind: Kind::Binary,
        len: 20,
        hash: 1_000 + message as u64,
        shape: Shape::Plain,
    }
}

const fn door() -> Door {
    Door {
        identity: 1,
        who: Who::Users,
        speaks: Who::Anyone,
        devices_speak: true,
        password: None,
        code: None,
        second_factor: false,
        approval: false,
        invites: 0,
        hook: None,
        text: true,
        binary: true,
        bytes_max: 100,
        echo: false,
        named: true,
        deliver_max: None,
        admit_max: u64::MAX,
        waits: true,
        hands_over: true,
        shown_late_max: SECOND,
        shown_every: SECOND,
        kept: None,
        skips: false,
        narrow: Narrow {
            users_allowed: None,
            users_denied: 0,
            roles_allowed: None,
            roles_denied: 0,
            no_pages: false,
            opens: None,
            closes: None,
            sockets_max: None,
            per_client: None,
            replaces: false,
            shape: Shape::Plain,
            per_socket: None,
            by_client: None,
            per_room: None,
            joins: None,
            never: 0,
            always: 0,
        },
    }
}

const fn past(offset: u64) -> Place {
    Place { offset, past: true }
}

const fn live(offset: u64) -> Place {
    Place {
        offset,
        past: false,
    }
}

const fn page(who: u32, id: u64, count: u64) -> Line<'static> {
    Line::Read {
        socket: who,
        room: ROOM,
        id,
        count,
        through: count,
        complete: true,
    }
}

#[test]
fn whoever_reads_is_shown_their_own_and_nobody_else_is() {
    let mut course = Course::of(door());
    course.enters(BOB, 0);
    course.enters(ADA, 0);
    course.says(ADA, 0, &[client(CAROL)]);
    course.reads(ADA, 7);
    course.hears(ADA, (ADA, 0), past(1));
    course.goes(page(ADA, 7, 1));
    course.reads(BOB, 7);
    course.breaks("P10", course.heard(BOB, (ADA, 0), past(1)));
}

#[test]
fn live_one_hears_no_message_of_ones_own_to_others() {
    let mut course = Course::of(door());
    course.enters(ADA, 0);
    course.says(ADA, 0, &[client(CAROL)]);
    course.breaks("P10", course.heard(ADA, (ADA, 0), live(1)));
}

/// Ada is handed what waited, reads all of it again, and the page's end is dropped on its way.
fn with_half_a_page() -> Course {
    let mut course = Course::of(door());
    course.enters(BOB, 0);
    for message in 0..5 {
        course.says(BOB, message, &[]);
    }
    course.enters(ADA, 4);
    course.reads(ADA, 7);
    for message in [0, 1, 2, 3, 0, 1] {
        course.hears(ADA, (BOB, message), past(u64::from(message) + 1));
    }
    course.goes(page(ADA, 7, 4));
    course
}

#[test]
fn what_was_handed_over_is_no_part_of_a_page_that_was_dropped() {
    let mut course = with_half_a_page();
    course.goes(Line::Left {
        socket: ADA,
        room: ROOM,
    });
    course.is_admitted(ADA, 4);
    course.hears(ADA, (BOB, 4), live(5));
}

#[test]
fn half_a_page_is_missed_by_who_stays() {
    let mut course = with_half_a_page();
    course.breaks("P3", course.heard(ADA, (BOB, 4), live(5)));
    let mut course = with_half_a_page();
    course.breaks("P3", Line::Finished);
}

#[test]
fn what_is_said_again_has_not_been_passed_over() {
    let mut course = Course::of(Door {
        skips: true,
        ..door()
    });
    course.enters(BOB, 0);
    course.enters(ADA, 0);
    course.says(BOB, 0, &[]);
    course.says(BOB, 1, &[]);
    course.hears(ADA, (BOB, 1), live(1));
    course.goes(Line::Again {
        socket: BOB,
        room: ROOM,
        message: 0,
        id: 9,
    });
    course.hears(ADA, (BOB, 0), live(2));
}

#[test]
fn a_raw_socket_is_judged_by_when_it_was_let_in() {
    let mut course = Course::of(door());
    course.enters(BOB, 0);
    course.enters(CAROL, 0);
    course.connects(ADA, Some(ROOM));
    let written = course.now();
    course.rules(
        2,
        Door {
            echo: true,
            ..door()
        },
    );
    course.goes(Line::Acknowledged { revision: 2 });
    // It was let in by the rules of before, and may stand at the door by those of now.
    course.goes(Line::Upgraded {
        socket: ADA,
        admits: true,
        written,
    });
    course.says(BOB, 0, &[]);
    course.hears(CAROL, (BOB, 0), live(1));
    course.says(BOB, 1, &[]);
    course.hears(ADA, (BOB, 1), None::<Place>);
}

#[test]
fn whoever_is_told_of_an_order_is_judged_by_the_rules_when_that_was_written() {
    let mut course = Course::of(door());
    course.enters(BOB, 0);
    course.connects(ADA, None);
    let written = course.now();
    course.goes(Line::Upgraded {
        socket: ADA,
        admits: false,
        written,
    });
    course.rules(2, door());
    course.goes(Line::Acknowledged { revision: 2 });
    // It was written before the node had these rules, which may have no order.
    course.goes(Line::Admitted {
        socket: ADA,
        room: ROOM,
        client: client(ADA),
        stand: Some(Stand {
            epoch: 1,
            offset: 0,
        }),
        recovered: None,
        written,
    });
    course.enters(CAROL, 0);
    course.says(BOB, 0, &[]);
    course.hears(ADA, (BOB, 0), None::<Place>);
    let unplaced = course.heard(CAROL, (BOB, 0), None::<Place>);
    course.breaks("P3", unplaced);
}

#[test]
fn whoever_is_told_that_a_room_begins_anew_is_judged_by_the_rules_when_that_was_written() {
    let mut course = Course::of(door());
    course.enters(ADA, 0);
    course.enters(BOB, 0);
    let written = course.now();
    course.rules(2, door());
    course.goes(Line::Acknowledged { revision: 2 });
    // The rules of before had an order, of which it hears when those of now have none.
    course.goes(Line::Epoch {
        socket: ADA,
        room: ROOM,
        stand: Stand {
            epoch: 2,
            offset: 0,
        },
        written,
    });
    course.says(BOB, 0, &[]);
    course.hears(ADA, (BOB, 0), None::<Place>);
}

/// Ada comes in, and is handed this from a place in an epoch.
fn hand_over(course: &mut Course, epoch: u64) -> Result<(), Violation> {
    let written = course.now();
    course.goes(Line::Admitted {
        socket: ADA,
        room: ROOM,
        client: client(ADA),
        stand: Some(Stand { epoch, offset: 1 }),
        recovered: None,
        written,
    });
    course.sees(course.heard(ADA, (BOB, 0), past(1)))
}

#[test]
fn what_waited_is_handed_over_once_unless_it_was_said_again_elsewhere() {
    let mut course = Course::of(door());
    course.enters(BOB, 0);
    course.says(BOB, 0, &[]);
    course.connects(ADA, None);
    hand_over(&mut course, 1).expect("it waited");
    course.goes(Line::Again {
        socket: BOB,
        room: ROOM,
        message: 0,
        id: 9,
    });
    hand_over(&mut course, 2).expect("it is another room's");
    let twice = hand_over(&mut course, 2).expect_err("it was handed over");
    assert_eq!(twice.promise, "P2", "{twice}");
}

#[test]
fn what_is_handed_over_is_judged_by_the_rules_when_that_was_written() {
    let mut course = Course::of(door());
    course.enters(BOB, 0);
    course.says(BOB, 0, &[]);
    course.connects(ADA, None);
    // The rules of before may have handed what is kept to everybody.
    course.rules(2, door());
    for _ in 0..2 {
        hand_over(&mut course, 1).expect("nobody has heard that it waits");
    }
    course.goes(Line::Acknowledged { revision: 2 });
    hand_over(&mut course, 1).expect("it waited");
    let twice = hand_over(&mut course, 1).expect_err("it was handed over");
    assert_eq!(twice.promise, "P2", "{twice}");
}

#[test]
fn what_was_said_by_one_who_was_out_meanwhile_may_arrive_when_it_is_in_again() {
    let mut course = Course::of(door());
    course.enters(BOB, 0);
    course.enters(CAROL, 0);
    let closed = Door {
        password: Some(1),
        ..door()
    };
    course.rules(2, closed);
    course.goes(Line::Acknowledged { revision: 2 });
    course.says(BOB, 0, &[]);
    course.rules(3, door());
    course.goes(Line::Acknowledged { revision: 3 });
    course.hears(CAROL, (BOB, 0), live(1));
}

mod durable;
