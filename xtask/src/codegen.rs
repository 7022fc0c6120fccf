//! Rust code from our `.proto` files: messages for `proto`, service clients for `client`, service servers for `server`.
//!
//! The output is committed, so that a build needs neither this program nor its dependencies.

use crate::{Failure, root};
use std::fs;
use std::path::{Path, PathBuf};

/// Where a kind of output is committed.
struct Output {
    kind: Kind,
    folder: &'static str,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Messages,
    Clients,
    Servers,
}

const OUTPUTS: [Output; 3] = [
    Output { kind: Kind::Messages, folder: "crates/proto/src/generated" },
    Output { kind: Kind::Clients, folder: "crates/client/src/generated" },
    Output { kind: Kind::Servers, folder: "crates/server/src/generated" },
];

const HEADER: &str = "// Made by `cargo xtask codegen`; not to be edited.\n";

/// Writes all outputs.
pub fn write() -> Result<(), Failure> {
    for output in OUTPUTS {
        let folder = root().join(output.folder);
        fs::create_dir_all(&folder)?;
        for (name, text) in generate(output.kind)? {
            fs::write(folder.join(name), text)?;
        }
    }
    Ok(())
}

/// Errs with the name of the first file that `write` would change.
pub fn check() -> Result<(), Failure> {
    for output in OUTPUTS {
        for (name, text) in generate(output.kind)? {
            let path = root().join(output.folder).join(name);
            if fs::read_to_string(&path).unwrap_or_default() != text {
                return Err(format!("{} is not fresh: run `cargo xtask codegen`", path.display()).into());
            }
        }
    }
    Ok(())
}

fn generate(kind: Kind) -> Result<Vec<(String, String)>, Failure> {
    let folder = root().join("proto");
    let wanted = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.ends_with("_service.proto") == (kind != Kind::Messages) && name.ends_with(".proto")
    };
    let mut sources: Vec<PathBuf> = fs::read_dir(&folder)?.map(|e| Ok(e?.path())).collect::<Result<_, Failure>>()?;
    sources.retain(|path| wanted(path));
    sources.sort();
    let descriptors = protox::compile(&sources, [&folder])?;
    let scratch = std::env::temp_dir().join(format!("quorate-codegen-{}", std::process::id()));
    fs::create_dir_all(&scratch)?;
    let made = emit(kind, descriptors, &scratch).and_then(|()| collect(&scratch));
    fs::remove_dir_all(&scratch)?;
    made
}

fn emit(kind: Kind, descriptors: prost_types::FileDescriptorSet, scratch: &Path) -> Result<(), Failure> {
    if kind == Kind::Messages {
        let mut config = prost_build::Config::new();
        config.bytes(["."]).out_dir(scratch).format(false);
        config.compile_fds(descriptors)?;
        return Ok(());
    }
    let mut builder = tonic_prost_build::configure()
        .build_client(kind == Kind::Clients)
        .build_server(kind == Kind::Servers)
        .out_dir(scratch);
    for package in ["authpb", "etcdserverpb", "membershippb", "mvccpb", "v3electionpb", "v3lockpb"] {
        builder = builder.extern_path(format!(".{package}"), format!("::proto::{package}"));
    }
    builder = builder.extern_path(".grpc.health.v1", "::proto::health");
    builder.compile_fds(descriptors)?;
    Ok(())
}

/// The made files with their header, formatted, in the order of their names.
fn collect(scratch: &Path) -> Result<Vec<(String, String)>, Failure> {
    let mut files = Vec::new();
    for entry in fs::read_dir(scratch)? {
        let path = entry?.path();
        let status = std::process::Command::new("rustfmt").args(["--edition", "2024"]).arg(&path).status()?;
        if !status.success() {
            return Err(format!("rustfmt failed on {}", path.display()).into());
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path)?;
        if text.lines().any(|line| !line.trim_start().starts_with("//") && !line.trim().is_empty()) {
            files.push((name, format!("{HEADER}{text}")));
        }
    }
    files.sort();
    Ok(files)
}
