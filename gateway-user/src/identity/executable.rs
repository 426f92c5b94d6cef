//! Executables that run as a stricter identity.
//!
//! In: a workload's rules, and a process that the kernel named. Out: the identity it counts as. The executable is what `/proc/PID/exe` leads
//! to: the file itself, whatever its path is called by now and in whatever mount namespace. Invariants: a rule leads only to an identity
//! without credentials (checked by the configuration); an executable that cannot be looked at is nobody. A running executable cannot be
//! written to (ETXTBSY), so that a digest holds for as long as the file is the same.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};

use super::process;
use crate::config::{Executable, ExecutableRule, Identity};

/// The rules of a workload, in order; usually none.
#[derive(Debug, Default)]
pub struct Rules {
    rules: Vec<Rule>,
    digests: Mutex<HashMap<FileId, Digest>>,
}

#[derive(Debug)]
struct Rule {
    which: Which,
    identity: Arc<Identity>,
}

#[derive(Debug)]
enum Which {
    /// The file that was at this path when the rule was loaded, or is there now: an upgrade replaces it.
    File { path: PathBuf, loaded: Inode },
    /// Any file with this digest.
    Digest(Digest),
}

type Digest = [u8; 32];

/// A file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Inode {
    device: u64,
    inode: u64,
}

/// A file with its content, as far as the file system can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct FileId {
    file: Inode,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// A rule that cannot be loaded.
#[derive(Debug, thiserror::Error)]
#[error("executable {} of a rule for \"{identity}\" cannot be looked at: {source}", path.display())]
pub struct RuleError {
    path: PathBuf,
    identity: String,
    source: io::Error,
}

impl Rules {
    /// Looks at the files the rules name.
    ///
    /// # Errors
    /// One of them is not there.
    pub fn load(rules: &[ExecutableRule]) -> Result<Self, RuleError> {
        let load = |rule: &ExecutableRule| {
            let which = match &rule.executable {
                Executable::Path(path) => {
                    let loaded = std::fs::metadata(path).map_err(|source| RuleError {
                        path: path.clone(),
                        identity: rule.identity.id.clone(),
                        source,
                    })?;
                    Which::File {
                        path: path.clone(),
                        loaded: Inode::of(&loaded),
                    }
                }
                Executable::Digest(digest) => Which::Digest(*digest),
            };
            Ok(Rule {
                which,
                identity: Arc::clone(&rule.identity),
            })
        };
        Ok(Self {
            rules: rules.iter().map(load).collect::<Result<_, _>>()?,
            digests: Mutex::default(),
        })
    }

    /// Whether there is anything to look at.
    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Who a process is that started at `start`; `base` where no rule fits. Blocks while it reads.
    pub(super) fn identity(
        &self,
        base: &Arc<Identity>,
        pid: u32,
        start: Duration,
    ) -> io::Result<Arc<Identity>> {
        let file = File::open(format!("/proc/{pid}/exe"))?;
        // Only after that: the number had been this process's all the while.
        if !process::is(pid, start) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let found = file.metadata()?;
        for rule in &self.rules {
            let fits = match &rule.which {
                Which::File { path, loaded } => {
                    let running = Inode::of(&found);
                    running == *loaded || at(path) == Some(running)
                }
                Which::Digest(wanted) => self.digest(&file, &found)? == *wanted,
            };
            if fits {
                return Ok(Arc::clone(&rule.identity));
            }
        }
        Ok(Arc::clone(base))
    }

    fn digest(&self, file: &File, found: &Metadata) -> io::Result<Digest> {
        let id = FileId::of(found);
        let known = self.digests.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(digest) = known.get(&id) {
            return Ok(*digest);
        }
        // Others need not wait for this one.
        drop(known);
        let digest = digest(file, found.len())?;
        let mut known = self.digests.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_DIGESTS {
            known.clear();
        }
        known.insert(id, digest);
        Ok(digest)
    }
}

impl Inode {
    fn of(found: &Metadata) -> Self {
        Self {
            device: found.dev(),
            inode: found.ino(),
        }
    }
}

impl FileId {
    fn of(found: &Metadata) -> Self {
        Self {
            file: Inode::of(found),
            size: found.len(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }
}

fn at(path: &Path) -> Option<Inode> {
    std::fs::metadata(path).ok().as_ref().map(Inode::of)
}

/// Reads what the file had when it was looked at; a longer one is an error, as is one above the limit.
fn digest(mut file: &File, size: u64) -> io::Result<Digest> {
    if size > MAX_EXECUTABLE {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; 64 * 1024];
    let mut left = size;
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 && left == 0 {
            break;
        }
        left = left
            .checked_sub(count as u64)
            .filter(|_| count > 0)
            .ok_or(io::ErrorKind::InvalidData)?;
        context.update(&buffer[..count]);
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    Ok(digest)
}

/// Larger than runtimes with everything linked in; reading it takes about a second, once.
const MAX_EXECUTABLE: u64 = 1 << 30;
/// More programs than an agent runs.
const MAX_DIGESTS: usize = 1024;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::process::{Child, Command};

    use super::*;
    use crate::config::Credentials;

    fn identity(id: &str) -> Arc<Identity> {
        Arc::new(Identity {
            id: id.to_owned(),
            groups: Vec::new(),
            launch: None,
            credentials: Credentials::Never,
            ca_names: Vec::new(),
        })
    }

    fn rules(executable: Executable) -> Rules {
        Rules::load(&[ExecutableRule {
            executable,
            identity: identity("strict"),
        }])
        .unwrap()
    }

    /// A program that waits, at a path of its own.
    struct Waiting(Child);

    impl Waiting {
        fn at(path: &Path) -> Self {
            Self(Command::new(path).arg("60").spawn().unwrap())
        }

        fn who(&self, rules: &Rules) -> io::Result<String> {
            let pid = self.0.id();
            let start = process::start(pid).unwrap();
            Ok(rules.identity(&identity("base"), pid, start)?.id.clone())
        }
    }

    impl Drop for Waiting {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn a_file_is_known_by_its_inode_under_any_name() {
        let folder = tempfile::tempdir().unwrap();
        let (original, linked, copied) = (
            folder.path().join("a"),
            folder.path().join("b"),
            folder.path().join("c"),
        );
        std::fs::copy("/bin/sleep", &original).unwrap();
        std::fs::hard_link(&original, &linked).unwrap();
        std::fs::copy("/bin/sleep", &copied).unwrap();
        let rules = rules(Executable::Path(original.clone()));
        let running = Waiting::at(&linked);
        assert_eq!(running.who(&rules).unwrap(), "strict");
        assert_eq!(Waiting::at(&copied).who(&rules).unwrap(), "base");
        // An upgrade: what runs is still the old file, what starts is the new one.
        std::fs::rename(&copied, &original).unwrap();
        assert_eq!(running.who(&rules).unwrap(), "strict");
        assert_eq!(Waiting::at(&original).who(&rules).unwrap(), "strict");
    }

    #[test]
    fn a_digest_is_known_in_every_copy_and_read_once() {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("copy");
        std::fs::copy("/bin/sleep", &copy).unwrap();
        let bytes = std::fs::read(&copy).unwrap();
        let mut wanted = [0; 32];
        wanted.copy_from_slice(aws_lc_rs::digest::digest(&SHA256, &bytes).as_ref());
        let rules = rules(Executable::Digest(wanted));
        for path in [copy.as_path(), Path::new("/bin/sleep")] {
            let running = Waiting::at(path);
            assert_eq!(running.who(&rules).unwrap(), "strict");
            assert_eq!(running.who(&rules).unwrap(), "strict");
        }
        assert_eq!(rules.digests.lock().unwrap().len(), 2);
        let mut other = File::options().append(true).open(&copy).unwrap();
        io::Write::write_all(&mut other, b"!").unwrap();
        drop(other);
        assert_eq!(Waiting::at(&copy).who(&rules).unwrap(), "base");
    }

    #[test]
    fn a_process_that_is_gone_is_nobody() {
        let rules = rules(Executable::Path("/bin/sleep".into()));
        let running = Waiting::at(Path::new("/bin/sleep"));
        let (pid, start) = (running.0.id(), process::start(running.0.id()).unwrap());
        let later = start + Duration::from_secs(1);
        assert!(rules.identity(&identity("base"), pid, later).is_err());
        drop(running);
        assert!(rules.identity(&identity("base"), pid, start).is_err());
    }

    #[test]
    fn a_rule_for_a_file_that_is_not_there_is_an_error() {
        let rule = ExecutableRule {
            executable: Executable::Path("/no/such/file".into()),
            identity: identity("strict"),
        };
        let error = Rules::load(&[rule]).unwrap_err().to_string();
        assert!(
            error.contains("/no/such/file") && error.contains("strict"),
            "{error}"
        );
    }
}
