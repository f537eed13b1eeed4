//! What one seed draws before anything happens: sizes, limits, rates, habits, and which faults are
//! on. Decides nothing afterwards.

use core::time::Duration;

use porthouse_model::{
    Audience, BroadcastRules, ConnectionRules, Content, EntryRules, MessageRules, PasswordVersion,
    RoomRules, SlowConsumer,
};
use porthouse_puddle::{PuddleId, Seed, Settings, SwitchboardSettings, TransientMakers};

use crate::chance::Chance;
use crate::doors::Doors;
pub(crate) use crate::keeping::Keeping;
use crate::plant::Plant;
use crate::ports::Ports;
use crate::queue::{MICROS, MILLIS, Nanos, SECONDS};
use crate::reach::Reach;
use crate::ruling::Ruling;
use crate::storing::Storing;
use crate::voices::Voices;

/// Tells the course of panics from the world's.
const PANICS: u64 = 0x7061_6e69;

/// A stretch of time in which something does not work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) from: Nanos,
    pub(crate) until: Nanos,
    pub(crate) what: Broken,
}

/// What does not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Broken {
    /// The control plane is killed: nothing is answered, the watch ends.
    Control,
    /// The watch stays open and brings nothing; what it holds comes at the end.
    Silence,
    /// The database cannot be read: no changes, no progress, no answers.
    Database,
    /// The watch ends at once.
    Cut,
    /// The log is cut: a position before the head is unknown from here on.
    Compacted,
    /// A puddle's thread does not run.
    Puddle(u8),
    /// A puddle panics, and begins anew.
    Panic(u8),
    /// The store of durable rooms is away.
    Store,
    /// It ends, and begins again at once.
    Restart,
}

/// Everything drawn.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) puddles: u8,
    pub(crate) clients: u32,
    pub(crate) users: u32,
    pub(crate) rooms: u32,
    /// When faults heal.
    pub(crate) heal_at: Nanos,
    pub(crate) faults: Vec<Fault>,
    /// The mean gap between two things one client does.
    pub(crate) client_gap: Nanos,
    /// The mean gap between two things an administrator does.
    pub(crate) admin_gap: Nanos,
    /// The mean delay of bytes and of what parts tell each other.
    pub(crate) link_delay: Nanos,
    pub(crate) part_delay: Nanos,
    pub(crate) rpc_delay: Nanos,
    pub(crate) habits: Habits,
    pub(crate) keeping: Keeping,
    pub(crate) reach: Reach,
    pub(crate) ruling: Ruling,
    pub(crate) doors: Doors,
    pub(crate) voices: Voices,
    pub(crate) storing: Storing,
    /// In the end the node goes away within this, and not its clients.
    pub(crate) drains: Option<Nanos>,
    pub(crate) ports: Ports,
    /// Everybody keeps losing their connection, and comes back.
    pub(crate) coming_and_going: bool,
    pub(crate) message_bytes_max: u64,
    pub(crate) down_bytes_max: usize,
    pub(crate) settings: Settings,
    pub(crate) board: SwitchboardSettings,
}

/// How clients and links behave, each so many times in a thousand things done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habits {
    /// Frames and lines that nobody may send.
    pub(crate) hostile: u64,
    /// Goes without a word.
    pub(crate) vanish: u64,
    /// Stops reading for a while.
    pub(crate) stall: u64,
    /// Closes as one should.
    pub(crate) close: u64,
    /// Leaves or joins a room.
    pub(crate) wander: u64,
    /// Longer than the room takes.
    pub(crate) oversized: u64,
    /// Names receivers or exceptions.
    pub(crate) named: u64,
    /// Gives a wrong or an old password, in a hundred.
    pub(crate) wrong_password: u64,
    /// The link cuts what arrives, in a hundred.
    pub(crate) cut: u64,
    /// A write is taken in part though there is room, in a hundred.
    pub(crate) part: u64,
    /// A write finds the connection broken.
    pub(crate) gone: u64,
}

impl Plan {
    pub(crate) fn draw(chance: &mut Chance) -> Self {
        let puddles = u8::try_from(chance.between(1, 4)).expect("four at most");
        let clients = u32::try_from(chance.skewed(20, 300)).expect("300 at most");
        // Long enough for rooms to find that what is known of them is too old.
        let outage = chance.one_in(5);
        let heal_at = if outage {
            chance.between(13, 18)
        } else {
            chance.between(2, 9)
        } * SECONDS;
        let message_bytes_max = *chance.pick(&[200, 1_000, 4_000, 20_000, 70_000]);
        let busy = u64::from(clients) * message_bytes_max / 400;
        // What one says reaches many: the more there are, the less each says.
        let crowd = u64::from(clients) * chance.between(200, 2_000) * MICROS;
        Self {
            puddles,
            clients,
            users: u32::try_from(chance.between(2, 40)).expect("40 at most"),
            rooms: u32::try_from(chance.skewed(1, 12)).expect("12 at most"),
            heal_at,
            faults: faults(chance, (heal_at, outage), puddles),
            client_gap: crowd + chance.between(10, 300) * MILLIS + busy * 30 * MICROS,
            admin_gap: chance.between(20, 600) * MILLIS,
            link_delay: chance.skewed(5, 20_000) * MICROS,
            part_delay: chance.skewed(1, 2_000) * MICROS,
            rpc_delay: chance.skewed(100, 300_000) * MICROS,
            habits: habits(chance),
            keeping: Keeping::default(),
            reach: Reach::default(),
            ruling: Ruling::default(),
            doors: Doors::default(),
            voices: Voices::default(),
            storing: Storing::default(),
            drains: None,
            ports: Ports::default(),
            coming_and_going: false,
            message_bytes_max,
            down_bytes_max: usize::try_from(chance.skewed(256, 256 * 1024)).expect("a length"),
            settings: settings(chance, puddles),
            board: SwitchboardSettings::new(puddles, Seed(chance.next())),
        }
    }

    /// Worlds in which a planted bug has the occasion to show.
    pub(crate) fn suit(&mut self, plant: Plant, chance: &mut Chance) {
        match plant {
            Plant::NumberWithoutLock => self.admin_gap = 300 * MILLIS,
            Plant::ProgressFromTimer => self.be_unreadable(chance),
            Plant::PredicateDropped => self.habits.named = 300,
            // Many leave a room that stays, and others stay in it.
            Plant::PresenceLeaveLost => self.leave_much(),
            // Messages meet on their way from puddle to puddle.
            Plant::HopsSwapped => self.part_delay = 20 * MILLIS,
            Plant::PlacedSwapped => self.meet_in_order(),
            Plant::PlacedTwice
            | Plant::PlacedLost
            | Plant::HomeAnswerLost
            | Plant::PresenceTwice
            | Plant::KeyForgotten
            | Plant::WaitingTwice
            | Plant::EpochDropped => self.keep_all(),
            Plant::HistoryWithoutPredicate => {
                self.habits.named = 300;
                self.keep_all();
            }
            Plant::DrainUnheard => self.drains = Some(2 * SECONDS),
            Plant::PurgeForgotten => self.purge_much(),
            Plant::ReceiptBeforeStored => self.store_all(),
            Plant::ResumeSkipsTodaysRules => self.return_much(chance.next()),
            Plant::ResumeLosesOne => self.come_and_go(chance.next()),
            Plant::KickForgotten => self.kick_much(),
            Plant::MovedUntold => self.move_much(),
            Plant::WaitsForHearing => self.wait_much(),
            Plant::StreamLosesOne => self.read_much(chance.next()),
            Plant::DeviceRoomsKept => self.own_devices(),
            Plant::SilenceUnnoticed => self.be_silent(chance),
            Plant::EarlyMessageSaid => self.shake_hands_much(),
            Plant::CodeTwice | Plant::HookUnheard => self.ask_much(),
            Plant::PostedTwice => self.post_much(),
            Plant::TicketTwice
            | Plant::TicketOutlives
            | Plant::TicketAnywhere
            | Plant::TicketForgetsUpgrade => self.show_tickets(),
            Plant::SessionOutlives | Plant::SessionCutShort => self.live_briefly(),
            Plant::IdleExpiryAfterAnOutage => self.be_away(chance),
            Plant::IssuerKept => self.trust_issuers(),
            Plant::GroupKept => self.label_much(),
            Plant::ActsForgotten => self.ruling.quiet = 60,
            Plant::AnewUntold => self.panic_much(),
            Plant::RefusalUnheard => self.approve_much(chance),
            Plant::ListsForgotten
            | Plant::OriginsForgotten
            | Plant::HoursForgotten
            | Plant::PlacesForgotten
            | Plant::RatesForgotten
            | Plant::FormatForgotten => self.narrow_all(chance),
            Plant::WithdrawnEndpointKept | Plant::EndpointChangeUntold => self.lead_much(),
            Plant::HearingForgotten
            | Plant::OverhearingForgotten
            | Plant::FormatsForgotten
            | Plant::ClientsUncounted => self.voice_all(chance, 1, false),
            Plant::JoinsUncounted => self.crowd_in(chance),
            Plant::BlockUntold => self.ruling.blocks = 60,
            Plant::PrefixIgnored => self.cover_much(),
            Plant::NoTombstone
            | Plant::BacklogKept
            | Plant::NegativeEntryKept
            | Plant::LeakedCredit
            | Plant::AdmittedBeforeInterest
            | Plant::AcknowledgedEarly
            | Plant::ByteChanged
            | Plant::RevocationLost
            | Plant::GrantLost
            | Plant::CloseLost => {}
        }
    }

    /// Messages that have an order meet on their way.
    fn meet_in_order(&mut self) {
        self.part_delay = 20 * MILLIS;
        self.keep_all();
    }

    /// Templates come and go, over many rooms.
    fn cover_much(&mut self) {
        self.admin_gap = 40 * MILLIS;
        self.ruling.templates = 75;
        self.rooms = self.rooms.max(6);
    }

    /// Rooms are few and keep all, and everybody leaves and comes.
    fn leave_much(&mut self) {
        self.keep_all();
        self.rooms = self.rooms.min(2);
        self.admin_gap = 5 * SECONDS;
        self.habits.close = 30;
        self.habits.vanish = 30;
        self.habits.wander = 150;
    }

    /// The settings of one puddle.
    pub(crate) fn puddle(&self, puddle: u8) -> Settings {
        let mut settings = self.settings.clone();
        settings.puddle = PuddleId(puddle);
        if self.reach.idle > 0 {
            settings.seen_every = Duration::from_secs(1);
        }
        settings
    }
}

fn habits(chance: &mut Chance) -> Habits {
    // Each is off in about half of all worlds.
    let mut some = |most: u64| {
        let on = chance.one_in(2);
        if on { chance.skewed(1, most) } else { 0 }
    };
    Habits {
        hostile: some(30),
        vanish: some(20),
        stall: some(20),
        close: some(30),
        wander: some(150),
        oversized: some(20),
        named: some(300),
        wrong_password: some(60),
        cut: some(60),
        part: some(40),
        gone: some(10),
    }
}

fn faults(chance: &mut Chance, (heal_at, outage): (Nanos, bool), puddles: u8) -> Vec<Fault> {
    let count = if chance.one_in(3) {
        0
    } else {
        chance.between(1, 6)
    };
    let one = |chance: &mut Chance| {
        let what = match chance.below(8) {
            0 | 1 => Broken::Control,
            2 => Broken::Silence,
            3 => Broken::Database,
            4 => Broken::Cut,
            5 => Broken::Compacted,
            _ => Broken::Puddle(u8::try_from(chance.below(u64::from(puddles))).expect("few")),
        };
        let from = chance.below(heal_at);
        let longest = match what {
            Broken::Puddle(_) => 300 * MILLIS,
            Broken::Control | Broken::Silence | Broken::Database => 9 * SECONDS,
            Broken::Cut
            | Broken::Compacted
            | Broken::Panic(_)
            | Broken::Store
            | Broken::Restart => 1,
        };
        let until = (from + chance.skewed(1, longest)).min(heal_at);
        Fault { from, until, what }
    };
    let mut faults: Vec<Fault> = (0..count).map(|_| one(chance)).collect();
    if outage {
        faults.push(Fault {
            from: chance.between(1, 3) * SECONDS,
            until: heal_at,
            what: *chance.pick(&[Broken::Control, Broken::Silence, Broken::Database]),
        });
    }
    faults
}

impl Plan {
    /// In some worlds puddles panic, from a generator of its own.
    pub(crate) fn panic(&mut self, seed: u64) {
        let mut chance = Chance::new(seed ^ PANICS);
        if !chance.one_in(3) {
            return;
        }
        for _ in 0..chance.between(1, 3) {
            let puddle = chance.below(u64::from(self.puddles));
            let from = chance.below(self.heal_at);
            self.panics_at(u8::try_from(puddle).expect("few"), from);
        }
    }

    /// Puddles panic in turn, and backends kick all the time.
    fn panic_much(&mut self) {
        self.kick_much();
        let turns = (SECONDS..self.heal_at).step_by(1_500_000_000);
        for (puddle, from) in (0..self.puddles).cycle().zip(turns) {
            self.panics_at(puddle, from);
        }
    }

    pub(crate) fn panics_at(&mut self, puddle: u8, from: Nanos) {
        self.faults.push(Fault {
            from,
            until: from + 1,
            what: Broken::Panic(puddle),
        });
    }
}

/// Limits small enough to be met.
fn settings(chance: &mut Chance, puddles: u8) -> Settings {
    let mut settings = Settings::new(PuddleId(0), puddles);
    let makers = [
        TransientMakers::Anyone,
        TransientMakers::Anyone,
        TransientMakers::Users,
    ];
    settings.transient_makers = *chance.pick(&makers);
    settings.transient_rules.broadcast.echo = chance.one_in(4);
    settings.hop_slots_max = u32::try_from(chance.skewed(4, 4_096)).expect("32 bits");
    settings.hop_bytes_max = chance.skewed(1_024, 8 * 1024 * 1024);
    settings.slice_sockets_max = usize::try_from(chance.skewed(1, 1_024)).expect("a count");
    settings.socket_backlog_bytes_max =
        usize::try_from(chance.skewed(64 * 1024, 1024 * 1024)).expect("a length");
    settings.entry_time_max = Duration::from_secs(chance.between(5, 20));
    settings.absent_time_max = Duration::from_secs(chance.between(1, 300));
    if chance.one_in(4) {
        settings.policy_entries_max = usize::try_from(chance.between(4, 64)).expect("a count");
    }
    settings
}

/// A room's rules.
pub(crate) fn rules(chance: &mut Chance, bytes_max: u64) -> RoomRules {
    let audiences = [
        Audience::Anyone,
        Audience::Users,
        Audience::Members,
        Audience::Members,
    ];
    let content = match chance.below(8) {
        0 => Content::Text,
        1 => Content::Binary,
        _ => Content::Any,
    };
    let longest = if chance.one_in(3) {
        chance.between(20, bytes_max)
    } else {
        bytes_max
    };
    RoomRules {
        connection: ConnectionRules {
            audience: *chance.pick(&audiences),
            ..ConnectionRules::default()
        },
        entry: if chance.one_in(5) {
            EntryRules::by_password(PasswordVersion(0))
        } else {
            EntryRules::default()
        },
        messages: MessageRules {
            content,
            bytes_max: u32::try_from(longest).expect("a short message"),
            ..MessageRules::default()
        },
        broadcast: BroadcastRules {
            echo: chance.one_in(4),
            receivers_named: !chance.one_in(5),
            ..BroadcastRules::default()
        },
        ..RoomRules::default()
    }
}

/// What becomes of who reads too slowly in a room of this number; the same for all its lives.
pub(crate) fn slow_consumer(room: u32) -> SlowConsumer {
    match room % 5 {
        1 => SlowConsumer::Conflate,
        2 => SlowConsumer::DropOldest,
        3 => SlowConsumer::DropNewest,
        _ => SlowConsumer::Close,
    }
}

/// How long a room of this number may deliver without word; the same for all its lives.
pub(crate) fn deliver_max(room: u32) -> Option<Duration> {
    (room % 3 == 1).then_some(Duration::from_secs(5))
}
