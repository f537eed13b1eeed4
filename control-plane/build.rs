//! Has the crate built anew when a migration changes, for they are embedded.

fn main() {
    println!("cargo:rerun-if-changed=../migrations");
}
