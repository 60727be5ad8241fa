//! What is kept: the last messages of all calls, and the running traces.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Filter, Message};

/// Traces kept at once, ended ones included.
const TRACES: usize = 16;
/// Octets one trace keeps; the oldest messages go first.
const TRACE_BYTES: usize = 4 << 20;
/// Dialogs one trace follows beyond what its filter itself sees.
const TRACE_DIALOGS: usize = 10_000;
/// Dialogs whose call is known.
const DIALOGS: usize = 20_000;
/// What a message costs besides its octets.
const OVERHEAD: usize = 160;

/// A trace and what it collected.
#[derive(Clone, Debug)]
pub struct Trace {
    pub info: TraceInfo,
    /// In the order they were seen.
    pub messages: Vec<Arc<Message>>,
}

/// What a trace is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceInfo {
    pub id: u64,
    pub filter: Filter,
    pub started_at: Timestamp,
    /// When it ends or ended.
    pub until: Timestamp,
    pub running: bool,
    /// Messages seen.
    pub messages: u64,
    /// Of those, the first ones that had to make room.
    pub dropped: u64,
}

/// Why a trace was not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TraceError {
    #[error("{TRACES} traces are running: stop one of them first")]
    TooMany,
}

/// What became of a message.
pub(super) struct Kept {
    pub message: Arc<Message>,
    /// Whether a running trace took it.
    pub traced: bool,
    /// The call it belongs to, when that is known.
    pub call: Option<String>,
}

/// A message with the dialog it belongs to.
#[derive(Clone)]
struct Entry {
    message: Arc<Message>,
    call_id: Arc<str>,
}

impl Entry {
    fn cost(&self) -> usize {
        self.message.octets.len() + OVERHEAD
    }
}

struct Running {
    info: TraceInfo,
    entries: VecDeque<Entry>,
    bytes: usize,
    dialogs: HashSet<Arc<str>>,
}

pub(super) struct Book {
    recent: VecDeque<Entry>,
    recent_bytes: usize,
    recent_limit: usize,
    /// The call of each dialog, oldest first in `named`.
    call_of: HashMap<Arc<str>, String>,
    dialogs_of: HashMap<String, Vec<Arc<str>>>,
    named: VecDeque<Arc<str>>,
    traces: BTreeMap<u64, Running>,
    last: u64,
}

impl Book {
    pub fn new(recent_limit: usize) -> Self {
        Self {
            recent: VecDeque::new(),
            recent_bytes: 0,
            recent_limit,
            call_of: HashMap::new(),
            dialogs_of: HashMap::new(),
            named: VecDeque::new(),
            traces: BTreeMap::new(),
            last: 0,
        }
    }

    /// Whether messages are of any use now.
    pub fn wants_messages(&self, now: Timestamp) -> bool {
        self.recent_limit > 0 || self.traces.values().any(|trace| trace.is_running(now))
    }

    pub fn add(&mut self, message: Message) -> Kept {
        let call_id: Arc<str> = message.call_id().unwrap_or_default().into();
        let message = Arc::new(message);
        let entry = Entry {
            message: Arc::clone(&message),
            call_id: Arc::clone(&call_id),
        };
        let call = self.call_of.get(&call_id).cloned();
        let mut traced = false;
        for trace in self.traces.values_mut() {
            if trace.is_running(message.at) && trace.wants(&entry, call.as_deref()) {
                trace.keep(entry.clone());
                traced = true;
            }
        }
        if self.recent_limit > 0 && !call_id.is_empty() && message.is_of_a_call() {
            self.recent_bytes += entry.cost();
            self.recent.push_back(entry);
            while self.recent_bytes > self.recent_limit {
                let Some(oldest) = self.recent.pop_front() else {
                    break;
                };
                self.recent_bytes -= oldest.cost();
            }
        }
        Kept {
            message,
            traced,
            call,
        }
    }

    /// Notes whose call a dialog is part of. Traces that follow the call get what
    /// the dialog has said so far.
    pub fn belongs_to(&mut self, sip_call_id: &str, call: &str) {
        let id: Arc<str> = sip_call_id.into();
        if self
            .call_of
            .insert(Arc::clone(&id), call.to_owned())
            .is_none()
        {
            self.named.push_back(Arc::clone(&id));
            self.dialogs_of
                .entry(call.to_owned())
                .or_default()
                .push(Arc::clone(&id));
        }
        while self.named.len() > DIALOGS {
            self.forget_oldest_name();
        }
        let siblings = self.dialogs_of.get(call).cloned().unwrap_or_default();
        let now = Timestamp::now();
        for trace in self.traces.values_mut() {
            let follows = match &trace.info.filter {
                Filter::Call(wanted) => wanted == call || siblings.iter().any(|s| **s == **wanted),
                Filter::All => false,
                Filter::Number(_) | Filter::Device(_) => {
                    siblings.iter().any(|one| trace.dialogs.contains(one))
                }
            };
            if !follows || !trace.is_running(now) {
                continue;
            }
            for dialog in &siblings {
                if trace.dialogs.len() < TRACE_DIALOGS && trace.dialogs.insert(Arc::clone(dialog)) {
                    trace.take_in(&self.recent, dialog);
                }
            }
        }
    }

    fn forget_oldest_name(&mut self) {
        let Some(id) = self.named.pop_front() else {
            return;
        };
        let Some(call) = self.call_of.remove(&id) else {
            return;
        };
        if let Some(dialogs) = self.dialogs_of.get_mut(&call) {
            dialogs.retain(|one| *one != id);
            if dialogs.is_empty() {
                self.dialogs_of.remove(&call);
            }
        }
    }

    /// What is still kept of a call, named as its owner does or by a Call-ID.
    pub fn recent(&self, call: &str) -> Vec<Arc<Message>> {
        let dialogs = self.dialogs(call);
        self.recent
            .iter()
            .filter(|entry| dialogs.contains(&entry.call_id))
            .map(|entry| Arc::clone(&entry.message))
            .collect()
    }

    /// All dialogs of the call that a name or a Call-ID stands for.
    fn dialogs(&self, call: &str) -> HashSet<Arc<str>> {
        let name = self.call_of.get(call).map_or(call, String::as_str);
        match self.dialogs_of.get(name) {
            Some(dialogs) => dialogs.iter().cloned().collect(),
            None => HashSet::from([Arc::from(call)]),
        }
    }

    pub fn start(
        &mut self,
        filter: Filter,
        lasting: Duration,
        now: Timestamp,
    ) -> Result<u64, TraceError> {
        if self.traces.len() >= TRACES {
            let ended = self.traces.iter().find(|(_, trace)| !trace.is_running(now));
            let id = ended.map(|(id, _)| *id).ok_or(TraceError::TooMany)?;
            self.traces.remove(&id);
        }
        self.last += 1;
        let lasting = SignedDuration::try_from(lasting).unwrap_or(SignedDuration::MAX);
        let mut trace = Running {
            info: TraceInfo {
                id: self.last,
                filter,
                started_at: now,
                until: now.checked_add(lasting).unwrap_or(Timestamp::MAX),
                running: true,
                messages: 0,
                dropped: 0,
            },
            entries: VecDeque::new(),
            bytes: 0,
            dialogs: HashSet::new(),
        };
        if let Filter::Call(call) = &trace.info.filter {
            for dialog in self.dialogs(call) {
                trace.take_in(&self.recent, &dialog);
                trace.dialogs.insert(dialog);
            }
        }
        self.traces.insert(self.last, trace);
        Ok(self.last)
    }

    /// Ends a trace and takes it away.
    pub fn stop(&mut self, id: u64, now: Timestamp) -> Option<Trace> {
        let mut trace = self.traces.remove(&id)?;
        trace.info.until = trace.info.until.min(now);
        Some(trace.told(0, now))
    }

    pub fn list(&self, now: Timestamp) -> Vec<TraceInfo> {
        let all = self.traces.values();
        all.map(|trace| trace.info_at(now)).collect()
    }

    pub fn show(&self, id: u64, skip: u64, now: Timestamp) -> Option<Trace> {
        self.traces.get(&id).map(|trace| trace.told(skip, now))
    }
}

impl Running {
    fn is_running(&self, now: Timestamp) -> bool {
        now < self.info.until
    }

    fn info_at(&self, now: Timestamp) -> TraceInfo {
        TraceInfo {
            running: self.is_running(now),
            ..self.info.clone()
        }
    }

    fn told(&self, skip: u64, now: Timestamp) -> Trace {
        let skip = usize::try_from(skip.saturating_sub(self.info.dropped)).unwrap_or(usize::MAX);
        Trace {
            info: self.info_at(now),
            messages: self
                .entries
                .iter()
                .skip(skip)
                .map(|entry| Arc::clone(&entry.message))
                .collect(),
        }
    }

    fn wants(&mut self, entry: &Entry, call: Option<&str>) -> bool {
        let (message, dialog) = (&entry.message, &entry.call_id);
        if self.dialogs.contains(dialog) {
            return true;
        }
        let wanted = match &self.info.filter {
            Filter::All => return true,
            Filter::Call(wanted) => call == Some(wanted.as_str()) || **dialog == **wanted,
            Filter::Number(number) => {
                message.is_of_a_call()
                    && message.users().iter().any(|user| same_number(user, number))
            }
            Filter::Device(device) => message.users().iter().any(|user| user == device),
        };
        if wanted && !dialog.is_empty() && self.dialogs.len() < TRACE_DIALOGS {
            self.dialogs.insert(Arc::clone(dialog));
        }
        wanted
    }

    fn keep(&mut self, entry: Entry) {
        self.info.messages += 1;
        self.bytes += entry.cost();
        self.entries.push_back(entry);
        while self.bytes > TRACE_BYTES {
            let Some(oldest) = self.entries.pop_front() else {
                break;
            };
            self.bytes -= oldest.cost();
            self.info.dropped += 1;
        }
    }

    /// Adds what a dialog has said before this trace knew of it.
    fn take_in(&mut self, recent: &VecDeque<Entry>, dialog: &Arc<str>) {
        let said = recent.iter().filter(|entry| entry.call_id == *dialog);
        let missing: Vec<Entry> = said
            .filter(|entry| {
                let known = |have: &Entry| Arc::ptr_eq(&have.message, &entry.message);
                !self.entries.iter().any(known)
            })
            .cloned()
            .collect();
        if missing.is_empty() {
            return;
        }
        for entry in missing {
            self.keep(entry);
        }
        let all = self.entries.make_contiguous();
        all.sort_by_key(|entry| entry.message.at);
    }
}

/// Whether two ways of writing a number mean one: with `+`, with `00`, or
/// without the country. Short ones must be equal.
fn same_number(a: &str, b: &str) -> bool {
    const TELLING: usize = 7;
    let digits = |text: &str| {
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        digits.trim_start_matches('0').to_owned()
    };
    let (a, b) = (digits(a), digits(b));
    if a.len() < TELLING || b.len() < TELLING {
        return !a.is_empty() && a == b;
    }
    a.ends_with(&b) || b.ends_with(&a)
}
