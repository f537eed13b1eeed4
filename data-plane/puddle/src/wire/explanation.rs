//! How a refusal is explained in JSON, the same in an HTTP body and in an event.
//! Owns the fields' names; decides nothing.

use porthouse_model::{Refusal, RefusalId, Refused, Retry};
use serde::{Serialize, Serializer};

/// Why something was refused, and what to do.
#[derive(Debug, Serialize)]
pub(crate) struct Explanation {
    /// The close code it is told with where a socket ends by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u16>,
    rule: &'static str,
    needed: &'static str,
    retry: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u32>,
    #[serde(serialize_with = "as_text")]
    refusal_id: RefusalId,
}

impl Explanation {
    /// Explains by the table of refusals.
    pub(crate) const fn of(refusal: &Refusal) -> Self {
        let refused: Refused = refusal.refused();
        Self {
            code: Some(refused.code().0),
            ..Self::new(
                refused.rule(),
                refused.needed(),
                refusal.retry(),
                refusal.id,
            )
        }
    }

    /// Explains what is in no table.
    pub(crate) const fn new(
        rule: &'static str,
        needed: &'static str,
        retry: Retry,
        refusal_id: RefusalId,
    ) -> Self {
        let (retry, retry_after_ms) = match retry {
            Retry::Never => ("never", None),
            Retry::Authenticate => ("authenticate", None),
            Retry::AfterMs(ms) => ("after", Some(ms)),
            Retry::Elsewhere => ("elsewhere", None),
        };
        Self {
            code: None,
            rule,
            needed,
            retry,
            retry_after_ms,
            refusal_id,
        }
    }
}

/// Writes values as their texts.
pub(crate) fn as_texts<S: Serializer>(
    values: &[impl core::fmt::Display],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(values.iter().map(ToString::to_string))
}

/// Writes a value as its text.
pub(crate) fn as_text<S: Serializer>(
    value: &impl core::fmt::Display,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}
