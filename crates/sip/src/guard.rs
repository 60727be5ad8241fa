//! Who guesses passwords or extensions, and how long nobody listens to him.
//!
//! Failures count per source, per account, and per pair of both. They slow the
//! answers; enough of them ban the source, each time for longer. A source that
//! others rely on (a registered device behind the same NAT, a carrier) is never
//! banned: there only the pair is. Time is an argument.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::Banning;

/// Sources, pairs and accounts remembered at once, each.
const REMEMBERED: usize = 50_000;
/// What a failed proof weighs against a challenge that was merely not taken up.
const PROOF: u32 = 6;
/// A ban this long ago no longer lengthens the next.
const FORGIVEN_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// A source, or one account at a source, that is not listened to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ban {
    /// The address; of IPv6 the /64 network.
    pub source: IpAddr,
    /// The only account shut out, where others share the source.
    pub account: Option<String>,
    pub until: Timestamp,
    /// How many bans there were up to this one.
    pub step: u32,
}

/// What a source did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offence {
    /// It was challenged, and has not proven anything yet.
    Unproven,
    /// A wrong password, or a user that does not exist.
    WrongProof,
    /// A call from a stranger.
    Uninvited,
}

/// What follows from an offence.
pub(crate) struct Consequence {
    /// How long the answer waits.
    pub delay: Duration,
    pub ban: Option<Ban>,
}

pub(crate) struct Guard {
    rules: Banning,
    tables: Mutex<Tables>,
    /// Bans of sources in force, so that asking costs nothing while there are none.
    banned: AtomicUsize,
}

#[derive(Default)]
struct Tables {
    /// By source, with and without an account.
    marks: HashMap<(IpAddr, Option<String>), Marks>,
    accounts: HashMap<String, Marks>,
}

struct Marks {
    points: u32,
    failures: u32,
    last: Timestamp,
    until: Option<Timestamp>,
    bans: u32,
}

impl Marks {
    fn new(now: Timestamp) -> Self {
        Self {
            points: 0,
            failures: 0,
            last: now,
            until: None,
            bans: 0,
        }
    }

    fn add(&mut self, points: u32, window: Duration, now: Timestamp) {
        if now.duration_since(self.last).unsigned_abs() > window {
            (self.points, self.failures) = (0, 0);
        }
        self.points = self.points.saturating_add(points);
        self.failures = self.failures.saturating_add(u32::from(points >= PROOF));
        self.last = now;
    }

    fn is_banned(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until > now)
    }

    fn ban(&mut self, steps: &[Duration], now: Timestamp) -> Timestamp {
        let step = usize::try_from(self.bans).unwrap_or(usize::MAX);
        let length = steps.get(step).or(steps.last()).copied();
        let length = SignedDuration::try_from(length.unwrap_or_default()).unwrap_or_default();
        let until = now.checked_add(length).unwrap_or(Timestamp::MAX);
        (self.points, self.failures) = (0, 0);
        self.bans = self.bans.saturating_add(1);
        self.until = Some(until);
        until
    }

    fn is_over(&self, window: Duration, now: Timestamp) -> bool {
        let since = now.duration_since(self.until.unwrap_or(self.last).max(self.last));
        if self.bans > 0 {
            !self.is_banned(now) && since > FORGIVEN_AFTER
        } else {
            since.unsigned_abs() > window
        }
    }
}

impl Guard {
    pub fn new(rules: Banning) -> Self {
        Self {
            rules,
            tables: Mutex::default(),
            banned: AtomicUsize::new(0),
        }
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing from this source is listened to.
    pub fn is_banned(&self, source: IpAddr, now: Timestamp) -> bool {
        self.banned.load(Ordering::Relaxed) > 0
            && self
                .tables()
                .marks
                .get(&(source, None))
                .is_some_and(|marks| marks.is_banned(now))
    }

    /// Whether this account is shut out at this source.
    pub fn is_pair_banned(&self, source: IpAddr, account: &str, now: Timestamp) -> bool {
        let key = (source, Some(account.to_owned()));
        let tables = self.tables();
        tables.marks.get(&key).is_some_and(|m| m.is_banned(now))
    }

    /// Counts an offence. `shared` says that others rely on the source.
    pub fn offended(
        &self,
        source: IpAddr,
        account: Option<&str>,
        offence: Offence,
        shared: bool,
        now: Timestamp,
    ) -> Consequence {
        let mut tables = self.tables();
        let window = self.rules.window;
        let proof = offence == Offence::WrongProof;
        let mut points = if offence == Offence::Unproven {
            1
        } else {
            PROOF
        };
        let mut failures = 0;
        if let (Some(account), true) = (account, proof) {
            tables.make_room(window, now);
            let marks = tables.accounts.entry(account.to_owned());
            let marks = marks.or_insert_with(|| Marks::new(now));
            marks.add(PROOF, window, now);
            failures = marks.failures;
            if failures > self.rules.account_failures {
                // Many sources try one account: each gets fewer attempts.
                points *= 4;
            }
        }
        if shared && !proof {
            return Consequence {
                delay: Duration::ZERO,
                ban: None,
            };
        }
        tables.make_room(window, now);
        let account = account.filter(|_| shared).map(str::to_owned);
        let key = (source, account.clone());
        let marks = tables.marks.entry(key).or_insert_with(|| Marks::new(now));
        marks.add(points, window, now);
        let delay = delay(failures.max(marks.failures));
        let reached = marks.points >= self.rules.failures.saturating_mul(PROOF);
        let ban = (reached && !marks.is_banned(now)).then(|| Ban {
            source,
            account,
            until: marks.ban(&self.rules.steps, now),
            step: marks.bans,
        });
        if ban.as_ref().is_some_and(|ban| ban.account.is_none()) {
            self.recount(&tables, now);
        }
        Consequence { delay, ban }
    }

    /// A right password: what came before from there was no attack.
    pub fn proven(&self, source: IpAddr, account: &str) {
        let mut tables = self.tables();
        for key in [(source, None), (source, Some(account.to_owned()))] {
            if let Some(marks) = tables.marks.get_mut(&key) {
                (marks.points, marks.failures) = (0, 0);
            }
        }
    }

    /// The bans in force, the longest first.
    pub fn list(&self, now: Timestamp) -> Vec<Ban> {
        let tables = self.tables();
        let banned = tables.marks.iter().filter(|(_, m)| m.is_banned(now));
        let mut bans: Vec<Ban> = banned
            .map(|((source, account), marks)| Ban {
                source: *source,
                account: account.clone(),
                until: marks.until.unwrap_or(now),
                step: marks.bans,
            })
            .collect();
        bans.sort_by(|a, b| (b.until, a.source).cmp(&(a.until, b.source)));
        bans
    }

    /// Forgives a source all it did; how many bans that ended.
    pub fn lift(&self, source: IpAddr, now: Timestamp) -> usize {
        let mut tables = self.tables();
        let mut lifted = 0;
        tables.marks.retain(|(from, _), marks| {
            lifted += usize::from(*from == source && marks.is_banned(now));
            *from != source
        });
        self.recount(&tables, now);
        lifted
    }

    /// Forgets what is long over.
    pub fn forget(&self, now: Timestamp) {
        let mut tables = self.tables();
        tables.forget(self.rules.window, now);
        self.recount(&tables, now);
    }

    fn recount(&self, tables: &Tables, now: Timestamp) {
        let sources = tables.marks.iter().filter(|((_, a), _)| a.is_none());
        let banned = sources.filter(|(_, m)| m.is_banned(now)).count();
        self.banned.store(banned, Ordering::Relaxed);
    }
}

impl Tables {
    fn make_room(&mut self, window: Duration, now: Timestamp) {
        if self.marks.len() < REMEMBERED && self.accounts.len() < REMEMBERED {
            return;
        }
        self.forget(window, now);
        // Still full: whoever is not banned starts anew; bans stay in force.
        if self.marks.len() >= REMEMBERED {
            self.marks.retain(|_, marks| marks.is_banned(now));
        }
        if self.marks.len() >= REMEMBERED {
            self.marks.clear();
        }
        if self.accounts.len() >= REMEMBERED {
            self.accounts.clear();
        }
    }

    fn forget(&mut self, window: Duration, now: Timestamp) {
        self.marks.retain(|_, marks| !marks.is_over(window, now));
        self.accounts.retain(|_, marks| !marks.is_over(window, now));
    }
}

/// Two mistakes are free; from then on each doubles the wait, up to 3.2 s.
fn delay(failures: u32) -> Duration {
    match failures {
        0..3 => Duration::ZERO,
        n => Duration::from_millis(100 << (n - 3).min(5)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ATTACKER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 7));

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).expect("in range")
    }

    fn wrong(guard: &Guard, account: &str, shared: bool, second: i64) -> Consequence {
        let offence = Offence::WrongProof;
        guard.offended(ATTACKER, Some(account), offence, shared, at(second))
    }

    #[test]
    fn guessing_is_slowed_then_banned_for_longer_each_time() {
        let guard = Guard::new(Banning::default());
        let delays: Vec<u128> = (0..9)
            .map(|n| wrong(&guard, &format!("u{n}"), false, 0).delay.as_millis())
            .collect();
        assert_eq!(delays, [0, 0, 100, 200, 400, 800, 1600, 3200, 3200]);
        assert!(!guard.is_banned(ATTACKER, at(0)));
        let ban = wrong(&guard, "u9", false, 0).ban.expect("the tenth");
        assert_eq!((ban.step, ban.until, ban.account), (1, at(60), None));
        assert!(guard.is_banned(ATTACKER, at(59)) && !guard.is_banned(ATTACKER, at(60)));
        let again = (0..10).find_map(|_| wrong(&guard, "u", false, 100).ban);
        let again = again.expect("ten more");
        assert_eq!((again.step, again.until), (2, at(100 + 600)));
        // A day after the last ban the next is a first one again.
        guard.forget(at(700 + 86_401));
        let later = (0..10).find_map(|_| wrong(&guard, "u", false, 100_000).ban);
        assert_eq!(later.map(|ban| ban.step), Some(1));
    }

    #[test]
    fn where_others_sit_only_the_pair_is_banned() {
        let guard = Guard::new(Banning::default());
        let ban = (0..10).find_map(|_| wrong(&guard, "1001", true, 0).ban);
        assert_eq!(ban.and_then(|b| b.account).as_deref(), Some("1001"));
        assert!(!guard.is_banned(ATTACKER, at(1)));
        assert!(guard.is_pair_banned(ATTACKER, "1001", at(1)));
        assert!(!guard.is_pair_banned(ATTACKER, "1002", at(1)));
        let unproven = |_| {
            guard
                .offended(ATTACKER, None, Offence::Unproven, true, at(1))
                .ban
        };
        assert_eq!((0..500).find_map(unproven), None);
    }

    #[test]
    fn an_account_tried_from_everywhere_leaves_few_attempts_to_each() {
        let guard = Guard::new(Banning::default());
        let tries = |n: u8| {
            let source = IpAddr::from([203, 0, 113, n]);
            let offence = Offence::WrongProof;
            (1..=10).find(|_| {
                let follows = guard.offended(source, Some("1001"), offence, false, at(0));
                follows.ban.is_some()
            })
        };
        assert_eq!(tries(1), Some(10));
        for n in 2..7 {
            tries(n);
        }
        assert_eq!(tries(200), Some(3));
    }

    #[test]
    fn asking_without_proving_ends_too_and_a_good_password_forgives() {
        let guard = Guard::new(Banning::default());
        let ask = |_| {
            guard
                .offended(ATTACKER, None, Offence::Unproven, false, at(0))
                .ban
        };
        assert_eq!((0..59).find_map(ask), None);
        guard.proven(ATTACKER, "1001");
        assert_eq!((0..59).find_map(ask), None);
        assert!(ask(0).is_some());
        assert_eq!(guard.list(at(1)).len(), 1);
        assert_eq!(guard.lift(ATTACKER, at(1)), 1);
        assert!(!guard.is_banned(ATTACKER, at(1)) && guard.list(at(1)).is_empty());
    }

    #[test]
    fn memory_is_bounded_and_a_flood_lifts_no_ban() {
        let guard = Guard::new(Banning::default());
        let _ = (0..10).find_map(|_| wrong(&guard, "u", false, 0).ban);
        for n in 0..120_000_u32 {
            let source = IpAddr::from(n.to_be_bytes());
            guard.offended(source, None, Offence::Unproven, false, at(1));
        }
        assert!(guard.tables().marks.len() <= REMEMBERED);
        assert!(guard.is_banned(ATTACKER, at(1)));
    }
}
