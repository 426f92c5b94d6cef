//! Running other programs: where the workspace is, who we are, and errors that name the command.

use std::{
    env, fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};

/// The workspace's root folder.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map_or_else(PathBuf::new, Path::to_path_buf)
}

/// The folder in which cargo puts the executables of this build.
pub(crate) fn built() -> anyhow::Result<PathBuf> {
    let own = env::current_exe().context("cannot find this executable")?;
    Ok(own
        .parent()
        .context("this executable lies in no folder")?
        .to_path_buf())
}

/// Cargo, in the workspace.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(workspace());
    command
}

/// The build of executables of the gateway and of `tests`: which, and in which profile, as cargo takes it.
pub(crate) fn building(selection: &[&str]) -> Command {
    let mut command = cargo(&[
        "build",
        "--quiet",
        "--locked",
        "--package",
        "gateway-user",
        "--package",
        "tests",
    ]);
    command.args(selection);
    command
}

/// A program, behind the words of [`root_prefix`] or [`root_prefix_with_environment`].
pub(crate) fn prefixed(prefix: &[String], program: &Path) -> Command {
    let Some((first, rest)) = prefix.split_first() else {
        return Command::new(program);
    };
    let mut command = Command::new(first);
    command.args(rest).arg(program);
    command
}

/// True if this process is root.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// The words that run a program as root: none if we are root.
pub(crate) fn root_prefix() -> anyhow::Result<Vec<String>> {
    if is_root() {
        return Ok(Vec::new());
    }
    if find("sudo").is_none() {
        bail!("this step needs root and there is no sudo: run it again as root");
    }
    Ok(vec!["sudo".to_owned()])
}

/// The same for a program that also needs to know where things are: sudo drops the environment.
pub(crate) fn root_prefix_with_environment() -> anyhow::Result<Vec<String>> {
    let mut words = root_prefix()?;
    if !words.is_empty() {
        words.push("env".to_owned());
        words.push(format!(
            "TOLLGATE_CACHE={}",
            crate::cache::root()?.display()
        ));
        words.extend(env::var("PATH").map(|path| format!("PATH={path}")));
    }
    Ok(words)
}

/// The first executable of that name in PATH.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

/// Runs a command with our own input and output; an exit code other than 0 is an error.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {}", words(command)))?;
    if !status.success() {
        bail!("{} failed: {status}", words(command));
    }
    Ok(())
}

/// Runs a command and returns what it printed.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot start {}", words(command)))?;
    if !output.status.success() {
        bail!(
            "{} failed: {}\n{}",
            words(command),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("{} printed something that is not UTF-8", words(command)))
}

/// A command as it would be typed.
pub(crate) fn words(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    std::iter::once(program)
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
