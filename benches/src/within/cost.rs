//! What a delivery costs: in a crowd, over another wire form, under rules, and on
//! two puddles. Owns which rules are all rules.

use porthouse_api::control::v1 as control;
use porthouse_load::cores;
use porthouse_load::multiplexed::Multiplexed;
use porthouse_load::raw::Raw;
use porthouse_load::speech::Speech;
use porthouse_load::talk::{Pace, everybody};
use porthouse_load::to_float;

use super::side::{SOCKETS, Side};
use super::{CROWD, Within};
use crate::budget::Budget;
use crate::owner::Owner;
use crate::record::{Record, Row};
use crate::subject::Told;

/// Sockets of a small room.
const FEW: usize = 100;
/// Deliveries a second of a calm room.
const CALM_DELIVERIES: f64 = 100_000.0;
const MEGA: f64 = 1e6;
/// A rate that is never reached.
const OFTEN: control::Rate = control::Rate {
    per_second: 1_000_000,
    burst: Some(1_000_000),
};

/// Two puddles to one: what came, and what would come of full cores.
pub(super) fn puddles(wanted: &Within, record: &mut Record) -> anyhow::Result<()> {
    let cores_of_two = cores::two_for_a_server();
    let one = wanted.house()?;
    let two = wanted.house_of(2, &cores_of_two)?;
    let seats = everybody(1, wanted.sockets(SOCKETS), 0);
    let mut theirs = Side::open(&one, Raw::in_room("bench"), &seats)?;
    let mut ours = Side::open(&two, Raw::in_room("bench"), &seats)?;
    let plan = wanted.plan(Pace::Window(8));
    let (mut rates, mut full, mut shares) = (Vec::new(), Vec::new(), (0.0_f64, 0.0_f64));
    for _ in 0..wanted.pairs {
        let (two, one) = (ours.talk(&plan)?, theirs.talk(&plan)?);
        rates.push((two.outcome.rate() / MEGA, one.outcome.rate() / MEGA));
        full.push((2.0 * a_core_second(&two), a_core_second(&one)));
        shares.0 = shares.0.max(two.outcome.client_share());
        shares.1 = shares.1.max(one.outcome.client_share());
    }
    let budget = Some(Budget::ratio_from(1.7, 1.9));
    let [first, second] = cores_of_two;
    let pinned = format!(
        "two on cores {first} and {second}, one on core {}",
        cores::SERVER
    );
    let client = format!(
        "the client on core {}, which it fills to {:.0} % beside two and {:.0} % beside one",
        cores::CLIENT,
        shares.0 * 100.0,
        shares.1 * 100.0
    );
    let row = Row::new("puddles", "two to one, window 8", "M deliveries/s", &rates);
    record.row(row.within(budget).noting(vec![pinned, client]));
    let what = "the same by the server's own CPU: two full cores to one";
    let row = Row::new("puddles", what, "M deliveries/s", &full);
    record.row(row.within(budget));
    Ok(())
}

/// Millions of deliveries by a second of the server's CPU.
fn a_core_second(told: &Told) -> f64 {
    to_float(told.outcome.deliveries) / told.cpu.as_secs_f64() / MEGA
}

/// A room of 10,000 to one of 100, as many deliveries a second in both.
pub(super) fn crowded(wanted: &Within, record: &mut Record) -> anyhow::Result<()> {
    let house = wanted.house()?;
    let crowd = wanted.sockets(CROWD);
    let many = Side::open(&house, Raw::in_room("many"), &everybody(1, crowd, 0))?;
    let few = Side::open(&house, Raw::in_room("few"), &everybody(1, FEW, 0))?;
    let pairs = calm(wanted, (many, crowd), (few, FEW))?;
    let what = format!("cost a delivery, room of {crowd} to {FEW}");
    let row = Row::new("crowded", &what, "us", &pairs);
    record.row(row.within(Some(Budget::ratio_up_to(1.15, 1.05))));
    Ok(())
}

/// `porthouse.v1` to raw.
pub(super) fn multiplexed(wanted: &Within, record: &mut Record) -> anyhow::Result<()> {
    let house = wanted.house()?;
    let sockets = wanted.sockets(SOCKETS);
    let seats = everybody(1, sockets, 0);
    let lines = Side::open(&house, Multiplexed::in_room("lines"), &seats)?;
    let raw = Side::open(&house, Raw::in_room("raw"), &seats)?;
    let pairs = calm(wanted, (lines, sockets), (raw, sockets))?;
    let what = format!("cost a delivery, porthouse.v1 to raw, {sockets} sockets");
    let row = Row::new("multiplexed", &what, "us", &pairs);
    record.row(row.within(Some(Budget::ratio_up_to(1.2, 1.05))));
    Ok(())
}

/// All rules to none.
pub(super) fn rules(wanted: &Within, record: &mut Record) -> anyhow::Result<()> {
    let house = wanted.house()?;
    Owner::of(&house)?.rules("ruled-", all_rules())?;
    let sockets = wanted.sockets(SOCKETS);
    let seats = everybody(1, sockets, 0);
    let ruled = Side::open(&house, Raw::in_room("ruled-room").in_json(), &seats)?;
    let free = Side::open(&house, Raw::in_room("free").in_json(), &seats)?;
    let pairs = calm(wanted, (ruled, sockets), (free, sockets))?;
    let what = format!("cost a delivery, all rules to none, {sockets} sockets");
    let row = Row::new("rules", &what, "us", &pairs);
    record.row(row.within(Some(Budget::ratio_up_to(1.05, 1.01))));
    Ok(())
}

/// The server's CPU a delivery in two rooms by turns, in each at a rate that comes to as
/// many deliveries.
pub(super) fn calm<A: Speech, B: Speech>(
    wanted: &Within,
    (mut ours, our_sockets): (Side<A>, usize),
    (mut theirs, their_sockets): (Side<B>, usize),
) -> anyhow::Result<Vec<(f64, f64)>> {
    let plan = |sockets: usize| wanted.plan(Pace::Rate(CALM_DELIVERIES / to_float(sockets as u64)));
    wanted.alternate(
        || Ok(ours.talk(&plan(our_sockets))?.cpu_a_delivery()),
        || Ok(theirs.talk(&plan(their_sockets))?.cpu_a_delivery()),
    )
}

/// Each group of rules asks something; of the formats JSON, of which a schema is the dear
/// one. Nobody is refused by any of it.
fn all_rules() -> control::RoomRules {
    let day = prost_types::Duration {
        seconds: 86_400,
        nanos: 0,
    };
    control::RoomRules {
        connection: Some(control::ConnectionRules {
            roles_denied: vec!["banned".to_owned()],
            origins: vec!["https://app.example".to_owned()],
            sockets_max: Some(100_000),
            sockets_per_client: Some(control::ClientSockets {
                sockets_max: 8,
                ..Default::default()
            }),
            joins_per_address: Some(OFTEN),
            hours: Some(control::OpeningHours {
                zone: "Europe/Berlin".to_owned(),
                spans: vec![control::WeekSpan {
                    from_minute: 0,
                    to_minute: 10_080,
                }],
            }),
            ..Default::default()
        }),
        messages: Some(control::MessageRules {
            text: Some(true),
            binary: Some(false),
            bytes_max: Some(4_096),
            format: Some(control::MessageFormat {
                kind: Some(control::message_format::Kind::Json(control::JsonFormat {})),
            }),
            rates: Some(control::MessageRates {
                per_socket: Some(OFTEN),
                per_client: Some(OFTEN),
                per_room: Some(OFTEN),
            }),
        }),
        broadcast: Some(control::BroadcastRules {
            roles_never: vec!["deaf".to_owned()],
            roles_always: vec!["staff".to_owned()],
            ..Default::default()
        }),
        staleness: Some(control::StalenessRules {
            admit_max: Some(day),
            deliver_max: Some(day),
        }),
        delivery: Some(control::DeliveryRules {
            order: control::Order::Ordered.into(),
            slow_consumer: control::SlowConsumer::DropOldest.into(),
        }),
        history: Some(control::HistoryRules {
            keep: Some(control::history_rules::Keep::Last(control::KeepLast {
                messages_max: 1_000,
                age_max: Some(day),
            })),
            waiting: Some(control::Waiting {
                messages_max: 100,
                age_max: Some(day),
            }),
            ..Default::default()
        }),
        presence: Some(control::PresenceRules {
            shown: control::Shown::Identities.into(),
            ..Default::default()
        }),
        ..Default::default()
    }
}
