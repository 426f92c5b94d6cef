//! Bundles that programs bring along: Python packages with their own PEM files, Java homes with their own keystore.
//!
//! They are looked for where the command says: the environments that its words lie in (`env -i .venv/bin/python` has two) or
//! that the first line of a script names, `VIRTUAL_ENV`, `./.venv`.
//! What is found is bound only if the child's user cannot write it: a package manager that meets a bound file fails half-way and
//! leaves the package damaged. Variables cover the others. There is no variable for Java that it keeps silent about, and what manages Java homes puts
//! each version into a folder of its own: they are bound whoever may write them, unless a Python package brings them.
//!
//! Invariants: a path that leads elsewhere by a link is passed over, so an environment cannot have a file of its choice replaced; however many words
//! and folders a workload names, the search is short, and it waits for nobody.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::libc;

use super::access::{Ids, Right};

/// Environment variables.
pub(super) type Variables = BTreeMap<OsString, OsString>;

/// The PEM bundles of the Python packages that `command` can import, resolved, each once.
pub(super) fn bundles(command: &[OsString], variables: &Variables) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for prefix in prefixes(command, variables) {
        for packages in package_directories(&prefix) {
            for bundle in BUNDLES {
                found.extend(
                    fs::canonicalize(packages.join(bundle))
                        .ok()
                        .filter(|path| path.ends_with(bundle)),
                );
            }
        }
    }
    once(found)
}

/// The keystores of `JAVA_HOME`, of the `java` that `PATH` names and of those among the words of the command, resolved, each once.
pub(super) fn keystores(command: &[OsString], variables: &Variables) -> Vec<PathBuf> {
    let mut homes: Vec<PathBuf> = variables
        .get(OsStr::new("JAVA_HOME"))
        .map(PathBuf::from)
        .into_iter()
        .collect();
    let words = command
        .iter()
        .take(MOST_WORDS)
        .map(OsString::as_os_str)
        .filter(|word| Path::new(word).ends_with("java"));
    let javas = words
        .chain([OsStr::new("java")])
        .filter_map(|word| find(word, variables));
    homes.extend(javas.filter_map(|java| above(&fs::canonicalize(java).ok()?)));
    let stores = homes.into_iter().map(|home| home.join(KEYSTORE));
    once(
        stores
            .filter_map(|store| fs::canonicalize(store).ok())
            .filter(|store| store.ends_with("cacerts"))
            .collect(),
    )
}

/// Whether a package manager could meet this keystore while the launch runs.
pub(super) fn packaged(keystore: &Path, user: &Ids) -> bool {
    let of_python = |part: &OsStr| part == "site-packages" || part == "dist-packages";
    keystore.iter().any(of_python) && replaceable(keystore, user)
}

/// Whether `user` could replace this bundle: by writing it, or by exchanging its directory or the package's.
pub(super) fn replaceable(bundle: &Path, user: &Ids) -> bool {
    // What cannot be asked is taken for replaceable: it is then left alone.
    bundle
        .ancestors()
        .take(3)
        .any(|path| user.may(Right::Write, path).unwrap_or(true))
}

/// The file that `execvp` would run.
fn find(command: &OsStr, variables: &Variables) -> Option<PathBuf> {
    let runs = |path: &Path| {
        fs::metadata(path)
            .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    if command.as_bytes().contains(&b'/') {
        return Some(PathBuf::from(command)).filter(|path| runs(path));
    }
    std::env::split_paths(variables.get(OsStr::new("PATH"))?)
        .take(MOST_FOLDERS)
        .map(|dir| dir.join(command))
        .find(|path| runs(path))
}

/// Directories that hold `lib/python3*`.
fn prefixes(command: &[OsString], variables: &Variables) -> Vec<PathBuf> {
    let mut prefixes = Vec::new();
    let words = command.iter().take(MOST_WORDS);
    for program in words.filter_map(|word| find(word, variables)) {
        let interpreter = interpreter(&program, variables);
        for path in [Some(program), interpreter].into_iter().flatten() {
            // A virtual environment links its python to the base's, whose packages it may use as well.
            prefixes.extend(above(&path));
            prefixes.extend(fs::canonicalize(&path).ok().and_then(|path| above(&path)));
        }
    }
    prefixes.extend(variables.get(OsStr::new("VIRTUAL_ENV")).map(PathBuf::from));
    prefixes.push(PathBuf::from(".venv"));
    prefixes
}

/// The program named by the first line of a script.
fn interpreter(program: &Path, variables: &Variables) -> Option<PathBuf> {
    let mut line = Vec::new();
    // What was a file just now may be a pipe, which would be waited for.
    let how = libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = File::options().read(true).custom_flags(how).open(program);
    let file = file
        .ok()
        .filter(|file| file.metadata().is_ok_and(|meta| meta.is_file()))?;
    BufReader::new(file.take(FIRST_LINE))
        .read_until(b'\n', &mut line)
        .ok()?;
    let mut words = line
        .strip_prefix(b"#!")?
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    let first = Path::new(OsStr::from_bytes(words.next()?));
    if first.ends_with("env") {
        return find(OsStr::from_bytes(words.next()?), variables);
    }
    Some(first.to_owned())
}

fn package_directories(prefix: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for library in ["lib", "lib64", "local/lib"] {
        let Ok(entries) = fs::read_dir(prefix.join(library)) else {
            continue;
        };
        for entry in entries
            .take(MOST_ENTRIES)
            .flatten()
            .filter(|entry| entry.file_name().as_bytes().starts_with(b"python3"))
        {
            found.extend(["site-packages", "dist-packages"].map(|name| entry.path().join(name)));
        }
    }
    found
}

/// `/x` of `/x/bin/python`.
fn above(program: &Path) -> Option<PathBuf> {
    Some(program.parent()?.parent()?.to_owned())
}

fn once(mut paths: Vec<PathBuf>) -> Vec<PathBuf> {
    paths.sort();
    paths.dedup();
    paths
}

const BUNDLES: [&str; 5] = [
    "certifi/cacert.pem",
    "botocore/cacert.pem",
    "grpc/_cython/_credentials/roots.pem",
    "pip/_vendor/certifi/cacert.pem",
    "httplib2/cacerts.txt",
];

const KEYSTORE: &str = "lib/security/cacerts";

/// Of a command: those that start another program come first.
const MOST_WORDS: usize = 64;
/// Of `PATH`.
const MOST_FOLDERS: usize = 64;
/// Of a folder of libraries.
const MOST_ENTRIES: usize = 10_000;

/// The kernel reads no more of the first line of a script (`BINPRM_BUF_SIZE`).
const FIRST_LINE: u64 = 256;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use std::os::unix::fs::symlink;
    use std::slice;

    /// A virtual environment with certifi and a console script.
    fn venv() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(dir.path()).unwrap();
        let certifi = root.join("lib/python3.11/site-packages/certifi");
        fs::create_dir_all(&certifi).unwrap();
        fs::create_dir(root.join("bin")).unwrap();
        fs::write(certifi.join("cacert.pem"), "pem").unwrap();
        script(&root.join("bin/python"), "");
        (dir, certifi.join("cacert.pem"))
    }

    fn words<const N: usize>(words: [&OsStr; N]) -> Vec<OsString> {
        words.map(OsStr::to_owned).into()
    }

    fn script(path: &Path, text: &str) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn variables(pairs: &[(&str, &Path)]) -> Variables {
        pairs
            .iter()
            .map(|(name, value)| (OsString::from(name), value.as_os_str().to_owned()))
            .collect()
    }

    #[test]
    fn an_environment_is_found_by_path_by_search_and_by_variable() {
        let (dir, bundle) = venv();
        let by_path = bundles(
            &words([dir.path().join("bin/python").as_os_str()]),
            &Variables::new(),
        );
        assert_eq!(by_path, slice::from_ref(&bundle));
        let path = variables(&[("PATH", &dir.path().join("bin"))]);
        assert_eq!(
            bundles(&words([OsStr::new("python")]), &path),
            slice::from_ref(&bundle)
        );
        let wrapped = words([
            OsStr::new("env"),
            OsStr::new("-i"),
            dir.path().join("bin/python").as_os_str(),
        ]);
        assert_eq!(
            bundles(&wrapped, &Variables::new()),
            slice::from_ref(&bundle)
        );
        let active = variables(&[("VIRTUAL_ENV", dir.path())]);
        assert_eq!(
            bundles(&words([OsStr::new("bash")]), &active),
            slice::from_ref(&bundle)
        );
    }

    #[test]
    fn a_script_elsewhere_is_followed_to_its_interpreter() {
        let (dir, bundle) = venv();
        let other = tempfile::tempdir().unwrap();
        let agent = other.path().join("agent");
        script(
            &agent,
            &format!("#!{}/bin/python -u\n", dir.path().display()),
        );
        assert_eq!(
            bundles(&words([agent.as_os_str()]), &Variables::new()),
            slice::from_ref(&bundle)
        );
        script(&agent, "#!/usr/bin/env python\n");
        let path = variables(&[("PATH", &dir.path().join("bin"))]);
        assert_eq!(
            bundles(&words([agent.as_os_str()]), &path),
            slice::from_ref(&bundle)
        );
    }

    #[test]
    fn nothing_is_waited_for_and_no_search_is_long() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(interpreter(&pipe, &Variables::new()), None);
        let (venv, bundle) = venv();
        let python = venv.path().join("bin/python").into_os_string();
        let mut command = vec![OsString::from("/x"); MOST_WORDS];
        command[MOST_WORDS - 1] = python.clone();
        assert_eq!(bundles(&command, &Variables::new()), [bundle]);
        command.insert(0, "/x".into());
        assert!(bundles(&command, &Variables::new()).is_empty());
        let mut folders = vec![PathBuf::from("/x"); MOST_FOLDERS];
        folders.push(venv.path().join("bin"));
        let path = std::env::join_paths(folders).unwrap();
        let variables = Variables::from([("PATH".into(), path)]);
        assert_eq!(find(OsStr::new("python"), &variables), None);
    }

    #[test]
    fn a_bundle_that_is_a_link_to_something_else_is_passed_over() {
        let (dir, bundle) = venv();
        fs::remove_file(&bundle).unwrap();
        symlink("/etc/passwd", &bundle).unwrap();
        assert!(
            bundles(
                &words([dir.path().join("bin/python").as_os_str()]),
                &Variables::new()
            )
            .is_empty()
        );
    }

    #[test]
    fn what_the_user_could_replace_is_known() {
        let (_dir, bundle) = venv();
        let owner = fs::metadata(&bundle)
            .map(|meta| std::os::unix::fs::MetadataExt::uid(&meta))
            .unwrap();
        let ids = |uid| Ids {
            uid,
            gid: 4_000_000,
            groups: vec![],
        };
        assert!(replaceable(&bundle, &ids(owner)));
        for path in bundle.ancestors().take(3) {
            let mode = if path == bundle { 0o644 } else { 0o755 };
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
        assert!(!replaceable(&bundle, &ids(owner + 1)));
        fs::set_permissions(bundle.parent().unwrap(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(replaceable(&bundle, &ids(owner + 1)));
    }

    #[test]
    fn a_java_home_has_one_keystore() {
        let dir = tempfile::tempdir().unwrap();
        let home = fs::canonicalize(dir.path()).unwrap();
        fs::create_dir_all(home.join("lib/security")).unwrap();
        fs::create_dir(home.join("bin")).unwrap();
        fs::write(home.join(KEYSTORE), "jks").unwrap();
        script(&home.join("bin/java"), "");
        let both = variables(&[("JAVA_HOME", &home), ("PATH", &home.join("bin"))]);
        assert_eq!(keystores(&[], &both), [home.join(KEYSTORE)]);
        let named = words([OsStr::new("env"), home.join("bin/java").as_os_str()]);
        assert_eq!(keystores(&named, &Variables::new()), [home.join(KEYSTORE)]);
    }
}
