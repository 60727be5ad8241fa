//! The manifests that ship with the product.

/// Key and text of every shipped manifest.
#[must_use]
pub fn manifests() -> &'static [(&'static str, &'static str)] {
    &[]
}
