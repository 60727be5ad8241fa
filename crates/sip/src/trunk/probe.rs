//! A trunk tried once, step by step, for whoever sets it up.

use std::sync::Arc;

use super::agent::{ask, is_elsewhere_worth_trying, register, unregister};
use super::{Line, ProbeAction, ProbeReport, ProbeStep, Trunk, TrunkProblem};
use crate::core::Core;

/// Looks a trunk up, connects, asks, and registers if it is to.
pub(crate) async fn probe(core: &Arc<Core>, trunk: Trunk) -> ProbeReport {
    let mut report = ProbeReport::default();
    let stands = core.trunks.get(&trunk.key);
    let line = Line::new(trunk);
    let targets = line.targets(core).await;
    let found = targets.as_ref().map(|targets| {
        let each = targets
            .iter()
            .map(|t| format!("{} by {}", t.remote, t.transport.as_str()));
        each.collect::<Vec<_>>().join(", ")
    });
    report.add(ProbeAction::Resolve, found.map_err(Clone::clone));
    for target in targets.unwrap_or_default() {
        let opened = line.open(core, target).await;
        let by = (target.transport.as_str(), target.remote);
        let said = match &opened {
            Ok(_) if target.transport == crate::Transport::Udp => {
                Ok(format!("UDP to {} needs no connection", by.1))
            }
            Ok(_) => Ok(format!("{} connection to {}", by.0, by.1)),
            Err(why) => Err(why.clone()),
        };
        report.add(ProbeAction::Connect, said);
        let Ok(flow) = opened else { continue };
        let asked = ask(core, &line, &flow).await;
        let answered = asked.is_ok();
        let asked = asked.map(|took| format!("answered after {} ms", took.as_millis()));
        report.add(ProbeAction::Options, asked.map_err(|(why, _)| why));
        let Some(registration) = &line.trunk.registration else {
            if answered {
                break;
            }
            continue;
        };
        // Carriers that ignore OPTIONS may still take registrations.
        let registered = register(core, &line, &flow, registration).await;
        let elsewhere = matches!(&registered, Err((why, _)) if is_elsewhere_worth_trying(why));
        let granted = registered.is_ok();
        let registered =
            registered.map(|granted| format!("registered for {} s", granted.as_secs()));
        report.add(ProbeAction::Register, registered.map_err(|(why, _)| why));
        if granted && stands.is_none() {
            unregister(core, &line, &line.shown(&flow)).await;
        }
        if !elsewhere {
            break;
        }
    }
    report
}

impl ProbeReport {
    fn add(&mut self, action: ProbeAction, result: Result<String, TrunkProblem>) {
        self.steps.push(ProbeStep { action, result });
    }
}
