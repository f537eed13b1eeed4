//! Which text files the project has. Reads the disk for the tests that judge the project; never
//! follows a link, and never enters what git ignores (build output, fetched tools, data).

use std::{fs, io, path::Path};

/// A text file of the project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Where it is, from the project's root, with `/` between the parts.
    pub path: String,
    /// All it holds.
    pub text: String,
}

impl File {
    /// A file as a test plants it.
    #[must_use]
    pub fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    /// Whether this is Rust.
    #[must_use]
    pub fn is_rust(&self) -> bool {
        self.has_extension("rs")
    }

    /// Whether the name ends in `.` and this.
    #[must_use]
    pub fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path)
            .extension()
            .is_some_and(|found| found == extension)
    }
}

/// What holds nothing of ours, wherever it is: directories, and the file that stands for `.git` in
/// a linked worktree.
const IGNORED: [&str; 5] = [".git", ".porthouse", ".tools", "node_modules", "target"];

/// Every text file under `root`, sorted by path. Files that are not UTF-8 are left out.
///
/// # Errors
///
/// What the file system said, if a directory or file could not be read.
pub fn files(root: &Path) -> io::Result<Vec<File>> {
    let mut found = Vec::new();
    enter(root, "", &mut found)?;
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn enter(directory: &Path, prefix: &str, found: &mut Vec<File>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let path = format!("{prefix}{name}");
        if IGNORED.contains(&name.as_str()) {
            continue;
        }
        if kind.is_dir() {
            enter(&entry.path(), &format!("{path}/"), found)?;
        } else if kind.is_file()
            && let Ok(text) = String::from_utf8(fs::read(entry.path())?)
        {
            found.push(File { path, text });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::files;
    use std::path::Path;

    #[test]
    fn this_very_file_is_found_and_build_output_is_not() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let found = files(here).expect("the crate's own directory can be read");
        assert!(
            found
                .iter()
                .any(|file| file.path == "src/tree.rs" && file.is_rust())
        );
        assert!(found.iter().all(|file| !file.path.contains("target/")));
        assert!(found.is_sorted_by(|a, b| a.path < b.path));
    }
}
