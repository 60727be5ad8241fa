//! Tells whoever waits that a connection changed.

use store::gateway::ConnectionId;
use tokio::sync::broadcast;

/// Changes a slow waiter may lag behind before he must look for himself.
const BACKLOG: usize = 256;

pub(crate) struct Changes {
    sender: broadcast::Sender<ConnectionId>,
}

pub(crate) struct Watcher {
    id: ConnectionId,
    receiver: broadcast::Receiver<ConnectionId>,
}

impl Changes {
    pub(crate) fn new() -> Self {
        Self {
            sender: broadcast::channel(BACKLOG).0,
        }
    }

    pub(crate) fn tell(&self, id: ConnectionId) {
        // Nobody waiting is fine.
        let _ = self.sender.send(id);
    }

    pub(crate) fn watch(&self, id: ConnectionId) -> Watcher {
        Watcher {
            id,
            receiver: self.sender.subscribe(),
        }
    }
}

impl Watcher {
    /// Returns when the connection may have changed.
    pub(crate) async fn changed(&mut self) {
        loop {
            match self.receiver.recv().await {
                Ok(id) if id == self.id => return,
                Ok(_) => {}
                // The change may be among those that were missed.
                Err(broadcast::error::RecvError::Lagged(_)) => return,
                // The gateway is going away; the caller's time limit ends the wait.
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}
