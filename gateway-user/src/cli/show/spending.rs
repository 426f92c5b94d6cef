//! Budgets and bills, as tables.

use std::fmt::Write;

use serde::Deserialize;

use super::table::table;
use super::{Paint, line};
use crate::config::Per;
use crate::record::{Bill, Time, usd};
use crate::spend::Account;

/// One object of `spend --json`.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Item {
    Account { account: Account },
    Bill { bill: Bill },
    Head { prices: String, since: Time },
}

/// What `spend --json` prints, for people.
pub(crate) fn spending(items: Vec<Item>, paint: Paint) -> String {
    let (mut budgets, mut bills, mut text) = (Vec::new(), Vec::new(), String::new());
    let mut head = None;
    for item in items {
        match item {
            Item::Account { account } => budgets.extend(budget(&account)),
            Item::Bill { bill } => bills.push(columns(&bill)),
            Item::Head { prices, since } => head = Some((prices, since)),
        }
    }
    if budgets.is_empty() {
        text.push_str("No budgets: add [[budget]] to the configuration.\n");
    } else {
        text.push_str(&table(
            ["BUDGET", "FOR", "PERIOD", "SPENT", "RESERVED", "LEFT", "OF"],
            &budgets,
            paint,
        ));
    }
    let (prices, since) = head.unzip();
    let since = since.map(|since| since.to_string());
    let day = since.as_deref().map_or("", |since| &since[..10]);
    if bills.is_empty() {
        let _ = writeln!(text, "\nNo calls with a price since {day}.");
    } else {
        let _ = writeln!(text, "\nSince {day}:");
        text.push_str(&table(
            [
                "IDENTITY", "SERVICE", "MODEL", "CALLS", "INPUT", "OUTPUT", "COST",
            ],
            &bills,
            paint,
        ));
    }
    let _ = writeln!(text, "\nPrices of {}.", line(&prices.unwrap_or_default()));
    text
}

/// What identities spend without a limit is seen in the bills.
fn budget(account: &Account) -> Option<[String; 7]> {
    let (name, limit) = (account.budget.as_ref()?, account.limit?);
    let left = account.left()?;
    let per = match account.per {
        Per::Day => "day",
        Per::Month => "month",
    };
    let money = |amount: u64| money(usd(amount));
    Some([
        line(name),
        account.whose.to_string(),
        format!("{per} {}", line(&account.period)),
        money(account.spent),
        money(account.reserved),
        money(left),
        money(limit),
    ])
}

fn columns(bill: &Bill) -> [String; 7] {
    [
        line(&bill.identity),
        line(&bill.service),
        line(&bill.model),
        bill.calls.to_string(),
        bill.input.to_string(),
        bill.output.to_string(),
        money(bill.usd),
    ]
}

/// Cents, and of less than a dollar more digits.
fn money(usd: f64) -> String {
    match usd {
        usd if usd == 0.0 || usd >= 1.0 => format!("${usd:.2}"),
        usd => format!("${usd:.6}"),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn budgets_come_with_what_is_left_and_bills_with_what_it_went_for() {
        let account = |budget: Value| {
            json!({"account": {"budget": budget, "whose": {"group": "agents"}, "per": "day", "period": "2026-11-26",
                "limit_usd": 2.5, "spent_usd": 1.25, "reserved_usd": 0.0015, "allow_uncounted": false}})
        };
        let items = [
            json!({"prices": "2026-08-21", "since": "2026-11-01T00:00:00.000Z"}),
            account(json!("agents")),
            account(Value::Null),
            json!({"bill": {"identity": "a", "service": "openai", "model": "gpt-5-mini", "calls": 3, "input": 10, "output": 20, "usd": 0.0425}}),
        ];
        let read = |item| serde_json::from_value::<Item>(item).unwrap();
        let text = spending(items.map(read).into(), Paint::Plain);
        for part in [
            "agents  group agents  day 2026-11-26  $1.25  $0.001500  $1.25  $2.50",
            "Since 2026-11-01:",
            "a         openai   gpt-5-mini  3      10     20      $0.042500",
            "Prices of 2026-08-21.",
        ] {
            assert!(text.contains(part), "{text}");
        }
        let head = json!({"prices": "x", "since": "2026-11-01T00:00:00.000Z"});
        assert!(spending(vec![read(head)], Paint::Plain).contains("No budgets"));
    }
}
