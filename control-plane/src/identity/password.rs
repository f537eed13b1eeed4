//! What may be a password, how one is kept, and whether a given one is right.
//!
//! Kept is an Argon2id hash (RFC 9106) as a PHC string. Never draws a salt, never
//! waits, and never shows a password.

use std::fmt;

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

impl PasswordCost {
    fn params(self) -> Result<Params, argon2::Error> {
        Params::new(self.memory_kib, self.passes, self.lanes, None)
    }

    /// What of this cost is left after `spent`, with as many passes. Nothing when
    /// it is less than any hash costs.
    fn less(self, spent: Self) -> Option<Self> {
        let work = |cost: Self| u64::from(cost.memory_kib) * u64::from(cost.passes);
        let rest = work(self).saturating_sub(work(spent)) / u64::from(self.passes);
        let memory_kib = u32::try_from(rest).ok()?;
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
        })
    }

    /// What is kept of a password: a PHC string.
    pub(crate) fn hash(&self, password: &Password, salt: [u8; SALT_BYTES]) -> String {
        let params = self.cost.params().expect("the cost was checked");
        hash(&self.argon2, params, password.0.as_bytes(), salt).to_string()
    }

    /// Compares a password with what is kept. Without that, or with something
    /// kept at a lower cost, as much time is spent as at the present cost, so
    /// that the time does not tell who exists.
    pub(crate) fn verify(&self, password: &Password, kept: Option<&str>) -> Verdict {
        let kept = kept.and_then(|phc| PasswordHash::new(phc).ok());
        let compared = kept.as_ref().unwrap_or(&self.decoy);
        let right = self
            .argon2
            .verify_password(password.0.as_bytes(), compared)
            .is_ok();
        let cost = cost_of(compared);
        if let Some(rest) = cost.and_then(|cost| self.cost.less(cost)) {
            self.spend(rest, password);
        }
        match (right && kept.is_some(), cost == Some(self.cost)) {
            (false, _) => Verdict::Wrong,
            (true, true) => Verdict::Right,
            (true, false) => Verdict::RightButOutdated,
        }
    }

    fn spend(&self, cost: PasswordCost, password: &Password) {
        let params = cost.params().expect("what is left of a cost is one");
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

    #[test]
    fn an_outdated_hash_is_topped_up_to_the_present_cost() {
        let now = PasswordCost {
            memory_kib: 1024,
            passes: 2,
            lanes: 1,
        };
        let half = PasswordCost {
            memory_kib: 512,
            passes: 2,
            lanes: 1,
        };
        let single = PasswordCost {
            memory_kib: 1024,
            passes: 1,
            lanes: 1,
        };
        assert_eq!(now.less(half), Some(half));
        assert_eq!(now.less(single), Some(half));
        assert_eq!(now.less(now), None);
        assert_eq!(half.less(now), None);
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
