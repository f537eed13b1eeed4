//! API keys between the wire and the model: id, scopes, expiry. Never the key or its hash.

use porthouse_model as model;
use porthouse_model::ApiKeyId;

use super::time::{timestamp, unix_time};
use super::{BadMessage, InField, v1};

impl From<&model::ApiKey> for v1::ApiKey {
    fn from(key: &model::ApiKey) -> Self {
        Self {
            id: key.id.as_bytes().to_vec(),
            scopes: key.scopes.clone(),
            expire_time: key.expires.map(timestamp),
        }
    }
}

impl TryFrom<v1::ApiKey> for model::ApiKey {
    type Error = BadMessage;

    fn try_from(key: v1::ApiKey) -> Result<Self, BadMessage> {
        let expires = key
            .expire_time
            .map(|time| unix_time(time).in_field("api_key.expire_time"));
        Ok(Self {
            id: ApiKeyId::try_from(&*key.id).in_field("api_key.id")?,
            scopes: key.scopes,
            expires: expires.transpose()?,
        })
    }
}
