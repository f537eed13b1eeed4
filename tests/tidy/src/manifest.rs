//! Every crate takes the workspace's lints, and these forbid `unsafe`. Reads manifests line by
//! line, which is enough for the few lines it looks for; never the code.

use crate::Complaint;
use crate::tree::File;

/// Complaints about manifests without `[lints] workspace = true`, about a root that does not
/// forbid `unsafe`, and about a workspace of its own that does not deny it: the entry points of
/// fuzz targets are declared by a macro, which a ban would refuse.
#[must_use]
pub fn lax_manifests(files: &[File]) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for file in files {
        if file.path == "Cargo.toml" {
            if !has_line(
                &file.text,
                "[workspace.lints.rust]",
                "unsafe_code = \"forbid\"",
            ) {
                complaints.push(Complaint::new(
                    &file.path,
                    0,
                    "must forbid `unsafe_code` for everyone",
                ));
            }
        } else if file.path.ends_with("/Cargo.toml")
            && file.text.lines().any(|line| line == "[workspace]")
        {
            if !has_line(&file.text, "[lints.rust]", "unsafe_code = \"deny\"") {
                let rule = "must deny `unsafe_code` in `[lints.rust]`";
                complaints.push(Complaint::new(&file.path, 0, rule));
            }
        } else if file.path.ends_with("/Cargo.toml")
            && !has_line(&file.text, "[lints]", "workspace = true")
        {
            complaints.push(Complaint::new(
                &file.path,
                0,
                "must have `[lints]` with `workspace = true`",
            ));
        }
    }
    complaints
}

/// Whether `line` stands in the section that begins with `section`.
fn has_line(manifest: &str, section: &str, line: &str) -> bool {
    manifest
        .lines()
        .map(str::trim)
        .skip_while(|found| *found != section)
        .skip(1)
        .take_while(|found| !found.starts_with('['))
        .any(|found| found == line)
}

#[cfg(test)]
mod tests {
    use super::lax_manifests;
    use crate::tree::File;

    #[test]
    fn a_crate_with_lints_of_its_own_is_caught() {
        let complaints = |text| lax_manifests(&[File::new("cli/Cargo.toml", text)]).len();
        assert_eq!(complaints("[package]\nname = \"x\"\n"), 1);
        assert_eq!(complaints("[lints]\n[dependencies]\nworkspace = true\n"), 1);
        assert_eq!(complaints("[lints]\nworkspace = true\n"), 0);
    }

    #[test]
    fn a_workspace_of_its_own_keeps_unsafe_out_by_itself() {
        let complaints = |text| lax_manifests(&[File::new("tests/fuzz/Cargo.toml", text)]).len();
        assert_eq!(complaints("[workspace]\n[lints.rust]\n"), 1);
        let denied = "[workspace]\n[lints.rust]\nunsafe_code = \"deny\"\n";
        assert_eq!(complaints(denied), 0);
    }

    #[test]
    fn a_workspace_that_lets_unsafe_in_is_caught() {
        let complaints = |text| lax_manifests(&[File::new("Cargo.toml", text)]).len();
        assert_eq!(
            complaints("[workspace.lints.rust]\nunsafe_code = \"warn\"\n"),
            1
        );
        assert_eq!(
            complaints("[workspace.lints.rust]\nunsafe_code = \"forbid\"\n"),
            0
        );
    }
}
