//! Which rules about delivery, history, presence and staleness can be kept.
//! Never keeps a message.

use core::time::Duration;

use porthouse_model::{HistoryRules, Keep, PresenceRules, RoomRules, Staleness};

use crate::compile::RuleFault;

/// The most messages that a room may keep, and the oldest.
const MESSAGES_MAX: u32 = 1_000_000;
const KEPT_AGE_MAX: Duration = Duration::from_hours(24 * 366);

/// The most messages that wait for one member.
const WAITING_MAX: u32 = 10_000;

/// The shortest staleness bound that can be kept: word is sent each second, and
/// three may be missed.
const STALENESS_MIN: Duration = Duration::from_secs(5);

/// How far apart changes of presence are told.
const INTERVAL_MIN: Duration = Duration::from_millis(10);
const INTERVAL_MAX: Duration = Duration::from_hours(1);

/// How long somebody who has gone may be shown.
const GRACE_MAX: Duration = Duration::from_hours(24);

pub(super) fn check(rules: &RoomRules) -> Result<(), RuleFault> {
    history(&rules.history)?;
    presence(&rules.presence)?;
    staleness(&rules.staleness)
}

fn history(rules: &HistoryRules) -> Result<(), RuleFault> {
    if let Keep::Last {
        messages_max,
        age_max,
    } = rules.keep
    {
        kept("history.keep", messages_max, MESSAGES_MAX, age_max)?;
    }
    if let Some(waiting) = rules.waiting {
        let (messages_max, age_max) = (waiting.messages_max, waiting.age_max);
        kept("history.waiting", messages_max, WAITING_MAX, age_max)?;
    }
    Ok(())
}

fn kept(
    group: &'static str,
    messages_max: u32,
    most: u32,
    age_max: Duration,
) -> Result<(), RuleFault> {
    if !(1..=most).contains(&messages_max) {
        let needed = format!("1 to {most} messages");
        return Err(RuleFault::new(format!("{group}.messages_max"), needed));
    }
    if age_max.is_zero() || age_max > KEPT_AGE_MAX {
        let needed = "more than none and at most 366 days";
        return Err(RuleFault::new(format!("{group}.age_max"), needed));
    }
    Ok(())
}

fn presence(rules: &PresenceRules) -> Result<(), RuleFault> {
    if rules.grace > GRACE_MAX {
        return Err(RuleFault::new("presence.grace", "at most 24 h"));
    }
    if !(INTERVAL_MIN..=INTERVAL_MAX).contains(&rules.interval) {
        return Err(RuleFault::new("presence.interval", "10 ms to 1 h"));
    }
    Ok(())
}

fn staleness(rules: &Staleness) -> Result<(), RuleFault> {
    if rules.admit_max < STALENESS_MIN {
        return Err(RuleFault::new("staleness.admit_max", "5 s or more"));
    }
    if rules.deliver_max.is_some_and(|span| span < STALENESS_MIN) {
        let needed = "5 s or more, or unset for no limit";
        return Err(RuleFault::new("staleness.deliver_max", needed));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use porthouse_model::Waiting;

    use super::*;

    fn fault(rules: &RoomRules) -> String {
        check(rules).expect_err("refused").field.into_owned()
    }

    #[test]
    fn what_cannot_be_kept_is_named() {
        let keep = |messages_max, age_max| RoomRules {
            history: HistoryRules {
                keep: Keep::Last {
                    messages_max,
                    age_max,
                },
                ..HistoryRules::default()
            },
            ..RoomRules::default()
        };
        let day = Duration::from_hours(24);
        assert_eq!(check(&keep(1, day)), Ok(()));
        assert_eq!(fault(&keep(0, day)), "history.keep.messages_max");
        assert_eq!(fault(&keep(1, Duration::ZERO)), "history.keep.age_max");
        assert_eq!(fault(&keep(1, Duration::MAX)), "history.keep.age_max");
        let mut waiting = RoomRules::default();
        waiting.history.waiting = Some(Waiting {
            messages_max: WAITING_MAX + 1,
            age_max: day,
        });
        assert_eq!(fault(&waiting), "history.waiting.messages_max");
    }

    #[test]
    fn presence_is_told_neither_at_once_nor_never() {
        let mut rules = RoomRules::default();
        rules.presence.interval = Duration::ZERO;
        assert_eq!(fault(&rules), "presence.interval");
        rules.presence = PresenceRules {
            grace: Duration::MAX,
            ..PresenceRules::default()
        };
        assert_eq!(fault(&rules), "presence.grace");
    }

    #[test]
    fn staleness_allows_for_a_missed_word() {
        let rules = |admit_max, deliver_max| RoomRules {
            staleness: Staleness {
                admit_max,
                deliver_max,
            },
            ..RoomRules::default()
        };
        let shut = rules(Duration::ZERO, None);
        assert_eq!(fault(&shut), "staleness.admit_max");
        let brief = rules(STALENESS_MIN, Some(Duration::from_secs(1)));
        assert_eq!(fault(&brief), "staleness.deliver_max");
    }
}
