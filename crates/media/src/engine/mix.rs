//! Who hears whom when more than two take part: conferences, and supervisors who listen in.

use model::LegId;

use super::leg::Leg;
use crate::codec::{Frame, Rate, WIDE_FRAME};

/// Mean square below which a party's frame is left out: fifty open microphones are a lot of noise.
const GATE: i64 = 40 * 40;

/// One who takes part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// Who.
    pub leg: LegId,
    /// Whom he hears.
    pub hears: Hears,
}

/// Whom somebody hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hears {
    /// Everybody but himself.
    Everybody,
    /// These and nobody else.
    Only(Vec<LegId>),
}

/// Everybody who takes part.
#[derive(Debug)]
pub(super) struct Mix {
    parties: Vec<Party>,
}

impl Mix {
    pub(super) fn new(parties: Vec<Party>) -> Self {
        Self { parties }
    }

    pub(super) fn has(&self, leg: LegId) -> bool {
        self.parties.iter().any(|party| party.leg == leg)
    }

    pub(super) fn remove(&mut self, leg: LegId) {
        self.parties.retain(|party| party.leg != leg);
    }

    /// The rate everybody is decoded at: no more than the narrowest carries.
    pub(super) fn rate(&self, legs: &[Leg]) -> Rate {
        legs.iter()
            .filter(|leg| self.has(leg.id))
            .filter_map(|leg| leg.remote.as_ref())
            .map(|remote| remote.codec.rate())
            .min()
            .unwrap_or(Rate::Narrow)
    }

    /// Lets everybody hear his mix of what was heard in this tick.
    pub(super) fn exchange(&self, legs: &mut [Leg], now_us: u64, sent: &mut u64) {
        let rate = self.rate(legs);
        let mut all = [0i32; WIDE_FRAME];
        for leg in legs.iter().filter(|leg| self.has(leg.id)) {
            add(&mut all, spoken(leg));
        }
        for party in &self.parties {
            let Some(at) = legs.iter().position(|leg| leg.id == party.leg) else {
                continue;
            };
            if legs[at].is_occupied() {
                continue;
            }
            let mut mix = [0i32; WIDE_FRAME];
            match &party.hears {
                Hears::Everybody => {
                    mix = all;
                    if let Some(own) = spoken(&legs[at]) {
                        for (sum, own) in mix.iter_mut().zip(own) {
                            *sum -= i32::from(*own);
                        }
                    }
                }
                Hears::Only(whom) => {
                    for leg in legs.iter().filter(|leg| whom.contains(&leg.id)) {
                        add(&mut mix, spoken(leg));
                    }
                }
            }
            let mut frame = Frame::silence(rate);
            for (sample, sum) in frame.samples_mut().iter_mut().zip(&mix) {
                *sample = (*sum).clamp(i16::MIN.into(), i16::MAX.into()) as i16;
            }
            legs[at].say(&frame, now_us, sent);
        }
    }
}

/// What a leg said in this tick, unless it is on hold or quiet.
pub(super) fn spoken(leg: &Leg) -> Option<&[i16]> {
    let speaks = leg.remote.as_ref().is_some_and(|remote| remote.receive);
    let samples = leg.heard.as_ref().filter(|_| speaks)?.samples();
    let energy: i64 = samples.iter().map(|s| i64::from(*s) * i64::from(*s)).sum();
    (energy >= GATE * samples.len() as i64).then_some(samples)
}

fn add(sum: &mut [i32; WIDE_FRAME], samples: Option<&[i16]>) {
    for (sum, sample) in sum.iter_mut().zip(samples.unwrap_or_default()) {
        *sum += i32::from(*sample);
    }
}
