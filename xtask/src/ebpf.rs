//! The eBPF object: built with Debian's compiler, which ships `core` for BPF, and committed in `gateway-ebpf/prebuilt`.
//!
//! In: gateway-ebpf, gateway-common, the toolchain. Out: `tollgate.bpf.o`, stripped of DWARF (its BTF stays), and `TOOLCHAIN`, the versions that
//! made it. Invariant: equal versions make equal bytes, wherever the clone lies, so that a committed object can be checked.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};

use crate::{cache, shell};

/// Builds the object into `gateway-ebpf/prebuilt`; with `check` compares it with the committed one instead.
pub(crate) fn build(check: bool) -> anyhow::Result<()> {
    let prebuilt = shell::workspace().join("gateway-ebpf/prebuilt");
    let (object, record) = (prebuilt.join(OBJECT), prebuilt.join(TOOLCHAIN));
    let fresh = compile()?;
    let versions = versions()?;
    if !check {
        fs::create_dir_all(&prebuilt)
            .with_context(|| format!("cannot create {}", prebuilt.display()))?;
        write(&object, &fresh)?;
        write(&record, versions.as_bytes())?;
        println!("ebpf: {} ({} bytes)", object.display(), fresh.len());
        return Ok(());
    }
    let committed = read(&object)?;
    if committed == fresh {
        println!("ebpf: the committed object is what this source makes");
        return Ok(());
    }
    if read(&record)? == versions.as_bytes() {
        bail!(
            "the committed eBPF object is not what this source makes\nremedy: cargo xtask ebpf, then commit {}",
            prebuilt.display()
        );
    }
    println!(
        "ebpf: other versions have made the committed object; running the kernel suite on a fresh one"
    );
    let restore = Restore {
        object: &object,
        committed: &committed,
    };
    write(&object, &fresh)?;
    shell::run(&mut shell::cargo(&[
        "test",
        "--locked",
        "--package",
        "tests",
        "--test",
        "kernel",
    ]))?;
    drop(restore);
    println!("ebpf: it passed; please refresh the committed object with `cargo xtask ebpf`");
    Ok(())
}

/// Puts the committed object back, whatever the suite did.
struct Restore<'a> {
    object: &'a Path,
    committed: &'a [u8],
}

impl Drop for Restore<'_> {
    fn drop(&mut self) {
        if let Err(error) = write(self.object, self.committed) {
            eprintln!("error: {error:#}; restore it with git");
        }
    }
}

fn compile() -> anyhow::Result<Vec<u8>> {
    let source = shell::workspace().join("gateway-ebpf");
    let target = shell::built()?
        .parent()
        .context("the target folder is the root")?
        .join("ebpf");
    let flags = [
        format!("-Clinker={}", cache::tool("bpf-linker")?.display()),
        "-Cdebuginfo=2".to_owned(),
        "-Clink-arg=--btf".to_owned(),
        // Line information names files: by places that are the same in every clone.
        remap(&target, "/target"),
        remap(&cargo_home()?, "/cargo"),
        remap(&shell::workspace(), "/tollgate"),
    ];
    let mut cargo = shell::cargo(&[
        "build",
        "--quiet",
        "--release",
        "--locked",
        "--target",
        TARGET,
    ]);
    cargo
        .current_dir(&source)
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        .env("RUSTC", RUSTC)
        // The target is not a stable one; Debian ships it all the same.
        .env("RUSTC_BOOTSTRAP", "1")
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTC_WORKSPACE_WRAPPER");
    shell::run(&mut cargo)?;
    let built = target.join(TARGET).join("release/tollgate-bpf");
    let stripped = target.join(OBJECT);
    shell::run(
        Command::new(STRIP)
            .args(["--strip-debug", "-o"])
            .arg(&stripped)
            .arg(&built),
    )?;
    read(&stripped)
}

/// What the bytes depend on beside the source.
fn versions() -> anyhow::Result<String> {
    let rustc = shell::output(Command::new(RUSTC).arg("--version").arg("--verbose"))?;
    let linker = shell::output(Command::new(cache::tool("bpf-linker")?).arg("--version"))?;
    let strip = shell::output(Command::new(STRIP).arg("--version"))?;
    let strip = strip
        .lines()
        .find(|line| line.contains("version"))
        .unwrap_or_default();
    Ok(format!(
        "{}\n{}\nllvm-strip: {}\n",
        rustc.trim_end(),
        linker.trim_end(),
        strip.trim()
    ))
}

fn remap(from: &Path, to: &str) -> String {
    format!("--remap-path-prefix={}={to}", from.display())
}

fn cargo_home() -> anyhow::Result<PathBuf> {
    std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")))
        .context("neither CARGO_HOME nor HOME is set")
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    // A file that is being embedded is never seen half written.
    let next = path.with_extension("next");
    let written: io::Result<()> = fs::write(&next, bytes).and_then(|()| fs::rename(&next, path));
    written.with_context(|| format!("cannot write {}", path.display()))
}

const OBJECT: &str = "tollgate.bpf.o";
const TOOLCHAIN: &str = "TOOLCHAIN";
const TARGET: &str = "bpfel-unknown-none";
const RUSTC: &str = "/usr/bin/rustc";
const STRIP: &str = "/usr/lib/llvm-22/bin/llvm-strip";
