//! What a permitted request costs: rates and budgets before it goes out, the cost when its answer is over.

mod turns;

use std::time::Instant;

use turns::{Quote, Turn, Turns};

use super::inspect::Ready;
use super::{Connection, ConnectionError};
use crate::protocol::llm::{Call, Family};
use crate::protocol::transcript::Usage;
use crate::protocol::{Facts, Tier, Why};
use crate::record::{ExchangeEntry, Time};
use crate::spend::{Bound, Hold, NANO, Price, Tokens};

/// What is reserved for a request, and what it will cost.
#[derive(Default)]
pub(super) struct Charge {
    price: Option<Price>,
    hold: Option<Hold>,
    /// What it costs has to be known: a budget or a policy depends on it.
    counts: bool,
    /// Tokens that the answer may have, where a budget depends on it.
    longest: Option<u64>,
    /// In a conversation, its answers.
    turns: Option<Turns>,
    /// How many of them the agent has asked for that have not begun.
    expected: usize,
}

impl Charge {
    /// Takes the request's share of every rate and budget; it is on record when this returns. The inner `Err` refuses it.
    pub(super) async fn admit(
        connection: &Connection,
        ready: &Ready,
        entry: &mut ExchangeEntry,
    ) -> Result<Result<Self, (Why, String)>, ConnectionError> {
        let service = ready.resource.name.as_str();
        let (limited, counts) = match limits(connection, service) {
            Ok(limits) => limits,
            Err(refused) => return Ok(Err(refused)),
        };
        if ready.head.websocket && ready.family == Some(Family::OpenAiResponses) {
            // Each answer names its model, and is admitted by itself.
            return Ok(Ok(Self {
                counts,
                turns: Some(Turns::default()),
                ..Self::default()
            }));
        }
        let known = priced(connection, ready);
        if ready.head.websocket
            && let Ok(Some((price, bound, amount))) = known
        {
            let amount = if counts { amount } else { 0 };
            let turns = Turns {
                each: Some(Quote { price, amount }),
                ..Turns::default()
            };
            return Ok(Ok(Self {
                price: Some(price),
                counts,
                longest: limited.map(|_| bound.output),
                turns: Some(turns),
                ..Self::default()
            }));
        }
        // What the provider says that it charged is charged all the same.
        let said = ready.call.is_some() && !FREE.contains(&ready.action.name);
        Self::reserved(connection, (limited, counts), known, said, entry).await
    }

    /// The same for an answer of a conversation that is asked for with a call of its own.
    pub(super) async fn admit_answer(
        connection: &Connection,
        service: &str,
        (call, body): (&Call, &[u8]),
        entry: &mut ExchangeEntry,
    ) -> Result<Result<Self, (Why, String)>, ConnectionError> {
        let limits = match limits(connection, service) {
            Ok(limits) => limits,
            Err(refused) => return Ok(Err(refused)),
        };
        let price = price(connection, service, call);
        let known = price.map(|price| Some(bounded(&price, Tier::asked(None, body), call, body)));
        Self::reserved(connection, limits, known, true, entry).await
    }

    /// Reserves what it can cost, where somebody can say that.
    async fn reserved(
        connection: &Connection,
        (limited, counts): (Option<bool>, bool),
        known: Result<Option<Known>, String>,
        said: bool,
        entry: &mut ExchangeEntry,
    ) -> Result<Result<Self, (Why, String)>, ConnectionError> {
        let (spend, identity) = (&connection.gateway.spend, &connection.caller.identity);
        let known = match known {
            Ok(known) => known,
            Err(reason) if limited == Some(false) => return Ok(Err((Why::Budget, reason))),
            Err(_) => None,
        };
        let Some((price, bound, amount)) = known else {
            let reserved = spend.book.reserve(&identity.id, 0, Time::now());
            let reserved = reserved.map_err(|error| (Why::Budget, error.to_string()));
            return Ok(reserved.map(|hold| Self {
                hold: said.then_some(hold),
                ..Self::default()
            }));
        };
        // Where nothing depends on it, what nobody can say is taken for nothing, in the account as on record.
        let amount = if counts { amount } else { 0 };
        let hold = match spend.book.reserve(&identity.id, amount, Time::now()) {
            Ok(hold) => hold,
            Err(error) => return Ok(Err((Why::Budget, error.to_string()))),
        };
        if counts {
            entry.reserved(amount).await?;
        }
        Ok(Ok(Self {
            price: Some(price),
            hold: Some(hold),
            counts,
            longest: limited.map(|_| bound.output),
            ..Self::default()
        }))
    }

    /// Takes the share of every rate and budget for an answer that the agent asks for in a conversation. What all of them can have cost by
    /// then, where something depends on it.
    pub(super) fn ask(
        &mut self,
        connection: &Connection,
        service: &str,
    ) -> Result<Option<u64>, (Why, String)> {
        let total = self.begin(connection, service, "")?;
        self.expected += 1;
        Ok(total)
    }

    /// The same for an answer that begins, if it was not asked for.
    pub(super) fn begun(
        &mut self,
        connection: &Connection,
        service: &str,
        lane: &str,
    ) -> Result<Option<u64>, (Why, String)> {
        if self.expected > 0 {
            self.expected -= 1;
            return Ok(None);
        }
        self.begin(connection, service, lane)
    }

    /// An answer in a conversation is over. Without counts its reservation stays spent.
    pub(super) fn end(&mut self, lane: &str, usage: Option<Usage>) {
        let Some(turn) = self.next(lane) else { return };
        let Some(turns) = &mut self.turns else { return };
        let Some(Quote { price, amount }) = turn.quote else {
            turns.unpriced = true;
            return;
        };
        let cost = usage.and_then(|usage| cost(&price, usage));
        turns.spent = turns.spent.saturating_add(cost.unwrap_or(amount));
        if let Some(cost) = cost {
            turn.hold.settle(cost);
        }
    }

    /// The first answer of this lane that is not over.
    fn next(&mut self, lane: &str) -> Option<Turn> {
        let open = &mut self.turns.as_mut()?.open;
        let place = open.iter().position(|turn| turn.lane == lane)?;
        Some(open.remove(place))
    }

    /// An answer was asked for with this call: those that follow from it can have read all that its model holds.
    pub(super) fn follow(
        &mut self,
        connection: &Connection,
        service: &str,
        (call, body): (&Call, &[u8]),
    ) {
        let counts = self.counts;
        let each = price(connection, service, call).ok().map(|price| {
            let price = price.times(Tier::asked(None, body).tenths());
            let whole = Bound::whole(&price);
            let amount = price.bound(whole.input, whole.output, true);
            Quote {
                price,
                amount: if counts { amount } else { 0 },
            }
        });
        if let Some(turns) = &mut self.turns {
            turns.each = each;
        }
    }

    fn begin(
        &mut self,
        connection: &Connection,
        service: &str,
        lane: &str,
    ) -> Result<Option<u64>, (Why, String)> {
        let (spend, identity) = (&connection.gateway.spend, &connection.caller.identity);
        rated(connection, service)?;
        let Some(turns) = &mut self.turns else {
            return Ok(None);
        };
        let (quote, lane) = (turns.each, lane.to_owned());
        let amount = quote.map_or(0, |quote| quote.amount);
        let hold = spend.book.reserve(&identity.id, amount, Time::now());
        let hold = hold.map_err(|error| (Why::Budget, error.to_string()))?;
        turns.open.push(Turn { lane, quote, hold });
        Ok(self.counts.then(|| turns.total()))
    }

    /// What a conversation has cost, in nanodollars; of answers that are not over, all that was reserved.
    pub(super) fn total(&self) -> Option<u64> {
        let turns = self.turns.as_ref()?;
        turns.is_priced().then(|| turns.total())
    }

    /// Whether a budget or a policy depends on what the provider counts.
    pub(super) fn counts(&self) -> bool {
        self.counts
    }

    /// Whether so many tokens are more than was reserved for.
    pub(super) fn is_exceeded(&self, written: u64) -> bool {
        self.longest.is_some_and(|longest| written > longest)
    }

    /// The request did not reach the provider, or the provider refused it: what it cost, in nanodollars.
    pub(super) fn free(self) -> Option<u64> {
        self.hold?.settle(0);
        Some(0)
    }

    /// The answer is whole: what it cost, in nanodollars; what the provider says that it `charged`, where it does. Without counts
    /// the reservation stays spent.
    pub(super) fn settle(self, usage: Option<Usage>, charged: Option<u64>) -> Option<u64> {
        let cost = charged.or_else(|| cost(&self.price?, usage?))?;
        if let Some(hold) = self.hold {
            hold.settle(cost);
        }
        Some(cost)
    }
}

/// Takes one from every rate. Whether a budget limits what it costs and whether what nobody can count may pass that; whether something
/// depends on what it costs.
fn limits(connection: &Connection, service: &str) -> Result<(Option<bool>, bool), (Why, String)> {
    if connection.observes() {
        return Ok((None, false));
    }
    rated(connection, service)?;
    let identity = &connection.caller.identity;
    let limited = connection.gateway.spend.book.limits(&identity.id);
    let asked = connection.gateway.policies.load().asks_for_spent();
    Ok((limited, limited.is_some() || asked))
}

/// Takes one from every rate.
fn rated(connection: &Connection, service: &str) -> Result<(), (Why, String)> {
    let (rates, identity) = (&connection.gateway.spend.rates, &connection.caller.identity);
    let taken = rates.take(identity, service, Instant::now());
    taken.map_err(|error| {
        let seconds = u32::try_from(error.after.as_secs()).unwrap_or(u32::MAX);
        (Why::RateLimited(seconds), error.to_string())
    })
}

/// What was counted costs that; nobody can say without counts.
fn cost(price: &Price, usage: Usage) -> Option<u64> {
    let output = match usage.output {
        None if price.writes() => return None,
        output => output.unwrap_or(0),
    };
    Some(price.cost(Tokens {
        input: usage.input?,
        cached: usage.cached,
        written: usage.stored,
        hour: usage.hour,
        output,
        tenths: usage.tier.map(Tier::tenths),
    }))
}

/// Adds what the identity has spent, in whole cents.
pub(super) fn spent(connection: &Connection, facts: &mut Facts) {
    let book = &connection.gateway.spend.book;
    let (today, month) = book.spent(&connection.caller.identity.id, Time::now());
    for (name, spent) in [("spent_today_cents", today), ("spent_month_cents", month)] {
        facts.set(name, i64::try_from(spent / CENT).unwrap_or(i64::MAX));
    }
}

/// The price of a call, its bound, and the most it can cost.
type Known = (Price, Bound, u64);

/// That of a request; nothing for what costs nothing; the reason why nobody can say.
fn priced(connection: &Connection, ready: &Ready) -> Result<Option<Known>, String> {
    let (service, action) = (ready.resource.name.as_str(), ready.action.name);
    let Some(call) = &ready.call else {
        let free = !ready.resource.is_provider() || FREE.contains(&action);
        return match free {
            true => Ok(None),
            false => Err(format!(
                "nobody can say what {action} costs at a provider, and a budget limits this identity (allow_uncounted = true in the [[budget]] lets it pass)"
            )),
        };
    };
    if FREE.contains(&action) {
        return Ok(None);
    }
    let price = price(connection, service, call)?;
    if ready.head.websocket {
        let bound = Bound::whole(&price);
        let amount = price.bound(bound.input, bound.output, false);
        return Ok(Some((price, bound, amount)));
    }
    let body = ready.payload.bytes();
    let tier = Tier::asked(Some(&ready.headers), body);
    Ok(Some(bounded(&price, tier, call, body)))
}

fn bounded(price: &Price, tier: Tier, call: &Call, body: &[u8]) -> Known {
    let price = price.times(tier.tenths());
    let (bound, outside) = Bound::of(&price, body, call.limit, call.answers);
    let amount = price.bound(bound.input, bound.output, outside.caches);
    (price, bound, amount)
}

/// The price of a call; the reason why nobody can say.
fn price(connection: &Connection, service: &str, call: &Call) -> Result<Price, String> {
    let prices = &connection.gateway.spend.prices;
    let price = prices.of(service, maker(call.family), &call.model);
    let price = price.filter(|price| price.writes() || call.action.name == EMBED);
    price.copied().ok_or_else(|| {
        format!(
            "no price is known of model \"{}\" at {service}, and a budget limits this identity: add it to the file that [spend] prices names",
            call.model
        )
    })
}

/// Whose format it is; a service that nobody knows is taken to cost what the maker's own does.
fn maker(family: Family) -> &'static str {
    match family {
        Family::AnthropicMessages | Family::AnthropicModels => "anthropic",
        Family::Gemini => "gemini",
        Family::Ollama => "ollama",
        Family::Cohere => "cohere",
        Family::BedrockConverse | Family::BedrockInvoke => "bedrock",
        _ => "openai",
    }
}

/// Why an answer is cut off.
pub(super) const EXCEEDED: &str = "the answer is longer than what its budget has reserved";
/// Nanodollars.
const CENT: u64 = NANO / 100;
const EMBED: &str = "llm.embed";
/// What providers take no money for.
const FREE: &[&str] = &["llm.count", "llm.read", "llm.write", "http.read"];
