//! What was used last, by bytes: what has not been asked for longest goes first.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

/// Values by key, at most so many bytes of them.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    most: usize,
    kept: Mutex<Kept<K, V>>,
}

#[derive(Debug)]
struct Kept<K, V> {
    bytes: usize,
    turn: u64,
    values: HashMap<K, Entry<V>>,
    turns: BTreeMap<u64, K>,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    bytes: usize,
    turn: u64,
}

impl<K: Hash + Eq + Copy, V: Clone> Recent<K, V> {
    /// Nothing yet.
    pub(crate) fn new(most: usize) -> Self {
        let kept = Kept {
            bytes: 0,
            turn: 0,
            values: HashMap::new(),
            turns: BTreeMap::new(),
        };
        Self {
            most,
            kept: Mutex::new(kept),
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept<K, V>> {
        // A panic while the lock was held leaves maps that still hold what they say, if not all of it.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a value of so many bytes. The last one is kept however large it is: it is asked for again at once.
    pub(crate) fn keep(&self, key: K, value: V, bytes: usize) {
        let mut kept = self.kept();
        kept.turn += 1;
        let turn = kept.turn;
        let entry = Entry { value, bytes, turn };
        if let Some(old) = kept.values.insert(key, entry) {
            kept.turns.remove(&old.turn);
            kept.bytes -= old.bytes;
        }
        kept.turns.insert(turn, key);
        kept.bytes += bytes;
        while kept.bytes > self.most
            && kept.turns.len() > 1
            && let Some((_, oldest)) = kept.turns.pop_first()
        {
            if let Some(gone) = kept.values.remove(&oldest) {
                kept.bytes -= gone.bytes;
            }
        }
    }

    /// Lets one go.
    pub(crate) fn drop_one(&self, key: K) {
        let mut kept = self.kept();
        if let Some(gone) = kept.values.remove(&key) {
            kept.turns.remove(&gone.turn);
            kept.bytes -= gone.bytes;
        }
    }

    /// The value, if it is kept; then it is among the last to go: what is of the last eighth already stays where it is.
    pub(crate) fn get(&self, key: K) -> Option<V> {
        let mut kept = self.kept();
        let (turn, near) = (kept.turn + 1, kept.values.len() as u64 / 8);
        let entry = kept.values.get_mut(&key)?;
        let value = entry.value.clone();
        if turn - entry.turn <= near {
            return Some(value);
        }
        let before = std::mem::replace(&mut entry.turn, turn);
        kept.turn = turn;
        kept.turns.remove(&before);
        kept.turns.insert(turn, key);
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_was_not_asked_for_longest_goes_first() {
        let recent = Recent::new(80);
        for key in 0..8 {
            recent.keep(key, key * 10, 10);
        }
        assert_eq!(recent.get(0), Some(0));
        recent.keep(8, 80, 10);
        assert_eq!(recent.get(1), None);
        assert_eq!((recent.get(0), recent.get(8)), (Some(0), Some(80)));
        recent.keep(9, 90, 11);
        assert_eq!(
            (recent.get(2), recent.get(3)),
            (None, None),
            "one is not enough"
        );
        assert_eq!(recent.kept().bytes, 71);
        recent.keep(10, 100, 500);
        assert_eq!(recent.get(10), Some(100), "the last stays, however large");
        assert_eq!(recent.kept().bytes, 500);
    }

    #[test]
    fn a_key_that_is_kept_again_counts_once() {
        let recent = Recent::new(80);
        for round in 0..100 {
            recent.keep('a', round, 10);
        }
        assert_eq!(recent.get('a'), Some(99));
        assert_eq!(recent.kept().bytes, 10);
        assert_eq!(recent.kept().turns.len(), 1);
    }
}
