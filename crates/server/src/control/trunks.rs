//! What operators ask about carriers and stopped calls.

use calls::routing::{Rates, TrunkSettings};
use model::{AgentId, TenantId, TrunkId};
use phone::{
    Phone,
    trunks::{TrunkChange, TrunkView, describe},
};
use serde_json::{Value, json};
use store::{Db, company::Tenant};

use super::text;

/// Changes of state that `trunk.show` gives.
const EVENTS: u64 = 20;

/// Trunks and stops, as the socket reaches them.
pub struct Carriers {
    pub db: Db,
    pub phone: Phone,
}

impl Carriers {
    /// Answers a command; `None` when it is none of these.
    pub async fn answer(&self, command: &str, request: &Value) -> Option<Result<Value, String>> {
        Some(match command {
            "trunk.list" => self.list().await,
            "trunk.show" => self.show(request).await,
            "trunk.add" => self.add(request).await,
            "trunk.change" => self.change(request).await,
            "trunk.remove" => self.remove(request).await,
            "trunk.test" => self.test(request).await,
            "trunk.prices" => self.prices(request).await,
            "fraud.list" => self.stops().await,
            "fraud.release" => self.release(request).await,
            _ => return None,
        })
    }

    async fn list(&self) -> Result<Value, String> {
        let companies = self.companies().await?;
        let trunks = self.phone.trunks().list(None);
        let all = trunks.iter().map(|trunk| view(trunk, &companies));
        Ok(Value::Array(all.collect()))
    }

    async fn show(&self, request: &Value) -> Result<Value, String> {
        let trunk = self.named(text(request, "name")?)?;
        let companies = self.companies().await?;
        let mut shown = view(&trunk, &companies);
        let events = self
            .phone
            .trunks()
            .events(trunk.id, EVENTS)
            .await
            .map_err(|error| error.to_string())?;
        shown["settings"] = serde_json::to_value(&trunk.settings).unwrap_or_default();
        shown["events"] = events
            .iter()
            .map(|event| json!({"at": event.at, "state": event.state, "detail": event.detail}))
            .collect();
        Ok(shown)
    }

    async fn add(&self, request: &Value) -> Result<Value, String> {
        let owner = match request["company"].as_str() {
            Some(company) => Some(self.company(company).await?),
            None => None,
        };
        let name = text(request, "name")?;
        let change = change(name, request, true)?;
        let added = self.phone.trunks().add(owner, change).await;
        added.map_err(|error| error.to_string())?;
        Ok(json!({"added": name}))
    }

    async fn change(&self, request: &Value) -> Result<Value, String> {
        let trunk = self.named(text(request, "name")?)?;
        let change = change(&trunk.name, request, trunk.is_enabled)?;
        let trunks = self.phone.trunks();
        let saved = trunks.save(trunk.tenant, trunk.id, change).await;
        saved.map_err(|error| error.to_string())?;
        Ok(json!({"changed": trunk.name}))
    }

    async fn remove(&self, request: &Value) -> Result<Value, String> {
        let trunk = self.named(text(request, "name")?)?;
        let removed = self.phone.trunks().remove(trunk.tenant, trunk.id).await;
        removed.map_err(|error| error.to_string())?;
        Ok(json!({"removed": trunk.name}))
    }

    async fn test(&self, request: &Value) -> Result<Value, String> {
        let trunk = self.named(text(request, "name")?)?;
        let report = self.phone.trunks().test(trunk.id).await;
        let report = report.map_err(|error| error.to_string())?;
        let steps = report.steps.iter().map(|step| match &step.result {
            Ok(found) => json!({"step": step.action.as_str(), "ok": true, "found": found}),
            Err(problem) => json!({
                "step": step.action.as_str(),
                "ok": false,
                "found": problem.to_string(),
                "hint": problem.hint(),
            }),
        });
        Ok(json!({"ok": report.succeeded(), "steps": steps.collect::<Vec<_>>()}))
    }

    async fn prices(&self, request: &Value) -> Result<Value, String> {
        let trunk = self.named(text(request, "name")?)?;
        let list = text(request, "list")?;
        let prices = Rates::parse_list(list).map_err(|problem| problem.to_string())?;
        let set = self.phone.trunks().set_prices(trunk.id, &prices).await;
        set.map_err(|error| error.to_string())?;
        Ok(json!({"prices": prices.len()}))
    }

    async fn stops(&self) -> Result<Value, String> {
        let companies = self.companies().await?;
        let stops = self.phone.stops(None).await;
        let stops = stops.map_err(|error| error.to_string())?;
        let all = stops.iter().map(|stop| {
            json!({
                "company": company_name(&companies, stop.tenant),
                "agent": stop.agent,
                "name": stop.agent_name,
                "reason": stop.reason,
                "at": stop.at,
            })
        });
        Ok(Value::Array(all.collect()))
    }

    /// By an agent's extension or id, or by the company's name for a stop of the whole company.
    async fn release(&self, request: &Value) -> Result<Value, String> {
        let name = text(request, "name")?;
        let stops = self.phone.stops(None).await;
        let stops = stops.map_err(|error| error.to_string())?;
        let companies = self.companies().await?;
        let mut extensions = Vec::new();
        for company in &companies {
            let agents = self.db.agents_of(company.id).await;
            for agent in agents.map_err(|error| error.to_string())? {
                extensions.push((agent.id, agent.extension.to_string(), agent.full_name()));
            }
        }
        let means = |agent: AgentId| {
            name == agent.to_string()
                || extensions.iter().any(|(id, extension, full_name)| {
                    *id == agent && (name == extension || name == full_name)
                })
        };
        let meant: Vec<_> = stops
            .iter()
            .filter(|stop| match stop.agent {
                Some(agent) => means(agent),
                None => company_name(&companies, stop.tenant) == name,
            })
            .collect();
        let stop = match meant.as_slice() {
            [] => {
                return Err(format!(
                    "nobody called {name} is stopped; see trunkline fraud list"
                ));
            }
            [one] => *one,
            _ => return Err(format!("{name} means several; name the agent's id")),
        };
        let released = self
            .phone
            .release(stop.tenant, stop.agent, "operator on the command line")
            .await;
        released.map_err(|error| error.to_string())?;
        Ok(json!({"released": name}))
    }

    fn named(&self, name: &str) -> Result<TrunkView, String> {
        let all = self.phone.trunks().list(None);
        all.into_iter()
            .find(|trunk| trunk.name == name)
            .ok_or_else(|| format!("there is no trunk {name}; see trunkline trunk list"))
    }

    async fn companies(&self) -> Result<Vec<Tenant>, String> {
        self.db.tenants().await.map_err(|error| error.to_string())
    }

    async fn company(&self, wanted: &str) -> Result<TenantId, String> {
        let companies = self.companies().await?;
        let found = companies
            .iter()
            .find(|company| company.name == wanted || company.id.to_string() == wanted);
        found.map(|company| company.id).ok_or_else(|| {
            let names: Vec<_> = companies.iter().map(|c| c.name.as_str()).collect();
            format!(
                "company: there is no {wanted:?} (there are: {})",
                names.join(", ")
            )
        })
    }
}

fn change(name: &str, request: &Value, is_enabled: bool) -> Result<TrunkChange, String> {
    let settings: TrunkSettings = serde_json::from_value(request["settings"].clone())
        .map_err(|error| format!("settings: {error}"))?;
    Ok(TrunkChange {
        name: name.to_owned(),
        settings,
        password: request["password"].as_str().map(Into::into),
        is_enabled: request["enabled"].as_bool().unwrap_or(is_enabled),
    })
}

fn company_name(companies: &[Tenant], id: TenantId) -> &str {
    let found = companies.iter().find(|company| company.id == id);
    found.map_or("", |company| company.name.as_str())
}

fn view(trunk: &TrunkView, companies: &[Tenant]) -> Value {
    let (state, detail) = match (&trunk.unusable, trunk.is_enabled) {
        (_, false) => ("disabled", String::new()),
        (Some(why), true) => ("unusable", why.clone()),
        (None, true) => describe(&trunk.status),
    };
    let TrunkId(id) = trunk.id;
    json!({
        "id": id,
        "name": trunk.name,
        "company": trunk.tenant.map(|tenant| company_name(companies, tenant)),
        "server": trunk.settings.server,
        "state": state,
        "detail": detail,
        "has_password": trunk.has_password,
        "prices": trunk.prices,
        "calls": trunk.calls,
        "minutes_today": trunk.talked_ms / 60_000,
        "spent_today": format!("{}.{:06}", trunk.spent_micros / 1_000_000, trunk.spent_micros % 1_000_000),
    })
}
