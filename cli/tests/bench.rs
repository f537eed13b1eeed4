//! `porthouse bench` as its users meet it: the real program against a server of
//! its own. Owns that each benchmark runs and tells what it measured; never what
//! the figures are.

use std::process::{Command, Output};

/// A benchmark, with a private server.
fn here(words: &[&str]) -> serde_json::Value {
    let mut command = bench(words);
    let output = command.args(["--here", "--json"]).output();
    let output = output.expect("the program runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {said}");
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(told["benchmark"], words[0]);
    told["figures"].clone()
}

fn bench(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_porthouse"));
    command.arg("bench").args(words);
    for variable in [
        "PORTHOUSE_API_KEY",
        "PORTHOUSE_SESSION_TOKEN",
        "DATABASE_URL",
    ] {
        command.env_remove(variable);
    }
    command
}

fn refused(words: &[&str]) -> String {
    let output: Output = bench(words).output().expect("the program runs");
    assert!(!output.status.success(), "{words:?} is refused");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_fanout_tells_what_a_delivery_took_and_cost() {
    let figures = here(&["fanout", "--sockets", "30", "--seconds", "1"]);
    for figure in [
        "deliveries_per_second",
        "delivery_p99_ms",
        "client_s_share_of_a_core_percent",
    ] {
        assert!(figures[figure].as_f64() > Some(0.0), "{figure}: {figures}");
    }
    assert!(figures["server_s_cpu_a_delivery_us"].is_f64(), "{figures}");
}

#[test]
fn a_revocation_closes_every_socket_of_its_sessions_and_tells_when() {
    let words = [
        "revoke",
        "--sockets",
        "40",
        "--sessions",
        "3",
        "--rate",
        "20",
    ];
    let figures = here(&words);
    assert_eq!(figures["closed_with_4101"], 40.0, "{figures}");
    assert!(figures["closed_after_the_call_p99_ms"].as_f64() > Some(0.0));
    let after = |what: &str| figures[format!("closed_after_{what}_max_ms")].as_f64();
    assert!(after("the_commit") > Some(0.0), "{figures}");
    assert!(after("the_commit") <= after("the_call"), "{figures}");
    assert!(figures["closed_after_its_answer_p99_ms"].is_f64());
    assert!(figures["deliveries_meanwhile_per_second"].as_f64() > Some(0.0));
}

#[test]
fn sockets_that_echo_come_and_go_without_a_trace() {
    let figures = here(&["echo", "--sockets", "5", "--seconds", "1"]);
    assert!(figures["deliveries_per_second"].as_f64() > Some(0.0));
}

#[test]
fn what_cannot_be_measured_is_refused_with_what_to_do() {
    let nowhere = "ws://127.0.0.1:1";
    let told = refused(&["connect", nowhere, "--sockets", "10000000"]);
    assert!(told.contains("open files and the hard limit is"), "{told}");
    assert!(refused(&["fanout", nowhere, "--sockets", "2"]).contains("cannot connect"));
    assert!(refused(&["revoke", nowhere]).contains("PORTHOUSE_API_KEY"));
    assert!(refused(&["echo", nowhere]).contains("--room"));
    assert!(refused(&["idle", nowhere]).contains("--pid"));
    assert!(refused(&["fanout"]).contains("--here"));
}
