//! The plan's money.

use serde::Serialize;

use crate::plan::Plan;
use crate::read;
use crate::view::View;

/// What the plan says about its currencies.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Currency {
    /// Whether money matters at all.
    pub money_involved: Option<bool>,
    /// The budget's currency, as stated (mostly an ISO 4217 code).
    pub primary: Option<String>,
    /// All currencies stated.
    pub list: Vec<CurrencyUse>,
    /// How they are handled.
    pub strategy: Option<String>,
}

/// A currency and what for.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CurrencyUse {
    /// As stated.
    pub currency: String,
    /// What for.
    pub consideration: Option<String>,
    /// Where it stands: `/currency_list/0`.
    pub pointer: String,
}

/// The currencies of `currency_strategy_raw.json`.
pub fn currency(plan: &Plan) -> View<Currency> {
    read::first(
        plan,
        &["currency_strategy_raw.json", "currency_strategy.json"],
        |value, reader| {
            let Some(root) = reader.root(value) else {
                return Currency::default();
            };
            let mut list = Vec::new();
            if root
                .get("currency_list")
                .is_some_and(|list| !list.is_null())
            {
                for (pointer, row) in reader.objects(value, &["currency_list"]) {
                    let Some(currency) = reader.required(row, &pointer, "currency") else {
                        continue;
                    };
                    let consideration = reader.text(row, &pointer, "consideration");
                    list.push(CurrencyUse {
                        currency,
                        consideration,
                        pointer,
                    });
                }
            }
            let money_involved = reader
                .text(root, "", "money_involved")
                .and_then(|text| text.to_lowercase().parse().ok());
            Currency {
                money_involved,
                primary: reader.text(root, "", "primary_currency"),
                list,
                strategy: reader.text(root, "", "currency_strategy"),
            }
        },
    )
}
