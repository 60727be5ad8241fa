//! Room for connections: so many in all, and so many from one source, so that
//! nobody alone can keep the others out.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::source_key;

/// Connections open from each source.
type Sources = Arc<Mutex<HashMap<IpAddr, usize>>>;

#[derive(Debug)]
pub(crate) struct Slots {
    all: Arc<Semaphore>,
    per_source: usize,
    sources: Sources,
}

/// A place, given back when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    _place: OwnedSemaphorePermit,
    counted: Option<(IpAddr, Sources)>,
}

impl Slots {
    pub fn new(all: usize, per_source: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(all.min(Semaphore::MAX_PERMITS))),
            per_source,
            sources: Arc::default(),
        }
    }

    /// For a connection that somebody opened to us.
    pub fn accepted(&self, source: IpAddr) -> Option<Slot> {
        let place = Arc::clone(&self.all).try_acquire_owned().ok()?;
        let source = source_key(source);
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let open = sources.entry(source).or_default();
        if *open >= self.per_source {
            return None;
        }
        *open += 1;
        Some(Slot {
            _place: place,
            counted: Some((source, Arc::clone(&self.sources))),
        })
    }

    /// For a connection of ours, or one whose source says nothing.
    pub fn uncounted(&self) -> Option<Slot> {
        Some(Slot {
            _place: Arc::clone(&self.all).try_acquire_owned().ok()?,
            counted: None,
        })
    }
}

impl Slot {
    /// Whether somebody connected to us.
    pub fn is_accepted(&self) -> bool {
        self.counted.is_some()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Some((source, sources)) = &self.counted else {
            return;
        };
        let mut sources = sources.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = sources.get_mut(source) {
            *open -= 1;
            if *open == 0 {
                sources.remove(source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_source_leaves_room_for_the_others() {
        let slots = Slots::new(5, 2);
        let source = |n| IpAddr::from([192, 0, 2, n]);
        let held = [slots.accepted(source(1)), slots.accepted(source(1))];
        assert!(held.iter().all(Option::is_some));
        assert!(slots.accepted(source(1)).is_none());
        let other = [
            slots.accepted(source(2)),
            slots.uncounted(),
            slots.uncounted(),
        ];
        assert!(other.iter().all(Option::is_some));
        assert!(slots.accepted(source(3)).is_none() && slots.uncounted().is_none());
        drop((held, other));
        assert!(slots.accepted(source(1)).is_some());
        assert!(slots.sources.lock().expect("no panic").is_empty());
    }
}
