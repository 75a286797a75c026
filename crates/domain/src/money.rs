//! Money: what an attempt uses, what that costs, what may be spent, and the books that all of it stands in.
//!
//! All amounts are whole nano-credits; a token's price is in pico-credits, so that nothing is rounded before the charge.

pub mod budget;
pub mod charge;
pub mod declared;
pub mod forecast;
pub mod ledger;
pub mod price;
pub mod prices;
mod scaled;
pub mod usage;
