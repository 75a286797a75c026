//! The plan artifact and its enrichments as the wire shows them.
