//! Pure integration: manifests, schemas, request building and action search.
