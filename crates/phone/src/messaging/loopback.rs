//! The built-in carrier: no way out of the house, but a real delivery inside it.

use store::{
    Db,
    directory::{MessageDirection, MessageState, NewMessage},
};

use super::{Accepted, OutgoingSms, SmsCarrier, SmsRefused};

/// Delivers to the inbox of whoever in this installation owns the recipient's number. A message to
/// anybody else is taken and goes nowhere, as on a phone network that gives no receipts.
pub struct LoopbackCarrier {
    db: Db,
}

impl LoopbackCarrier {
    /// Delivers into this database.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self { db }
    }

    async fn deliver(&self, message: &OutgoingSms) -> Result<Accepted, store::StoreError> {
        let Some(number) = self
            .db
            .number_by_e164(&message.recipient)
            .await?
            .filter(|number| number.sms_enabled)
        else {
            return Ok(Accepted::Sent);
        };
        let received = NewMessage {
            direction: MessageDirection::Incoming,
            sender: message.sender.as_str().to_owned(),
            recipient: message.recipient.as_str().to_owned(),
            text: message.text.clone(),
            state: MessageState::Received,
            contact: self
                .db
                .contact_by_number(number.tenant, &message.sender)
                .await?,
        };
        self.db
            .add_message(number.tenant, received, message.at)
            .await?;
        Ok(Accepted::Delivered)
    }
}

#[async_trait::async_trait]
impl SmsCarrier for LoopbackCarrier {
    async fn send(&self, message: OutgoingSms) -> Result<Accepted, SmsRefused> {
        self.deliver(&message).await.map_err(|error| {
            tracing::error!(
                tenant.id = message.tenant.0,
                error = &error as &dyn std::error::Error,
                "message not delivered"
            );
            SmsRefused::Failed
        })
    }
}
