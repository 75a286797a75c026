//! An enriched plan as files and one HTML page.
