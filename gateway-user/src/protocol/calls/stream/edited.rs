//! A stream in which calls go on with other arguments than the model wrote.

use std::collections::HashSet;

use bytes::BytesMut;

use super::{Asked, Item, Known, Step, Stream, is_json, known};
use crate::protocol::calls::edit::{self, Pending, Put};
use crate::protocol::calls::{CallsError, Edit, Ends, parse, read};
use crate::protocol::frames::Framing;
use crate::protocol::llm::Family;
use crate::protocol::sse::Event;
use crate::protocol::transcript::ToolCall;

impl Stream {
    /// Puts new arguments into the events that are held, and makes sure that they tell the same calls as before but for those.
    pub(super) fn edit(&mut self, first: usize) -> Result<(), CallsError> {
        let edits = &self.edits[first..];
        let mut pending = Pending::new();
        for (key, open) in &self.calls {
            let (name, arguments) = (self.name(*key), &open.call.arguments);
            // What is told in full elsewhere may be here in all its pieces, and not yet have its end.
            if !open.whole && arguments.is_empty() {
                continue;
            }
            let item = self.item(*key);
            let mut own = edits
                .iter()
                .filter(|(of, _)| *of == item || *of == Item::Any);
            if let Some((_, edit)) = own.find(|(_, edit)| edit.is_of(name, arguments)) {
                pending.insert(*key, Put::of(edit));
            }
        }
        // Those told in one piece are all of one event.
        let goes_on = |(item, call): Asked| {
            let one = matches!(item, Item::Nth(_) | Item::Any);
            let mut own = edits.iter().filter(|(of, _)| one || *of == item);
            let edit = own.find(|(_, edit)| edit.call == call);
            known((item, edit.map_or(call, |(_, edit)| edit.edited())))
        };
        let expected: HashSet<Known> = self.told()?.into_iter().map(goes_on).collect();
        for event in std::mem::take(&mut self.held) {
            let data = event.data.as_deref().filter(|data| is_json(data));
            let new = data.map(|data| edit::in_pieces(self.family, data, &mut pending));
            let event = match new.transpose()?.flatten() {
                Some(new) => event.edited(new),
                None => event,
            };
            let event = self.retold(event, true)?;
            self.held.push_back(event);
        }
        let told: HashSet<Known> = self.told()?.into_iter().map(known).collect();
        if told != expected {
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

    /// An event that tells a call again tells it as it goes on; `decided` tells that what it has in one piece is decided on as well.
    pub(super) fn retold(&self, event: Event, decided: bool) -> Result<Event, CallsError> {
        let Some(data) = event.data.as_deref() else {
            return Ok(event);
        };
        if self.edits.is_empty() || !is_json(data) {
            return Ok(event);
        }
        let reading = read(self.family, &parse(data)?)?;
        let all = !reading.retold.is_empty() || (decided && !reading.whole.is_empty());
        let pieces = reading.pieces.iter().map(|piece| self.item(piece.key));
        let items = reading.items.iter().map(|(item, _)| Item::Of(*item));
        let items: HashSet<Item> = pieces.chain(items).collect();
        let edits = self.edits.iter();
        let edits = edits.filter(|(item, _)| all || items.contains(item));
        Ok(
            match edit::repeated(data, edits.map(|(_, edit)| edit), false)? {
                Some(new) => event.edited(new),
                None => event,
            },
        )
    }
}

/// The calls of a whole stream, and the stream with other arguments for some.
pub(in crate::protocol::calls) fn through(
    family: Family,
    framing: Framing,
    body: &[u8],
    edits: &[Edit],
) -> Result<(Vec<ToolCall>, BytesMut), CallsError> {
    let mut stream = Stream::new(family, framing);
    let (mut out, mut calls) = (BytesMut::new(), Vec::new());
    let mut step = stream.push(body, &mut out)?;
    loop {
        match step {
            Step::Decide(asked) => {
                calls.extend(asked);
                step = stream.permit(edits, &mut out)?;
            }
            Step::More if stream.over => return Ok((calls, out)),
            Step::More => step = stream.finish(&mut out)?,
        }
    }
}
