//! What a body offers to a model beside its texts: tools of its lists, and those that the provider adds.

use std::collections::BTreeSet;

use super::super::lenient::Listed;
use super::super::tool::Search;
use super::super::{Family, TEMPLATE};
use super::{Plugin, Raw};
use crate::protocol::Fact;

impl Raw {
    /// The names of the tools the model may use.
    pub(super) fn offered(&mut self, family: Family) -> Fact {
        let mut names = BTreeSet::new();
        for tool in self.tools.take().into_iter().flat_map(Listed::all) {
            tool.add_to(&mut names);
        }
        let functions = self.functions.take().into_iter().flatten();
        names.extend(functions.map(|function| function.name));
        let plugins = self.plugins.take().into_iter().flatten();
        names.extend(plugins.filter_map(|plugin| match plugin {
            Plugin::Set { id, enabled } => (enabled != Some(false)).then_some(id),
            Plugin::Id(id) => Some(id),
        }));
        // OpenRouter's other way to ask for that plugin.
        let mut asks = |name: &str, asked: bool| {
            if asked {
                names.insert(name.to_owned());
            }
        };
        let models = || self.models.iter().flatten().chain(&self.model);
        asks("web", models().any(|model| model.ends_with(":online")));
        let preset = models().any(|model| model.contains("@preset/"));
        asks("preset", preset || self.preset.is_some());
        asks("cached_content", self.cached_content.is_some());
        let template = family == Family::OpenAiResponses
            && self.prompt.as_ref().is_some_and(|prompt| prompt.object);
        asks(TEMPLATE, template);
        asks(
            "live_search",
            self.search_parameters.as_ref().is_some_and(Search::is_on),
        );
        if let Some(compound) = self.compound_custom.take() {
            names.extend(compound.names());
        }
        if let Some(input) = &mut self.input {
            names.append(&mut input.offered);
        }
        if self
            .mcp_servers
            .as_ref()
            .is_some_and(|servers| !servers.is_empty())
        {
            names.insert("mcp".to_owned());
        }
        if self.web_search_options.is_some() {
            names.insert("web_search".to_owned());
        }
        Fact::Set(names)
    }
}
