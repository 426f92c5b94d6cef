//! Prices are found by name, exact, and never below what a call is reserved for.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;

fn built_in() -> Prices {
    Prices::load(None).unwrap()
}

#[test]
fn dated_versions_have_the_price_of_their_model_and_others_have_none() {
    let prices = built_in();
    let of = |model| prices.of("openai", "openai", model);
    assert!(of("gpt-5-mini").is_some());
    assert_eq!(of("gpt-5-mini-2025-08-07"), of("gpt-5-mini"));
    assert_eq!(of("gpt-5-2025-08-07"), of("gpt-5"));
    assert_ne!(of("gpt-5-mini"), of("gpt-5"));
    assert_eq!(of("gpt-5-minimal"), None);
    assert_eq!(of("GPT-5"), None);
    let claude = |model| prices.of("anthropic", "anthropic", model);
    assert!(claude("claude-sonnet-4-5-20250929").is_some());
    assert!(claude("claude-3-5-haiku-latest").is_some());
}

#[test]
fn a_service_with_prices_of_its_own_is_not_priced_by_the_maker_of_its_format() {
    let prices = built_in();
    assert!(prices.of("my-gateway", "openai", "gpt-5").is_some());
    assert!(prices.of("groq", "openai", "gpt-5").is_none());
}

#[test]
fn costs_are_exact_and_rounded_up() {
    let prices = built_in();
    let price = prices.of("openai", "openai", "gpt-5-mini").unwrap();
    let tokens = Tokens {
        input: 1_000_000,
        cached: 400_000,
        written: 0,
        output: 100_000,
        ..Tokens::default()
    };
    // 0.6 M at 0.25, 0.4 M at 0.025, 0.1 M at 2.
    assert_eq!(price.cost(tokens), 360_000_000);
    let one = Tokens {
        cached: 1,
        input: 1,
        ..Tokens::default()
    };
    assert_eq!(price.cost(one), 25);
    // More cached than read is not paid back.
    let nonsense = Tokens {
        input: 1,
        cached: 9,
        written: 9,
        output: 0,
        ..Tokens::default()
    };
    assert_eq!(price.cost(nonsense), 25);
    assert_eq!(
        price.cost(Tokens {
            input: u64::MAX,
            ..nonsense
        }),
        price.cost(Tokens {
            input: u64::MAX,
            ..nonsense
        })
    );
}

#[test]
fn long_calls_cost_what_the_provider_lists_for_them_and_no_bound_is_below_a_cost() {
    let prices = built_in();
    let price = prices.of("openai", "openai", "gpt-5.4").unwrap();
    let call = |input| Tokens {
        input,
        ..Tokens::default()
    };
    assert_eq!(price.cost(call(272_000)), 680_000_000);
    assert_eq!(price.cost(call(272_001)), 1_360_005_000);
    for input in [0, 1, 271_999, 272_000, 272_001, 1_000_000] {
        for (cached, written) in [(0, 0), (input, 0), (0, input), (input / 2, input / 3)] {
            let tokens = Tokens {
                input,
                cached,
                written,
                output: 77,
                ..Tokens::default()
            };
            assert!(price.cost(tokens) <= price.bound(input, 77, false));
        }
    }
}

#[test]
fn what_stays_in_a_cache_for_an_hour_costs_twice_what_is_read() {
    let prices = built_in();
    let of = |model| prices.of("anthropic", "anthropic", model).unwrap();
    let million = Tokens {
        input: 1_000_000,
        written: 1_000_000,
        ..Tokens::default()
    };
    for (model, minutes, hour) in [
        ("claude-sonnet-4-6", 3_750_000_000, 6_000_000_000),
        ("claude-3-haiku-20240307", 300_000_000, 500_000_000),
    ] {
        let price = of(model);
        assert_eq!(price.cost(million), minutes, "{model}");
        let kept = |hour| Tokens { hour, ..million };
        assert_eq!(price.cost(kept(1_000_000)), hour, "{model}");
        assert_eq!(price.cost(kept(500_000)), (minutes + hour) / 2, "{model}");
        assert_eq!(price.cost(kept(u64::MAX)), hour, "{model}");
        assert_eq!(price.bound(1_000_000, 0, true), hour, "{model}");
    }
}

#[test]
fn a_dearer_tier_is_reserved_for_and_settled_by_what_the_answer_says() {
    let prices = built_in();
    let listed = *prices.of("openai", "openai", "gpt-5-mini").unwrap();
    let tokens = |tenths| Tokens {
        input: 1_000_000,
        tenths,
        ..Tokens::default()
    };
    let dearer = listed.times(25);
    assert_eq!(listed.bound(1_000_000, 0, false), 250_000_000);
    assert_eq!(dearer.bound(1_000_000, 0, false), 625_000_000);
    assert_eq!(dearer.cost(tokens(None)), 625_000_000);
    assert_eq!(dearer.cost(tokens(Some(10))), 250_000_000);
    assert_eq!(listed.cost(tokens(Some(25))), 625_000_000);
}

#[test]
fn what_speaks_has_the_price_of_sound() {
    let prices = built_in();
    let of = |model| prices.of("openai", "openai", model).unwrap();
    let word = Tokens {
        output: 1_000_000,
        ..Tokens::default()
    };
    for (model, as_much_as) in [
        ("gpt-4o-audio-preview", "gpt-audio"),
        ("gpt-4o-audio-preview-2024-12-17", "gpt-audio"),
        ("gpt-4o-mini-audio-preview", "gpt-audio-mini"),
    ] {
        assert!(of(model).cost(word) >= of(as_much_as).cost(word), "{model}");
    }
}

#[test]
fn a_file_of_ones_own_comes_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prices.toml");
    let text = "date = \"2026-11-01\"\n[openai]\ngpt-5-mini = { input = 1, output = 3 }\n[mine]\n\"local/*\" = { input = 0, output = 0 }\n";
    std::fs::write(&path, text).unwrap();
    let prices = Prices::load(Some(&path)).unwrap();
    let one = Tokens {
        output: 1,
        ..Tokens::default()
    };
    let cost = |service, model| {
        let price = prices.of(service, "openai", model);
        price.map(|price| price.cost(one))
    };
    assert_eq!(cost("openai", "gpt-5-mini"), Some(3000));
    assert_eq!(cost("openai", "gpt-5"), Some(10_000));
    assert_eq!(cost("mine", "local/llama"), Some(0));
    assert_eq!(cost("mine", "gpt-5"), None);
    assert!(prices.date().contains("2026-11-01"));
    std::fs::write(&path, "date = \"x\"\n[openai]\na = { input = -1 }\n").unwrap();
    let error = Prices::load(Some(&path)).unwrap_err().to_string();
    assert!(
        error.contains("openai: \"a\": a price is dollars"),
        "{error}"
    );
}

#[test]
fn what_is_wrong_in_a_file_is_told_with_its_line_and_the_key_that_was_meant() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prices.toml");
    for (text, told) in [
        (
            "date = \"x\"\n[openai]\na = { input = 1, ouput = 2 }\n",
            "prices.toml:3: unknown key `ouput`; did you mean `output`?",
        ),
        (
            "date = \"x\"\n[openai]\na = { input = 1 }\nb = { input = -1 }\n",
            "prices.toml:4: openai: \"b\": a price is dollars",
        ),
        ("date = \"x\"\n[openai\n", "prices.toml:2: "),
        ("[openai]\na = { input = 1 }\n", "add `date = "),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = Prices::load(Some(&path)).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn a_model_at_bedrock_has_its_price_under_each_of_its_names() {
    let prices = built_in();
    let of = |model| prices.of("bedrock-here", "bedrock", model);
    let profile = "us.anthropic.claude-haiku-4-5-20251001-v1:0";
    let price = of(profile).unwrap();
    for name in [
        "anthropic.claude-haiku-4-5-20251001-v1:0",
        "eu.anthropic.claude-haiku-4-5-20251001-v1:0",
        "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-haiku-4-5-20251001-v1:0",
        "arn:aws-us-gov:bedrock:us-gov-west-1::foundation-model/anthropic.claude-haiku-4-5-20251001-v1:0",
    ] {
        assert_eq!(of(name), Some(price), "{name}");
    }
    let million = Tokens {
        input: 1_000_000,
        ..Tokens::default()
    };
    assert_eq!(price.cost(million), 1_100_000_000);
    // A profile that spans the world is a tenth cheaper.
    let global = of("global.anthropic.claude-haiku-4-5-20251001-v1:0").unwrap();
    assert_eq!(global.cost(million), 1_000_000_000);
    assert!(of("amazon.nova-lite-v1:0").is_some());
    for unknown in [
        "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3d4e5f6",
        "xx.anthropic.claude-haiku-4-5-20251001-v1:0",
        "anthropic.claude-none",
        "arn:",
        "",
    ] {
        assert_eq!(of(unknown), None, "{unknown}");
    }
    // Elsewhere such a name is any name.
    assert_eq!(prices.of("anthropic", "anthropic", profile), None);
}
