//! Issuers whose word for users is taken, and that are withdrawn, with all the sessions that their
//! word has opened. Reads no token; the real control plane's own tests do.

use porthouse_model::ChangeItem;

use super::{Control, challenge_of};
use crate::checker::line::Edit;
use crate::plant::Plant;

/// So many issuers there are; each user is one's.
pub(crate) const ISSUERS: u32 = 2;

const fn issuer_of(user: u32) -> u32 {
    user % ISSUERS
}

/// The word of a user's issuer.
pub(crate) fn jwt_of(user: u32) -> String {
    format!("issuer-{}.user-{user}.signed", issuer_of(user))
}

impl Control {
    /// Whether the user's issuer is trusted.
    pub(crate) fn is_vouched_for(&self, user: u32) -> bool {
        !self.withdrawn.contains(&issuer_of(user))
    }

    /// Whom a trusted issuer's word is about.
    pub(super) fn user_by(&self, jwt: &str) -> Option<u32> {
        let known = (0..self.users).find(|&user| jwt_of(user) == jwt);
        known.filter(|&user| self.is_vouched_for(user))
    }

    /// Who waits with a code to show, and whether by an issuer's word, if that is still taken.
    pub(super) fn challenged(&self, challenge: &str) -> Option<(u32, Option<()>)> {
        let all = (0..self.users).flat_map(|user| [(user, None), (user, Some(()))]);
        let mut meant = all.filter(|&(user, issuer)| challenge_of(user, issuer) == challenge);
        meant
            .next()
            .filter(|&(user, issuer)| issuer.is_none() || self.is_vouched_for(user))
    }

    /// A session was opened, by an issuer's word or without.
    pub(super) fn vouch(&mut self, session: u32, issuer: Option<()>) {
        let row = &mut self.sessions[usize::try_from(session).expect("an index")];
        row.issuer = issuer.map(|()| issuer_of(row.user));
    }

    /// The issuer's word is taken again; answers whether it was not.
    pub(crate) fn trust(&mut self, issuer: u32) -> bool {
        self.withdrawn.remove(&issuer)
    }

    /// The issuer's word is taken no more, and what it has opened ends in the same revision.
    pub(super) fn withdraw(&mut self, issuer: u32) -> Option<Vec<(ChangeItem, Edit)>> {
        self.withdrawn.insert(issuer).then_some(())?;
        let some = self.plant == Some(Plant::IssuerKept);
        let own = (0..).zip(self.sessions.iter_mut());
        let own = own.filter(|(_, row)| row.issuer == Some(issuer) && !row.ended);
        let own = own.filter(|(number, _)| !(some && number % 2 == 1));
        let changes: Vec<_> = own
            .map(|(_, row): (u32, _)| {
                row.ended = true;
                let item = ChangeItem::SessionGone(row.session.id);
                (item, Edit::IssuerGone { issuer })
            })
            .collect();
        (!changes.is_empty()).then_some(changes)
    }
}
