//! Text messages: checked, kept, handed to a carrier.
//!
//! [`Messaging`] is the service; a carrier is anything that implements [`SmsCarrier`].
//! [`LoopbackCarrier`] is the built-in one: it delivers between numbers of this installation.

mod loopback;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use model::{PhoneNumber, TenantId, Timestamp};
use store::{
    Db, StoreError,
    directory::{MessageDirection, MessageId, MessageState, NewMessage},
};

pub use loopback::LoopbackCarrier;

/// Ten fragments of a concatenated message in the worst alphabet are 670 characters; carriers refuse
/// far longer texts in ways of their own, so we do it first.
pub const MAX_CHARACTERS: usize = 1600;

/// A message on its way to a carrier.
#[derive(Clone, Debug)]
pub struct OutgoingSms {
    pub tenant: TenantId,
    pub sender: PhoneNumber,
    pub recipient: PhoneNumber,
    pub text: String,
    pub at: Timestamp,
}

/// The carrier took the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It is under way; whether it arrives will be known later or never.
    Sent,
    /// It has arrived.
    Delivered,
}

/// Why a carrier did not take a message. The texts are those of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SmsRefused {
    /// It did not say why, or could not be reached.
    #[error("SMS send failed")]
    Failed,
    /// It does not serve the recipient's country.
    #[error("Not allowed country.")]
    CountryNotAllowed,
    /// Nobody has the recipient's number.
    #[error("Unknown number")]
    UnknownNumber,
    /// Too many or too much.
    #[error("Limit exceeded")]
    LimitExceeded,
    /// The sender is not set up at the carrier.
    #[error("Bad number configuration")]
    BadNumberConfiguration,
}

/// A way out for messages.
#[async_trait::async_trait]
pub trait SmsCarrier: Send + Sync {
    /// Takes a message or says why not.
    async fn send(&self, message: OutgoingSms) -> Result<Accepted, SmsRefused>;
}

/// What somebody wants to send.
#[derive(Clone, Debug)]
pub struct SendSms {
    pub sender: PhoneNumber,
    pub recipient: PhoneNumber,
    pub text: String,
}

/// What became of it. A refusal is an outcome: the message is kept, marked as failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendOutcome {
    Accepted(MessageId),
    Refused(MessageId, SmsRefused),
}

/// Why nothing was sent or kept.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The sender is not one of the company's numbers that may send messages.
    #[error("the sender is not one of the company's SMS numbers")]
    SenderNotAllowed,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The messaging service of the installation. Cheap to clone.
#[derive(Clone)]
pub struct Messaging {
    db: Db,
    carrier: Arc<dyn SmsCarrier>,
}

impl Messaging {
    /// Sends through this carrier.
    #[must_use]
    pub fn new(db: Db, carrier: Arc<dyn SmsCarrier>) -> Self {
        Self { db, carrier }
    }

    /// Sends a message from one of the company's numbers. It is kept before the carrier sees it, so
    /// that none is sent that the inbox does not know.
    ///
    /// # Errors
    /// When the sender is not the company's, or the database fails.
    pub async fn send(
        &self,
        tenant: TenantId,
        sms: SendSms,
        now: Timestamp,
    ) -> Result<SendOutcome, SendError> {
        let sender = self.db.number_by_e164(&sms.sender).await?;
        if !sender.is_some_and(|number| number.tenant == tenant && number.sms_enabled) {
            return Err(SendError::SenderNotAllowed);
        }
        let id = self.keep_queued(tenant, &sms, now).await?;
        let refused = if sms.text.chars().count() > MAX_CHARACTERS {
            Err(SmsRefused::LimitExceeded)
        } else {
            self.carrier
                .send(OutgoingSms {
                    tenant,
                    sender: sms.sender,
                    recipient: sms.recipient,
                    text: sms.text,
                    at: now,
                })
                .await
        };
        match refused {
            Ok(accepted) => {
                let state = match accepted {
                    Accepted::Sent => MessageState::Sent,
                    Accepted::Delivered => MessageState::Delivered,
                };
                self.db.set_message_state(tenant, id, state, None).await?;
                Ok(SendOutcome::Accepted(id))
            }
            Err(refused) => {
                tracing::warn!(tenant.id = tenant.0, message.id = id.0, reason = %refused, "message refused by the carrier");
                self.db
                    .set_message_state(tenant, id, MessageState::Failed, Some(&refused.to_string()))
                    .await?;
                Ok(SendOutcome::Refused(id, refused))
            }
        }
    }

    async fn keep_queued(
        &self,
        tenant: TenantId,
        sms: &SendSms,
        now: Timestamp,
    ) -> Result<MessageId, StoreError> {
        let contact = self.db.contact_by_number(tenant, &sms.recipient).await?;
        let message = NewMessage {
            direction: MessageDirection::Outgoing,
            sender: sms.sender.as_str().to_owned(),
            recipient: sms.recipient.as_str().to_owned(),
            text: sms.text.clone(),
            state: MessageState::Queued,
            contact,
        };
        self.db.add_message(tenant, message, now).await
    }
}
