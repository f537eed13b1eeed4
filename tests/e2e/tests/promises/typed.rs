//! A password that is typed at a terminal: it is not shown, and the terminal is as
//! it was afterwards, however it ends.

use std::process::Command;

use porthouse_e2e::house::House;
use porthouse_e2e::program::command;
use porthouse_e2e::terminal::Terminal;
use rustix::process::Signal;

const PASSWORD: &str = "battery staple";

fn token(grpc: &str, key: &str) -> Command {
    let mut command = command(["token", "sana", "--control", grpc]);
    command.env("PORTHOUSE_ADMIN_KEY", key);
    command
}

#[tokio::test]
async fn a_password_is_typed_unseen_and_the_token_alone_is_printed() {
    let house = House::start().await;
    house.backend().make_user("sana", PASSWORD).await;
    let key = house.backend().make_key(&["sessions"]).await;
    let command = token(&format!("http://{}", house.grpc()), &key);
    let mut terminal = Terminal::start(&command);
    terminal.shows("password: ").await;
    assert!(!terminal.echoes());
    terminal.types(&format!("{PASSWORD}\n"));
    let (status, printed) = terminal.ends().await;
    assert!(status.success(), "{status}: {}", terminal.shown());
    assert!(terminal.echoes());
    assert!(!terminal.shown().contains(PASSWORD));
    let token = printed.strip_suffix('\n').expect("a line");
    assert!(token.starts_with("phs_") && !token.contains('\n'));
    house.secrets().keep("a session's token", token);
    house.close().await;
}

/// How it ends before a password is typed.
#[derive(Debug)]
enum Way {
    Keys(&'static str),
    Signal(Signal),
}

/// The control plane is never asked, so there need be none.
#[tokio::test]
async fn whoever_ends_it_at_the_password_has_the_terminal_back() {
    let ways = [
        Way::Keys("half a pass\u{3}"),
        Way::Keys("\n"),
        Way::Signal(Signal::TERM),
        Way::Signal(Signal::HUP),
    ];
    for way in ways {
        let mut terminal = Terminal::start(&token("http://127.0.0.1:9", "phk_none"));
        assert!(terminal.echoes());
        terminal.shows("password: ").await;
        assert!(!terminal.echoes(), "{way:?}");
        match way {
            Way::Keys(keys) => terminal.types(keys),
            Way::Signal(signal) => terminal.signal(signal),
        }
        let (status, printed) = terminal.ends().await;
        assert!(!status.success(), "{way:?}");
        assert!(terminal.echoes(), "{way:?}: {}", terminal.shown());
        assert_eq!(printed, "", "{way:?}");
    }
}

/// They would stop or end it while nothing is shown; so they do nothing.
#[tokio::test]
async fn keys_that_stop_a_process_leave_no_terminal_that_shows_nothing() {
    let mut terminal = Terminal::start(&token("http://127.0.0.1:9", "phk_none"));
    terminal.shows("password: ").await;
    terminal.types("\u{1a}\u{1c}\u{3}");
    let (status, _) = terminal.ends().await;
    assert_eq!(status.code(), Some(1), "{status}");
    assert!(terminal.echoes());
}
