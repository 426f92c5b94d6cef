//! A call of a tool put to policy again: as the model wrote it, and as a set lets it go on to be decided.

use super::{PolicySet, Query, TOOL_CALL};
use crate::protocol::calls::{self, CallsError};
use crate::protocol::transcript::ToolCall;

impl Query {
    /// The same question about a call with these arguments, and what they say.
    ///
    /// # Errors
    /// Arguments that readers could understand differently, or that name too much.
    pub fn with_arguments(mut self, arguments: &str) -> Result<Self, CallsError> {
        let call = ToolCall {
            name: self.facts.text("tool").unwrap_or_default().to_owned(),
            arguments: arguments.to_owned(),
        };
        calls::facts(&call, &mut self.facts)?;
        Ok(self)
    }
}

impl PolicySet {
    /// The question with what permits put into the call; any other as it is.
    ///
    /// # Errors
    /// As of [`Query::with_arguments`].
    pub fn edited(&self, query: Query) -> Result<Query, CallsError> {
        let arguments = match query.facts.text("arguments") {
            Some(arguments) if query.action == TOOL_CALL => arguments,
            _ => return Ok(query),
        };
        match self.patch(&query).apply(arguments) {
            Ok(Some(edited)) => query.with_arguments(&edited),
            // What is no object stays as it is; the permit's patch is not in it then.
            Ok(None) | Err(_) => Ok(query),
        }
    }
}
