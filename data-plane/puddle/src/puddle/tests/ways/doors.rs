//! Who is let in: rows about a room's connection and its steps.

use core::num::NonZeroU32;
use core::time::Duration;

use porthouse_model::{
    Audience, ClientSockets, CodeVersion, EntryStep, HookVersion, OpeningHours, PasswordVersion,
    Rate, RoomRules, Surplus, UnixTime, WeekSpan,
};

use super::super::world::{HOUR, World, hash};
use super::{Act, ENTER, Row, Who, nothing, row};
use crate::Verdict;

use Who::{Guest, Member, Stranger, User};

pub(super) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    rows.extend(AUDIENCE);
    rows.extend(NUMBERS);
    rows.extend(STEPS);
    rows
}

fn users(rules: &mut RoomRules) {
    rules.connection.audience = Audience::Users;
}

fn members(rules: &mut RoomRules) {
    rules.connection.audience = Audience::Members;
}

fn nobody(rules: &mut RoomRules) {
    rules.connection.audience = Audience::Nobody;
}

fn guests_alone(rules: &mut RoomRules) {
    rules.connection.roles_allowed = ["guest".parse().expect("a role")].into();
}

fn no_guests(rules: &mut RoomRules) {
    rules.connection.roles_denied = ["guest".parse().expect("a role")].into();
}

fn other_users(rules: &mut RoomRules) {
    rules.connection.users_allowed = [porthouse_model::UserId::from_bytes([9; 16])].into();
}

fn this_user(rules: &mut RoomRules) {
    rules.connection.users_allowed = [porthouse_model::UserId::from_bytes([1; 16])].into();
}

fn not_this_user(rules: &mut RoomRules) {
    rules.connection.users_denied = [porthouse_model::UserId::from_bytes([1; 16])].into();
}

fn own_page(rules: &mut RoomRules) {
    rules.connection.origins = ["https://app.example".to_owned()].into();
}

fn other_page(rules: &mut RoomRules) {
    rules.connection.origins = ["https://other.example".to_owned()].into();
}

const AUDIENCE: [Row; 17] = [
    row(
        "`audience`: users",
        "a stranger comes",
        users,
        Stranger,
        ENTER,
    ),
    row("`audience`: users", "a user comes", users, User, ENTER),
    row(
        "`audience`: members",
        "a stranger comes",
        members,
        Stranger,
        ENTER,
    ),
    row("`audience`: members", "a user comes", members, User, ENTER),
    row(
        "`audience`: members",
        "a member comes",
        members,
        Member,
        ENTER,
    ),
    row(
        "`audience`: nobody",
        "a member comes",
        nobody,
        Member,
        ENTER,
    ),
    row(
        "`roles_allowed`: guests",
        "a stranger comes",
        guests_alone,
        Stranger,
        ENTER,
    ),
    row(
        "`roles_allowed`: guests",
        "a member comes",
        guests_alone,
        Member,
        ENTER,
    ),
    row(
        "`roles_allowed`: guests",
        "a guest comes",
        guests_alone,
        Guest,
        ENTER,
    ),
    row(
        "`roles_denied`: guests",
        "a guest comes",
        no_guests,
        Guest,
        ENTER,
    ),
    row(
        "`roles_denied`: guests",
        "a member comes",
        no_guests,
        Member,
        ENTER,
    ),
    row(
        "`users_allowed`",
        "another user comes",
        other_users,
        User,
        ENTER,
    ),
    row("`users_allowed`", "the user comes", this_user, User, ENTER),
    row(
        "`users_denied`",
        "the user comes",
        not_this_user,
        User,
        ENTER,
    ),
    row(
        "`users_denied`",
        "a stranger comes",
        not_this_user,
        Stranger,
        ENTER,
    ),
    row(
        "`origins`",
        "the page is named, if it is one",
        own_page,
        Stranger,
        ENTER,
    ),
    row(
        "`origins`",
        "the page is not named, if it is one",
        other_page,
        Stranger,
        ENTER,
    ),
];

fn one_socket(rules: &mut RoomRules) {
    rules.connection.sockets_max = Some(1);
}

const fn one_of_each(surplus: Surplus) -> ClientSockets {
    ClientSockets {
        sockets_max: 1,
        surplus,
    }
}

fn oldest_stays(rules: &mut RoomRules) {
    rules.connection.sockets_per_client = Some(one_of_each(Surplus::Newest));
}

pub(super) fn newest_stays(rules: &mut RoomRules) {
    rules.connection.sockets_per_client = Some(one_of_each(Surplus::Oldest));
}

fn one_join(rules: &mut RoomRules) {
    rules.connection.joins_per_address = Some(Rate {
        per_second: NonZeroU32::MIN,
        burst: NonZeroU32::MIN,
    });
}

fn somebody_inside(world: &mut World) {
    world.raw(1, "room");
}

fn the_user_again(world: &mut World) {
    let bearer = format!("Authorization: Bearer {}", super::token(1));
    world.upgrade(1, "/room", &[&bearer]);
}

/// Open on Thursdays, 01:00 to 01:01: the clock stands at the first.
fn open_a_minute(rules: &mut RoomRules) {
    rules.connection.hours = Some(hours(3 * 1_440 + 60));
}

fn shut(rules: &mut RoomRules) {
    rules.connection.hours = Some(hours(3 * 1_440 + 61));
}

fn hours(from_minute: u16) -> OpeningHours {
    OpeningHours {
        zone: "Etc/UTC".to_owned(),
        spans: vec![WeekSpan {
            from_minute,
            to_minute: from_minute + 1,
        }],
    }
}

fn a_minute_later(world: &mut World) {
    world.wait(Duration::from_mins(1));
}

const CROWDED: Act = Act::Enter(somebody_inside, nothing);
const AGAIN: Act = Act::Enter(the_user_again, nothing);

const NUMBERS: [Row; 9] = [
    row(
        "`sockets_max`: 1",
        "the first comes",
        one_socket,
        Stranger,
        ENTER,
    ),
    row(
        "`sockets_max`: 1",
        "another is inside",
        one_socket,
        Stranger,
        CROWDED,
    ),
    row(
        "`sockets_per_client`: 1, the newest goes",
        "comes once more",
        oldest_stays,
        User,
        AGAIN,
    ),
    row(
        "`sockets_per_client`: 1, the oldest goes",
        "is inside, and the client comes once more",
        newest_stays,
        User,
        Act::Stay(the_user_again),
    ),
    row(
        "`joins_per_address`: 1",
        "the first comes",
        one_join,
        Stranger,
        ENTER,
    ),
    row(
        "`joins_per_address`: 1",
        "another came just before",
        one_join,
        Stranger,
        CROWDED,
    ),
    row(
        "`hours`",
        "while it is open",
        open_a_minute,
        Stranger,
        ENTER,
    ),
    row("`hours`", "before it opens", shut, Stranger, ENTER),
    row(
        "`hours`",
        "is inside when it closes",
        open_a_minute,
        Stranger,
        Act::Stay(a_minute_later),
    ),
];

fn password(rules: &mut RoomRules) {
    rules.entry.steps = vec![EntryStep::Password(PasswordVersion(1))];
}

fn factor(rules: &mut RoomRules) {
    let age_max = Duration::from_mins(1);
    rules.entry.steps = vec![EntryStep::SecondFactor { age_max }];
}

fn code(rules: &mut RoomRules) {
    rules.entry.steps = vec![EntryStep::RoomCode(CodeVersion(1))];
}

fn approval(rules: &mut RoomRules) {
    *rules = super::super::world::asking(&[EntryStep::Approval]);
}

fn hook(rules: &mut RoomRules) {
    rules.entry.steps = vec![EntryStep::Hook(HookVersion(1))];
}

fn just_shown(world: &mut World) {
    let session = world.sessions.get_mut(&hash(1)).expect("a session");
    session.second_factor = Some(UnixTime::from_millis(HOUR - 1_000));
}

fn hook_refuses(world: &mut World) {
    world.hook = Verdict::Refused;
}

fn hook_is_away(world: &mut World) {
    world.hook = Verdict::Away;
}

const RIGHT: &[&str] = &[r#""password":"open sesame""#];
const WRONG: &[&str] = &[r#""password":"sesame""#; 3];
const CODE: &[&str] = &[r#""code":"123456""#];
const NO_CODE: &[&str] = &[r#""code":"654321""#; 3];

const LATE: Act = Act::Enter(nothing, a_minute_passes);
const UNSETTLED: Act = Act::Enter(|world| world.hops_stand = true, a_minute_passes);

fn a_minute_passes(world: &mut World) {
    world.wait(Duration::from_secs(61));
}

const fn hooked(before: fn(&mut World)) -> Act {
    Act::Enter(before, nothing)
}

const STEPS: [Row; 19] = [
    row("step: password", "comes", password, Stranger, ENTER),
    row(
        "step: password",
        "answers right",
        password,
        Stranger,
        Act::Answer(RIGHT),
    ),
    row(
        "step: password",
        "answers wrong three times",
        password,
        Stranger,
        Act::Answer(WRONG),
    ),
    row(
        "step: second factor",
        "a stranger comes",
        factor,
        Stranger,
        ENTER,
    ),
    row("step: second factor", "a user comes", factor, User, ENTER),
    row(
        "step: second factor",
        "it was shown just now",
        factor,
        User,
        hooked(just_shown),
    ),
    row(
        "step: second factor",
        "answers right",
        factor,
        User,
        Act::Answer(CODE),
    ),
    row(
        "step: second factor",
        "answers wrong three times",
        factor,
        User,
        Act::Answer(NO_CODE),
    ),
    row("step: room code", "comes", code, User, ENTER),
    row(
        "step: room code",
        "answers right",
        code,
        User,
        Act::Answer(CODE),
    ),
    row(
        "step: room code",
        "answers wrong three times",
        code,
        User,
        Act::Answer(NO_CODE),
    ),
    row("step: approval", "comes", approval, Stranger, ENTER),
    row("step: hook", "the backend lets in", hook, Stranger, ENTER),
    row(
        "step: hook",
        "the backend refuses",
        hook,
        Stranger,
        hooked(hook_refuses),
    ),
    row(
        "step: hook",
        "the backend does not answer",
        hook,
        Stranger,
        hooked(hook_is_away),
    ),
    row(
        "any step",
        "does not answer for a minute",
        password,
        Stranger,
        LATE,
    ),
    row(
        "no step",
        "another worker does not answer for a minute",
        open,
        Stranger,
        UNSETTLED,
    ),
    row(
        "step: password",
        "is inside when it begins to be asked",
        open,
        Stranger,
        Act::Stay(|world| world.rule("room", super::super::world::password_rules(1))),
    ),
    row(
        "step: approval",
        "is inside when it begins to be asked",
        open,
        Stranger,
        Act::Stay(|world| {
            let rules = super::super::world::asking(&[EntryStep::Approval]);
            world.rule("room", rules);
        }),
    ),
];

const fn open(_: &mut RoomRules) {}
