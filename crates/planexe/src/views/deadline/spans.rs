//! Spans of time in words and figures.
