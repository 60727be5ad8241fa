//! Who asks, for which company, when.

use http::HeaderMap;
use jiff::tz::TimeZone;
use model::{PhoneNumber, TenantId, Timestamp};
use store::{Db, company::Tenant};

use crate::{CloudTalk, dates, input::QueryString};

/// What every handler is given.
pub(crate) struct Context {
    pub state: CloudTalk,
    pub tenant: TenantId,
    pub zone: TimeZone,
    pub now: Timestamp,
    pub query: QueryString,
    pub headers: HeaderMap,
}

impl Context {
    pub(crate) fn new(
        state: CloudTalk,
        company: &Tenant,
        now: Timestamp,
        query: QueryString,
        headers: HeaderMap,
    ) -> Self {
        let zone = TimeZone::get(&company.time_zone).unwrap_or_else(|_| {
            tracing::warn!(
                tenant.id = company.id.0,
                zone = company.time_zone,
                "unknown time zone, UTC is used"
            );
            TimeZone::UTC
        });
        Self {
            state,
            tenant: company.id,
            zone,
            now,
            query,
            headers,
        }
    }

    pub(crate) fn db(&self) -> &Db {
        &self.state.db
    }

    /// An instant as the core API prints it.
    pub(crate) fn date(&self, at: Timestamp) -> String {
        dates::company(at, &self.zone)
    }
}

/// Numbers in answers: with `+`.
pub(crate) fn shown(number: Option<&PhoneNumber>) -> String {
    number.map_or_else(
        || "anonymous".to_owned(),
        |number| number.as_str().to_owned(),
    )
}
