//! `UserService`. A password leaves here only as a hash.

use futures_util::FutureExt;
use porthouse_api::control::v1 as wire;
use porthouse_model::Username;
use tonic::{Request, Response, Status};

use crate::identity::chance;
use crate::identity::password::Password;
use crate::identity::turns::Asker;
use crate::store::users::{self, NewUser, UserFilter, UserRow};
use crate::store::{Connection, room_doors, second_factors};

use super::error::{ApiError, Kind};
use super::{
    Api, Write, asker, etag, filter, issuer_columns, label, lockout, mask, page, resource_name,
    revision_to_wire, room_code, time,
};

/// What an update may name.
#[derive(Clone, Copy, PartialEq)]
enum Field {
    DisplayName,
    Labels,
}

const PATHS: &mask::Paths<Field> = &[
    ("display_name", &[Field::DisplayName]),
    ("labels", &[Field::Labels]),
];

#[tonic::async_trait]
impl wire::user_service_server::UserService for Api {
    async fn create_user(
        &self,
        request: Request<wire::CreateUserRequest>,
    ) -> Result<Response<wire::CreateUserResponse>, Status> {
        let asker = asker(&request, "");
        let request = request.into_inner();
        let name: Username = resource_name::id("user_id", &request.user_id)?;
        let user = request.user.unwrap_or_default();
        let display_name = label::display_name("user.display_name", user.display_name)?;
        let labels = label::to_json("user.labels", user.labels)?;
        let (issuer, subject) = identity(&user.issuer, &user.subject)?.unzip();
        let password_phc = self.hash_unless_empty(asker, request.password).await?;
        let new = NewUser {
            id: chance::identity(),
            username: name.as_str().to_owned(),
            display_name,
            labels,
            password_phc,
            issuer,
            subject,
        };
        let (row, revision) = self
            .write(Write::of(request.validate_only), move |c| {
                async move {
                    let made = users::insert(c, &new).await;
                    made.map_err(|error| ApiError::taken(error, Kind::User, full_name(&name)))
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::CreateUserResponse {
            user: Some(to_wire(row)),
            revision: revision_to_wire(revision),
        }))
    }

    async fn get_user(
        &self,
        request: Request<wire::GetUserRequest>,
    ) -> Result<Response<wire::GetUserResponse>, Status> {
        let name = resource_name::user("name", &request.into_inner().name)?;
        let row = self
            .read(move |c| {
                async move { users::by_name(c, &name).await?.ok_or_else(|| absent(&name)) }.boxed()
            })
            .await?;
        Ok(Response::new(wire::GetUserResponse {
            user: Some(to_wire(row)),
        }))
    }

    async fn list_users(
        &self,
        request: Request<wire::ListUsersRequest>,
    ) -> Result<Response<wire::ListUsersResponse>, Status> {
        let request = request.into_inner();
        let prefix = resource_name::prefix("user_id_prefix", &request.user_id_prefix)?;
        let prefix = prefix.to_ascii_lowercase();
        let filter = UserFilter::read(&request.filter)?;
        let listing = format!("users {prefix} {}", request.filter);
        let asked = page::read(request.page_size, &request.page_token, &listing)?;
        let read = asked.clone();
        let rows = self
            .read(move |c| {
                async move { Ok(users::page(c, &prefix, &filter, &read).await?) }.boxed()
            })
            .await?;
        let (rows, next_page_token) = page::cut(rows, &asked, &listing, |row| row.username.clone());
        let users = rows.into_iter().map(to_wire).collect();
        Ok(Response::new(wire::ListUsersResponse {
            users,
            next_page_token,
        }))
    }

    async fn update_user(
        &self,
        request: Request<wire::UpdateUserRequest>,
    ) -> Result<Response<wire::UpdateUserResponse>, Status> {
        let request = request.into_inner();
        let fields = mask::read(request.update_mask, PATHS)?;
        let user = request.user.unwrap_or_default();
        let name = resource_name::user("user.name", &user.name)?;
        let display_name = label::display_name("user.display_name", user.display_name)?;
        let labels = label::to_json("user.labels", user.labels)?;
        let (row, revision) = self
            .write(Write::of(request.validate_only), move |c| {
                async move {
                    let old = locked(c, &name, &user.etag).await?;
                    let mut new = (old.display_name.clone(), old.labels.clone());
                    for field in fields {
                        match field {
                            Field::DisplayName => new.0.clone_from(&display_name),
                            Field::Labels => new.1.clone_from(&labels),
                        }
                    }
                    if new == (old.display_name.clone(), old.labels.clone()) {
                        return Ok(old);
                    }
                    Ok(users::describe(c, old.id, &new.0, &new.1).await?)
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::UpdateUserResponse {
            user: Some(to_wire(row)),
            revision: revision_to_wire(revision),
        }))
    }

    async fn delete_user(
        &self,
        request: Request<wire::DeleteUserRequest>,
    ) -> Result<Response<wire::DeleteUserResponse>, Status> {
        let request = request.into_inner();
        let name = resource_name::user("name", &request.name)?;
        let ((), revision) = self
            .write(Write::of(request.validate_only), move |c| {
                async move {
                    let user = locked(c, &name, &request.etag).await?;
                    Ok(users::delete(c, user.id).await?)
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::DeleteUserResponse {
            revision: revision_to_wire(revision),
        }))
    }

    async fn set_password(
        &self,
        request: Request<wire::SetPasswordRequest>,
    ) -> Result<Response<wire::SetPasswordResponse>, Status> {
        let asker = asker(&request, "");
        let request = request.into_inner();
        let name = resource_name::user("name", &request.name)?;
        let phc = self.hash(asker, request.password).await?;
        let (row, revision) = self
            .write(Write::of(request.validate_only), move |c| {
                async move {
                    let user = locked(c, &name, &request.etag).await?;
                    Ok(users::set_password(c, user.id, &phc).await?)
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::SetPasswordResponse {
            user: Some(to_wire(row)),
            revision: revision_to_wire(revision),
        }))
    }

    async fn disable_user(
        &self,
        request: Request<wire::DisableUserRequest>,
    ) -> Result<Response<wire::DisableUserResponse>, Status> {
        let request = request.into_inner();
        let write = Write::of(request.validate_only);
        let to = SetDisabled {
            name: resource_name::user("name", &request.name)?,
            etag: request.etag,
            disabled: true,
        };
        let (user, revision) = self.set_disabled(to, write).await?;
        Ok(Response::new(wire::DisableUserResponse {
            user: Some(user),
            revision,
        }))
    }

    async fn enable_user(
        &self,
        request: Request<wire::EnableUserRequest>,
    ) -> Result<Response<wire::EnableUserResponse>, Status> {
        let request = request.into_inner();
        let write = Write::of(request.validate_only);
        let to = SetDisabled {
            name: resource_name::user("name", &request.name)?,
            etag: request.etag,
            disabled: false,
        };
        let (user, revision) = self.set_disabled(to, write).await?;
        Ok(Response::new(wire::EnableUserResponse {
            user: Some(user),
            revision,
        }))
    }

    async fn unlock_user(
        &self,
        request: Request<wire::UnlockUserRequest>,
    ) -> Result<Response<wire::UnlockUserResponse>, Status> {
        let name = resource_name::user("name", &request.into_inner().name)?;
        let (count, _) = self
            .write(Write::Keep, move |c| {
                async move {
                    let user = locked(c, &name, "").await?;
                    second_factors::count_wrong(c, user.id, 0).await?;
                    room_doors::forget_wrong_of(c, &room_code::counted(user.id)).await?;
                    Ok(lockout::clear(c, &name).await?)
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::UnlockUserResponse {
            forgotten_count: i32::try_from(count).unwrap_or(i32::MAX),
        }))
    }
}

impl Api {
    /// What is kept of a password that is set.
    pub(super) async fn hash(&self, asker: Asker, password: String) -> Result<String, ApiError> {
        let password = Password::parse(password)
            .map_err(|rule| ApiError::field("password", rule.to_string()))?;
        Ok(self.hashing.hash(asker, password).await?)
    }

    /// The same, where an empty one means none.
    pub(super) async fn hash_unless_empty(
        &self,
        asker: Asker,
        password: String,
    ) -> Result<Option<String>, ApiError> {
        if password.is_empty() {
            return Ok(None);
        }
        self.hash(asker, password).await.map(Some)
    }

    async fn set_disabled(
        &self,
        to: SetDisabled,
        write: Write,
    ) -> Result<(wire::User, i64), ApiError> {
        let (row, revision) = self
            .write(write, move |c| {
                async move {
                    let user = locked(c, &to.name, &to.etag).await?;
                    if user.disabled == to.disabled {
                        return Ok(user);
                    }
                    Ok(users::set_disabled(c, user.id, to.disabled).await?)
                }
                .boxed()
            })
            .await?;
        Ok((to_wire(row), revision_to_wire(revision)))
    }
}

/// Who is to be disabled, or enabled again.
struct SetDisabled {
    name: Username,
    etag: String,
    disabled: bool,
}

impl UserFilter {
    /// Reads a filter.
    fn read(text: &str) -> Result<Self, ApiError> {
        let mut read = Self::default();
        for term in filter::read(text)? {
            match (term.field.as_str(), term.value) {
                ("disabled", filter::Value::Bool(is)) => read.disabled.push(is),
                ("username", filter::Value::Text(text)) => {
                    if let Some(prefix) = text.strip_suffix('*') {
                        let prefix = resource_name::prefix("filter", prefix)?;
                        read.prefixes.push(prefix.to_ascii_lowercase());
                    } else {
                        let name: Username = resource_name::id("filter", &text)?;
                        read.usernames.push(name.as_str().to_owned());
                    }
                }
                (field, filter::Value::Text(text)) => match field.strip_prefix("labels.") {
                    Some(key) => read.labels.push((key.to_owned(), text)),
                    None => return Err(unknown_term(field)),
                },
                (field, filter::Value::Bool(_)) => return Err(unknown_term(field)),
            }
        }
        Ok(read)
    }
}

fn unknown_term(field: &str) -> ApiError {
    let rule = format!(
        "unknown term `{field}`; known: disabled = true or false, username = \"…\", \
         labels.KEY = \"…\""
    );
    ApiError::field("filter", rule)
}

/// The user to change, which nobody else changes meanwhile.
async fn locked(c: &mut Connection, name: &Username, etag: &str) -> Result<UserRow, ApiError> {
    let user = users::lock(c, name).await?.ok_or_else(|| absent(name))?;
    if etag::holds(etag, user.id, user.version) {
        Ok(user)
    } else {
        Err(ApiError::Stale(Kind::User, full_name(name)))
    }
}

pub(super) fn full_name(name: &Username) -> String {
    format!("users/{name}")
}

pub(super) fn absent(name: &Username) -> ApiError {
    ApiError::Absent(Kind::User, full_name(name))
}

/// Who the user is to an issuer, if to one.
fn identity(issuer: &str, subject: &str) -> Result<Option<(String, String)>, ApiError> {
    if issuer.is_empty() && subject.is_empty() {
        return Ok(None);
    }
    let issuer = issuer_columns::identity("user.issuer", issuer)?;
    let subject = issuer_columns::identity("user.subject", subject)?;
    Ok(Some((issuer, subject)))
}

fn to_wire(row: UserRow) -> wire::User {
    wire::User {
        issuer: row.issuer.unwrap_or_default(),
        subject: row.subject.unwrap_or_default(),
        name: format!("users/{}", row.username),
        uid: row.id.to_string(),
        display_name: row.display_name,
        disabled: row.disabled,
        password_set: row.password_phc.is_some(),
        labels: label::from_json(row.labels),
        etag: etag::of(row.id, row.version),
        create_time: Some(time::to_wire(row.create_time)),
        update_time: Some(time::to_wire(row.update_time)),
    }
}
