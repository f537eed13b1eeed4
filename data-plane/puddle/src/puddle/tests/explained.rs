//! What is explained is what happens: for random rules, visitors and times, a
//! socket at a puddle's door is told what [`Case::decide`] says of the same case.

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use porthouse_model::{
    Act, Acts, AddressBlock, Audience, Block, Capabilities, CodeVersion, ConnectionRules,
    EntryRules, EntryStep, HistoryRules, Keep, Member, OpeningHours, PasswordVersion,
    PresenceRules, Role, Room, RoomBlocks, RoomId, RoomName, RoomRules, Session, Shown, Template,
    UnixTime, UserId, WeekSpan,
};
use porthouse_rules::{Case, Outcome, Place, Rules, Who};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::devices::{bearer, credential};
use super::recalled::{id_in, recalled};
use super::world::{Client, HOUR, World, hash, token};

const USER: u8 = 7;
const DEVICE: u8 = 8;
const PAGE: &str = "https://app.example";
/// An hour past the world's beginning, when it is asked.
const NOW: u64 = HOUR + HOUR;

/// When something ends by itself.
#[derive(Clone, Copy, Debug)]
enum End {
    Never,
    At(u64),
}

impl End {
    fn expires(self) -> Option<UnixTime> {
        match self {
            Self::Never => None,
            Self::At(millis) => Some(UnixTime::from_millis(millis)),
        }
    }
}

/// As what somebody comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comes {
    Anonymous,
    SignedIn,
    /// By a device token for this at most.
    Device {
        acts: Acts,
        /// Whether it names the room.
        leads_there: bool,
    },
}

/// One room, one visitor, one act.
#[derive(Clone, Debug)]
struct Draw {
    rules: RoomRules,
    is_template: bool,
    comes: Comes,
    factor_age_s: Option<u64>,
    owns: bool,
    /// The role, and when it ends: before now or after it.
    member: Option<(Role, End)>,
    blocked: Option<End>,
    address_blocked: Option<End>,
    page: Option<&'static str>,
    act: Act,
}

fn end() -> impl Strategy<Value = End> {
    let ends = [NOW - 1, NOW, NOW + HOUR].map(End::At);
    select([&[End::Never][..], &ends].concat())
}

fn acts() -> impl Strategy<Value = Acts> {
    select(vec![
        Acts::NONE,
        Acts::NONE.with(Act::See),
        Acts::LISTEN,
        Acts::TALK,
        Acts::TALK.without(Act::ReadHistory),
        Acts::TALK.without(Act::SeePresence),
        Acts::MODERATE,
    ])
}

fn connection() -> impl Strategy<Value = ConnectionRules> {
    let users = || subsequence(vec![UserId::from_bytes([USER; 16])], 0..=1);
    let spans = vec![
        None,
        // 1970-01-01 was a Thursday; it is past two.
        Some((3 * 1_440, 4 * 1_440)),
        Some((3 * 1_440, 3 * 1_440 + 60)),
    ];
    let roles = (
        subsequence(vec![Role::MEMBER, Role::MODERATOR], 0..=1),
        subsequence(vec![Role::MEMBER, Role::MODERATOR], 0..=1),
    );
    let audiences = vec![
        Audience::Anyone,
        Audience::Anyone,
        Audience::Users,
        Audience::Members,
        Audience::Nobody,
    ];
    let origins = subsequence(vec![PAGE.to_owned()], 0..=1);
    (
        select(audiences),
        roles,
        (users(), users()),
        origins,
        select(spans),
        any::<[bool; 2]>(),
    )
        .prop_map(
            |(audience, roles, users, origins, span, lists)| ConnectionRules {
                audience,
                roles_allowed: roles.0.into_iter().filter(|_| lists[0]).collect(),
                roles_denied: roles.1.into_iter().filter(|_| lists[1]).collect(),
                users_allowed: users.0.into_iter().filter(|_| lists[1]).collect(),
                users_denied: users.1.into_iter().filter(|_| lists[0]).collect(),
                origins: origins.into_iter().collect(),
                hours: span.map(|(from, until)| OpeningHours {
                    zone: "UTC".to_owned(),
                    spans: vec![WeekSpan {
                        from_minute: from,
                        to_minute: until,
                    }],
                }),
                ..ConnectionRules::default()
            },
        )
}

fn rules() -> impl Strategy<Value = RoomRules> {
    let steps = vec![
        EntryStep::Password(PasswordVersion(1)),
        EntryStep::SecondFactor {
            age_max: Duration::from_mins(5),
        },
        EntryStep::RoomCode(CodeVersion(1)),
    ];
    let steps = subsequence(steps, 0..=3).prop_shuffle();
    let lines = (acts(), acts(), acts(), acts(), acts(), acts());
    (connection(), lines, steps).prop_map(|(connection, lines, steps)| {
        let (anonymous, user, member, moderator, owner, device) = lines;
        RoomRules {
            connection,
            capabilities: Capabilities {
                anonymous,
                user,
                member,
                roles: [(Role::MODERATOR, moderator)].into(),
                owner,
                device,
            },
            entry: EntryRules { steps },
            history: HistoryRules {
                keep: Keep::Latest,
                ..HistoryRules::default()
            },
            presence: PresenceRules {
                shown: Shown::Identities,
                ..PresenceRules::default()
            },
            ..RoomRules::default()
        }
    })
}

fn draw() -> impl Strategy<Value = Draw> {
    let role = select(vec![Role::MEMBER, Role::MODERATOR]);
    let factors = vec![None, Some(299), Some(300), Some(301)];
    let device = (acts(), prop::bool::weighted(0.8))
        .prop_map(|(acts, leads_there)| Comes::Device { acts, leads_there });
    let comes = prop_oneof![Just(Comes::Anonymous), Just(Comes::SignedIn), device];
    let who = (
        comes,
        select(factors),
        prop::bool::weighted(0.1),
        prop::option::of((role, end())),
    );
    let kept_out = (
        prop::option::weighted(0.2, end()),
        prop::option::weighted(0.2, end()),
    );
    let page = select(vec![None, Some(PAGE), Some("https://other.example")]);
    let acts = vec![Act::Join, Act::Send, Act::ReadHistory, Act::SeePresence];
    let place = prop::bool::weighted(0.2);
    (rules(), place, who, kept_out, page, select(acts)).prop_map(
        |(rules, is_template, who, (blocked, address_blocked), page, act)| Draw {
            rules,
            is_template,
            comes: who.0,
            factor_age_s: who.1,
            owns: who.2,
            member: who.3,
            blocked,
            address_blocked,
            page,
            act,
        },
    )
}

/// The control plane's side of a draw.
struct Written {
    room: Room,
    member: Option<Member>,
    block: Option<Block>,
    session: Option<Session>,
}

fn write(draw: &Draw, world: &mut World) -> Written {
    let user = world.session(USER);
    let session = world.sessions.get_mut(&hash(USER)).expect("it was made");
    session.expires = UnixTime::from_millis(NOW + 2 * HOUR);
    let shown = draw.factor_age_s;
    session.second_factor = shown.map(|age| UnixTime::from_millis(NOW - age * 1_000));
    let session = match draw.comes {
        Comes::Anonymous => None,
        Comes::SignedIn => Some(session.clone()),
        Comes::Device { acts, leads_there } => {
            let rooms: &[&str] = if leads_there { &["vault"] } else { &["yard"] };
            world.device(DEVICE, USER, acts, rooms);
            let token = credential(DEVICE).hash();
            let session = world.sessions.get_mut(&token).expect("it was made");
            session.expires = UnixTime::from_millis(NOW + 2 * HOUR);
            Some(session.clone())
        }
    };
    let id = RoomId::from_bytes([9; 16]);
    let room = Room {
        id,
        name: "vault".parse().expect("a name"),
        rules: Box::new(draw.rules.clone()),
        owner: draw.owns.then_some(user),
        blocks: RoomBlocks {
            users: draw.blocked.is_some(),
            addresses: draw
                .address_blocked
                .map(|end| AddressBlock {
                    range: "127.0.0.0/8".parse().expect("a range"),
                    expires: end.expires(),
                })
                .into_iter()
                .collect(),
        },
    };
    let member = draw.member.map(|(role, end)| Member {
        room: id,
        user,
        role,
        expires: end.expires(),
        then: None,
    });
    let block = draw.blocked.map(|end| Block {
        room: id,
        user,
        expires: end.expires(),
    });
    if draw.is_template {
        let template = Template {
            id,
            prefix: "va*".parse().expect("a prefix"),
            rules: room.rules.clone(),
        };
        world.templates.insert(template.prefix.clone(), template);
    } else {
        world.rooms.insert(room.name.clone(), room.clone());
        world.members.extend(member);
        world.blocks.extend(block);
    }
    Written {
        room,
        member,
        block,
        session,
    }
}

/// What the explanation says; where something is planted, of another case.
fn explained(draw: &Draw, written: &Written, rules: &Rules, planted: Option<Plant>) -> Outcome {
    let name: &RoomName = &written.room.name;
    let mut case = Case {
        who: written
            .session
            .as_ref()
            .map_or(Who::Anonymous, Who::Session),
        name,
        place: if draw.is_template {
            Place::Template(rules)
        } else {
            Place::Room(&written.room, rules)
        },
        member: written.member,
        block: written.block,
        address: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        origin: draw.page,
        wall: UnixTime::from_millis(NOW),
    };
    let mut shown = written.session.clone();
    match planted {
        None => {}
        Some(Plant::NoMember) => case.member = None,
        Some(Plant::NoBlock) => case.block = None,
        Some(Plant::NoAddress) => case.address = None,
        Some(Plant::NoPage) => case.origin = None,
        Some(Plant::MembersOfTemplates) => case.place = Place::Room(&written.room, rules),
        Some(Plant::NoFactor) => {
            if let Some(session) = &mut shown {
                session.second_factor = None;
            }
        }
        Some(Plant::NoDevice) => {
            if let Some(session) = &mut shown {
                session.device = None;
            }
        }
    }
    case.who = shown.as_ref().map_or(Who::Anonymous, Who::Session);
    let told = case.decide(draw.act);
    told.outcome.expect("something stands there")
}

/// What happens to a socket that does it.
fn happens(draw: &Draw, world: &mut World) -> Told {
    let mut lines = vec!["Sec-WebSocket-Protocol: porthouse.v1".to_owned()];
    match draw.comes {
        Comes::Anonymous => {}
        Comes::SignedIn => lines.push(format!("Authorization: Bearer {}", token(USER))),
        Comes::Device { .. } => lines.push(bearer(DEVICE)),
    }
    lines.extend(draw.page.map(|page| format!("Origin: {page}")));
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let client = world.upgrade(0, "/", &lines);
    let at_once = world.take_text(client);
    let mut steps = Vec::new();
    // A device is in its rooms, or told why not, without asking.
    let joins = matches!(
        draw.comes,
        Comes::Device {
            leads_there: true,
            ..
        }
    );
    let mut told = if joins {
        at_once
    } else {
        ask(world, client, r#"{"op":"join","room":"vault","id":1}"#)
    };
    loop {
        if let Some(refused) = refusal(&told) {
            recalled_as_told(world, &told, &refused);
            return Told::Refused(refused);
        }
        if told.contains(r#""op":"admitted""#) {
            break;
        }
        let answer = if told.contains(r#""step":"password""#) {
            steps.push("password");
            r#""password":"open sesame""#
        } else if told.contains(r#""step":"second_factor""#) {
            steps.push("second_factor");
            r#""code":"123456""#
        } else if told.contains(r#""step":"room_code""#) {
            steps.push("room_code");
            r#""code":"123456""#
        } else {
            panic!("neither in nor out: {told}");
        };
        let line = format!(r#"{{"op":"answer","room":"vault","id":2,{answer}}}"#);
        told = ask(world, client, &line);
    }
    let done = match draw.act {
        Act::Send => ask(
            world,
            client,
            "{\"op\":\"send\",\"room\":\"vault\",\"id\":3}\nhi",
        ),
        Act::ReadHistory => ask(world, client, r#"{"op":"history","room":"vault","id":3}"#),
        Act::SeePresence => ask(world, client, r#"{"op":"presence","room":"vault","id":3}"#),
        Act::See | Act::Join | Act::Invite | Act::Kick | Act::ChangeRules => String::new(),
    };
    match refusal(&done) {
        Some(refused) => {
            recalled_as_told(world, &done, &refused);
            Told::Refused(refused)
        }
        None => Told::Asked(steps),
    }
}

/// What is kept of a refusal, by the id that the client was told, is what it was told.
fn recalled_as_told(world: &mut World, told: &str, refused: &(u16, String)) {
    let kept = recalled(world, &id_in(told)).expect("a refusal is kept");
    let code = kept.cause.code().expect("it is of the table");
    assert_eq!((code.0, kept.cause.rule()), (refused.0, refused.1.as_str()));
}

#[derive(Debug, PartialEq, Eq)]
enum Told {
    /// Done, after these steps.
    Asked(Vec<&'static str>),
    /// By this code and rule.
    Refused((u16, String)),
}

fn ask(world: &mut World, client: Client, line: &str) -> String {
    world.line(client, line);
    world.take_text(client)
}

fn refusal(told: &str) -> Option<(u16, String)> {
    let (_, rest) = told.split_once(r#""op":"refused""#)?;
    let (_, rest) = rest.split_once(r#""code":"#).expect("a code");
    let (code, rest) = rest.split_once(',').expect("its end");
    let (_, rest) = rest.split_once(r#""rule":""#).expect("a rule");
    let (rule, _) = rest.split_once('"').expect("its end");
    Some((code.parse().expect("a number"), rule.to_owned()))
}

fn as_told(outcome: Outcome) -> Told {
    match outcome {
        Outcome::Allowed => Told::Asked(Vec::new()),
        Outcome::Refused(refused) => Told::Refused((refused.code().0, refused.rule().to_owned())),
        Outcome::Asked(steps) => Told::Asked(steps.into_iter().map(named).collect()),
    }
}

const fn named(step: EntryStep) -> &'static str {
    match step {
        EntryStep::Password(_) => "password",
        EntryStep::SecondFactor { .. } => "second_factor",
        EntryStep::RoomCode(_) => "room_code",
        EntryStep::Approval => "approval",
        EntryStep::Hook(_) => "hook",
    }
}

/// Something that the explanation is not told, or told wrong.
#[derive(Clone, Copy, Debug)]
enum Plant {
    NoMember,
    NoBlock,
    NoAddress,
    NoPage,
    NoFactor,
    NoDevice,
    MembersOfTemplates,
}

/// What is explained, and what happens; none where there are no such rules.
fn both(draw: &Draw, planted: Option<Plant>) -> Option<(Told, Told)> {
    let rules = Rules::compile(draw.rules.clone()).ok()?;
    let mut world = World::new(1);
    let written = write(draw, &mut world);
    world.wall(NOW);
    let explained = explained(draw, &written, &rules, planted);
    Some((as_told(explained), happens(draw, &mut world)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn what_is_explained_is_what_happens(draw in draw()) {
        if let Some((explained, happened)) = both(&draw, None) {
            prop_assert_eq!(explained, happened, "{:?}", draw);
        }
    }
}

/// Each disagreement that is planted is found among the first cases.
#[test]
fn an_explanation_that_leaves_something_out_is_caught() {
    const CASES_MAX: usize = 1_000;
    for planted in [
        Plant::NoMember,
        Plant::NoBlock,
        Plant::NoAddress,
        Plant::NoPage,
        Plant::NoFactor,
        Plant::NoDevice,
        Plant::MembersOfTemplates,
    ] {
        let mut runner = TestRunner::deterministic();
        let mut disagrees = || {
            let drawn = draw().new_tree(&mut runner).expect("a draw");
            let both = both(&drawn.current(), Some(planted));
            both.is_some_and(|(explained, happened)| explained != happened)
        };
        let caught = (1..=CASES_MAX).find(|_| disagrees());
        assert!(caught.is_some(), "{planted:?}: not in {CASES_MAX} cases");
        println!("{planted:?}: case {}", caught.unwrap_or_default());
    }
}
