//! `cargo xtask deb`: a Debian package of the gateway, made with `dpkg-deb` from a tree that is put together here.
//!
//! In: the build, `deploy/`, `docs/`, `policies/`, what the binary writes about itself (completions, manual). Out:
//! `<target>/deb/tollgate_<version>_<arch>.deb`. Invariants: the same commit gives the same tree, with the commit's time; the
//! libraries that the package depends on are those that the binary asks for, in the versions it asks for.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};

use crate::shell;

/// What to make.
pub(crate) struct Options {
    /// Of the debug build, which the tests have anyway.
    pub(crate) debug: bool,
    /// Another version than the workspace's.
    pub(crate) version: Option<String>,
}

/// Builds the package and returns where it is.
pub(crate) fn build(options: &Options) -> anyhow::Result<PathBuf> {
    let binary = compile(options.debug)?;
    let version = options
        .version
        .clone()
        .unwrap_or_else(|| format!("{}-1", env!("CARGO_PKG_VERSION")));
    let arch = shell::output(Command::new("dpkg").arg("--print-architecture"))?;
    let arch = arch.trim();
    let folder = target()?.join("deb");
    let tree = folder.join(format!("tree-{version}"));
    if tree.exists() {
        fs::remove_dir_all(&tree).with_context(|| format!("cannot remove {}", tree.display()))?;
    }
    let epoch = shell::output(git().args(["log", "-1", "--format=%ct"]))?;
    let date = shell::output(git().args(["log", "-1", "--format=%cD"]))?;

    fill(&tree, &binary, &version, date.trim())?;
    let control = control(&tree, &version, arch)?;
    put(&tree.join("DEBIAN/control"), control.as_bytes(), 0o644)?;
    put(&tree.join("DEBIAN/md5sums"), sums(&tree)?.as_bytes(), 0o644)?;
    for script in ["postinst", "prerm", "postrm"] {
        let text = fs::read(shell::workspace().join("deploy/debian").join(script))?;
        put(&tree.join("DEBIAN").join(script), &text, 0o755)?;
    }
    let package = folder.join(format!("tollgate_{version}_{arch}.deb"));
    let level = if options.debug { "-z1" } else { "-z6" };
    let mut packed = Command::new("dpkg-deb");
    packed
        .args(["--root-owner-group", "-Zxz", level, "--build"])
        .arg(&tree)
        .arg(&package);
    shell::output(packed.env("SOURCE_DATE_EPOCH", epoch.trim()))?;
    fs::remove_dir_all(&tree).with_context(|| format!("cannot remove {}", tree.display()))?;
    Ok(package)
}

fn compile(debug: bool) -> anyhow::Result<PathBuf> {
    let mut arguments = vec!["build", "--locked", "--package", "gateway-user", "--bins"];
    if !debug {
        arguments.push("--release");
    }
    shell::run(&mut shell::cargo(&arguments))?;
    Ok(target()?
        .join(if debug { "debug" } else { "release" })
        .join("tollgate"))
}

/// Everything that will be installed.
fn fill(tree: &Path, binary: &Path, version: &str, date: &str) -> anyhow::Result<()> {
    let installed = tree.join("usr/bin/tollgate");
    put(&installed, &fs::read(binary)?, 0o755)?;
    shell::run(
        Command::new("strip")
            .arg("--strip-unneeded")
            .arg(&installed),
    )?;

    let share = tree.join("usr/share");
    for (shell, place) in [
        ("bash", "bash-completion/completions/tollgate"),
        ("zsh", "zsh/vendor-completions/_tollgate"),
        ("fish", "fish/vendor_completions.d/tollgate.fish"),
    ] {
        let script = shell::output(Command::new(binary).args(["completions", shell]))?;
        put(&share.join(place), script.as_bytes(), 0o644)?;
    }
    let pages = share.join("man/man1");
    shell::output(Command::new(binary).args(["man", "--dir"]).arg(&pages))?;
    for page in files(&pages)? {
        compress(&page)?;
    }

    let deploy = shell::workspace().join("deploy");
    for unit in ["tollgate.service", "tollgate-guard.service"] {
        let text = fs::read(deploy.join(unit))?;
        put(
            &tree.join("usr/lib/systemd/system").join(unit),
            &text,
            0o644,
        )?;
    }
    // The package is for nobody's archive, so it closes no request to take it in.
    let overrides = "tollgate: initial-upload-closes-no-bugs\n";
    put(
        &share.join("lintian/overrides/tollgate"),
        overrides.as_bytes(),
        0o644,
    )?;
    let doc = share.join("doc/tollgate");
    put(
        &doc.join("copyright"),
        &fs::read(deploy.join("debian/copyright"))?,
        0o644,
    )?;
    let changes = format!(
        "tollgate ({version}) unstable; urgency=medium\n\n  * See changelog.gz.\n\n -- {MAINTAINER}  {date}\n"
    );
    for (name, text) in [
        ("changelog.Debian", changes.into_bytes()),
        (
            "changelog",
            fs::read(shell::workspace().join("CHANGELOG.md"))?,
        ),
    ] {
        put(&doc.join(name), &text, 0o644)?;
        compress(&doc.join(name))?;
    }
    for page in files(&shell::workspace().join("docs"))? {
        let name = page.file_name().context("a page without a name")?;
        put(&doc.join(name), &fs::read(&page)?, 0o644)?;
    }
    put(
        &doc.join("SECURITY.md"),
        &fs::read(shell::workspace().join("SECURITY.md"))?,
        0o644,
    )
}

fn control(tree: &Path, version: &str, arch: &str) -> anyhow::Result<String> {
    let template = fs::read_to_string(shell::workspace().join("deploy/debian/control"))?;
    let size: u64 = files(tree)?
        .iter()
        .map(|file| {
            file.metadata()
                .map(|metadata| metadata.len().div_ceil(1024))
        })
        .sum::<Result<u64, _>>()?;
    Ok(template
        .replace("@VERSION@", version)
        .replace("@ARCH@", arch)
        .replace("@SIZE@", &size.to_string())
        .replace("@DEPENDS@", &depends(&tree.join("usr/bin/tollgate"))?))
}

/// The packages of the libraries that the binary asks for. A library that is not known here is an error, not a guess.
fn depends(binary: &Path) -> anyhow::Result<String> {
    let told = shell::output(Command::new("objdump").arg("-p").arg(binary))?;
    let mut packages = vec![format!("libc6 (>= {})", newest_glibc(&told)?)];
    for library in told
        .lines()
        .filter_map(|line| line.trim().strip_prefix("NEEDED"))
    {
        match library.trim() {
            "libc.so.6" | "libm.so.6" | "libpthread.so.0" | "libdl.so.2" | "librt.so.1" => {}
            name if name.starts_with("ld-linux") => {}
            "libgcc_s.so.1" => packages.push("libgcc-s1".to_owned()),
            other => bail!("the binary needs {other}: say here which package has it"),
        }
    }
    Ok(packages.join(", "))
}

/// The newest version of the C library whose symbols are used, as `objdump -p` lists them.
fn newest_glibc(told: &str) -> anyhow::Result<String> {
    let versions = told.split_whitespace().filter_map(|word| {
        let numbers = word
            .strip_prefix("GLIBC_")?
            .split('.')
            .map(str::parse::<u32>);
        numbers.collect::<Result<Vec<_>, _>>().ok()
    });
    let newest = versions
        .max()
        .context("the binary asks for no version of the C library")?;
    Ok(newest
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("."))
}

fn sums(tree: &Path) -> anyhow::Result<String> {
    let mut names: Vec<String> = Vec::new();
    for file in files(tree)? {
        let name = file.strip_prefix(tree)?.to_string_lossy().into_owned();
        if !name.starts_with("DEBIAN") {
            names.push(name);
        }
    }
    shell::output(Command::new("md5sum").args(&names).current_dir(tree))
}

/// Every file below a folder, in the order of their names.
fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?
    {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn put(path: &Path, bytes: &[u8], mode: u32) -> anyhow::Result<()> {
    let folder = path.parent().context("a file without a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    // dpkg installs folders as they are here, whatever the caller's mask.
    for made in folder.ancestors().take_while(|made| !made.ends_with("deb")) {
        fs::set_permissions(made, fs::Permissions::from_mode(0o755))?;
    }
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(mode))?)
}

fn compress(file: &Path) -> anyhow::Result<()> {
    fs::set_permissions(file, fs::Permissions::from_mode(0o644))?;
    shell::run(
        Command::new("gzip")
            .args(["-9", "--no-name", "--force"])
            .arg(file),
    )
}

fn git() -> Command {
    let mut command = Command::new("git");
    command.current_dir(shell::workspace());
    command
}

/// The folder of the build profiles.
fn target() -> anyhow::Result<PathBuf> {
    let built = shell::built()?;
    Ok(built
        .parent()
        .context("the build lies in no folder")?
        .to_path_buf())
}

const MAINTAINER: &str = "Tollgate maintainers <maintainers@tollgate.invalid>";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() -> anyhow::Result<()> {
        let told = "  0x0d696914 0x00 03 GLIBC_2.9\n  0x069691b4 0x00 02 GLIBC_2.34\n 0x1 GLIBC_2.3.4\n GLIBC_PRIVATE";
        assert_eq!(newest_glibc(told)?, "2.34");
        assert!(newest_glibc("nothing").is_err());
        Ok(())
    }
}
