//! Text that is shown to nobody by accident: API keys and database URLs.
//!
//! Owns how a secret comes in: by the environment or from a file, never as a
//! flag, because every user of a machine can read the flags of its processes.

use std::env::VarError;
use std::fmt;
use std::path::Path;

use anyhow::{Context, bail, ensure};

/// The longest secret that is read from a file, in bytes.
const SECRET_BYTES_MAX: u64 = 4096;

/// A secret. Its `Debug` form does not hold it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// The secret itself, for the one place that needs it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// The value of an environment variable; none: it is unset or empty.
    ///
    /// # Errors
    /// When it is not text.
    pub(crate) fn from_environment(variable: &str) -> anyhow::Result<Option<Self>> {
        match std::env::var(variable) {
            Ok(text) if !text.trim().is_empty() => Ok(Some(Self(text.trim().to_owned()))),
            Ok(_) | Err(VarError::NotPresent) => Ok(None),
            Err(VarError::NotUnicode(_)) => bail!("{variable} is not text"),
        }
    }

    /// The first line of a file, without space around it.
    ///
    /// # Errors
    /// When the file cannot be read, is empty or longer than 4,096 bytes.
    pub(crate) fn from_file(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let bytes = std::fs::metadata(path)
            .with_context(|| format!("cannot read {shown}"))?
            .len();
        ensure!(
            bytes <= SECRET_BYTES_MAX,
            "{shown} is too long to hold a secret"
        );
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
        let line = text.lines().next().unwrap_or_default().trim();
        ensure!(!line.is_empty(), "{shown} is empty");
        Ok(Self(line.to_owned()))
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_in_its_debug_form() {
        let secret = Secret::from("phk_example".to_owned());
        assert!(!format!("{secret:?}").contains("phk_"));
    }

    #[test]
    fn a_file_gives_its_first_line() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("key");
        std::fs::write(&path, " phk_example \nrest").expect("a file");
        assert_eq!(
            Secret::from_file(&path).expect("a secret").reveal(),
            "phk_example"
        );
        std::fs::write(&path, "\n").expect("a file");
        assert!(Secret::from_file(&path).is_err());
    }
}
