//! Names: who is asked for them, what may be told, and what an answer is worth.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, bail, ensure};
use tests::{
    harness::{
        Resolver, WAIT, finish, free_address,
        resolver::{AAAA, address, text},
    },
    upstream::{Options, Upstream},
};

use crate::world::{Cgroup, IDENTITY, World, held};

const READ_ALL: &str = "@id(\"read\") permit (principal, action in Action::\"http\", resource in ServiceGroup::\"unlisted\");";

/// What libc finds for a name; nothing where it does not exist.
fn found(cgroup: &Cgroup, name: &str) -> anyhow::Result<Vec<String>> {
    let mut command = cgroup.command("getent");
    command.args(["ahosts", name]);
    let finished = finish(&command, "", WAIT)?;
    ensure!(
        matches!(finished.status.code(), Some(0 | 2)),
        "{finished:?}"
    );
    let first = |line: &str| line.split_whitespace().next().map(str::to_owned);
    let mut addresses: Vec<String> = finished.stdout.lines().filter_map(first).collect();
    addresses.dedup();
    Ok(addresses)
}

#[test]
fn a_name_that_no_permit_could_be_for_is_asked_of_nobody() -> anyhow::Result<()> {
    let loopback = IpAddr::from([127, 0, 0, 9]);
    let data = "6b65792d6d6174657269616c.attacker.test";
    let listed = "listed.example.test";
    let resolver = Resolver::start(vec![address(data, loopback), address(listed, loopback)])?;
    let policy = "@id(\"own\") permit (principal, action in Action::\"http\", resource == Service::\"own\");";
    let world = World::begin(&[], policy, |lab| {
        lab.resolve_by(resolver.addr.ip())?;
        Ok(format!(
            "[[service]]\nname = \"own\"\nhosts = [\"http://{listed}\"]\n"
        ))
    })?;
    for name in [data, listed] {
        ensure!(
            found(&world.free, name)? == ["127.0.0.9"],
            "the control run"
        );
    }
    ensure!(resolver.take().iter().any(|(name, _)| name == data));

    ensure!(found(&world.governed, data)?.is_empty());
    ensure!(resolver.take().is_empty(), "the name has left");
    ensure!(found(&world.governed, listed)? == ["127.0.0.9"]);
    ensure!(resolver.take().iter().all(|(name, _)| name == listed));
    let lookups = world.daemon.lookups()?;
    for (name, outcome) in [(data, "refused"), (listed, "completed")] {
        let mut of = lookups.iter().filter(|lookup| lookup["path"] == name);
        ensure!(
            of.clone().count() > 0
                && of.all(|lookup| lookup["outcome"] == outcome
                    && lookup["identity"] == IDENTITY
                    && lookup["action"] == "dns.resolve"),
            "{lookups:#?}"
        );
    }
    Ok(())
}

#[test]
fn a_public_name_leads_to_nothing_inside() -> anyhow::Result<()> {
    let inside = Upstream::start(&Options {
        plain: vec![free_address(80)?],
        ..Options::default()
    })?;
    let at = inside.plain[0].ip();
    let (hosted, named) = ("hosted.example.test", "named.example.test");
    let addresses: [(&str, &str); 5] = [
        ("loopback.example.test", "127.0.0.9"),
        ("private.example.test", "10.1.2.3"),
        ("metadata.example.test", "169.254.169.254"),
        ("mapped.example.test", "::ffff:169.254.169.254"),
        ("unique-local.example.test", "fd00:ec2::254"),
    ];
    let mut records = vec![address(named, at)];
    for (name, of) in addresses {
        records.push(address(name, of.parse()?));
    }
    let resolver = Resolver::start(records)?;
    let names_one = format!(
        "{READ_ALL}\n@id(\"named\") permit (principal, action in Action::\"http\", resource == Service::\"{named}:80\");"
    );
    // The host's own file stands for a public answer that the daemon would believe.
    let world = World::begin(&[(at, hosted)], &names_one, |lab| {
        lab.resolve_by(resolver.addr.ip())?;
        Ok(String::new())
    })?;
    for (name, _) in addresses {
        ensure!(found(&world.free, name)?.len() == 1, "control: {name}");
        ensure!(found(&world.governed, name)?.is_empty(), "{name}");
        let lookups = world.daemon.lookups()?;
        let told = |lookup: &&serde_json::Value| {
            let reason = lookup["reason"].as_str().unwrap_or_default();
            lookup["path"] == name && reason.contains("rebinding") && lookup["outcome"] == "refused"
        };
        ensure!(lookups.iter().any(|lookup| told(&lookup)), "{lookups:#?}");
    }
    let get = |cgroup: &Cgroup, host: &str| {
        let mut command = cgroup.command("curl");
        command.args(["--silent", "--fail", "--max-time", "5", "--noproxy", "*"]);
        command.arg(format!("http://{host}/hello"));
        finish(&command, "", WAIT)
    };
    for host in [hosted, named] {
        get(&world.free, host)?.success()?;
        ensure!(inside.take().len() == 1, "the control run to {host}");
    }
    ensure!(!get(&world.governed, hosted)?.status.success());
    ensure!(inside.take().is_empty(), "{hosted} was reached");
    let exchange = world.daemon.exchanges()?.pop().context("no exchange")?;
    let reason = exchange["reason"].as_str().unwrap_or_default();
    ensure!(reason.contains("rebinding"), "{exchange:#}");
    // What a permit names is the operator's word.
    get(&world.governed, named)?.success()?;
    ensure!(inside.take().len() == 1);
    Ok(())
}

#[test]
fn a_resolver_of_its_own_gets_neither_the_question_nor_the_credential() -> anyhow::Result<()> {
    const SERVICE: &str = "asked.example.test";
    const SECRET: &str = "sk-asked-0123456789abcdef";
    let start = || {
        Upstream::start(&Options {
            tls: vec![free_address(443)?],
            names: vec![SERVICE.to_owned()],
            ..Options::default()
        })
    };
    let (true_one, attacker) = (start()?, start()?);
    let resolver = Resolver::start(vec![address(SERVICE, true_one.tls[0].ip())])?;
    let own = Resolver::start(vec![address(SERVICE, attacker.tls[0].ip())])?;
    let policy = "@id(\"all\") permit (principal, action, resource == Service::\"held\");";
    let world = World::begin(&[], policy, |lab| {
        lab.resolve_by(resolver.addr.ip())?;
        lab.write("own.conf", &format!("nameserver {}\n", own.addr.ip()))?;
        held(lab, SERVICE, true_one.authority.pem(), SECRET)
    })?;
    let both = world.ca()? + attacker.authority.pem();
    let ca = world.lab.write("trusted.pem", &both)?;
    // The agent has a resolver of its own, and trusts a CA of its own beside the gateway's.
    let script = format!(
        "mount --bind {} /etc/resolv.conf && exec curl --silent --max-time 5 --noproxy '*' --cacert {} https://{SERVICE}/v1/models",
        world.lab.path("own.conf").display(),
        ca.display()
    );
    let get = |cgroup: &Cgroup| {
        let mut command = cgroup.command("unshare");
        command.args(["--mount", "sh", "-c", &script]);
        finish(&command, "", WAIT)
    };
    get(&world.free)?.success()?;
    ensure!(attacker.take().len() == 1, "the control run");
    ensure!(!own.take().is_empty() && resolver.take().is_empty());

    get(&world.governed)?.success()?;
    ensure!(own.take().is_empty(), "its resolver was asked");
    ensure!(attacker.received().is_empty(), "{:#?}", attacker.received());
    ensure!(resolver.take().iter().any(|(name, _)| name == SERVICE));
    let received = true_one.take().pop().context("nothing arrived")?;
    ensure!(received.header("authorization") == Some(format!("Bearer {SECRET}").as_str()));
    Ok(())
}

#[test]
fn a_tunnel_through_permitted_names_is_limited_and_on_record() -> anyhow::Result<()> {
    let zone = "tunnel.example.test";
    let resolver = Resolver::start(vec![text(zone, "x")])?;
    let world = World::begin(&[], READ_ALL, |lab| {
        lab.resolve_by(resolver.addr.ip())?;
        Ok(String::new())
    })?;
    // Each name carries 24 bytes; getent asks for two families, one after the other where the first says "no such name".
    let script = format!(
        "i=0; while [ $i -lt {TRIES} ]; do getent ahostsv4 $(printf '%024x' $i).{zone}; i=$((i+1)); done; true"
    );
    let flood = |cgroup: &Cgroup| {
        let mut command = cgroup.command("sh");
        command.args(["-c", &script]);
        finish(&command, "", WAIT)
    };
    let names = || {
        let asked = resolver.take().into_iter();
        let mut names: Vec<String> = asked
            .filter(|(_, kind)| *kind != AAAA)
            .map(|(name, _)| name)
            .collect();
        names.sort_unstable();
        names.dedup();
        names.len()
    };
    flood(&world.free)?.success()?;
    ensure!(names() == TRIES, "the control run");
    flood(&world.governed)?.success()?;
    let passed = names();
    ensure!(
        passed > 0 && passed < TRIES / 2,
        "{passed} of {TRIES} names passed"
    );
    let lookups = world.daemon.lookups()?;
    let excess = |lookup: &&serde_json::Value| {
        let reason = lookup["reason"].as_str().unwrap_or_default();
        lookup["outcome"] == "refused" && reason.starts_with("tunnel: ")
    };
    ensure!(lookups.iter().filter(excess).count() == 1, "{lookups:#?}");
    Ok(())
}

#[test]
fn questions_over_https_and_tls_are_connections_like_any_other() -> anyhow::Result<()> {
    const DOH: &str = "resolver.example.test";
    const DOT: &str = "dot.example.test";
    let https = free_address(443)?;
    let upstream = Upstream::start(&Options {
        tls: vec![https, SocketAddr::new(https.ip(), 853)],
        names: vec![DOH.to_owned(), DOT.to_owned()],
        ..Options::default()
    })?;
    let world = World::begin(&[(https.ip(), DOH), (https.ip(), DOT)], "", |lab| {
        let ca = lab.write("upstream-ca.pem", upstream.authority.pem())?;
        Ok(format!(
            "[[service]]\nname = \"doh\"\nhosts = [{DOH:?}]\nca = {ca:?}\n"
        ))
    })?;
    let doh = format!("https://{DOH}/dns-query");
    let dot = format!("https://{DOT}:853/");
    // What it asks for is the resolver's matter alone; that the resolver is asked is what counts.
    let ways: [&[&str]; 2] = [
        &[
            "--doh-insecure",
            "--doh-url",
            &doh,
            "http://carried.example.test/",
        ],
        &["--insecure", &dot],
    ];
    let ask = |cgroup: &Cgroup, way: &[&str]| -> anyhow::Result<Vec<String>> {
        let mut command = cgroup.command("curl");
        command.args(["--silent", "--max-time", "5", "--noproxy", "*"]);
        finish(command.args(way), "", WAIT)?;
        let received = upstream.take().into_iter();
        Ok(received.map(|request| request.path).collect())
    };
    for (way, path) in ways.into_iter().zip(["/dns-query", "/"]) {
        let asked = ask(&world.free, way)?;
        ensure!(
            !asked.is_empty() && asked.iter().all(|asked| asked == path),
            "the control run: {asked:?}"
        );
        let asked = ask(&world.governed, way)?;
        ensure!(asked.is_empty(), "{way:?}: {asked:?}");
        let refused = world.daemon.exchanges()?.pop().context("no exchange")?;
        ensure!(
            refused["outcome"] == "refused" && refused["path"] == path,
            "{refused:#}"
        );
    }
    let policy = "@id(\"doh\") permit (principal, action in Action::\"http\", resource == Service::\"doh\");";
    world.lab.write("policies/policies.cedar", policy)?;
    world.daemon.run(&["policy", "reload"])?.success()?;
    ensure!(ask(&world.governed, ways[0])?.contains(&"/dns-query".to_owned()));
    ensure!(ask(&world.governed, ways[1])?.is_empty());
    Ok(())
}

#[test]
fn of_two_who_ask_at_once_each_is_known() -> anyhow::Result<()> {
    const OTHER: &str = "other-agent";
    let names: Vec<[String; 2]> = (0..QUESTIONS)
        .map(|number| [IDENTITY, OTHER].map(|who| format!("n{number}.{who}.example.test")))
        .collect();
    let records = names.iter().flatten();
    let resolver = Resolver::start(
        records
            .map(|name| address(name, [127, 0, 0, 9].into()))
            .collect(),
    )?;
    let policy = "@id(\"asked\") permit (principal, action in Action::\"http\", resource == Service::\"asked\");";
    let world = World::begin(&[], policy, |lab| {
        lab.resolve_by(resolver.addr.ip())?;
        Ok(format!(
            "[[identity]]\nid = {OTHER:?}\n\n[[service]]\nname = \"asked\"\nhosts = {:?}\n",
            names.concat()
        ))
    })?;
    let other = Cgroup::new("other")?;
    let folder = other.path().to_str().context("a path")?;
    world
        .daemon
        .run(&["tag", "--as", OTHER, "--cgroup", folder])?
        .success()?;
    let ask = |cgroup: &Cgroup, who: usize| -> anyhow::Result<()> {
        let mut command = cgroup.command("getent");
        command.arg("ahostsv4");
        let own = names.iter().map(|names| &names[who]);
        let finished = finish(command.args(own), "", WAIT)?;
        let answered = finished.stdout.matches("STREAM").count();
        ensure!(answered == QUESTIONS, "{answered} answers: {finished:?}");
        Ok(())
    };
    ask(&world.free, 0).context("the control run")?;
    std::thread::scope(|scope| {
        let one = scope.spawn(|| ask(&world.governed, 0));
        ask(&other, 1)?;
        one.join().unwrap_or_else(|_| bail!("the other panicked"))
    })?;
    let lookups = world.daemon.lookups()?;
    for names in &names {
        for (name, who) in names.iter().zip([IDENTITY, OTHER]) {
            let mut of = lookups.iter().filter(|lookup| lookup["path"] == **name);
            ensure!(
                of.clone().count() > 0 && of.all(|lookup| lookup["identity"] == who),
                "{name}: {lookups:#?}"
            );
        }
    }
    Ok(())
}

/// Of each, in one process that asks them one after the other.
const QUESTIONS: usize = 20;
/// More than a workload may ask below one domain, all in labels that look encoded.
const TRIES: usize = 120;
