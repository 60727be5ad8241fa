//! The manifests that ship with the product.

/// Key and text of every shipped manifest.
#[must_use]
pub fn manifests() -> &'static [(&'static str, &'static str)] {
    &[(
        "cloudtalk",
        include_str!("../../../connectors/cloudtalk/manifest.json"),
    )]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Manifest;

    #[test]
    fn every_shipped_manifest_is_usable_and_goes_by_its_key() {
        for (key, text) in manifests() {
            let manifest = Manifest::parse(text).unwrap();
            assert_eq!(manifest.key, *key);
        }
    }
}
