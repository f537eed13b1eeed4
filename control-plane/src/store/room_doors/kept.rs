//! The columns that doors are kept in, which are the same of rooms and of
//! templates: one statement a thing, for either table.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use porthouse_model::{NamePrefix, RoomName};
use uuid::Uuid;

use super::NewHook;
use crate::store::Connection;

/// What a door belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DoorOf {
    /// A room of its own.
    Room(RoomName),
    /// Every room that a template covers.
    Template(NamePrefix),
}

/// A door as it stands.
#[derive(Clone)]
pub(crate) struct DoorRow {
    pub(crate) id: Uuid,
    pub(crate) of: DoorOf,
    /// `None`: no code.
    pub(crate) code_sealed: Option<Vec<u8>>,
    /// 0: no code.
    pub(crate) code_version: i64,
    /// `None`: no hook.
    pub(crate) hook_url: Option<String>,
    pub(crate) hook_deadline_ms: i32,
    /// `None`: it is shown nothing.
    pub(crate) hook_secret_sealed: Option<Vec<u8>>,
    /// 0: no hook.
    pub(crate) hook_version: i64,
    /// The room's, or the template's.
    pub(crate) version: i64,
}

/// A name in its column, which the database keeps to what names are.
fn room(name: &str) -> Result<DoorOf, CorruptName> {
    name.parse().map(DoorOf::Room).map_err(|_| CorruptName)
}

fn template(prefix: &str) -> Result<DoorOf, CorruptName> {
    let prefix = format!("{prefix}*").parse();
    prefix.map(DoorOf::Template).map_err(|_| CorruptName)
}

/// A row whose name is none.
#[derive(Debug, thiserror::Error)]
#[error("a stored name is none")]
struct CorruptName;

/// What is done to doors, in the table of this name.
macro_rules! doors {
    ($(#[$doc:meta])* $module:ident, $table:ident.$called:ident, $of:path) => {
        $(#[$doc])*
        pub(super) mod $module {
            use super::*;
            use crate::store::schema::$table;

            #[derive(Queryable, Selectable)]
            #[diesel(table_name = $table)]
            struct Row {
                id: Uuid,
                $called: String,
                code_sealed: Option<Vec<u8>>,
                code_version: i64,
                hook_url: Option<String>,
                hook_deadline_ms: i32,
                hook_secret_sealed: Option<Vec<u8>>,
                hook_version: i64,
                version: i64,
            }

            impl Row {
                fn door(self) -> QueryResult<DoorRow> {
                    let of = $of(&self.$called);
                    Ok(DoorRow {
                        id: self.id,
                        of: of.map_err(|bad| diesel::result::Error::DeserializationError(bad.into()))?,
                        code_sealed: self.code_sealed,
                        code_version: self.code_version,
                        hook_url: self.hook_url,
                        hook_deadline_ms: self.hook_deadline_ms,
                        hook_secret_sealed: self.hook_secret_sealed,
                        hook_version: self.hook_version,
                        version: self.version,
                    })
                }
            }

            pub(crate) async fn by_name(
                c: &mut Connection,
                name: &str,
            ) -> QueryResult<Option<DoorRow>> {
                let row: Option<Row> = $table::table
                    .filter($table::$called.eq(name))
                    .select(Row::as_select())
                    .first(c)
                    .await
                    .optional()?;
                row.map(Row::door).transpose()
            }

            pub(crate) async fn lock(
                c: &mut Connection,
                name: &str,
            ) -> QueryResult<Option<DoorRow>> {
                let row: Option<Row> = $table::table
                    .filter($table::$called.eq(name))
                    .select(Row::as_select())
                    .for_update()
                    .first(c)
                    .await
                    .optional()?;
                row.map(Row::door).transpose()
            }

            pub(crate) async fn by_id(
                c: &mut Connection,
                id: Uuid,
            ) -> QueryResult<Option<DoorRow>> {
                let row: Option<Row> = $table::table
                    .find(id)
                    .select(Row::as_select())
                    .first(c)
                    .await
                    .optional()?;
                row.map(Row::door).transpose()
            }

            pub(crate) async fn set_code(
                c: &mut Connection,
                id: Uuid,
                sealed: &[u8],
            ) -> QueryResult<DoorRow> {
                let row: Row = diesel::update($table::table.find(id))
                    .set((
                        $table::code_sealed.eq(sealed),
                        $table::code_version.eq($table::code_count + 1),
                        $table::code_count.eq($table::code_count + 1),
                        $table::version.eq($table::version + 1),
                        $table::update_time.eq(diesel::dsl::now),
                    ))
                    .returning(Row::as_returning())
                    .get_result(c)
                    .await?;
                row.door()
            }

            pub(crate) async fn clear_code(c: &mut Connection, id: Uuid) -> QueryResult<DoorRow> {
                let row: Row = diesel::update($table::table.find(id))
                    .set((
                        $table::code_sealed.eq(None::<Vec<u8>>),
                        $table::code_version.eq(0),
                        $table::version.eq($table::version + 1),
                        $table::update_time.eq(diesel::dsl::now),
                    ))
                    .returning(Row::as_returning())
                    .get_result(c)
                    .await?;
                row.door()
            }

            pub(crate) async fn reseal_code(
                c: &mut Connection,
                id: Uuid,
                old: &[u8],
                new: &[u8],
            ) -> QueryResult<()> {
                let own = $table::table.find(id);
                diesel::update(own.filter($table::code_sealed.eq(old)))
                    .set($table::code_sealed.eq(new))
                    .execute(c)
                    .await?;
                Ok(())
            }

            pub(crate) async fn set_hook(
                c: &mut Connection,
                id: Uuid,
                hook: &NewHook,
            ) -> QueryResult<DoorRow> {
                let row: Row = diesel::update($table::table.find(id))
                    .set((
                        $table::hook_url.eq(&hook.url),
                        $table::hook_deadline_ms.eq(hook.deadline_ms),
                        $table::hook_secret_sealed.eq(&hook.secret_sealed),
                        $table::hook_version.eq($table::hook_count + 1),
                        $table::hook_count.eq($table::hook_count + 1),
                        $table::version.eq($table::version + 1),
                        $table::update_time.eq(diesel::dsl::now),
                    ))
                    .returning(Row::as_returning())
                    .get_result(c)
                    .await?;
                row.door()
            }

            pub(crate) async fn clear_hook(c: &mut Connection, id: Uuid) -> QueryResult<DoorRow> {
                let row: Row = diesel::update($table::table.find(id))
                    .set((
                        $table::hook_url.eq(None::<String>),
                        $table::hook_deadline_ms.eq(0),
                        $table::hook_secret_sealed.eq(None::<Vec<u8>>),
                        $table::hook_version.eq(0),
                        $table::version.eq($table::version + 1),
                        $table::update_time.eq(diesel::dsl::now),
                    ))
                    .returning(Row::as_returning())
                    .get_result(c)
                    .await?;
                row.door()
            }
        }
    };
}

doors!(
    /// Doors of rooms.
    of_rooms, rooms.name, super::room
);
doors!(
    /// Doors of templates.
    of_templates, room_templates.prefix, super::template
);
