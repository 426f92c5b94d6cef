//! A stream in which calls go on with other arguments than the model wrote.

use std::collections::HashSet;

use bytes::BytesMut;

use super::{Asked, Known, Stream, is_json, known};
use crate::protocol::calls::edit::{self, Pending, Put};
use crate::protocol::calls::{CallsError, Edit, Ends};
use crate::protocol::frames::Framing;
use crate::protocol::sse::Event;

impl Stream {
    /// Puts new arguments into the events that are held, and makes sure that they tell the same calls as before but for those.
    pub(super) fn edit(&mut self, first: usize) -> Result<(), CallsError> {
        let edits = self.edits[first..].iter().map(|(_, edit)| edit);
        let mut pending = Pending::new();
        for (key, open) in &self.calls {
            let (name, arguments) = (self.name(*key), &open.call.arguments);
            // What is told in full elsewhere may be here in all its pieces, and not yet have its end.
            if !open.whole && arguments.is_empty() {
                continue;
            }
            if let Some(edit) = edits.clone().find(|edit| edit.is_of(name, arguments)) {
                pending.insert(*key, Put::of(edit));
            }
        }
        let goes_on = |(item, call): Asked| {
            let edit = edits.clone().find(|edit| edit.call == call);
            known((item, edit.map_or(call, Edit::edited)))
        };
        let expected: HashSet<Known> = self.told()?.into_iter().map(goes_on).collect();
        for event in std::mem::take(&mut self.held) {
            let data = event.data.as_deref().filter(|data| is_json(data));
            let new = data.map(|data| edit::in_pieces(self.family, data, &mut pending));
            let event = match new.transpose()?.flatten() {
                Some(new) => event.edited(new),
                None => event,
            };
            let event = self.retold(event)?;
            self.held.push_back(event);
        }
        let told: HashSet<Known> = self.told()?.into_iter().map(known).collect();
        if told != expected || !pending.values().all(Put::is_done) {
            return Err(CallsError::Fixed);
        }
        for (key, put) in pending {
            if let Some(open) = self.calls.get_mut(&key) {
                open.call.arguments = put.arguments;
            }
        }
        Ok(())
    }

    /// What the events that are held tell of calls, whole or not.
    fn told(&self) -> Result<Vec<Asked>, CallsError> {
        let mut reader = Self::new(self.family, Framing::Events);
        reader.begun = true;
        let mut out = BytesMut::new();
        for event in &self.held {
            reader.accept(event.clone(), &mut out)?;
        }
        reader.end(Ends::All);
        Ok(reader.asked)
    }

    /// An event that tells a call again tells it as it goes on.
    pub(super) fn retold(&self, event: Event) -> Result<Event, CallsError> {
        let Some(data) = event.data.as_deref() else {
            return Ok(event);
        };
        if self.edits.is_empty() || !is_json(data) {
            return Ok(event);
        }
        let edits = self.edits.iter().map(|(_, edit)| edit);
        Ok(match edit::repeated(data, edits)? {
            Some(new) => event.edited(new),
            None => event,
        })
    }
}
