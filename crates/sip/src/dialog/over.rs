//! Dialogs that are over, remembered for a while: who asks to replace one is told so (RFC 3891 §3).

use std::collections::VecDeque;

use crate::leg::DialogId;

/// How many are remembered.
const MOST: usize = 256;

/// The last dialogs that ended, newest last, each with its peers' tags.
#[derive(Debug, Default)]
pub(crate) struct Over(VecDeque<(DialogId, Vec<String>)>);

impl Over {
    pub fn note(&mut self, id: DialogId, remote_tags: Vec<String>) {
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back((id, remote_tags));
    }

    pub fn was(&self, id: &DialogId, remote_tag: &str) -> bool {
        let named = |tags: &[String]| tags.iter().any(|tag| tag == remote_tag);
        self.0.iter().any(|(over, tags)| over == id && named(tags))
    }
}
