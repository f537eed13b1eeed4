//! `porthouse explain`: what would come of it if somebody did something in a room,
//! and why. The control plane decides; this prints what it answers.

use anyhow::bail;
use clap::ValueEnum;
use porthouse_api::control::v1 as wire;
use wire::case::Who;
use wire::explain_request::About;
use wire::policy_service_client::PolicyServiceClient;

use crate::caller;

/// Say what would come of an act in a room, or what a refusal came of, and why
///
/// Decided by the code that nodes decide by, from how things stand now.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("\
Examples:
  porthouse explain users/alice rooms/lobby
  porthouse explain anonymous rooms/lobby send
  porthouse explain --refusal 00f3a1c4d2e5b697

{}", caller::HELP))]
pub(crate) struct Arguments {
    /// Who: users/NAME, sessions/ID, deviceTokens/ID or anonymous
    #[arg(required_unless_present = "refusal")]
    who: Option<String>,
    /// Where: rooms/NAME
    #[arg(required_unless_present = "refusal")]
    room: Option<String>,
    /// What they do
    #[arg(default_value = "join")]
    act: Act,
    /// Explain this refusal instead: the `refusal_id` that a client was told
    #[arg(long, value_name = "ID", conflicts_with_all = ["who", "room"])]
    refusal: Option<String>,
    /// The address they come from; without it, one that is in no block
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "",
        hide_default_value = true
    )]
    from: String,
    /// The origin of the page they are on, as a browser sends it
    #[arg(
        long,
        value_name = "ORIGIN",
        default_value = "",
        hide_default_value = true
    )]
    origin: String,
    #[command(flatten)]
    control: caller::Arguments,
}

/// What somebody does.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Act {
    /// Know of the room
    See,
    /// Come in, and hear what is said
    Join,
    /// Say something
    Send,
    /// Read what was said before
    ReadHistory,
    /// See who is there
    SeePresence,
    /// Let others in
    Invite,
    /// Put others out
    Kick,
    /// Change the room's rules from inside
    ChangeRules,
}

impl From<Act> for wire::Act {
    fn from(act: Act) -> Self {
        match act {
            Act::See => Self::See,
            Act::Join => Self::Join,
            Act::Send => Self::Send,
            Act::ReadHistory => Self::ReadHistory,
            Act::SeePresence => Self::SeePresence,
            Act::Invite => Self::Invite,
            Act::Kick => Self::Kick,
            Act::ChangeRules => Self::ChangeRules,
        }
    }
}

/// Runs the command.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let mut policy = PolicyServiceClient::new(arguments.control.caller()?);
    let about = Some(arguments.about()?);
    let answer = policy.explain(wire::ExplainRequest { about }).await;
    let answer = answer.map_err(|status| arguments.control.told(&status))?;
    println!("{}", shown(&answer.into_inner()));
    Ok(())
}

impl Arguments {
    fn about(&self) -> anyhow::Result<About> {
        if let Some(id) = &self.refusal {
            return Ok(About::RefusalId(id.clone()));
        }
        let who = match self.who.as_deref().unwrap_or_default() {
            "anonymous" => None,
            name if name.starts_with("users/") => Some(Who::User(name.to_owned())),
            name if name.starts_with("sessions/") => Some(Who::Session(name.to_owned())),
            name if name.starts_with("deviceTokens/") => Some(Who::DeviceToken(name.to_owned())),
            other => {
                bail!("{other:?} is nobody: users/NAME, sessions/ID, deviceTokens/ID or anonymous")
            }
        };
        Ok(About::Case(wire::Case {
            who,
            address: self.from.clone(),
            origin: self.origin.clone(),
            room: self.room.clone().unwrap_or_default(),
            act: wire::Act::from(self.act).into(),
            time: None,
        }))
    }
}

/// The answer, a line a thing; what is empty is left out.
fn shown(answer: &wire::ExplainResponse) -> String {
    let decision = match answer.decision() {
        wire::Decision::Unspecified => "not known to this program: it is older than the answer",
        wire::Decision::Allowed => "allowed",
        wire::Decision::Asked => "asked",
        wire::Decision::Refused => "refused",
        wire::Decision::ByNode => "decided by each node's own settings",
    };
    let revision = answer.revision.to_string();
    let refused = match (&*answer.node, &*answer.room) {
        ("", _) => String::new(),
        (node, "") => node.to_owned(),
        (node, room) => format!("{room}, by {node}"),
    };
    let lines = [
        ("decision", decision),
        ("where", &refused),
        ("rule", &answer.rule),
        ("needed", &answer.needed),
        ("found", &answer.found),
        ("remedy", &answer.remedy),
        ("revision", &revision),
    ];
    let lines = lines.into_iter().filter(|(_, text)| !text.is_empty());
    let lines = lines.map(|(name, text)| format!("{name:<9} {text}"));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_line_a_thing() {
        let answer = wire::ExplainResponse {
            decision: wire::Decision::Refused.into(),
            rule: "visibility.private".into(),
            needed: "membership of the room".into(),
            found: "a signed-in user".into(),
            remedy: "make the user a member".into(),
            revision: 7,
            ..wire::ExplainResponse::default()
        };
        assert_eq!(
            shown(&answer),
            "decision  refused\nrule      visibility.private\nneeded    membership of the room\n\
             found     a signed-in user\nremedy    make the user a member\nrevision  7"
        );
    }
}
