//! Compiles `proto/` into Rust without a system `protoc`, and keeps its
//! descriptors for reflection.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use tonic_prost_build::Config;

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is set by cargo")?);
    println!("cargo:rerun-if-changed={}", root.display());

    let mut files = Vec::new();
    find_protos(&root, &mut files)?;
    files.sort();
    let mut compiler = protox::Compiler::new([&root])?;
    compiler
        .include_source_info(true)
        .include_imports(true)
        .open_files(&files)?;
    fs::write(
        out.join("porthouse.bin"),
        compiler.encode_file_descriptor_set(),
    )?;

    let mut config = Config::new();
    // Changes are cloned to many watchers, and messages carry payloads.
    config.bytes([".porthouse.node.v1.Change", ".porthouse.live.v1"]);
    tonic_prost_build::configure()
        .emit_rerun_if_changed(false)
        .include_file("porthouse.rs")
        .compile_fds_with_config(compiler.file_descriptor_set(), config)?;
    Ok(())
}

fn find_protos(directory: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            find_protos(&path, found)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "proto")
        {
            found.push(path);
        }
    }
    Ok(())
}
