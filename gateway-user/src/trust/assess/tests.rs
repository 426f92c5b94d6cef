//! What is said of a process, by what is known of it.

use std::path::Path;

use super::*;

fn facts(exe: &str) -> Facts {
    Facts {
        exe: exe.into(),
        sees: true,
        ..Facts::default()
    }
}

fn with(mut facts: Facts, change: impl FnOnce(&mut Facts)) -> (Standing, String) {
    change(&mut facts);
    let verdict = assess(&facts);
    (verdict.standing, verdict.remedy)
}

fn standing(exe: &str, change: impl FnOnce(&mut Facts)) -> Standing {
    with(facts(exe), change).0
}

#[test]
fn what_was_seen_comes_before_what_is_expected() {
    let trusted = standing("/usr/bin/node", |facts| facts.trusted = true);
    assert_eq!(trusted, Standing::Trusts);
    let refused = |facts: &mut Facts| {
        facts.refused = Some("the client distrusts our CA (alert unknown_ca)".into());
    };
    assert_eq!(standing("/usr/bin/python3", refused), Standing::Refuses);
    let pinned = standing("/app", |facts| {
        refused(facts);
        facts.elsewhere = true;
    });
    assert_eq!(pinned, Standing::Pinned);
    let defect = |facts: &mut Facts| {
        facts.refused = Some("the client does not accept our certificate".into());
    };
    assert_eq!(standing("/usr/bin/curl", defect), Standing::Defect);
    assert_eq!(standing("/usr/bin/java", defect), Standing::Refuses);
}

#[test]
fn runtimes_need_their_variable_or_a_restart() {
    assert_eq!(standing("/usr/bin/node", |_| {}), Standing::Restart);
    let set = |facts: &mut Facts| {
        facts
            .environment
            .insert("NODE_EXTRA_CA_CERTS".into(), "/x".into());
    };
    assert_eq!(standing("/usr/bin/node", set), Standing::Effective);
    let late = |facts: &mut Facts| facts.late = true;
    assert_eq!(standing("/usr/bin/java", late), Standing::Restart);
    assert_eq!(standing("/usr/bin/python3", late), Standing::Effective);
    let own = standing("/opt/agent", |facts| facts.compiled_in = true);
    assert_eq!(own, Standing::Impossible);
}

#[test]
fn a_program_made_one_file_with_its_runtime_is_judged_as_that() {
    let of = |runtime: Kind, change: &dyn Fn(&mut Facts)| {
        with(facts("/opt/agent"), |facts| {
            facts.runtime = runtime;
            change(facts);
        })
    };
    let (node, remedy) = of(Kind::Node, &|_| {});
    assert_eq!(node, Standing::Restart);
    assert!(remedy.contains("tollgate run"), "{remedy}");
    // It looks the CA up by its hash whatever it has compiled in.
    let bun = |facts: &mut Facts| (facts.compiled_in, facts.late) = (true, true);
    assert_eq!(of(Kind::Bun, &bun).0, Standing::Effective);
    let system = |facts: &mut Facts| facts.system = true;
    assert_eq!(of(Kind::Node, &system).0, Standing::Effective);
    assert_eq!(of(Kind::Deno, &system).0, Standing::Effective);
}

#[test]
fn compiled_in_roots_to_which_a_variable_may_add_are_not_the_last_word() {
    let of = |set: &str| {
        with(facts("/usr/bin/uv"), |facts| {
            (facts.compiled_in, facts.variable) = (true, true);
            let set = ("SSL_CERT_FILE".to_owned(), set.to_owned());
            facts.environment.extend([set]);
        })
    };
    let (unset, remedy) = of("");
    assert_eq!(unset, Standing::Restart);
    assert!(remedy.contains("tollgate run"), "{remedy}");
    assert_eq!(
        of("/etc/ssl/certs/ca-certificates.crt").0,
        Standing::Effective
    );
}

#[test]
fn chromium_trusts_by_a_policy_and_is_told_where_it_takes_more_roots_from() {
    let of = |change: &dyn Fn(&mut Facts)| with(facts("/usr/lib/chromium/chromium"), change);
    let (standing, remedy) = of(&|_| {});
    assert_eq!(standing, Standing::Impossible);
    assert!(remedy.contains("nssdb"), "{remedy}");
    // `certificate_unknown` is its word for a CA that it does not know, not for a bad certificate.
    let refused = |facts: &mut Facts| {
        facts.refused =
            Some("the client does not accept our certificate (alert certificate_unknown)".into());
    };
    assert_eq!(of(&refused), (standing, remedy));
    assert_eq!(of(&|facts| facts.trusted = true).0, Standing::Trusts);
    assert_eq!(of(&|facts| facts.policy = true).0, Standing::Effective);
    let late = |facts: &mut Facts| (facts.policy, facts.late) = (true, true);
    assert_eq!(of(&late), (Standing::Restart, "restart it".to_owned()));
}

#[test]
fn a_keystore_is_not_given_when_it_is_opened() {
    for keystore in ["/own.jks", "/own.p12", "/jre/lib/security/cacerts"] {
        let remedy = read_elsewhere(true, Path::new(keystore));
        assert!(remedy.contains("JAVA_HOME"), "{keystore}: {remedy}");
    }
    assert!(read_elsewhere(true, Path::new("/own.pem")).contains("fdsubst"));
}

#[test]
fn what_reads_its_roots_once_is_told_until_when_it_may_run() {
    let next = |facts: &mut Facts| facts.next = Some("2027-01-01".into());
    let (standing, remedy) = with(facts("/usr/bin/java"), next);
    assert_eq!(standing, Standing::Effective);
    assert!(remedy.contains("before 2027-01-01"), "{remedy}");
    assert_eq!(with(facts("/usr/bin/python3"), next).1, "");
}

#[test]
fn a_view_that_is_shared_gets_a_precise_offer() {
    let service = with(facts("/usr/bin/python3"), |facts| {
        facts.sees = false;
        facts.unit = Some("agent.service".into());
    });
    assert_eq!(service.0, Standing::Shared);
    assert!(
        service
            .1
            .starts_with("tollgate trust unit agent.service --write")
    );
    let other = with(facts("/usr/bin/python3"), |facts| facts.sees = false);
    assert!(other.1.contains("tollgate run"), "{}", other.1);
}

fn refused(facts: &mut Facts) {
    facts.refused = Some("api.test: the client probably distrusts our CA".into());
}

fn opened(path: &str, held: bool, holds: bool) -> Seen {
    Seen {
        path: path.into(),
        held,
        holds,
    }
}

#[test]
fn the_bundle_that_was_opened_says_why_and_what_helps() {
    let judged = |change: &dyn Fn(&mut Facts)| {
        let mut facts = facts("/usr/bin/python3");
        refused(&mut facts);
        change(&mut facts);
        assess(&facts)
    };
    let own = judged(&|facts| {
        facts.launched = true;
        facts.opened = vec![opened("/own.pem", false, false)];
    });
    assert_eq!(own.standing, Standing::Refuses);
    assert_eq!(own.bundle.as_deref(), Some(Path::new("/own.pem")));
    assert!(
        own.reason
            .ends_with("it opened /own.pem, which does not have the CA")
    );
    assert!(own.remedy.contains("--trust=fdsubst"), "{}", own.remedy);

    let several = |facts: &mut Facts| {
        facts.opened = vec![
            opened("/kubernetes/ca.crt", false, false),
            opened("/etc/b.crt", true, true),
        ];
    };
    let which = judged(&several);
    assert_eq!(which.standing, Standing::Refuses);
    assert!(
        which.reason.ends_with(", and others that have it"),
        "{}",
        which.reason
    );
    // One that trusts for other names pins this one, whatever else it opened.
    let pinned = judged(&|facts| {
        several(facts);
        facts.elsewhere = true;
    });
    assert_eq!((pinned.standing, pinned.bundle), (Standing::Pinned, None));
    assert!(pinned.reason.contains("may verify"), "{}", pinned.reason);

    let early = judged(&|facts| facts.opened = vec![opened("/b.crt", false, true)]);
    assert_eq!(early.standing, Standing::Restart);
    assert!(early.reason.ends_with("which did not have the CA yet"));

    let pins = judged(&|facts| facts.opened = vec![opened("/b.crt", true, true)]);
    assert_eq!((pins.standing, pins.bundle), (Standing::Refuses, None));
    assert!(
        pins.reason.contains("has the CA, and refuses"),
        "{}",
        pins.reason
    );

    let none = judged(&|facts| facts.watched = true);
    assert!(
        none.reason.contains("it was not seen to open a bundle"),
        "{}",
        none.reason
    );
    let folder = |facts: &mut Facts| {
        facts.watched = true;
        let folder = ("SSL_CERT_DIR".to_owned(), "/certs".to_owned());
        facts.environment.extend([folder]);
    };
    for unknown in [judged(&|_| {}), judged(&folder)] {
        let ends = "which bundle it opened is not known";
        assert!(unknown.reason.ends_with(ends), "{}", unknown.reason);
    }

    let shared = judged(&|facts| {
        facts.sees = false;
        facts.opened = vec![opened("/b.crt", false, false)];
    });
    assert_eq!(shared.standing, Standing::Shared);
    assert_eq!(shared.bundle.as_deref(), Some(Path::new("/b.crt")));
}

#[test]
fn what_reads_its_roots_once_and_came_too_early_is_to_be_restarted() {
    let late = |once: Option<&'static str>, refuses: bool| {
        standing("/app", |facts| {
            (facts.late, facts.once) = (true, once);
            if refuses {
                refused(facts);
            }
        })
    };
    assert_eq!(late(Some(GO), false), Standing::Restart);
    // Only what goes by gRPC in it; that shows when it refuses.
    assert_eq!(late(Some(GRPC), false), Standing::Effective);
    assert_eq!(late(Some(GRPC), true), Standing::Restart);
    assert_eq!(late(None, true), Standing::Restart);
    // It has read them since.
    let read = standing("/app", |facts| {
        (facts.late, facts.once) = (true, Some(GO));
        facts.opened = vec![opened("/b.crt", true, true)];
    });
    assert_eq!(read, Standing::Effective);
}

#[test]
fn what_is_expected_is_as_if_the_ca_came_now() {
    let alone = |exe: &str, change: fn(&mut Facts)| {
        let mut facts = facts(exe);
        facts.sees = false;
        change(&mut facts);
        expect(facts, None).standing
    };
    assert_eq!(alone("/usr/bin/python3", |_| {}), Standing::Effective);
    assert_eq!(alone("/usr/bin/java", |_| {}), Standing::Restart);
    assert_eq!(
        alone("/app", |facts| facts.once = Some(GO)),
        Standing::Restart
    );
    let own = |facts: &mut Facts| facts.compiled_in = true;
    assert_eq!(alone("/app", own), Standing::Impossible);
    // A variable of its own does not lead to a CA that is yet to be made.
    let mut node = facts("/usr/bin/node");
    let names = ("NODE_EXTRA_CA_CERTS".to_owned(), "/x".to_owned());
    node.environment.extend([names]);
    node.unit = Some("agent.service".to_owned());
    let verdict = expect(node, Some("process 1 lives with it".to_owned()));
    assert_eq!(verdict.standing, Standing::Shared);
    assert!(
        verdict
            .remedy
            .contains("tollgate trust unit agent.service --write")
    );
}

#[test]
fn a_variable_that_names_a_file_without_the_ca_is_told() {
    let mut npm = facts("/usr/bin/node");
    let set = ("NODE_EXTRA_CA_CERTS".into(), "/run/tollgate/ca.pem".into());
    npm.environment.extend([set]);
    npm.named = vec!["npm_config_cafile"];
    assert_eq!(assess(&npm).standing, Standing::Effective);
    npm.refused = Some("a.test: the client distrusts our CA (alert unknown_ca)".into());
    let verdict = assess(&npm);
    assert_eq!(verdict.standing, Standing::Refuses);
    assert!(
        verdict
            .reason
            .ends_with("the file that npm_config_cafile names does not have the CA")
    );
    assert!(verdict.remedy.contains("before `tollgate run`"));
    assert!(Kind::Node.reads("npm_config_cafile") && !Kind::Node.reads("SSL_CERT_FILE"));
    assert!(Kind::Other.reads("SSL_CERT_FILE") && !Kind::Other.reads("npm_config_cafile"));
}
