//! Companies: the tenants of an installation and their settings.

mod migration;
mod tenants;

pub use tenants::{NewTenant, Tenant};

use sea_orm_migration::prelude::*;

pub(crate) fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![Box::new(migration::CreateTenants)]
}
