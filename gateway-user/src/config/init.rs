//! `tollgate init`: a commented configuration and a first policy set.

use std::path::Path;

use super::ConfigError;

/// Where a configuration is looked for when none is named.
pub const DEFAULT_PATH: &str = "/etc/tollgate/tollgate.toml";

/// Writes the commented configuration to `path` and `policies` beside it. Nothing that exists is overwritten.
///
/// # Errors
/// [`ConfigError::Exists`] when there is a configuration already, [`ConfigError::Write`] when the folder cannot be written.
pub fn init(
    path: &Path,
    policies: &[(&str, &str)],
) -> Result<Vec<std::path::PathBuf>, ConfigError> {
    if path.exists() {
        return Err(ConfigError::Exists {
            path: path.to_owned(),
        });
    }
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let folder = absolute.parent().unwrap_or(Path::new("/"));
    let mut written = Vec::new();
    for (name, text) in policies {
        let file = folder.join("policies").join(name);
        if !file.exists() {
            write(&file, text)?;
            written.push(file);
        }
    }
    let policies = folder.join("policies");
    write(
        path,
        &TEMPLATE.replace("@POLICIES@", &policies.display().to_string()),
    )?;
    written.push(path.to_owned());
    Ok(written)
}

fn write(file: &Path, text: &str) -> Result<(), ConfigError> {
    let fail = |source| ConfigError::Write {
        path: file.to_owned(),
        source,
    };
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(fail)?;
    }
    std::fs::write(file, text).map_err(fail)
}

const TEMPLATE: &str = include_str!("template.toml");

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::config::Config;

    #[test]
    fn what_init_writes_is_found_from_every_folder() {
        let folder = tempfile::tempdir_in(".").unwrap();
        let relative = Path::new(folder.path().file_name().unwrap()).join("tollgate.toml");
        init(&relative, &[("base.cedar", "")]).unwrap();
        let config = Config::load(&relative).unwrap();
        assert!(config.paths.policies.is_absolute());
        assert!(config.paths.policies.join("base.cedar").exists());
    }
}
