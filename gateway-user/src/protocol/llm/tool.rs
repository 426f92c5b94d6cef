//! A tool that is offered to a model, in whichever format: what policy calls it.

use std::collections::{BTreeSet, HashMap};

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::lenient::Listed;

/// OpenAI's chat completions nest the name under `function` or `custom`; the other formats have it at the top.
#[derive(Deserialize)]
pub(super) struct Tool {
    name: Option<String>,
    function: Option<Named>,
    custom: Option<Named>,
    /// The tools of a namespace.
    tools: Option<Vec<Tool>>,
    #[serde(rename = "type")]
    kind: Option<String>,
    /// Gemini's functions; its other tools are members named after them.
    #[serde(rename = "functionDeclarations", alias = "function_declarations")]
    declared: Option<Listed<Named>>,
    #[serde(flatten)]
    others: HashMap<String, IgnoredAny>,
}

#[derive(Deserialize)]
pub(super) struct Named {
    pub(super) name: String,
}

impl Tool {
    /// Every name it has: which of them a provider reads depends on the format. A tool that the provider runs goes by its type too.
    pub(super) fn add_to(self, names: &mut BTreeSet<String>) {
        // Google's have no name of their own: whatever member it is, its servers may know it as a tool.
        let members = self.declared.is_some()
            || (self.name.is_none()
                && self.kind.is_none()
                && self.function.is_none()
                && self.custom.is_none()
                && self.tools.is_none());
        names.extend(self.name);
        names.extend(
            [self.function, self.custom]
                .into_iter()
                .flatten()
                .map(|inner| inner.name),
        );
        names.extend(
            self.kind
                .filter(|kind| !["function", "custom"].contains(&kind.as_str())),
        );
        for tool in self.tools.into_iter().flatten() {
            tool.add_to(names);
        }
        let declared = self.declared.map(Listed::all).into_iter().flatten();
        names.extend(declared.map(|inner| inner.name));
        // Google's servers read `googleSearch` and `google_search`.
        let others = self.others.into_keys().map(|name| snake(&name));
        names.extend(others.filter(|name| members || HOSTED.contains(&name.as_str())));
    }
}

/// xAI's search, beside the list of tools.
#[derive(Deserialize)]
pub(super) struct Search {
    mode: Option<String>,
}

impl Search {
    pub(super) fn is_on(&self) -> bool {
        self.mode.as_deref() != Some("off")
    }
}

/// What Groq's compound models run themselves.
#[derive(Deserialize)]
pub(super) struct Compound {
    tools: Option<Enabled>,
}

#[derive(Deserialize)]
struct Enabled {
    enabled_tools: Option<Vec<String>>,
}

impl Compound {
    /// Without a list, all that they have.
    pub(super) fn names(self) -> Vec<String> {
        let enabled = self.tools.and_then(|tools| tools.enabled_tools);
        enabled.unwrap_or_else(|| vec!["compound_custom".to_owned()])
    }
}

fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for character in name.chars() {
        if character.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
    }
    snake
}

/// Tools that Google runs, which count beside a name or a type too.
const HOSTED: &[&str] = &[
    "code_execution",
    "computer_use",
    "enterprise_web_search",
    "file_search",
    "google_maps",
    "google_search",
    "google_search_retrieval",
    "mcp_servers",
    "retrieval",
    "url_context",
];
