//! What a write says of an issuer, as the database keeps it, and back. Each rule
//! that is broken is told with the field that breaks it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use porthouse_api::control::v1 as wire;
use porthouse_jwt::{Algorithm, Key, KeySet};

use crate::issuer::{Claims, KeysUrl, key_set};
use crate::store::issuers::{IssuerColumns, IssuerRow};

use super::error::ApiError;
use super::{etag, label, mask, time};

/// The most audiences of an issuer.
const AUDIENCES_MAX: usize = 16;
/// The most claims that are required, and the most that give labels.
const CLAIMS_MAX: usize = 16;
/// The most bytes of an issuer, an audience, a claim and what it must hold.
const TEXT_BYTES_MAX: usize = 255;
/// How far clocks may be apart at most, and unless said.
const LEEWAY_MAX: Duration = Duration::from_mins(10);
const LEEWAY: Duration = Duration::from_mins(1);
/// How old tokens may be at most, where it is said.
const TOKEN_AGE_MAX: Duration = Duration::from_hours(30 * 24);
/// How tokens may be signed unless it is said.
const ALGORITHMS: [Algorithm; 3] = [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa];
/// The keys of an issuer whose keys were never fetched.
const NO_KEYS: &str = r#"{"keys":[]}"#;

/// What an update may name.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Field {
    DisplayName,
    Audiences,
    JwksUri,
    Jwks,
    Algorithms,
    ClaimMapping,
    RequiredClaims,
    Leeway,
    TokenAgeMax,
    CreatesUsers,
    SessionsEndWithToken,
    Disabled,
}

pub(super) const PATHS: &mask::Paths<Field> = &[
    ("display_name", &[Field::DisplayName]),
    ("audiences", &[Field::Audiences]),
    ("jwks_uri", &[Field::JwksUri]),
    ("jwks", &[Field::Jwks]),
    ("algorithms", &[Field::Algorithms]),
    ("claim_mapping", &[Field::ClaimMapping]),
    ("required_claims", &[Field::RequiredClaims]),
    ("leeway", &[Field::Leeway]),
    ("token_age_max", &[Field::TokenAgeMax]),
    ("creates_users", &[Field::CreatesUsers]),
    ("sessions_end_with_token", &[Field::SessionsEndWithToken]),
    ("disabled", &[Field::Disabled]),
];

/// What a write says, each field checked on its own.
pub(super) struct Written {
    display_name: String,
    audiences: Vec<String>,
    jwks_uri: Option<String>,
    /// Empty: at `jwks_uri`.
    jwks: String,
    algorithms: Vec<String>,
    claims: Claims,
    leeway: Duration,
    token_age_max: Option<Duration>,
    creates_users: bool,
    sessions_end_with_token: bool,
    disabled: bool,
}

impl Written {
    pub(super) fn read(issuer: wire::Issuer) -> Result<Self, ApiError> {
        let jwks_uri = match issuer.jwks_uri.as_str() {
            "" => None,
            uri => {
                let checked = uri.parse::<KeysUrl>();
                checked.map_err(|rule| ApiError::field("issuer.jwks_uri", rule.to_string()))?;
                Some(uri.to_owned())
            }
        };
        if !issuer.jwks.is_empty() {
            let checked = KeySet::parse(issuer.jwks.as_bytes());
            checked.map_err(|rule| ApiError::field("issuer.jwks", rule.to_string()))?;
        }
        let mapping = issuer.claim_mapping.unwrap_or_default();
        let span = |field, span: Option<_>, min, max| {
            span.map(|span| time::span(field, span, min, max))
                .transpose()
        };
        let leeway = span("issuer.leeway", issuer.leeway, Duration::ZERO, LEEWAY_MAX)?;
        Ok(Self {
            display_name: label::display_name("issuer.display_name", issuer.display_name)?,
            audiences: audiences(issuer.audiences)?,
            jwks_uri,
            jwks: issuer.jwks,
            algorithms: algorithms(&issuer.algorithms)?,
            claims: claims(mapping, issuer.required_claims)?,
            leeway: leeway.unwrap_or(LEEWAY),
            token_age_max: span(
                "issuer.token_age_max",
                issuer.token_age_max,
                Duration::from_secs(1),
                TOKEN_AGE_MAX,
            )?,
            creates_users: issuer.creates_users,
            sessions_end_with_token: issuer.sessions_end_with_token,
            disabled: issuer.disabled,
        })
    }

    /// All of it, of a new issuer.
    pub(super) fn into_new(self) -> Result<IssuerColumns, ApiError> {
        let none = IssuerColumns {
            display_name: String::new(),
            audiences: Vec::new(),
            algorithms: Vec::new(),
            jwks_uri: None,
            jwks: NO_KEYS.to_owned(),
            claims: Claims::default().to_json(),
            leeway_ms: 0,
            token_age_max_ms: None,
            creates_users: false,
            sessions_end_with_token: false,
            disabled: false,
        };
        let all: Vec<_> = PATHS
            .iter()
            .flat_map(|(_, fields)| *fields)
            .copied()
            .collect();
        self.over(&none, &all)
    }

    /// Those fields of it that are named, over what there was.
    pub(super) fn over(
        &self,
        old: &IssuerColumns,
        fields: &[Field],
    ) -> Result<IssuerColumns, ApiError> {
        let mut new = old.clone();
        // What is written of keys: none where they are fetched.
        let mut jwks = match old.jwks_uri {
            Some(_) => String::new(),
            None => old.jwks.clone(),
        };
        let mut claims = Claims::from_json(&old.claims);
        for field in fields {
            match field {
                Field::DisplayName => new.display_name.clone_from(&self.display_name),
                Field::Audiences => new.audiences.clone_from(&self.audiences),
                Field::JwksUri => new.jwks_uri.clone_from(&self.jwks_uri),
                Field::Jwks => jwks.clone_from(&self.jwks),
                Field::Algorithms => new.algorithms.clone_from(&self.algorithms),
                Field::ClaimMapping => {
                    let required = std::mem::take(&mut claims.required);
                    claims = Claims {
                        required,
                        ..self.claims.clone()
                    };
                }
                Field::RequiredClaims => claims.required.clone_from(&self.claims.required),
                Field::Leeway => new.leeway_ms = millis(self.leeway),
                Field::TokenAgeMax => new.token_age_max_ms = self.token_age_max.map(millis),
                Field::CreatesUsers => new.creates_users = self.creates_users,
                Field::SessionsEndWithToken => {
                    new.sessions_end_with_token = self.sessions_end_with_token;
                }
                Field::Disabled => new.disabled = self.disabled,
            }
        }
        new.claims = claims.to_json();
        if new.audiences.is_empty() {
            let rule = format!("1 to {AUDIENCES_MAX}: what tokens for this deployment say");
            return Err(ApiError::field("issuer.audiences", rule));
        }
        match (&new.jwks_uri, jwks.is_empty()) {
            // Keys that are to be fetched are trusted as they stand till then.
            (Some(_), true) => {}
            (None, false) => new.jwks = jwks,
            (Some(_), false) | (None, true) => {
                let rule = "either `jwks_uri` or `jwks`: in an update name both, and empty one";
                return Err(ApiError::field("issuer.jwks", rule));
            }
        }
        Ok(new)
    }
}

/// What tokens have as `iss`.
pub(super) fn identity(field: &str, text: &str) -> Result<String, ApiError> {
    this_text(field, text)?;
    Ok(text.to_owned())
}

fn this_text(field: &str, text: &str) -> Result<(), ApiError> {
    let fits = (1..=TEXT_BYTES_MAX).contains(&text.len()) && !text.contains(char::is_control);
    fits.then_some(()).ok_or_else(|| {
        let rule = format!("1 to {TEXT_BYTES_MAX} bytes, no control characters");
        ApiError::field(field, rule)
    })
}

fn audiences(all: Vec<String>) -> Result<Vec<String>, ApiError> {
    let field = "issuer.audiences";
    for audience in &all {
        this_text(field, audience)?;
    }
    let different: BTreeSet<_> = all.iter().collect();
    if all.len() > AUDIENCES_MAX || different.len() < all.len() {
        let rule = format!("at most {AUDIENCES_MAX}, all different");
        return Err(ApiError::field(field, rule));
    }
    Ok(all)
}

fn algorithms(all: &[i32]) -> Result<Vec<String>, ApiError> {
    let name = |algorithm: Algorithm| algorithm.as_str().to_owned();
    if all.is_empty() {
        return Ok(ALGORITHMS.map(name).to_vec());
    }
    let read = |number: &i32| {
        let algorithm = wire::SigningAlgorithm::try_from(*number).ok();
        algorithm.and_then(algorithm_of).ok_or_else(|| {
            let rule = "RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 or EDDSA";
            ApiError::field("issuer.algorithms", rule)
        })
    };
    let read: BTreeSet<_> = all.iter().map(read).collect::<Result<_, _>>()?;
    Ok(read.into_iter().map(name).collect())
}

const fn algorithm_of(algorithm: wire::SigningAlgorithm) -> Option<Algorithm> {
    match algorithm {
        wire::SigningAlgorithm::Unspecified => None,
        wire::SigningAlgorithm::Rs256 => Some(Algorithm::Rs256),
        wire::SigningAlgorithm::Rs384 => Some(Algorithm::Rs384),
        wire::SigningAlgorithm::Rs512 => Some(Algorithm::Rs512),
        wire::SigningAlgorithm::Ps256 => Some(Algorithm::Ps256),
        wire::SigningAlgorithm::Ps384 => Some(Algorithm::Ps384),
        wire::SigningAlgorithm::Ps512 => Some(Algorithm::Ps512),
        wire::SigningAlgorithm::Es256 => Some(Algorithm::Es256),
        wire::SigningAlgorithm::Es384 => Some(Algorithm::Es384),
        wire::SigningAlgorithm::Eddsa => Some(Algorithm::EdDsa),
    }
}

const fn algorithm_to_wire(algorithm: Algorithm) -> wire::SigningAlgorithm {
    match algorithm {
        Algorithm::Rs256 => wire::SigningAlgorithm::Rs256,
        Algorithm::Rs384 => wire::SigningAlgorithm::Rs384,
        Algorithm::Rs512 => wire::SigningAlgorithm::Rs512,
        Algorithm::Ps256 => wire::SigningAlgorithm::Ps256,
        Algorithm::Ps384 => wire::SigningAlgorithm::Ps384,
        Algorithm::Ps512 => wire::SigningAlgorithm::Ps512,
        Algorithm::Es256 => wire::SigningAlgorithm::Es256,
        Algorithm::Es384 => wire::SigningAlgorithm::Es384,
        Algorithm::EdDsa => wire::SigningAlgorithm::Eddsa,
    }
}

fn claims(
    mapping: wire::ClaimMapping,
    required: HashMap<String, String>,
) -> Result<Claims, ApiError> {
    for (field, claim) in [
        ("issuer.claim_mapping.username", &mapping.username),
        ("issuer.claim_mapping.display_name", &mapping.display_name),
    ] {
        if !claim.is_empty() {
            this_text(field, claim)?;
        }
    }
    // What a label's key may be, labels say.
    let field = "issuer.claim_mapping.labels";
    label::to_json(field, mapping.labels.clone())?;
    Ok(Claims {
        username: mapping.username,
        display_name: mapping.display_name,
        labels: bounded(field, mapping.labels)?,
        required: bounded("issuer.required_claims", required)?,
    })
}

fn bounded(
    field: &str,
    given: HashMap<String, String>,
) -> Result<BTreeMap<String, String>, ApiError> {
    if given.len() > CLAIMS_MAX {
        return Err(ApiError::field(field, format!("at most {CLAIMS_MAX}")));
    }
    for (key, value) in &given {
        this_text(field, key)?;
        this_text(field, value)?;
    }
    Ok(given.into_iter().collect())
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// An issuer as it is sent.
pub(super) fn to_wire(row: IssuerRow) -> Result<wire::Issuer, ApiError> {
    let keys = key_set(&row)?;
    let key = |key: &Key| wire::IssuerKey {
        kid: key.id().unwrap_or_default().to_owned(),
        thumbprint: key.thumbprint().to_string(),
    };
    let span = |millis: i64| {
        let millis = u64::try_from(millis).unwrap_or_default();
        time::span_to_wire(Duration::from_millis(millis))
    };
    let columns = row.columns;
    let claims = Claims::from_json(&columns.claims);
    let algorithms = columns
        .algorithms
        .iter()
        .filter_map(|name| name.parse().ok());
    Ok(wire::Issuer {
        name: format!("issuers/{}", row.name),
        uid: row.id.to_string(),
        display_name: columns.display_name,
        issuer: row.issuer,
        audiences: columns.audiences,
        jwks: match columns.jwks_uri {
            Some(_) => String::new(),
            None => columns.jwks,
        },
        jwks_uri: columns.jwks_uri.unwrap_or_default(),
        algorithms: algorithms
            .map(|algorithm| algorithm_to_wire(algorithm).into())
            .collect(),
        claim_mapping: Some(wire::ClaimMapping {
            username: claims.username,
            display_name: claims.display_name,
            labels: claims.labels.into_iter().collect(),
        }),
        required_claims: claims.required.into_iter().collect(),
        leeway: Some(span(columns.leeway_ms)),
        token_age_max: columns.token_age_max_ms.map(span),
        creates_users: columns.creates_users,
        sessions_end_with_token: columns.sessions_end_with_token,
        disabled: columns.disabled,
        keys: keys.keys().iter().map(key).collect(),
        fetch_time: row.fetch_time.map(time::to_wire),
        fetch_error: row.fetch_error,
        etag: etag::of(row.id, row.version),
        create_time: Some(time::to_wire(row.create_time)),
        update_time: Some(time::to_wire(row.update_time)),
    })
}
