//! Kernels of Debian's releases, unpacked into the cache, never installed.
//!
//! In: a version such as 6.1. Out: the newest kernel of that version, as its image and modules. Package lists of other releases are kept
//! apart from the host's own; the archive they come from is the one that the host's apt uses.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};

use crate::{cache, shell};

/// One kernel.
pub(super) struct Kernel {
    /// As `uname -r` says it.
    pub(super) release: String,
    /// Version of the Debian package.
    pub(super) package: String,
    pub(super) image: PathBuf,
    /// `kernel/` of its modules.
    pub(super) modules: PathBuf,
}

/// The newest kernel of this version: from the cache, else from Debian.
pub(super) fn fetch(version: &str) -> anyhow::Result<Kernel> {
    if let Some(release) = newest(version, unpacked()?.iter().map(String::as_str)) {
        return open(release);
    }
    let apt = Apt::new()?;
    apt.update()?;
    let names = apt.output("apt-cache", &["pkgnames", "linux-"])?;
    let releases = names
        .lines()
        .filter_map(|name| name.strip_prefix("linux-image-"));
    let Some(release) = newest(version, releases) else {
        bail!(
            "no kernel {version} in the Debian releases {}",
            SUITES.join(", ")
        );
    };
    println!("vm: fetching kernel {release} (Debian package, not installed)");
    apt.unpack(release, &names)?;
    open(release)
}

fn kernels() -> anyhow::Result<PathBuf> {
    Ok(cache::root()?.join("vm/kernels"))
}

/// Releases that are in the cache as a whole: the package's version is written last.
fn unpacked() -> anyhow::Result<Vec<String>> {
    let entries = fs::read_dir(kernels()?).into_iter().flatten().flatten();
    Ok(entries
        .filter(|entry| entry.path().join(VERSION).exists())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect())
}

fn open(release: &str) -> anyhow::Result<Kernel> {
    let folder = kernels()?.join(release);
    let first = |places: [String; 2]| -> anyhow::Result<PathBuf> {
        let found = places
            .iter()
            .map(|place| folder.join(place))
            .find(|path| path.exists());
        found.with_context(|| {
            format!(
                "no {} in {}; remedy: remove that folder",
                places[0],
                folder.display()
            )
        })
    };
    Ok(Kernel {
        release: release.to_owned(),
        package: fs::read_to_string(folder.join(VERSION))?.trim().to_owned(),
        image: first([
            format!("boot/vmlinuz-{release}"),
            format!("usr/lib/modules/{release}/vmlinuz"),
        ])?,
        modules: first([
            format!("lib/modules/{release}/kernel"),
            format!("usr/lib/modules/{release}/kernel"),
        ])?,
    })
}

/// The newest of these releases that is a cloud kernel of this version: cloud kernels are the same source with fewer drivers.
fn newest<'a>(version: &str, releases: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    releases
        .filter(|release| release.ends_with(FLAVOUR))
        .filter(|release| {
            release
                .strip_prefix(version)
                .is_some_and(|rest| rest.starts_with(['.', '-', '+']))
        })
        .max_by_key(|release| numbers(release))
}

/// 6.1.0-9 is older than 6.1.0-10.
fn numbers(release: &str) -> Vec<u64> {
    release
        .trim_end_matches(FLAVOUR)
        .split(|letter: char| !letter.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .collect()
}

/// apt with package lists of its own.
struct Apt {
    folder: PathBuf,
}

impl Apt {
    fn new() -> anyhow::Result<Self> {
        let folder = cache::root()?.join("vm/apt");
        for made in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(made))
                .with_context(|| format!("cannot create {}", folder.display()))?;
        }
        Ok(Self { folder })
    }

    /// Fetches the lists; a release that the archive lacks is said, and found missing when a kernel of it is asked for.
    fn update(&self) -> anyhow::Result<()> {
        let archive = archive()?;
        let sources: String = SUITES
            .iter()
            .map(|suite| format!("deb [signed-by={KEYRING}] {archive} {suite} main\n"))
            .collect();
        fs::write(self.folder.join(SOURCES), sources)
            .with_context(|| format!("cannot write {SOURCES}"))?;
        if let Err(error) = self.output("apt-get", &["-qq", "update"]) {
            println!("vm: not every release could be listed: {error:#}");
        }
        Ok(())
    }

    /// Downloads and unpacks the packages that a release consists of.
    fn unpack(&self, release: &str, names: &str) -> anyhow::Result<()> {
        let folder = kernels()?.join(release);
        // What an interrupted run has left.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let packages: Vec<String> = ["image", "binary", "modules"]
            .iter()
            .map(|part| format!("linux-{part}-{release}"))
            .filter(|package| names.lines().any(|name| name == package))
            .collect();
        let mut command = self.command("apt-get", &["-qq", "download"]);
        shell::run(command.args(&packages).current_dir(&folder))?;
        let mut version = String::new();
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|kind| kind == "deb") {
                version = shell::output(
                    Command::new("dpkg-deb")
                        .arg("--field")
                        .arg(&path)
                        .arg("Version"),
                )?;
                shell::run(
                    Command::new("dpkg-deb")
                        .arg("--extract")
                        .arg(&path)
                        .arg(&folder),
                )?;
                fs::remove_file(&path)?;
            }
        }
        fs::write(folder.join(VERSION), version).context("cannot write the version")
    }

    fn output(&self, program: &str, arguments: &[&str]) -> anyhow::Result<String> {
        shell::output(&mut self.command(program, arguments))
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let option = |name: &str, value: &Path| format!("{name}={}", value.display());
        let mut command = Command::new(program);
        for set in [
            option("Dir::Etc::SourceList", &self.folder.join(SOURCES)),
            option("Dir::Etc::SourceParts", Path::new("/dev/null")),
            option("Dir::State::Lists", &self.folder.join("lists")),
            option("Dir::Cache", &self.folder.join("cache")),
            "Acquire::Languages=none".to_owned(),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
            "APT::Sandbox::User=".to_owned(),
        ] {
            command.args(["-o", &set]);
        }
        command.args(arguments);
        command
    }
}

/// The archive that the host itself gets Debian from.
fn archive() -> anyhow::Result<String> {
    let targets = shell::output(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(ORIGIN) $(LABEL) $(REPO_URI)",
        "Created-By: Packages",
    ]))?;
    targets
        .lines()
        .find_map(|line| line.strip_prefix("Debian Debian "))
        .map(str::to_owned)
        .context("apt knows no Debian archive; remedy: as root, `apt-get update`")
}

/// The releases whose kernels count, old to new.
const SUITES: &[&str] = &[
    "bullseye",
    "bookworm",
    "bookworm-backports",
    "trixie",
    "trixie-backports",
    "sid",
];
const FLAVOUR: &str = "-cloud-amd64";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
const SOURCES: &str = "sources.list";
const VERSION: &str = "package-version";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_a_version_is_chosen() {
        let names: Vec<String> = [
            "6.1.0-9",
            "6.1.0-56",
            "6.12.9+deb12",
            "6.12.90+deb12.1",
            "6.12.90+deb12",
            "7.3.4+deb13",
        ]
        .iter()
        .map(|name| format!("{name}{FLAVOUR}"))
        .chain(["6.1.0-99-amd64".to_owned(), "6.1.0-99-rt-amd64".to_owned()])
        .collect();
        let chosen = |version| newest(version, names.iter().map(String::as_str));
        let cloud = |name: &str| Some(format!("{name}{FLAVOUR}"));
        assert_eq!(chosen("6.1").map(str::to_owned), cloud("6.1.0-56"));
        assert_eq!(chosen("6.12").map(str::to_owned), cloud("6.12.90+deb12.1"));
        assert_eq!(chosen("7").map(str::to_owned), cloud("7.3.4+deb13"));
        assert_eq!(chosen("6.8"), None);
    }
}
