//! Whether the database answers, whether it has the migrations of this version, and
//! how far its logs are: looked at each second, on a connection of its own, so that
//! busy calls are not taken for a database that is away, and whoever asks operators'
//! questions asks the database nothing.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::store::standing::{Look, look};
use crate::store::{Connection, StoreError, StoreSettings, lone};

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(1);
/// How long a look may take, its connection included.
const LOOK_TIME_MAX: Duration = Duration::from_secs(2);
/// How old a look may be: the one that should have come after it is overdue.
const AGE_MAX: Duration = Duration::from_secs(4);

/// What was seen last.
#[derive(Clone, Debug, Default)]
pub(crate) enum Standing {
    /// Nothing yet.
    #[default]
    Unseen,
    /// This, then.
    Seen(Look, Instant),
    /// The database has not answered since then.
    Away(Instant),
}

impl Standing {
    /// Whether there is nothing to be said against the database.
    pub(super) fn is_good(&self, now: Instant) -> bool {
        self.fresh(now).is_some_and(|look| look.migrated)
    }

    /// What is there now, as far as that is known.
    pub(super) fn fresh(&self, now: Instant) -> Option<&Look> {
        match self {
            Self::Seen(look, at) if now - *at <= AGE_MAX => Some(look),
            Self::Unseen | Self::Seen(..) | Self::Away(_) => None,
        }
    }

    /// What is answered to who asks.
    pub(super) fn says(&self, now: Instant) -> String {
        match self {
            Self::Unseen => "database: not looked at yet\n".to_owned(),
            Self::Away(since) => {
                let age = (now - *since).as_secs();
                format!("database: has not answered for {age} s\n")
            }
            Self::Seen(_, at) if now - *at > AGE_MAX => {
                let age = (now - *at).as_secs();
                format!("database: not looked at for {age} s\n")
            }
            Self::Seen(look, _) if look.migrated => {
                "database: answers\nmigrations: applied\n".to_owned()
            }
            Self::Seen(..) => "database: answers\nmigrations: some of this version are missing; \
                run `porthouse migrate`\n"
                .to_owned(),
        }
    }

    fn then(self, seen: Option<Look>, now: Instant) -> Self {
        match (seen, self) {
            (Some(look), _) => Self::Seen(look, now),
            (None, Self::Away(since)) => Self::Away(since),
            (None, Self::Unseen | Self::Seen(..)) => Self::Away(now),
        }
    }
}

/// Looks until told to stop.
pub(crate) async fn run(
    url: String,
    settings: StoreSettings,
    seen: watch::Sender<Standing>,
    stop: CancellationToken,
) {
    let looking = async {
        let mut connection = None;
        loop {
            let next = Instant::now() + EVERY;
            let found = timeout(LOOK_TIME_MAX, look_once(&url, &settings, &mut connection)).await;
            let found = found.ok().and_then(Result::ok);
            if found.is_none() {
                connection = None;
            }
            seen.send_modify(|standing| {
                let before = std::mem::take(standing);
                *standing = before.then(found, Instant::now());
            });
            sleep_until(next).await;
        }
    };
    stop.run_until_cancelled(looking).await;
}

async fn look_once(
    url: &str,
    settings: &StoreSettings,
    connection: &mut Option<Connection>,
) -> Result<Look, StoreError> {
    let mut own = match connection.take() {
        Some(own) => own,
        None => lone(url, settings).await?,
    };
    let found = look(&mut own).await?;
    *connection = Some(own);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(migrated: bool) -> Look {
        Look {
            migrated,
            ..Look::default()
        }
    }

    #[test]
    fn a_database_is_good_while_it_answers_and_is_migrated() {
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let standing = Standing::default();
        assert!(!standing.is_good(began));
        let standing = standing.then(Some(seen(false)), began);
        assert!(!standing.is_good(began));
        assert!(standing.says(began).contains("porthouse migrate"));
        let standing = standing.then(Some(seen(true)), began);
        assert!(standing.is_good(at(4)) && !standing.is_good(at(5)));
        let old = "database: not looked at for 5 s\n";
        assert_eq!(standing.says(at(5)), old);
        let away = standing.then(None, at(5)).then(None, at(6));
        let away_for = "database: has not answered for 7 s\n";
        assert_eq!(away.says(at(12)), away_for);
        assert!(away.then(Some(seen(true)), at(13)).is_good(at(13)));
    }
}
