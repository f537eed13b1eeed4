//! What is trusted of one issuer, and the judgement of a token by it: the key it
//! names, its signature, then what it claims. Owns the order of the checks: no
//! claim but `iss` is looked at before the signature is right.

use core::time::Duration;
use std::collections::BTreeMap;

use porthouse_model::UnixTime;
use serde_json::{Map, Value};

use crate::algorithm::Algorithm;
use crate::key::Thumbprint;
use crate::key_set::KeySet;
use crate::refused::Refused;
use crate::token::Token;

/// The most bytes of a subject (`OpenID` Connect Core 1.0, section 2).
const SUBJECT_BYTES_MAX: usize = 255;
/// The last second of the year 9999; no moment is later.
const SECONDS_MAX: u64 = 253_402_300_799;

/// What is trusted of an issuer.
#[derive(Clone, Debug)]
pub struct Trust {
    /// Its name, which `iss` must be, byte for byte.
    pub issuer: String,
    /// What `aud` must name one of.
    pub audiences: Vec<String>,
    /// How its tokens may be signed.
    pub algorithms: Vec<Algorithm>,
    /// Its keys.
    pub keys: KeySet,
    /// Claims that must be there, and what they must be or hold.
    pub required_claims: BTreeMap<String, String>,
    /// How far clocks may be apart.
    pub leeway: Duration,
    /// How old a token may be. `None`: as old as it says.
    pub age_max: Option<Duration>,
}

/// What a token says that was believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Whom it names; somebody else than whom another issuer names so.
    pub subject: String,
    /// The key it was signed with.
    pub key: Thumbprint,
    /// Until when it holds, without leeway.
    pub expires: UnixTime,
    claims: Map<String, Value>,
}

impl Verified {
    /// A claim that is a text, and not empty.
    #[must_use]
    pub fn text(&self, claim: &str) -> Option<&str> {
        let text = self.claims.get(claim).and_then(Value::as_str);
        text.filter(|text| !text.is_empty())
    }
}

impl Trust {
    /// Judges a token at this moment.
    ///
    /// # Errors
    ///
    /// [`Refused`], the first rule that it breaks.
    pub fn verify(&self, token: &Token, now: UnixTime) -> Result<Verified, Refused> {
        if token.issuer() != self.issuer {
            return Err(Refused::Issuer);
        }
        if !self.algorithms.contains(&token.algorithm) {
            return Err(Refused::Algorithm(token.algorithm));
        }
        let key = self.keys.meant(token.key_id(), token.algorithm);
        let key = key.ok_or(Refused::KeyUnknown)?;
        if !key.checks(token.algorithm) {
            return Err(Refused::KeyUnfit);
        }
        if !key.is_signed(token.algorithm, token.signed.as_bytes(), &token.signature) {
            return Err(Refused::Signature);
        }
        if !self.is_for_us(token.claims.get("aud")) {
            return Err(Refused::Audience);
        }
        let subject = token.text("sub").filter(|subject| is_subject(subject));
        let subject = subject.ok_or(Refused::Subject)?.to_owned();
        let expires = self.judge_moments(&token.claims, now)?;
        for (claim, value) in &self.required_claims {
            if !token.claims.get(claim).is_some_and(|has| holds(has, value)) {
                return Err(Refused::ClaimMissing(claim.clone()));
            }
        }
        Ok(Verified {
            subject,
            key: key.thumbprint(),
            expires,
            claims: token.claims.clone(),
        })
    }

    fn is_for_us(&self, audience: Option<&Value>) -> bool {
        let ours = |audience: &str| self.audiences.iter().any(|own| own == audience);
        match audience {
            Some(Value::String(audience)) => ours(audience),
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).any(ours),
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => {
                false
            }
        }
    }

    /// Answers when it expires.
    fn judge_moments(
        &self,
        claims: &Map<String, Value>,
        now: UnixTime,
    ) -> Result<UnixTime, Refused> {
        let expires = moment(claims, "exp")?.ok_or(Refused::Moment("exp"))?;
        // At its expiry it has expired (RFC 7519, section 4.1.4).
        if now >= later(expires, self.leeway) {
            return Err(Refused::Expired(now.since(expires)));
        }
        for claim in ["nbf", "iat"] {
            let from = moment(claims, claim)?.unwrap_or_default();
            if from > later(now, self.leeway) {
                return Err(Refused::NotYet(from.since(now)));
            }
        }
        if let Some(age_max) = self.age_max {
            let made = moment(claims, "iat")?.ok_or(Refused::Moment("iat"))?;
            let until = later(later(made, age_max), self.leeway);
            if now > until {
                return Err(Refused::TooOld(now.since(until)));
            }
        }
        Ok(expires)
    }
}

fn later(moment: UnixTime, span: Duration) -> UnixTime {
    let span = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    UnixTime::from_millis(moment.as_millis().saturating_add(span))
}

/// A moment that a claim gives, if the claim is there: whole seconds or with a
/// part (RFC 7519, section 2).
fn moment(claims: &Map<String, Value>, claim: &'static str) -> Result<Option<UnixTime>, Refused> {
    let Some(value) = claims.get(claim) else {
        return Ok(None);
    };
    let span = match (value.as_u64(), value.as_f64()) {
        (Some(seconds), _) => Some(Duration::from_secs(seconds)),
        (None, Some(seconds)) => Duration::try_from_secs_f64(seconds).ok(),
        (None, None) => None,
    };
    let span = span.filter(|span| span.as_secs() <= SECONDS_MAX);
    let millis = span.and_then(|span| u64::try_from(span.as_millis()).ok());
    let moment = millis.map(UnixTime::from_millis);
    moment.map(Some).ok_or(Refused::Moment(claim))
}

fn is_subject(subject: &str) -> bool {
    (1..=SUBJECT_BYTES_MAX).contains(&subject.len()) && !subject.contains(char::is_control)
}

/// Whether a claim is this value, or is a list that holds it. `true` and `false`
/// are written so.
fn holds(claim: &Value, value: &str) -> bool {
    match claim {
        Value::String(text) => text == value,
        Value::Bool(is) => value == if *is { "true" } else { "false" },
        Value::Number(number) => number.to_string() == value,
        Value::Array(all) => all.iter().any(|one| one.as_str() == Some(value)),
        Value::Null | Value::Object(_) => false,
    }
}
