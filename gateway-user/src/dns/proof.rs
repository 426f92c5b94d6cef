//! What workloads were told: the proof that a name has an address, for the workload that asked and as long as the answer lives.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Answers of the operator's resolvers, by workload.
#[derive(Debug, Default)]
pub struct Proofs(Mutex<HashMap<u32, Told>>);

type Told = HashMap<(String, IpAddr), Instant>;

impl Proofs {
    /// Remembers that a workload was told this.
    pub fn remember(&self, workload: u32, name: &str, addresses: &[(IpAddr, u32)], now: Instant) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let told = all.entry(workload).or_default();
        if told.len() + addresses.len() > MOST {
            told.retain(|_, until| *until > now);
        }
        for (address, ttl) in addresses.iter().take(MOST / 2) {
            let until = now + Duration::from_secs(u64::from(*ttl)).clamp(SHORTEST, LONGEST);
            if told.len() >= MOST {
                // Asking again proves it again; what ends soonest is missed least.
                let soonest = told.iter().min_by_key(|(_, until)| **until);
                if let Some(key) = soonest.map(|(key, _)| key.clone()) {
                    told.remove(&key);
                }
            }
            told.insert((name.to_owned(), address.to_canonical()), until);
        }
    }

    /// Whether a workload was told that the name has this address.
    #[must_use]
    pub fn hold(&self, workload: u32, name: &str, address: IpAddr, now: Instant) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (name.to_owned(), address.to_canonical());
        let until = all.get(&workload).and_then(|told| told.get(&key));
        until.is_some_and(|until| *until > now)
    }
}

/// Names of one workload that count at a time; more than agents use in an hour.
const MOST: usize = 4096;
/// Clients connect a little later than they ask.
const SHORTEST: Duration = Duration::from_secs(60);
/// What has moved by then should be asked for again.
const LONGEST: Duration = Duration::from_secs(60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_holds_for_its_workload_name_address_and_time() {
        let (proofs, now) = (Proofs::default(), Instant::now());
        let address = IpAddr::from([192, 0, 2, 1]);
        proofs.remember(1, "a.test", &[(address, 300)], now);
        assert!(proofs.hold(1, "a.test", address, now));
        assert!(proofs.hold(
            1,
            "a.test",
            "::ffff:192.0.2.1".parse().unwrap_or(address),
            now
        ));
        assert!(!proofs.hold(2, "a.test", address, now));
        assert!(!proofs.hold(1, "b.test", address, now));
        assert!(!proofs.hold(1, "a.test", IpAddr::from([192, 0, 2, 2]), now));
        assert!(!proofs.hold(1, "a.test", address, now + Duration::from_secs(300)));
    }

    #[test]
    fn a_flood_of_names_takes_no_more_room() {
        let (proofs, now) = (Proofs::default(), Instant::now());
        let address = IpAddr::from([192, 0, 2, 1]);
        for number in 0..MOST + 100 {
            proofs.remember(1, &format!("{number}.test"), &[(address, 60)], now);
        }
        let last = format!("{}.test", MOST + 99);
        assert!(proofs.hold(1, &last, address, now));
        let all = proofs.0.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(all.get(&1).map(HashMap::len), Some(MOST));
    }
}
