//! Every step of the schema can be taken back: each directory under `migrations/` has an `up.sql`
//! and a `down.sql` that do something. Never runs them.

use crate::Complaint;
use crate::tree::File;
use std::collections::BTreeMap;

/// Complaints about migrations that lack a direction.
#[must_use]
pub fn one_way_migrations(files: &[File]) -> Vec<Complaint> {
    let mut directions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for file in files {
        if let Some(rest) = file.path.strip_prefix("migrations/")
            && let Some((step, name)) = rest.split_once('/')
        {
            let found = directions.entry(step).or_default();
            if has_statement(&file.text) {
                found.push(name);
            }
        }
    }
    let mut complaints = Vec::new();
    for (step, found) in directions {
        for wanted in ["up.sql", "down.sql"] {
            if !found.contains(&wanted) {
                let message = format!("has no {wanted} that does something");
                complaints.push(Complaint::new(&format!("migrations/{step}"), 0, message));
            }
        }
    }
    complaints
}

fn has_statement(sql: &str) -> bool {
    sql.lines()
        .map(str::trim)
        .any(|line| !line.is_empty() && !line.starts_with("--"))
}

#[cfg(test)]
mod tests {
    use super::one_way_migrations;
    use crate::tree::File;

    #[test]
    fn a_migration_without_a_way_back_is_caught() {
        let up = File::new("migrations/1_rooms/up.sql", "create table rooms ();");
        let down = |text| File::new("migrations/1_rooms/down.sql", text);
        assert_eq!(one_way_migrations(std::slice::from_ref(&up)).len(), 1);
        assert_eq!(
            one_way_migrations(&[up.clone(), down("-- nothing\n")]).len(),
            1
        );
        assert!(one_way_migrations(&[up, down("drop table rooms;")]).is_empty());
    }
}
