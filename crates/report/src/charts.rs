//! Drawings as inline SVG: geometry from plain numbers, colours from the page's style sheet.

pub mod axis;
pub mod bars;
pub mod bounds;
pub mod figure;
pub mod gantt;
pub mod gauge;
pub mod histogram;
pub mod matrix;
