//! What may be a password, how one is kept, and whether a given one is right.
//!
//! Kept is an Argon2id hash (RFC 9106) as a PHC string. Never draws a salt, never
//! waits, and never shows a password.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{CustomizedPasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};

use super::chance::SALT_BYTES;

/// The fewest bytes of a password that is set.
pub(crate) const PASSWORD_BYTES_MIN: usize = 8;
/// The most bytes of a password.
pub(crate) const PASSWORD_BYTES_MAX: usize = 1024;

/// Why a text cannot be a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadPassword;

impl fmt::Display for BadPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a password is {PASSWORD_BYTES_MIN} to {PASSWORD_BYTES_MAX} bytes of UTF-8 without NUL"
        )
    }
}

/// A text that may be set as a password. Compared byte for byte: it is not
/// normalised.
pub(crate) struct Password(String);

impl Password {
    /// Takes a text as a password.
    pub(crate) fn parse(text: String) -> Result<Self, BadPassword> {
        if text.len() < PASSWORD_BYTES_MIN || !Self::may_be_given(&text) {
            return Err(BadPassword);
        }
        Ok(Self(text))
    }

    /// Takes a text as somebody's answer. A shorter one than may be set is
    /// merely wrong.
    pub(crate) fn given(text: String) -> Result<Self, BadPassword> {
        if Self::may_be_given(&text) {
            Ok(Self(text))
        } else {
            Err(BadPassword)
        }
    }

    fn may_be_given(text: &str) -> bool {
        (1..=PASSWORD_BYTES_MAX).contains(&text.len()) && !text.contains('\0')
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// What hashing a password costs; RFC 9106, section 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordCost {
    /// Memory of one hash, in KiB; at least 8 times `lanes`.
    pub memory_kib: u32,
    /// Passes over that memory; at least 1.
    pub passes: u32,
    /// Lanes, which count for the result and are computed one after the other;
    /// at least 1.
    pub lanes: u32,
}

impl Default for PasswordCost {
    /// 19 MiB, 2 passes, 1 lane: OWASP's least for Argon2id.
    fn default() -> Self {
        Self {
            memory_kib: 19 * 1024,
            passes: 2,
            lanes: 1,
        }
    }
}

/// A cost that passwords may not be kept at. The text says what may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a hash must cost at least one of: 46 MiB in 1 pass, 19 MiB in 2, 12 MiB in 3, 9 MiB in 4, \
     7 MiB in 5; and at most 1 GiB, 64 passes and 16 lanes"
)]
pub struct BadPasswordCost;

impl PasswordCost {
    /// The least memory in MiB by the number of passes, from one on: OWASP's
    /// equivalents for Argon2id. More passes do not make less memory enough.
    const FLOOR_MIB: [u32; 5] = [46, 19, 12, 9, 7];

    /// This cost, if it is neither too little to keep passwords at nor too much
    /// to check them.
    ///
    /// # Errors
    ///
    /// [`BadPasswordCost`] when it is.
    pub fn bounded(self) -> Result<Self, BadPasswordCost> {
        let passes = usize::try_from(self.passes).map_err(|_| BadPasswordCost)?;
        let at = passes.min(Self::FLOOR_MIB.len()).checked_sub(1);
        let floor_kib = 1024 * Self::FLOOR_MIB[at.ok_or(BadPasswordCost)?];
        let fits = (floor_kib..=1024 * 1024).contains(&self.memory_kib)
            && self.passes <= 64
            && (1..=16).contains(&self.lanes);
        fits.then_some(self).ok_or(BadPasswordCost)
    }

    /// Reads a cost as a PHC string has it: `m=19456,t=2,p=1`.
    pub(crate) fn from_phc(text: &str) -> Option<Self> {
        let mut numbers = text.split(',').zip(["m=", "t=", "p="]).map(|(part, name)| {
            let number = part.strip_prefix(name)?;
            number.parse::<u32>().ok()
        });
        Some(Self {
            memory_kib: numbers.next()??,
            passes: numbers.next()??,
            lanes: numbers.next()??,
        })
    }

    fn params(self) -> Result<Params, argon2::Error> {
        Params::new(self.memory_kib, self.passes, self.lanes, None)
    }

    /// What it comes to: memory times passes over it.
    fn work(self) -> u64 {
        u64::from(self.memory_kib) * u64::from(self.passes)
    }

    /// A cost like this one that comes to `work`; none when that is less than any
    /// hash costs.
    fn of_work(self, work: u64) -> Option<Self> {
        let memory_kib = u32::try_from(work / u64::from(self.passes)).ok()?;
        (memory_kib >= 8 * self.lanes).then_some(Self { memory_kib, ..self })
    }
}

/// Whether a password was right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// No, or there was nothing to compare it with.
    Wrong,
    /// Yes.
    Right,
    /// Yes, and it is kept by a cost that is no longer the one asked for.
    RightButOutdated,
}

/// Hashes passwords at one cost.
pub(crate) struct Hasher {
    cost: PasswordCost,
    argon2: Argon2<'static>,
    /// What is compared with when there is nothing to compare with.
    decoy: PasswordHash,
    /// The most work that any hash which is kept is known to take, the present
    /// cost included.
    dearest: AtomicU64,
}

/// What is done to compare a password, whoever's it is.
struct Comparison {
    with: PasswordHash,
    /// Whether that was kept of somebody.
    is_kept: bool,
    /// Its cost.
    cost: Option<PasswordCost>,
    /// What is hashed beside it, so that all comparisons take the same.
    beside: Option<PasswordCost>,
}

impl Hasher {
    /// A hasher at `cost`; `salt` is for what unknown users are compared with.
    ///
    /// # Errors
    ///
    /// When `cost` is not one Argon2 has.
    pub(crate) fn new(cost: PasswordCost, salt: [u8; SALT_BYTES]) -> Result<Self, argon2::Error> {
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, cost.params()?);
        let decoy = hash(&argon2, cost.params()?, b"nobody has this password", salt);
        Ok(Self {
            cost,
            argon2,
            decoy,
            dearest: AtomicU64::new(cost.work()),
        })
    }

    /// Notes that passwords are kept at this cost.
    pub(crate) fn note(&self, cost: PasswordCost) {
        self.dearest.fetch_max(cost.work(), Ordering::Relaxed);
    }

    /// What is kept of a password: a PHC string.
    pub(crate) fn hash(&self, password: &Password, salt: [u8; SALT_BYTES]) -> String {
        let params = self.cost.params().expect("the cost was checked");
        hash(&self.argon2, params, password.0.as_bytes(), salt).to_string()
    }

    /// Compares a password with what is kept. Whether there is anything, and at
    /// which cost it is kept, does not change the time it takes: that is what
    /// the dearest hash takes which is kept of anybody.
    pub(crate) fn verify(&self, password: &Password, kept: Option<&str>) -> Verdict {
        let comparison = self.comparison(kept);
        let right = self
            .argon2
            .verify_password(password.0.as_bytes(), &comparison.with)
            .is_ok();
        if let Some(cost) = comparison.beside {
            self.spend(cost, password);
        }
        match (
            right && comparison.is_kept,
            comparison.cost == Some(self.cost),
        ) {
            (false, _) => Verdict::Wrong,
            (true, true) => Verdict::Right,
            (true, false) => Verdict::RightButOutdated,
        }
    }

    fn comparison(&self, kept: Option<&str>) -> Comparison {
        let kept = kept.and_then(|phc| PasswordHash::new(phc).ok());
        let is_kept = kept.is_some();
        let with = kept.unwrap_or_else(|| self.decoy.clone());
        let cost = cost_of(&with);
        if let Some(cost) = cost {
            self.note(cost);
        }
        let spent = cost.map_or(0, PasswordCost::work);
        let rest = self.dearest.load(Ordering::Relaxed).saturating_sub(spent);
        Comparison {
            with,
            is_kept,
            cost,
            beside: self.cost.of_work(rest),
        }
    }

    fn spend(&self, cost: PasswordCost, password: &Password) {
        let Ok(params) = cost.params() else { return };
        std::hint::black_box(hash(
            &self.argon2,
            params,
            password.0.as_bytes(),
            [0; SALT_BYTES],
        ));
    }
}

fn hash(
    argon2: &Argon2<'_>,
    params: Params,
    password: &[u8],
    salt: [u8; SALT_BYTES],
) -> PasswordHash {
    argon2
        .hash_password_with_params(password, &salt, params)
        .expect("the password, the salt and the cost are within Argon2's limits")
}

fn cost_of(hash: &PasswordHash) -> Option<PasswordCost> {
    let params = Params::try_from(hash).ok()?;
    Some(PasswordCost {
        memory_kib: params.m_cost(),
        passes: params.t_cost(),
        lanes: params.p_cost(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: PasswordCost = PasswordCost {
        memory_kib: 16,
        passes: 1,
        lanes: 1,
    };

    fn hasher(cost: PasswordCost) -> Hasher {
        Hasher::new(cost, [1; SALT_BYTES]).expect("a cost Argon2 has")
    }

    fn password(text: &str) -> Password {
        Password::given(text.to_owned()).expect("a password")
    }

    #[test]
    fn the_right_password_is_told_from_the_wrong_one() {
        let hasher = hasher(CHEAP);
        let kept = hasher.hash(&password("correct horse"), [2; SALT_BYTES]);
        assert!(kept.starts_with("$argon2id$v=19$m=16,t=1,p=1$"), "{kept}");
        assert_eq!(
            hasher.verify(&password("correct horse"), Some(&kept)),
            Verdict::Right
        );
        assert_eq!(
            hasher.verify(&password("correct  horse"), Some(&kept)),
            Verdict::Wrong
        );
        assert_eq!(
            hasher.verify(&password("correct horse"), None),
            Verdict::Wrong
        );
        assert_eq!(
            hasher.verify(&password("correct horse"), Some("$argon2id$")),
            Verdict::Wrong
        );
    }

    #[test]
    fn the_password_of_the_decoy_opens_nothing() {
        assert_eq!(
            hasher(CHEAP).verify(&password("nobody has this password"), None),
            Verdict::Wrong
        );
    }

    #[test]
    fn what_is_kept_at_another_cost_is_right_but_outdated() {
        let kept = hasher(CHEAP).hash(&password("correct horse"), [2; SALT_BYTES]);
        let dearer = hasher(PasswordCost {
            memory_kib: 64,
            passes: 2,
            lanes: 1,
        });
        assert_eq!(
            dearer.verify(&password("correct horse"), Some(&kept)),
            Verdict::RightButOutdated
        );
        assert_eq!(
            dearer.verify(&password("wrong"), Some(&kept)),
            Verdict::Wrong
        );
    }

    /// What a comparison takes: the hashes, and their work in all.
    fn takes(hasher: &Hasher, kept: Option<&str>) -> (usize, u64) {
        let comparison = hasher.comparison(kept);
        let costs = [comparison.cost, comparison.beside];
        let costs: Vec<_> = costs.into_iter().flatten().collect();
        (costs.len(), costs.iter().map(|cost| cost.work()).sum())
    }

    #[test]
    fn a_known_and_an_unknown_user_cost_one_hash_each() {
        let hasher = hasher(CHEAP);
        let kept = hasher.hash(&password("correct horse"), [2; SALT_BYTES]);
        assert_eq!(takes(&hasher, Some(&kept)), (1, CHEAP.work()));
        assert_eq!(takes(&hasher, None), (1, CHEAP.work()));
        assert_eq!(takes(&hasher, Some("what is kept is broken")), (1, 16));
    }

    #[test]
    fn whoevers_password_is_kept_at_another_cost_costs_what_all_do() {
        let at = |memory_kib, passes| PasswordCost {
            memory_kib,
            passes,
            lanes: 1,
        };
        let kept = |cost| hasher(cost).hash(&password("correct horse"), [2; SALT_BYTES]);
        let (old, dear) = (kept(at(32, 1)), kept(at(128, 1)));
        let now = hasher(at(64, 1));
        assert_eq!(takes(&now, Some(&old)), (2, 64), "raised since");
        assert_eq!(takes(&now, None), (1, 64));
        // Lowered since; learnt at the start, or when one is met.
        now.note(PasswordCost::from_phc("m=96,t=1,p=1").expect("a cost"));
        assert_eq!(takes(&now, None).1, 96);
        assert_eq!(takes(&now, Some(&dear)), (1, 128));
        for kept in [None, Some(old.as_str()), Some(dear.as_str())] {
            assert_eq!(takes(&now, kept).1, 128, "{kept:?}");
        }
    }

    #[test]
    fn a_cost_below_the_floor_or_beyond_reason_is_refused() {
        let bounded = |memory_mib: u32, passes, lanes| {
            let memory_kib = 1024 * memory_mib;
            let cost = PasswordCost {
                memory_kib,
                passes,
                lanes,
            };
            cost.bounded().is_ok()
        };
        assert!(PasswordCost::default().bounded().is_ok());
        for (memory_mib, passes) in [(46, 1), (19, 2), (12, 3), (9, 4), (7, 5), (7, 64)] {
            assert!(bounded(memory_mib, passes, 1));
            assert!(!bounded(memory_mib - 1, passes, 1));
        }
        for (memory_mib, passes, lanes) in [(64, 0, 1), (64, 65, 1), (1025, 2, 1), (64, 2, 0)] {
            assert!(!bounded(memory_mib, passes, lanes));
        }
        assert!(!bounded(64, 2, 17));
    }

    #[test]
    fn a_cost_is_read_as_it_is_kept() {
        let cost = PasswordCost::from_phc("m=19456,t=2,p=1");
        assert_eq!(cost, Some(PasswordCost::default()));
        for text in ["", "m=1", "t=2,m=1,p=1", "m=x,t=2,p=1", "m=-1,t=2,p=1"] {
            assert_eq!(PasswordCost::from_phc(text), None, "{text}");
        }
    }

    #[test]
    fn only_texts_of_the_stated_profile_are_passwords() {
        let max = "p".repeat(PASSWORD_BYTES_MAX);
        assert!(Password::parse("12345678".to_owned()).is_ok());
        assert!(Password::parse(max.clone()).is_ok());
        for text in ["", "1234567", "with\0 a nul byte", &(max + "p")] {
            assert!(Password::parse(text.to_owned()).is_err());
        }
        assert!(Password::given("short".to_owned()).is_ok());
        assert!(Password::given(String::new()).is_err());
    }

    #[test]
    fn a_password_is_not_shown() {
        assert_eq!(format!("{:?}", password("correct horse")), "Password(…)");
    }
}
