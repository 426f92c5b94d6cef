//! Policy files to a [`PolicySet`]: read, name, check, validate, slice.
//!
//! In: a folder. Out: a set in which every policy has a unique id, known annotations, an allowed shape, valid types, and stands
//! in the slice of every action it can apply to. All problems are reported together; one is enough to refuse the set.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest;
use cedar_policy::ffi::DetailedError;
use cedar_policy::{Policy, PolicyId, ValidationMode, Validator, pst};

use super::error::{Fault, Place, PolicyError, Problem};
use super::evaluate::Types;
use super::vocabulary::{self, SCHEMA, Vocabulary};
use super::{PolicySet, Rule, annotation, depth, detectors, lookup, names, shape, slice};
use crate::detect::Detectors;

/// One policy file.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) file: PathBuf,
    pub(super) text: String,
}

/// Reads every `*.cedar` directly in `dir`, in the order of their names.
pub(super) fn read(dir: &Path) -> Result<Vec<Source>, PolicyError> {
    let fail = |path: &Path, source| PolicyError::Read {
        path: path.to_owned(),
        source,
    };
    let mut files = Vec::new();
    let entries = std::fs::read_dir(dir).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => PolicyError::NoFolder {
            dir: dir.to_owned(),
        },
        _ => fail(dir, source),
    })?;
    for entry in entries {
        let path = entry.map_err(|source| fail(dir, source))?.path();
        // As a shell's `*.cedar`: editors keep locks and backups in dot files.
        let hidden = path
            .file_name()
            .is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        let policies = path.extension().is_some_and(|of| of == "cedar");
        if policies && !hidden {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(PolicyError::Empty {
            dir: dir.to_owned(),
        });
    }
    files.sort();
    let own = dir.join(detectors::FILE);
    if own.try_exists().map_err(|source| fail(&own, source))? {
        files.push(own);
    }
    files
        .into_iter()
        .map(|file| {
            let text = read_file(&file)?;
            Ok(Source { file, text })
        })
        .collect()
}

/// Reads a file of at most [`MAX_FILE`] bytes.
pub(super) fn read_file(path: &Path) -> Result<String, PolicyError> {
    let fail = |source| PolicyError::Read {
        path: path.to_owned(),
        source,
    };
    let mut text = String::new();
    let file = File::open(path).map_err(fail)?;
    file.take(MAX_FILE + 1)
        .read_to_string(&mut text)
        .map_err(fail)?;
    if text.len() as u64 > MAX_FILE {
        return Err(PolicyError::TooLarge {
            path: path.to_owned(),
            limit: MAX_FILE,
        });
    }
    Ok(text)
}

/// Checks the policies of all files together. Runs on a stack of its own, see [`depth`].
pub(super) fn compile(sources: &[Source]) -> Result<PolicySet, PolicyError> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .stack_size(depth::STACK)
            .spawn_scoped(scope, || compile_here(sources))
            .map_err(PolicyError::Thread)?;
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn compile_here(sources: &[Source]) -> Result<PolicySet, PolicyError> {
    let (schema, vocabulary) = vocabulary::schema()?;
    let mut problems = Vec::new();
    let mut all = cedar_policy::PolicySet::new();
    let mut rules: BTreeMap<String, Rule> = BTreeMap::new();
    let version = version(sources);
    let (own, sources): (Vec<&Source>, Vec<&Source>) = sources
        .iter()
        .partition(|source| source.file.ends_with(detectors::FILE));
    let detectors = match own.first() {
        Some(own) => detectors::read(&own.file, &own.text, &mut problems),
        None => Detectors::default(),
    };
    for source in &sources {
        for (line, policy) in parse(source, &mut problems) {
            let place = Place {
                file: source.file.clone(),
                line,
            };
            let id = policy
                .annotation("id")
                .map(|id| id.escape_debug().to_string());
            let checked = name(&policy, &rules).and_then(|id| {
                let policy = policy.new_id(PolicyId::new(&id));
                let rule = check(&policy, place.clone(), &vocabulary, &detectors)?;
                all.add(policy).map_err(|error| Fault::Cedar {
                    message: error.to_string(),
                    help: None,
                })?;
                rules.insert(id, rule);
                Ok(())
            });
            if let Err(fault) = checked {
                problems.push(Problem {
                    place,
                    policy: id,
                    fault,
                });
            }
        }
    }
    let result = Validator::new(schema.clone()).validate(&all, ValidationMode::Strict);
    for error in result.validation_errors() {
        problems.push(odd(
            error.policy_id(),
            &error.into(),
            &rules,
            &sources,
            &vocabulary,
        ));
    }
    let warnings: Vec<Problem> = result
        .validation_warnings()
        .map(|warning| {
            odd(
                warning.policy_id(),
                &warning.into(),
                &rules,
                &sources,
                &vocabulary,
            )
        })
        .collect();
    let slices = slice::by_action(&schema, &vocabulary, &all, &rules)?;
    for (id, rule) in &rules {
        let id_in_set = PolicyId::new(id);
        let reached = slices
            .values()
            .any(|slice| slice.set.policy(&id_in_set).is_some());
        let refused = problems
            .iter()
            .any(|problem| problem.policy.as_ref() == Some(id));
        if !reached && !refused {
            let place = rule.place.clone();
            problems.push(Problem {
                place,
                policy: Some(id.clone()),
                fault: Fault::NoAction,
            });
        }
    }
    if !problems.is_empty() {
        // Cedar's own order is not the same in every run.
        problems.sort_by_cached_key(|problem| (problem.place.clone(), problem.to_string()));
        return Err(PolicyError::Broken(problems));
    }
    let types = Types::new()?;
    let places = all.policies().flat_map(lookup::places).collect();
    let vouched = all.policies().filter_map(lookup::vouched).collect();
    let needs_origins = rules.values().any(|rule| rule.needs_origins);
    let needs_spent = rules.values().any(|rule| rule.needs_spent);
    Ok(PolicySet {
        schema,
        types,
        slices,
        rules,
        warnings,
        detectors: Arc::new(detectors),
        version,
        places,
        vouched,
        needs_origins,
        needs_spent,
    })
}

/// Parses one file into policies with their lines, in the file's order.
fn parse(source: &Source, problems: &mut Vec<Problem>) -> Vec<(usize, Policy)> {
    let mut push = |line, fault| {
        let place = Place {
            file: source.file.clone(),
            line,
        };
        problems.push(Problem {
            place,
            policy: None,
            fault,
        });
    };
    if let Some(offset) = depth::too_deep(&source.text) {
        push(line_at(&source.text, offset), Fault::TooDeep);
        return Vec::new();
    }
    let set: cedar_policy::PolicySet = match source.text.parse() {
        Ok(set) => set,
        Err(errors) => {
            let errors: &cedar_policy::ParseErrors = &errors;
            for error in errors.iter() {
                let (offset, fault) = cedar(&error.into());
                push(line_at(&source.text, offset.unwrap_or(0)), fault);
            }
            return Vec::new();
        }
    };
    // The position is the one thing that only the crate's inner form of a policy has.
    for template in set.templates() {
        let offset = template.as_ref().loc().map_or(0, |loc| loc.start());
        push(line_at(&source.text, offset), Fault::Template);
    }
    let mut policies: Vec<(usize, Policy)> = set
        .policies()
        .map(|policy| {
            (
                policy.as_ref().loc().map_or(0, |loc| loc.start()),
                policy.clone(),
            )
        })
        .collect();
    policies.sort_by_key(|(offset, _)| *offset);
    policies
        .into_iter()
        .map(|(offset, policy)| (line_at(&source.text, offset), policy))
        .collect()
}

/// The policy's own name, not given to another before.
fn name(policy: &Policy, rules: &BTreeMap<String, Rule>) -> Result<String, Fault> {
    let id = policy
        .annotation("id")
        .filter(|id| !id.trim().is_empty())
        .ok_or(Fault::NoId)?;
    if id.chars().any(char::is_control) {
        return Err(Fault::UnprintableId);
    }
    match rules.get(id) {
        Some(first) => Err(Fault::DuplicateId {
            first: first.place.clone(),
        }),
        None => Ok(id.to_owned()),
    }
}

fn check(
    policy: &Policy,
    place: Place,
    vocabulary: &Vocabulary,
    detectors: &Detectors,
) -> Result<Rule, Fault> {
    let terms = annotation::read(policy, detectors)?;
    let tree = tree(policy)?;
    shape::check(&tree, &terms, vocabulary, detectors)?;
    Ok(Rule {
        place,
        effect: policy.effect(),
        needs_body: terms.is_obligation()
            || !terms.restores.is_empty()
            // What a body brings is to be there before it is known whether the workload is tainted.
            || shape::reads(&tree, shape::TAINTED)
            || shape::reads(&tree, shape::RISKS)
            || shape::reads(&tree, shape::MOVED)
            || shape::reads(&tree, shape::FINDINGS),
        needs_risks: shape::reads(&tree, shape::RISKS),
        needs_origins: shape::reads(&tree, shape::MOVED),
        needs_spent: shape::SPENT.iter().any(|fact| shape::reads(&tree, fact)),
        names: names::of(policy),
        terms,
    })
}

/// The syntax tree of a policy without slots.
fn tree(policy: &Policy) -> Result<pst::Template, Fault> {
    match policy.to_pst() {
        Ok(pst::Policy::Static(policy)) => Ok(policy.body().clone()),
        Ok(_) => Err(Fault::Template),
        Err(error) => Err(Fault::Cedar {
            message: error.to_string(),
            help: None,
        }),
    }
}

/// What Cedar reports on a policy, with our place and without saying the id twice.
fn odd(
    id: &PolicyId,
    error: &DetailedError,
    rules: &BTreeMap<String, Rule>,
    sources: &[&Source],
    vocabulary: &Vocabulary,
) -> Problem {
    let id = id.to_string();
    let mut place = rules.get(&id).map_or_else(
        || Place {
            file: PathBuf::new(),
            line: 0,
        },
        |rule| rule.place.clone(),
    );
    let (offset, mut fault) = cedar(error);
    let text = sources
        .iter()
        .find(|source| source.file == place.file)
        .map(|source| &source.text);
    if let (Some(offset), Some(text)) = (offset, text) {
        place.line = line_at(text, offset);
    }
    if let Fault::Cedar { message, help } = &mut fault {
        *message = message.replace(&format!("for policy `{id}`, "), "");
        // A fact that other actions have is meant, and no other fact.
        let fact = message.strip_prefix("attribute `");
        let fact = fact.and_then(|rest| rest.split_once("` in context"));
        let having = fact.map(|(fact, _)| vocabulary.having(fact));
        if let Some(actions) = having.filter(|actions| !actions.is_empty()) {
            *help = Some(format!("the fact is there for {}", actions.join(", ")));
        }
    }
    Problem {
        place,
        policy: Some(id),
        fault,
    }
}

/// Where in the text, and what, from one of Cedar's errors.
fn cedar(error: &DetailedError) -> (Option<usize>, Fault) {
    let label = error.source_locations.first();
    let mut message = error.message.replace('\n', " ");
    if let Some(text) = label.and_then(|label| label.label.as_deref()) {
        message = format!("{message}: {}", text.replace('\n', " "));
    }
    let fault = Fault::Cedar {
        message,
        help: error.help.clone(),
    };
    (label.map(|label| label.loc.start), fault)
}

/// The first hex digits of a hash over what decides: the schema and every file.
pub(super) fn version(sources: &[Source]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    let texts = sources.iter().map(|source| source.text.as_str());
    for text in std::iter::once(SCHEMA).chain(texts) {
        context.update(&(text.len() as u64).to_be_bytes());
        context.update(text.as_bytes());
    }
    let digest = context.finish();
    digest.as_ref()[..VERSION_BYTES]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

pub(super) fn line_at(text: &str, offset: usize) -> usize {
    text.bytes()
        .take(offset)
        .filter(|byte| *byte == b'\n')
        .count()
        + 1
}

/// Thousands of policies fit; a file that is larger is not a policy file.
const MAX_FILE: u64 = 1024 * 1024;

/// 48 bits tell versions apart on one host and fit in a log line.
const VERSION_BYTES: usize = 6;
