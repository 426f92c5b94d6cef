//! Before a tag is in force it is told what each process will make of the CA.

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::{
    adopted::{NAME, mounts, start},
    cgroup::Cgroup,
    world::{IDENTITY, World, clients, python, text},
};

#[test]
fn what_each_process_will_make_of_the_ca_is_told_before_anything_is_governed() -> anyhow::Result<()>
{
    let cgroup = Cgroup::new("prospect")?;
    let world = World::with(&[NAME], "")?;
    let script = clients("trust/kept.py").display().to_string();
    let program = [&*python()?, &script, NAME];
    let own = ["unshare", "--mount", "--propagation", "private"];
    let mut agent = start(&cgroup, &own, &program)?;
    agent.ask()?;
    let before = mounts(agent.pid());
    let named = [
        "tag",
        "--as",
        IDENTITY,
        "--cgroup",
        cgroup.folder()?,
        "--accept-uncontained",
    ];
    let told = |more: &[&str]| -> anyhow::Result<Vec<Value>> {
        let printed = world.daemon.run(&[&named[..], more].concat())?.success()?;
        let rows = printed.lines().map(serde_json::from_str);
        Ok(rows.collect::<Result<_, _>>()?)
    };
    let rows = told(&["--dry-run", "--json"])?;
    ensure!(
        rows.len() == 1 && rows[0]["pid"] == agent.pid(),
        "{rows:#?}"
    );
    assert_eq!(rows[0]["standing"], "effective", "{rows:#?}");

    // One that lives with the whole host is offered what helps it, and neither is governed by that.
    let mut beside = start(&cgroup, &[], &program)?;
    beside.ask()?;
    let rows = told(&["--dry-run", "--json"])?;
    let of = |rows: &[Value], pid: u32| rows.iter().find(|row| row["pid"] == pid).cloned();
    let row = of(&rows, beside.pid()).unwrap_or_default();
    assert_eq!(row["standing"], "shared", "{rows:#?}");
    ensure!(text(&row, "remedy").contains("tollgate run"), "{row}");
    let status = world.daemon.run(&["status", "--json"])?.success()?;
    let status: Value = serde_json::from_str(&status)?;
    assert_eq!(status["workloads"], json!([]));
    assert_eq!(mounts(agent.pid()), before);

    let printed = world.daemon.run(&named)?.success()?;
    let (table, governed) = printed
        .split_once("governed:")
        .context("nothing is governed")?;
    ensure!(
        table.contains("1 of 2 will refuse the gateway"),
        "{printed}"
    );
    ensure!(governed.contains("enforce"), "{printed}");
    ensure!(mounts(agent.pid()) > before, "{}", world.daemon.log());
    // What is governed already is told as it was seen.
    let rows = told(&["--json"])?;
    assert_eq!(rows.len(), 3, "{rows:#?}");
    assert_eq!(rows[2]["identity"], IDENTITY, "{rows:#?}");
    let row = of(&rows, agent.pid()).unwrap_or_default();
    assert_eq!(
        row["reason"], "the certificates it reads have the CA",
        "{rows:#?}"
    );
    Ok(())
}

#[test]
fn an_image_without_certificates_is_told_before_it_is_governed() -> anyhow::Result<()> {
    let cgroup = Cgroup::new("bare")?;
    let world = World::with(&[NAME], "")?;
    let bare = "for folder in /etc/ssl /usr/local/share; do mount -t tmpfs none $folder || exit; done; exec \"$@\"";
    let own = [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-c",
        bare,
        "sh",
    ];
    let script = clients("trust/kept.py").display().to_string();
    let mut agent = start(&cgroup, &own, &[&*python()?, &script, NAME])?;
    agent.ask()?;
    let tag = ["tag", "--as", IDENTITY, "--cgroup", cgroup.folder()?];
    let dry = ["--accept-uncontained", "--dry-run", "--json"];
    let printed = world.daemon.run(&[&tag[..], &dry].concat())?.success()?;
    let row: Value = serde_json::from_str(&printed)?;
    ensure!(row["standing"] == "shared", "{row}");
    ensure!(
        text(&row, "reason").contains("add ca-certificates to the image"),
        "{row}"
    );
    Ok(())
}
