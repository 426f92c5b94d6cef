//! Ways out that are no request: bytes to an address, and a daemon that is gone.

use tests::harness::{WAIT, finish};

use crate::world::{Conversation, FILES, IDENTITY, World, python, text};

/// Sends a line to an address and prints what comes back.
const SEND: &str = "
import socket, sys
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10) as s:
        s.sendall(b'hello?\\n')
        print('got', s.recv(100))
except OSError as error:
    print('failed', type(error).__name__)
";

#[test]
fn bytes_to_an_address_go_nowhere() -> anyhow::Result<()> {
    let world = World::new()?;
    let echo = world.upstream.echo[0];
    let arguments = [
        "-c".to_owned(),
        SEND.to_owned(),
        echo.ip().to_string(),
        echo.port().to_string(),
    ];
    let control =
        finish(world.daemon.untagged(&python()?).args(&arguments), "", WAIT)?.success()?;
    assert_eq!(control.trim(), "got b'hello?\\n'");
    let connections = world.upstream.connections();
    let printed = finish(
        world.daemon.tagged(IDENTITY, &python()?).args(&arguments),
        "",
        WAIT,
    )?
    .success()?;
    assert!(
        ["got b''", "failed ConnectionResetError"].contains(&printed.trim()),
        "{printed}"
    );
    assert_eq!(
        world.upstream.connections(),
        connections,
        "the upstream was dialled without a permit"
    );
    let exchanges = world.daemon.ended_after(0, 1)?;
    assert_eq!(exchanges.len(), 1, "{exchanges:#?}");
    assert_eq!(exchanges[0]["action"], "connect");
    assert_eq!(text(&exchanges[0], "service"), echo.to_string());
    assert_eq!(exchanges[0]["outcome"], "refused");
    Ok(())
}

#[test]
fn a_dead_daemon_refuses_at_once() -> anyhow::Result<()> {
    const ASK: &str = "
import requests, sys
url = sys.argv[1]
for line in sys.stdin:
    try:
        print(requests.get(url, timeout=10).status_code, flush=True)
    except requests.exceptions.ConnectionError as error:
        print('refused' if 'refused' in str(error) else error, flush=True)
";
    let mut world = World::new()?;
    let mut command = world.daemon.tagged(IDENTITY, &python()?);
    command.args(["-c", ASK, &format!("https://{FILES}/hello")]);
    let mut agent = Conversation::start(&mut command)?;
    assert_eq!(agent.ask()?, "200");
    world.daemon.crash()?;
    let received = world.upstream.received().len();
    assert_eq!(agent.ask()?, "refused");
    assert_eq!(world.upstream.received().len(), received);
    Ok(())
}
