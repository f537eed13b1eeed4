//! What one seed draws of voices: formats besides JSON, how fast one client may speak, which roles
//! hear nothing or everything, and how often one network may come in. From a generator of its
//! own, so that worlds without any of it are the same as without this file.

use core::num::NonZeroU32;
use std::collections::BTreeSet;
use std::sync::Arc;

use porthouse_model::{Content, Format, Rate, Role, RoomRules};

use crate::chance::Chance;
use crate::checker::line::Shape;
use crate::control::{ROLES, role_name};
use crate::plan::Plan;

/// Tells this generator's course from the world's.
const COURSE: u64 = 0x766f_6963;

/// A number of eight digits that begins with a one, as a schema and as an expression say it.
const SCHEMA: &str = r#"{"type":"integer","minimum":10000000,"maximum":19999999}"#;
const EXPRESSION: &str = "1[0-9]{7} *";

/// How voices carry. By default everybody's to everybody.
#[derive(Clone, Debug, Default)]
pub(crate) struct Voices {
    /// So many networks all sockets come from; none: each from its own.
    pub(crate) networks: Option<NonZeroU32>,
    /// Some roles hear everything somewhere.
    pub(crate) overhears: bool,
    /// By room; the same for all its lives.
    rooms: Vec<Voice>,
}

/// What of a room's rules is the same for all its lives.
#[derive(Clone, Debug, Default)]
struct Voice {
    format: Option<Format>,
    per_client: Option<Rate>,
    joins: Option<Rate>,
    never: BTreeSet<Role>,
    always: BTreeSet<Role>,
}

impl Plan {
    /// Draws how voices carry; in half of all worlds as by default.
    pub(crate) fn voice(&mut self, seed: u64) {
        let mut chance = Chance::new(seed ^ COURSE);
        if !chance.one_in(2) {
            let joins = chance.one_in(3);
            self.voice_all(&mut chance, 4, joins);
        }
    }

    /// Draws a voice for each room, each thing of it in one of so many.
    pub(crate) fn voice_all(&mut self, chance: &mut Chance, one_in: u64, joins: bool) {
        let rooms: Vec<Voice> = (0..self.rooms)
            .map(|_| Voice::draw(chance, one_in, joins))
            .collect();
        let few = u32::try_from(chance.between(4, 40)).expect("a small number");
        let overhears = rooms.iter().any(|voice| !voice.always.is_empty());
        let hears = rooms.iter().any(|voice| !voice.never.is_empty());
        // Members have other roles than one only where that matters.
        self.doors.roles |= overhears || hears;
        self.voices = Voices {
            networks: NonZeroU32::new(few).filter(|_| joins),
            overhears,
            rooms,
        };
    }

    /// Everybody comes from one network, all the time.
    pub(crate) fn crowd_in(&mut self, chance: &mut Chance) {
        self.voice_all(chance, 1, true);
        self.voices.networks = Some(NonZeroU32::MIN);
        self.habits.wander = 150;
        self.habits.close = 30;
    }
}

impl Voices {
    /// A room of this number has such voices, too.
    pub(crate) fn rule(&self, room: u32, to: &mut RoomRules) {
        let place = usize::try_from(room).expect("an index");
        if let Some(voice) = self.rooms.get(place) {
            voice.rule(to);
        }
    }
}

impl Voice {
    fn draw(chance: &mut Chance, one_in: u64, joins: bool) -> Self {
        let formats = [
            Format::JsonSchema(Arc::from(SCHEMA)),
            Format::Expression(Arc::from(EXPRESSION)),
            Format::MessagePack,
            Format::Cbor,
        ];
        let all = Self {
            format: Some(chance.pick(&formats).clone()),
            per_client: Some(rate(chance, (1, 20))),
            // Everybody comes in within the time in which the world heals.
            joins: Some(rate(chance, (20, 60))),
            never: some_role(chance),
            always: some_role(chance),
        };
        let mut some = || chance.one_in(one_in);
        let format = all.format.filter(|_| some());
        let per_client = all.per_client.filter(|_| some());
        let joins = all.joins.filter(|_| joins && some());
        let never = if some() { all.never } else { BTreeSet::new() };
        let always = if some() { all.always } else { BTreeSet::new() };
        Self {
            format,
            per_client,
            joins,
            always: always.difference(&never).copied().collect(),
            never,
        }
    }

    fn rule(&self, rules: &mut RoomRules) {
        let messages = &mut rules.messages;
        match &self.format {
            Some(Format::MessagePack | Format::Cbor) if messages.content == Content::Text => {}
            Some(format @ (Format::MessagePack | Format::Cbor)) => {
                messages.content = Content::Binary;
                messages.format = format.clone();
            }
            Some(format) if messages.content != Content::Binary => {
                messages.format = format.clone();
            }
            Some(_) | None => {}
        }
        messages.rates.per_client = self.per_client;
        rules.connection.joins_per_address = self.joins;
        rules.broadcast.never.clone_from(&self.never);
        rules.broadcast.always.clone_from(&self.always);
    }
}

fn some_role(chance: &mut Chance) -> BTreeSet<Role> {
    [role_name(chance.index_u32(ROLES))].into()
}

fn rate(chance: &mut Chance, (least, most): (u64, u64)) -> Rate {
    let mut some = |least, most| {
        let number = u32::try_from(chance.between(least, most)).expect("a small number");
        NonZeroU32::new(number).expect("at least 1")
    };
    Rate {
        per_second: some(least, most),
        burst: some(1, 20),
    }
}

/// The shape that what is said has, where a room asks for this format.
pub(crate) fn shape(format: &Format) -> Shape {
    match format {
        Format::Any => Shape::Plain,
        Format::Json | Format::JsonSchema(_) | Format::Expression(_) => Shape::Digits,
        Format::MessagePack => Shape::Packed,
        Format::Cbor => Shape::Cbor,
        Format::Protobuf { .. } => unreachable!("no world draws it"),
    }
}
