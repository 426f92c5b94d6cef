//! The variables that a unit has without Tollgate.
//!
//! In: its files, where systemd looks for them (systemd.unit(5)), those that systemd itself names where it runs, and the environment that it
//! gives every service. Out: names of variables. What an `EnvironmentFile=` sets is not among them: it comes before any `Environment=` anyway.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::unit::{Unit, systemctl};

/// What is known of a unit.
#[derive(Debug, Default)]
pub(super) struct Own {
    /// Whether there is such a unit.
    pub(super) exists: bool,
    /// The variables that it sets, or that systemd passes to it.
    pub(super) names: BTreeSet<String>,
    /// Why there may be more.
    pub(super) unsure: Option<String>,
}

/// Reads what a unit sets, but for what the drop-in `ours` has. `folder` is where the operator has units.
pub(super) fn read(unit: &Unit, folder: &Path, ours: &str) -> Own {
    let mut own = Own::default();
    let mut roots = vec![folder.to_owned()];
    roots.extend(FOLDERS.map(PathBuf::from));
    let (mut fragments, mut drop_ins) = (Vec::new(), BTreeMap::new());
    for name in names(unit.name()) {
        fragments.extend(roots.iter().map(|root| root.join(&name)));
    }
    for name in families(unit.name()) {
        for root in &roots {
            list(&root.join(format!("{name}.d")), &mut drop_ins);
        }
    }
    match unit.show("LoadState,FragmentPath,DropInPaths") {
        Ok(shown) => {
            for line in shown.iter().flat_map(|shown| shown.lines()) {
                match line.split_once('=') {
                    Some(("LoadState", state)) => own.exists |= state == "loaded",
                    Some(("FragmentPath", path)) => fragments.insert(0, path.into()),
                    Some(("DropInPaths", paths)) => {
                        paths
                            .split(' ')
                            .for_each(|path| add(path.into(), &mut drop_ins));
                    }
                    _ => {}
                }
            }
        }
        Err(error) => own.unsure = Some(error.to_string()),
    }
    // A link to nowhere, or to /dev/null, masks it.
    let fragment = fragments.iter().find(|path| path.is_file());
    own.exists |= fragment.is_some();
    drop_ins.remove(ours);
    for file in fragment.into_iter().chain(drop_ins.values()) {
        match fs::read_to_string(file) {
            Ok(text) => settings(&text, &mut own.names),
            Err(error) => own.unsure = Some(format!("cannot read {}: {error}", file.display())),
        }
    }
    match systemctl(&["show-environment"]) {
        Ok(shown) => own.names.extend(
            shown
                .iter()
                .flat_map(|shown| shown.lines())
                .filter_map(|line| Some(line.split_once('=')?.0.to_owned())),
        ),
        Err(error) => own.unsure = Some(error),
    }
    own
}

/// The unit's own file, and that of its template.
fn names(name: &str) -> Vec<String> {
    let template = name
        .split_once('@')
        .and_then(|(stem, rest)| Some(format!("{stem}@.{}", rest.rsplit_once('.')?.1)));
    [name.to_owned()].into_iter().chain(template).collect()
}

/// What drop-ins that count for it are named after, the nearest first: the unit, its template, those of a common prefix, all services.
fn families(name: &str) -> Vec<String> {
    let mut families = names(name);
    let stem = name.split(['@', '.']).next().unwrap_or(name);
    let dashes = stem.match_indices('-').rev();
    families.extend(dashes.map(|(dash, _)| format!("{}.service", &name[..=dash])));
    families.push("service".to_owned());
    families
}

/// The drop-ins of a folder. Of those with the same name the first one counts.
fn list(folder: &Path, drop_ins: &mut BTreeMap<String, PathBuf>) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.for_each(|entry| add(entry.path(), drop_ins));
}

fn add(path: PathBuf, drop_ins: &mut BTreeMap<String, PathBuf>) {
    let name = path.file_name().and_then(|name| name.to_str());
    if let Some(name) = name.filter(|name| name.ends_with(".conf")) {
        drop_ins.entry(name.to_owned()).or_insert(path);
    }
}

/// The variables that a unit's file sets for its service, added to what files before it have set.
fn settings(text: &str, names: &mut BTreeSet<String>) {
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with(['#', ';']));
    let joined = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    let mut of_service = false;
    for line in joined.lines().map(str::trim) {
        if line.starts_with('[') {
            of_service = line == "[Service]";
            continue;
        }
        let Some((key, value)) = line.split_once('=').filter(|_| of_service) else {
            continue;
        };
        let value = value.trim();
        match key.trim() {
            "Environment" if value.is_empty() => names.clear(),
            "Environment" => names.extend(
                words(value)
                    .into_iter()
                    .filter_map(|word| Some(word.split_once('=')?.0.to_owned())),
            ),
            "PassEnvironment" => names.extend(words(value)),
            _ => {}
        }
    }
}

/// Words as systemd.syntax(7) has them: quotes hold blanks together, a backslash takes the next character's meaning.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        match (quote, character) {
            (None, '"' | '\'') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (Some(open), close) if open == close => quote = None,
            (None, blank) if blank.is_whitespace() => words.extend(word.take()),
            (_, '\\') => word.get_or_insert_default().extend(rest.next()),
            (_, other) => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}

/// Where systemd has a system's units, the first that has one first.
const FOLDERS: [&str; 6] = [
    "/etc/systemd/system",
    "/run/systemd/transient",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_unit_has_what_its_file_its_template_and_its_drop_ins_set() {
        let dir = tempfile::tempdir().unwrap();
        let file = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let unit = Unit::parse("my-agent@1.service").unwrap();
        assert!(!read(&unit, dir.path(), "ours.conf").exists);
        file(
            "my-agent@.service",
            "[Unit]\nEnvironment=NO=1\n[Service]\nEnvironment=LOST=1\n\
             Environment=\nEnvironment=\"A=1 2\" 'B=x' \\\n# between\n  C=\\\"D=1\n#Environment=NO=1\n",
        );
        file(
            "my-agent@.service.d/10.conf",
            "[Service]\nEnvironment=NO=1\n",
        );
        file(
            "my-agent@1.service.d/10.conf",
            "[Service]\nEnvironment=E=1\n",
        );
        file(
            "my-agent@1.service.d/20.conf",
            "[Service]\nPassEnvironment=F G\n",
        );
        file("my-.service.d/30.conf", "[Service]\nEnvironment=H=1\n");
        file(
            "my-agent@1.service.d/ours.conf",
            "[Service]\nEnvironment=NO=1\n",
        );
        file(
            "my-agent@1.service.d/note.txt",
            "[Service]\nEnvironment=NO=1\n",
        );
        let own = read(&unit, dir.path(), "ours.conf");
        assert!(own.exists);
        let names: Vec<&str> = own.names.iter().map(String::as_str).collect();
        assert_eq!(names, ["A", "B", "C", "E", "F", "G", "H"]);
    }
}
