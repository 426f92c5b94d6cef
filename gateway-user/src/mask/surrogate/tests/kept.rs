//! What is kept of surrogates beyond the process that made them.

use std::sync::{Arc, Mutex};

use super::{Shape, Style, Surrogates, Unrestored, Written, masked, restored, set};
use crate::mask::{Keep, Sealed};

/// Keeps so many.
#[derive(Debug)]
struct Shelf(Mutex<Vec<Sealed>>, usize);

impl Keep for Shelf {
    fn keep(&self, sealed: Sealed) -> bool {
        let mut all = self.0.lock().unwrap();
        let room = all.len() < self.1;
        if room {
            all.push(sealed);
        }
        room
    }
}

#[test]
fn what_is_kept_leads_back_in_another_process_and_nowhere_else() {
    let shelf = Arc::new(Shelf(Mutex::default(), 2));
    let with = |key: &[u8; 32], all| {
        let keep = Arc::clone(&shelf) as Arc<dyn Keep>;
        Arc::new(Surrogates::new(b"a key").kept(key, keep, all))
    };
    let says = r#"["anna.smith@corp.com","4111 1111 1111 1111","anna.smith@corp.com"]"#;
    let before = set(Style::Surrogate, &with(&[1; 32], Vec::new()));
    let told = masked(says, Shape::Json, &before);
    let mut kept = shelf.0.lock().unwrap().clone();
    assert_eq!(kept.len(), 2, "each once");
    let text = format!("{kept:?}");
    // What is sealed is random digits: four of them prove nothing.
    assert!(
        !text.contains("anna") && !text.contains("411111111111"),
        "{text}"
    );
    // What cannot be kept is not made.
    let third = masked("bob@corp.com", Shape::Text, &before);
    assert_eq!(third, "[REDACTED:email]");

    let again = with(&[1; 32], kept.clone());
    assert_eq!(restored(&again, &told, Written::Json).unwrap(), says);
    assert_eq!(
        masked(says, Shape::Json, &set(Style::Surrogate, &again)),
        told
    );
    let broken = |all| {
        let other = restored(&with(&[1; 32], all), &told, Written::Json);
        assert!(matches!(other, Err(Unrestored::Unknown(_))), "{other:?}");
    };
    let stranger = restored(&with(&[2; 32], kept.clone()), &told, Written::Json);
    assert!(matches!(stranger, Err(Unrestored::Unknown(_))));
    let mut renamed = kept.clone();
    for sealed in &mut renamed {
        sealed.class = "secrets".to_owned();
    }
    broken(renamed);
    let [one, other] = [0, 1].map(|at| kept[at].value.clone());
    (kept[0].value, kept[1].value) = (other, one.clone());
    broken(kept.clone());
    for bad in [
        String::new(),
        "zz".to_owned(),
        one[2..].to_owned(),
        one[..8].to_owned(),
    ] {
        kept[0].value.clone_from(&bad);
        kept[1].value = bad;
        broken(kept.clone());
    }
}
