//! What a socket does that costs others nothing, so often that it costs us: how
//! much of it is left. Never decides what follows.

use porthouse_model::{Rate, Time};
use porthouse_rules::Bucket;

use crate::settings::Settings;

/// Something a socket may do only so often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    /// To ask whether we are there, by a control frame or a line.
    Ping,
    /// To say nothing.
    Empty,
    /// To join or leave a room, put somebody out, or do what owners do.
    Move,
    /// To read what was said, or who is there.
    Read,
    /// To be refused for going too fast.
    Haste,
}

/// What is left of each.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Conduct {
    pings: Bucket,
    empties: Bucket,
    moves: Bucket,
    reads: Bucket,
    haste: Bucket,
}

impl Habit {
    const fn rate(self, settings: &Settings) -> Rate {
        match self {
            Self::Ping => settings.paces.ping_rate_max,
            Self::Empty => settings.paces.empty_message_rate_max,
            Self::Move => settings.paces.move_rate_max,
            Self::Read => settings.paces.read_rate_max,
            Self::Haste => settings.paces.haste_rate_max,
        }
    }

    /// What passed its limit, as a close frame's reason and an error's field.
    pub(crate) const fn rule(self) -> &'static str {
        match self {
            Self::Ping => "ping_rate_max",
            Self::Empty => "empty_message_rate_max",
            Self::Move => "move_rate_max",
            Self::Read => "read_rate_max",
            Self::Haste => "haste_rate_max",
        }
    }

    /// What is needed, for a person.
    pub(crate) const fn needed(self) -> &'static str {
        match self {
            Self::Ping => "fewer pings a second",
            Self::Empty => "fewer empty messages a second",
            Self::Move => "fewer joins, leaves, kicks and owners' requests a second",
            Self::Read => "fewer requests for history and presence a second",
            Self::Haste => "to heed refusals",
        }
    }
}

impl Conduct {
    /// Does it once more; answers whether it may.
    pub(crate) fn does(&mut self, habit: Habit, settings: &Settings, now: Time) -> bool {
        let bucket = match habit {
            Habit::Ping => &mut self.pings,
            Habit::Empty => &mut self.empties,
            Habit::Move => &mut self.moves,
            Habit::Read => &mut self.reads,
            Habit::Haste => &mut self.haste,
        };
        bucket.take(habit.rate(settings), now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::PuddleId;

    #[test]
    fn each_habit_has_a_limit_of_its_own() {
        let settings = Settings::new(PuddleId(0), 1);
        let mut conduct = Conduct::default();
        for habit in [
            Habit::Ping,
            Habit::Empty,
            Habit::Move,
            Habit::Read,
            Habit::Haste,
        ] {
            let burst = habit.rate(&settings).burst.get();
            for _ in 0..burst {
                assert!(conduct.does(habit, &settings, Time::ZERO), "{habit:?}");
            }
            assert!(!conduct.does(habit, &settings, Time::ZERO), "{habit:?}");
        }
    }
}
