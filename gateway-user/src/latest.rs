//! A map that is bounded: to make room, it lets go of what it has had the longest.

use std::borrow::Borrow;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// The latest entries, so many at most.
pub(crate) struct Latest<K, V> {
    entries: HashMap<K, V>,
    /// The oldest first.
    order: VecDeque<K>,
    most: usize,
}

impl<K: Clone + Eq + Hash, V> Latest<K, V> {
    /// Room for so many.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            entries: HashMap::new(),
            order: VecDeque::new(),
            most,
        }
    }

    pub(crate) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.entries.get(key)
    }

    pub(crate) fn get_mut<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.entries.get_mut(key)
    }

    /// Adds an entry, or gives one another value; that makes it no younger.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        if self.entries.insert(key.clone(), value).is_some() {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.entries.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_makes_room() {
        let mut latest = Latest::new(2);
        for (key, value) in [("a", 1), ("b", 2), ("a", 3), ("c", 4)] {
            latest.insert(key, value);
        }
        assert_eq!(
            ["a", "b", "c"].map(|key| latest.get(key)),
            [None, Some(&2), Some(&4)]
        );
        if let Some(value) = latest.get_mut("b") {
            *value += 1;
        }
        latest.insert("d", 5);
        assert_eq!(
            ["b", "c", "d"].map(|key| latest.get(key).copied()),
            [None, Some(4), Some(5)]
        );
    }
}
