//! Entry, over every combination of what the rules can say and who can come.
//! States what must hold; never how it is decided.

use core::time::Duration;
use std::collections::BTreeSet;

use porthouse_model::{
    Act, Acts, Audience, Capabilities, CodeVersion, ConnectionRules, EntryRules, EntryStep,
    HookVersion, OpeningHours, PasswordVersion, Refused, Role, RoomRules, UnixTime, UserId,
    WeekSpan,
};
use porthouse_rules::{Entry, Passed, Rules, Standing, Visitor};

const AUDIENCES: [Audience; 4] = [
    Audience::Anyone,
    Audience::Users,
    Audience::Members,
    Audience::Nobody,
];

const STANDINGS: [Standing; 5] = [
    Standing::Anonymous,
    Standing::User,
    Standing::Member(Role::MEMBER),
    Standing::Member(Role::MODERATOR),
    Standing::Owner,
];

const USER: UserId = UserId::from_bytes([7; 16]);
const OTHER: UserId = UserId::from_bytes([8; 16]);
const ORIGIN: &str = "https://app.example";

/// A Thursday, 1970-01-01 00:00 UTC, and a Friday.
const THURSDAY: UnixTime = UnixTime::from_millis(0);
const FRIDAY: UnixTime = UnixTime::from_millis(24 * 3_600_000);

const STEPS: [EntryStep; 5] = [
    EntryStep::Password(PasswordVersion(2)),
    EntryStep::SecondFactor {
        age_max: Duration::from_mins(5),
    },
    EntryStep::RoomCode(CodeVersion(3)),
    EntryStep::Approval,
    EntryStep::Hook(HookVersion(4)),
];

/// These steps passed, and the others by what does not count any more.
fn passed(which: usize) -> Passed {
    let has = |step: usize| which & 1 << step != 0;
    let age = if has(1) { 300 } else { 301 };
    Passed {
        password: Some(PasswordVersion(1 + u64::from(has(0)))),
        second_factor: Some(Duration::from_secs(age)),
        room_code: has(2).then_some(CodeVersion(3)),
        approval: has(3),
        hook: Some(HookVersion(3 + u64::from(has(4)))),
    }
}

fn compile(connection: ConnectionRules, capabilities: Capabilities, steps: &[EntryStep]) -> Rules {
    let rules = RoomRules {
        connection,
        capabilities,
        entry: EntryRules {
            steps: steps.to_vec(),
        },
        ..RoomRules::default()
    };
    Rules::compile(rules).expect("can be kept")
}

fn lets_in(audience: Audience, standing: Standing) -> bool {
    match audience {
        Audience::Anyone => true,
        Audience::Users => standing != Standing::Anonymous,
        Audience::Members => !matches!(standing, Standing::Anonymous | Standing::User),
        Audience::Nobody => false,
    }
}

/// Every order of every choice of steps.
fn orders() -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    let mut longest = 0..1;
    while !longest.is_empty() {
        let next = all.len();
        for shorter in longest {
            let missing: Vec<usize> = (0..5).filter(|step| !all[shorter].contains(step)).collect();
            for step in missing {
                let order = [&all[shorter][..], &[step]].concat();
                all.push(order);
            }
        }
        longest = next..all.len();
    }
    all
}

#[test]
fn nobody_enters_who_has_not_passed_every_step_and_the_first_missing_is_asked() {
    let mut combinations = 0_u32;
    for audience in AUDIENCES {
        let connection = || ConnectionRules {
            audience,
            ..ConnectionRules::default()
        };
        for order in orders() {
            let steps: Vec<EntryStep> = order.iter().map(|step| STEPS[*step]).collect();
            let rules = compile(connection(), Capabilities::open(), &steps);
            for standing in STANDINGS {
                for which in 0..32 {
                    combinations += 1;
                    let answer = rules.enter(&Visitor::of(standing), &passed(which));
                    let invites = rules.acts(standing).has(Act::Invite);
                    let by_itself = |step: usize| invites && STEPS[step] == EntryStep::Approval;
                    let missing = order
                        .iter()
                        .find(|step| which & 1 << **step == 0 && !by_itself(**step));
                    match (lets_in(audience, standing), missing) {
                        (false, _) => assert!(matches!(answer, Entry::Refuse(_)), "{answer:?}"),
                        (true, Some(step)) => assert_eq!(answer, Entry::Ask(STEPS[*step])),
                        (true, None) => assert_eq!(answer, Entry::Admit),
                    }
                }
            }
        }
    }
    println!("{combinations} combinations of audience, standing, steps and steps passed");
    assert_eq!(combinations, 4 * 5 * 326 * 32);
}

/// How a list stands to who comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum List {
    Empty,
    Allows,
    AllowsOther,
    Denies,
}

const LISTS: [List; 4] = [List::Empty, List::Allows, List::AllowsOther, List::Denies];

/// The allowed and the denied of a list.
fn list<T: Ord>(list: List, one: T, other: T) -> (BTreeSet<T>, BTreeSet<T>) {
    match list {
        List::Empty => ([].into(), [].into()),
        List::Allows => ([one].into(), [].into()),
        List::AllowsOther => ([other].into(), [].into()),
        List::Denies => ([].into(), [one].into()),
    }
}

/// Whether a list lets somebody in: who cannot be on it, only if it names none.
fn list_allows(list: List, can_be_on_it: bool) -> bool {
    match list {
        List::Empty => true,
        List::Allows => can_be_on_it,
        List::AllowsOther => false,
        List::Denies => !can_be_on_it,
    }
}

fn connection(
    audience: Audience,
    users: List,
    roles: List,
    origins: &[&str],
    hours: Option<OpeningHours>,
) -> ConnectionRules {
    let (users_allowed, users_denied) = list(users, USER, OTHER);
    let guest: Role = "guest".parse().expect("a role");
    let (roles_allowed, roles_denied) = list(roles, Role::MEMBER, guest);
    ConnectionRules {
        audience,
        users_allowed,
        users_denied,
        roles_allowed,
        roles_denied,
        origins: origins.iter().copied().map(str::to_owned).collect(),
        hours,
        ..ConnectionRules::default()
    }
}

fn thursdays() -> OpeningHours {
    OpeningHours {
        zone: "UTC".to_owned(),
        spans: vec![WeekSpan {
            from_minute: 3 * 1_440,
            to_minute: 4 * 1_440,
        }],
    }
}

/// Everybody may do these, but the owner, who may do all.
fn matrix(acts: Acts) -> Capabilities {
    Capabilities {
        anonymous: acts,
        user: acts,
        member: acts,
        roles: [].into(),
        owner: Acts::ALL,
        device: acts,
    }
}

#[test]
fn each_rule_about_connecting_keeps_out_whom_it_says_and_nobody_else() {
    let mut combinations = 0_u32;
    let unseen = Acts::NONE;
    let closed = Acts::NONE.with(Act::See);
    for (audience, acts) in AUDIENCES
        .into_iter()
        .flat_map(|audience| [unseen, closed, Acts::TALK].map(|acts| (audience, acts)))
    {
        for (users, roles) in LISTS
            .into_iter()
            .flat_map(|users| LISTS.map(|roles| (users, roles)))
        {
            for (origins, hours) in [
                (&[][..], None),
                (&[ORIGIN], None),
                (&[], Some(thursdays())),
                (&[ORIGIN], Some(thursdays())),
            ] {
                let connection = connection(audience, users, roles, origins, hours.clone());
                let rules = compile(connection, matrix(acts), &[]);
                let comers = STANDINGS
                    .into_iter()
                    .flat_map(|standing| [(standing, None), (standing, Some(Acts::ALL))]);
                for (standing, device) in comers {
                    for origin in [
                        None,
                        Some(ORIGIN),
                        Some("https://evil.example"),
                        Some("null"),
                    ] {
                        for wall in [None, Some(THURSDAY), Some(FRIDAY)] {
                            combinations += 1;
                            let user = match standing {
                                Standing::Anonymous => None,
                                Standing::User | Standing::Member(_) | Standing::Owner => {
                                    Some(USER)
                                }
                            };
                            let visitor = Visitor {
                                standing,
                                device,
                                user,
                                origin,
                                wall,
                            };
                            let owner = standing == Standing::Owner;
                            let is_own = owner && device.is_none();
                            let acts = if is_own { Acts::ALL } else { acts };
                            let is_member = standing == Standing::Member(Role::MEMBER);
                            let enters = acts.has(Act::Join)
                                && lets_in(audience, standing)
                                && (owner || list_allows(users, user.is_some()))
                                && (owner || list_allows(roles, is_member))
                                && (origins.is_empty()
                                    || origin.is_none_or(|origin| origin == ORIGIN))
                                && (hours.is_none() || wall == Some(THURSDAY));
                            let answer = rules.enter(&visitor, &Passed::default());
                            assert_eq!(answer == Entry::Admit, enters, "{visitor:?} {answer:?}");
                            let hidden = answer == Entry::Refuse(Refused::NoSuchRoom);
                            assert_eq!(hidden, !acts.has(Act::See), "{visitor:?} {answer:?}");
                        }
                    }
                }
            }
        }
    }
    println!("{combinations} combinations of rules about connecting and visitors");
    assert_eq!(combinations, 4 * 3 * 16 * 4 * 10 * 4 * 3);
}

#[test]
fn who_is_refused_is_told_by_which_rule() {
    use List::{AllowsOther, Denies, Empty};
    let told = |connection, acts, visitor: Visitor<'_>| {
        let rules = compile(connection, matrix(acts), &[]);
        match rules.enter(&visitor, &Passed::default()) {
            Entry::Refuse(refused) => refused,
            other @ (Entry::Admit | Entry::Ask(_)) => panic!("not refused: {other:?}"),
        }
    };
    let plain =
        |audience, users, roles| connection(audience, users, roles, &[ORIGIN], Some(thursdays()));
    let user = Visitor {
        user: Some(USER),
        origin: Some("https://evil.example"),
        wall: Some(FRIDAY),
        ..Visitor::of(Standing::User)
    };
    let anonymous = Visitor::of(Standing::Anonymous);
    let anyone = |users, roles| plain(Audience::Anyone, users, roles);
    let joins = Acts::TALK;
    assert_eq!(
        told(anyone(AllowsOther, Empty), joins, user),
        Refused::RoleRefused
    );
    assert_eq!(
        told(anyone(Denies, Empty), joins, user),
        Refused::RoleRefused
    );
    assert_eq!(
        told(anyone(Empty, AllowsOther), joins, user),
        Refused::RoleRefused
    );
    assert_eq!(
        told(anyone(AllowsOther, Empty), joins, anonymous),
        Refused::UserRequired
    );
    assert_eq!(
        told(anyone(Empty, Empty), joins, user),
        Refused::OriginRefused
    );
    let here = Visitor {
        origin: Some(ORIGIN),
        ..user
    };
    assert_eq!(told(anyone(Empty, Empty), joins, here), Refused::ClosedNow);
    let sees = Acts::NONE.with(Act::See);
    let on_time = Visitor {
        wall: Some(THURSDAY),
        ..here
    };
    assert_eq!(
        told(anyone(Empty, Empty), sees, on_time),
        Refused::JoinRefused
    );
}

#[test]
fn a_socket_is_let_stay_until_the_room_closes() {
    let hours = connection(
        Audience::Anyone,
        List::Empty,
        List::Empty,
        &[],
        Some(thursdays()),
    );
    let rules = compile(hours, Capabilities::open(), &[]);
    assert_eq!(rules.open_until(Some(THURSDAY)), Some(FRIDAY));
    assert_eq!(rules.open_until(Some(FRIDAY)), None);
    assert_eq!(rules.open_until(None), None);
}
