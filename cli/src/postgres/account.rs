//! Who a private Postgres runs as.
//!
//! Owns one fact of Postgres: it refuses root. As root, then, it runs as the
//! machine's `postgres`, else as `nobody`, and owns its directory; as anybody
//! else it runs as we do. Never makes an account.

use std::path::Path;
use std::process::Stdio;

use anyhow::Context;
use tokio::process::Command;

/// The accounts that root lends to Postgres, the better one first.
const NAMES: [&str; 2] = ["postgres", "nobody"];

/// An account other than our own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    name: String,
    uid: u32,
    gid: u32,
}

impl Account {
    /// The account to run Postgres as; none: our own.
    ///
    /// # Errors
    /// When we are root and the machine has neither account.
    pub(crate) fn choose() -> anyhow::Result<Option<Self>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let passwd = std::fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
        let found = NAMES.iter().find_map(|name| find(&passwd, name));
        found
            .map(Some)
            .context("Postgres refuses root, and there is no account `postgres` or `nobody`")
    }

    /// Makes a command run as this account.
    pub(crate) fn lend(&self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }

    /// Makes this account the owner of a file or directory.
    pub(crate) fn own(&self, path: &Path) -> anyhow::Result<()> {
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
            .with_context(|| format!("cannot give {} to {}", path.display(), self.name))
    }

    /// Whether this account can reach what is in a directory. The kernel is
    /// asked, because modes are not all that decides.
    pub(crate) async fn reaches(&self, directory: &Path) -> anyhow::Result<bool> {
        let mut test = Command::new("test");
        test.arg("-x")
            .arg(directory)
            .stdin(Stdio::null())
            .current_dir("/");
        self.lend(&mut test);
        let status = test
            .status()
            .await
            .with_context(|| format!("cannot act as {}", self.name))?;
        Ok(status.success())
    }

    /// The account's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// Finds an account in the text of `/etc/passwd`.
fn find(passwd: &str, name: &str) -> Option<Account> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next() != Some(name) {
            return None;
        }
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(Account {
            name: name.to_owned(),
            uid,
            gid,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n\
        nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";

    #[test]
    fn an_account_is_found_by_its_whole_name() {
        let nobody = find(PASSWD, "nobody").expect("it is there");
        assert_eq!((nobody.uid, nobody.gid), (65534, 65534));
        assert_eq!(find(PASSWD, "no"), None);
        assert_eq!(find(PASSWD, "postgres"), None);
    }
}
