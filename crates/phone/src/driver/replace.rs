//! A phone takes the place of another one in a call (RFC 3891).

use calls::call::{Input, Replacement};
use model::LegId;
use sip::IncomingCall;
use tokio_stream::wrappers::ReceiverStream;

use super::{Driver, UNAVAILABLE};
use crate::{
    audio::{self, NOT_ACCEPTABLE, Role, Terms},
    line::Line,
    pick_up::{self, Asked},
};

impl Driver {
    /// A phone wants the place of a leg. It is refused before anything changes, or it gets it.
    pub(super) async fn asked_to_replace(&mut self, leg: LegId, asked: Asked) {
        let by = self.machine.next_leg();
        let may = self
            .machine
            .replaceable(leg, asked.agent.id, asked.early_only);
        let line = match may {
            Ok(()) => self.line_in_place(by, &asked.incoming).await,
            Err(status) => Err(status),
        };
        let mut line = match line {
            Ok(line) => line,
            Err(status) => return pick_up::ask(&self.shared, asked, status).await,
        };
        let Asked {
            incoming, agent, ..
        } = asked;
        line.agent = Some(agent.id);
        let (handle, events) = incoming.leg.split();
        self.trace(&handle);
        self.add_line(by, line);
        self.leg_events.insert(by, ReceiverStream::new(events));
        self.take(Input::Replaces(Replacement {
            leg,
            agent: agent.id,
            agent_name: agent.full_name(),
            wrap_up_seconds: agent.wrap_up_seconds,
        }))
        .await;
    }

    /// The leg of a phone that calls into this call, if we understand its offer.
    async fn line_in_place(&self, by: LegId, incoming: &IncomingCall) -> Result<Line, u16> {
        let private = audio::is_private(incoming);
        let terms = Terms::of_devices(self.shared.audio, Role::Answers, private)
            .map_err(|_| NOT_ACCEPTABLE)?;
        let offer = incoming.offer.clone();
        let end = self.callers_end(by, offer.as_deref(), terms).await;
        let end = end.map_err(|error| {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "no audio for a phone that picks up");
            UNAVAILABLE
        })?;
        let mut line = Line::new(incoming.leg.handle(), end);
        line.called_us = true;
        line.offer = offer;
        if line.offer.is_some() && line.codec().is_none() {
            self.media.remove_leg(by);
            return Err(NOT_ACCEPTABLE);
        }
        Ok(line)
    }
}
