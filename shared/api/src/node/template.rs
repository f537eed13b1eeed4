//! Templates between the wire and the model. Never finds which one counts.

use porthouse_model as model;
use porthouse_model::RoomId;

use super::{BadMessage, InField, v1};

impl From<&model::Template> for v1::Template {
    fn from(template: &model::Template) -> Self {
        Self {
            id: template.id.as_bytes().to_vec(),
            prefix: template.prefix.to_string(),
            rules: Some((&*template.rules).into()),
        }
    }
}

impl TryFrom<v1::Template> for model::Template {
    type Error = BadMessage;

    fn try_from(template: v1::Template) -> Result<Self, BadMessage> {
        Ok(Self {
            id: RoomId::try_from(&*template.id).in_field("template.id")?,
            prefix: template.prefix.parse().in_field("template.prefix")?,
            rules: Box::new(template.rules.in_field("template.rules")?.try_into()?),
        })
    }
}
