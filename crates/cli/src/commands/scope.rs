//! The four flags that say through which connection or integration something happens.

use crate::http::Call;
use crate::input::selector;
use clap::Args;

#[derive(Debug, Clone, Default, Args)]
pub struct Scope {
    /// Connection to act through
    #[arg(long = "connectionId", value_name = "ID", value_parser = selector)]
    pub connection_id: Option<String>,
    /// The same, by its key
    #[arg(long = "connectionKey", value_name = "KEY", value_parser = selector)]
    pub connection_key: Option<String>,
    /// Integration, when there is one connection to it
    #[arg(long = "integrationId", value_name = "ID", value_parser = selector)]
    pub integration_id: Option<String>,
    /// The same, by its key
    #[arg(long = "integrationKey", value_name = "KEY", value_parser = selector)]
    pub integration_key: Option<String>,
}

impl Scope {
    pub fn on<'a>(&self, call: Call<'a>) -> Call<'a> {
        self.members()
            .into_iter()
            .fold(call, |call, (name, value)| call.query(name, value))
    }

    pub fn members(&self) -> [(&'static str, Option<&String>); 4] {
        [
            ("connectionId", self.connection_id.as_ref()),
            ("connectionKey", self.connection_key.as_ref()),
            ("integrationId", self.integration_id.as_ref()),
            ("integrationKey", self.integration_key.as_ref()),
        ]
    }
}
