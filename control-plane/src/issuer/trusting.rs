//! What is trusted of an issuer, as the database keeps it. Judges no token.

use std::collections::BTreeMap;
use std::time::Duration;

use porthouse_jwt::{Key, KeySet, Trust};
use serde_json::{Value, json};

use crate::store::StoreError;
use crate::store::issuers::IssuerRow;

/// What of a token counts beside whom it names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Claims {
    /// The claim that gives a new user's name, if any does.
    pub(crate) username: String,
    /// The claim that gives the display name, if any does.
    pub(crate) display_name: String,
    /// Labels, with the claim that gives each.
    pub(crate) labels: BTreeMap<String, String>,
    /// Claims that must be there, with what they must hold.
    pub(crate) required: BTreeMap<String, String>,
}

impl Claims {
    /// As it is kept.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "username": self.username,
            "display_name": self.display_name,
            "labels": self.labels,
            "required": self.required,
        })
    }

    /// As it was kept.
    pub(crate) fn from_json(kept: &Value) -> Self {
        let text = |name: &str| kept[name].as_str().unwrap_or_default().to_owned();
        let map = |name: &str| {
            let members = kept[name].as_object().into_iter().flatten();
            let member =
                |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
            members.filter_map(member).collect()
        };
        Self {
            username: text("username"),
            display_name: text("display_name"),
            labels: map("labels"),
            required: map("required"),
        }
    }
}

/// The keys of an issuer.
pub(crate) fn key_set(row: &IssuerRow) -> Result<KeySet, StoreError> {
    let keys = KeySet::parse_published(row.columns.jwks.as_bytes());
    keys.map_err(|_| StoreError::Corrupt("issuers.jwks"))
}

/// The keys by which sessions may have been opened; none of a disabled issuer.
pub(crate) fn key_thumbprints(row: &IssuerRow) -> Result<Vec<Vec<u8>>, StoreError> {
    if row.columns.disabled {
        return Ok(Vec::new());
    }
    let keys = key_set(row)?;
    let thumbprint = |key: &Key| key.thumbprint().as_bytes().to_vec();
    Ok(keys.keys().iter().map(thumbprint).collect())
}

/// What is trusted of an issuer.
pub(crate) fn trust(row: &IssuerRow) -> Result<Trust, StoreError> {
    let millis = |millis: i64| {
        let millis = u64::try_from(millis);
        millis
            .map(Duration::from_millis)
            .map_err(|_| StoreError::Corrupt("issuers"))
    };
    let columns = &row.columns;
    // An algorithm of a later version of this program is not taken here.
    let algorithms = columns.algorithms.iter();
    Ok(Trust {
        issuer: row.issuer.clone(),
        audiences: columns.audiences.clone(),
        algorithms: algorithms.filter_map(|name| name.parse().ok()).collect(),
        keys: key_set(row)?,
        required_claims: Claims::from_json(&columns.claims).required,
        leeway: millis(columns.leeway_ms)?,
        age_max: columns.token_age_max_ms.map(millis).transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_come_back_as_they_were_kept() {
        let claims = Claims {
            username: "preferred_username".to_owned(),
            display_name: "name".to_owned(),
            labels: [("team".to_owned(), "department".to_owned())].into(),
            required: [("email_verified".to_owned(), "true".to_owned())].into(),
        };
        assert_eq!(Claims::from_json(&claims.to_json()), claims);
        assert_eq!(Claims::from_json(&json!({})), Claims::default());
    }
}
