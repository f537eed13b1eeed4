//! The API keys of `dev`.
//!
//! Owns two files of the data directory, for their owner alone: the admin key
//! that people use and the node's own. Each is made when it is missing or when
//! the database does not know it, having been replaced. Never prints one.

use porthouse_control::{api_key_opens, issue_api_key};

use super::directory::Directory;
use crate::secret::Secret;

/// A key that `dev` keeps: its file, what its database calls it, what it opens.
struct Kept {
    file: &'static str,
    display_name: &'static str,
    scope: &'static str,
}

const ADMIN: Kept = Kept {
    file: "admin.key",
    display_name: "porthouse dev: admin",
    scope: "admin",
};
const NODE: Kept = Kept {
    file: "node.key",
    display_name: "porthouse dev: node",
    scope: "node",
};

/// The keys, each known to the database.
#[derive(Debug)]
pub(crate) struct Keys {
    /// May do everything.
    pub(crate) admin: Secret,
    /// May ask what nodes ask.
    pub(crate) node: Secret,
}

impl Keys {
    /// Reads or makes the keys for a database that has been migrated.
    pub(crate) async fn of(directory: &Directory, database_url: &str) -> anyhow::Result<Self> {
        Ok(Self {
            admin: ADMIN.known(directory, database_url).await?,
            node: NODE.known(directory, database_url).await?,
        })
    }
}

impl Kept {
    async fn known(&self, directory: &Directory, database_url: &str) -> anyhow::Result<Secret> {
        if let Some(text) = directory.read(self.file)? {
            let key = text.trim().to_owned();
            if api_key_opens(database_url, &key, self.scope).await? {
                return Ok(Secret::from(key));
            }
        }
        let key = issue_api_key(database_url, self.display_name, &[self.scope]).await?;
        directory.write(self.file, &format!("{key}\n"))?;
        Ok(Secret::from(key))
    }
}
