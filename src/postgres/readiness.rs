//! The `ready` stage: whether the database can be read from, by privileges, publication and replication. Reads catalogs, changes nothing.

use std::time::Duration;

use futures_util::future::{OptionFuture, try_join3};
use tokio::time::timeout;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};

use super::error::ReadyError;
use super::login::Connection;
use super::refusal::{misread, quote};
use super::table_name::{self, TableName};
use crate::path::finding::Finding;

/// The first major version that decodes changes on a standby (its release notes).
const DECODES_ON_STANDBY: i32 = 16;

/// What the role has to be able to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Readiness {
    /// Whether it will replicate logically.
    pub replication: bool,
    /// The publication that it will read, by its exact name.
    pub publication: Option<String>,
    /// The tables that it will read, as SQL names them: `orders`, `public.orders`, `"Quoted"."Name"`. Without a schema: `public`.
    pub tables: Vec<String>,
}

/// One row. Amazon grants replication by membership instead of the attribute.
const REPLICATION: &str = "\
SELECT pg_catalog.current_setting('wal_level'), \
  pg_catalog.current_setting('max_wal_senders')::int8, (SELECT count(*) FROM pg_catalog.pg_stat_get_wal_senders()), \
  pg_catalog.current_setting('max_replication_slots')::int8, (SELECT count(*) FROM pg_catalog.pg_replication_slots), \
  pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('server_version_num')::int4, \
  r.rolreplication OR r.rolsuper OR EXISTS (SELECT FROM pg_catalog.pg_roles AS m \
    WHERE m.rolname = 'rds_replication' AND pg_catalog.pg_has_role(r.oid, m.oid, 'MEMBER')), \
  r.rolname::text \
FROM pg_catalog.pg_roles AS r WHERE r.rolname = current_user";

/// One row: whether the publication exists, and which of the tables (by position, from 1) exist and are not in it. A partition is in it
/// through any of its ancestors; a partitioned table through its leaves, by which a publication lists it unless
/// `publish_via_partition_root` is set.
const PUBLICATION: &str = "\
WITH listed AS (SELECT c.oid FROM pg_catalog.pg_publication_tables AS p \
    JOIN pg_catalog.pg_namespace AS n ON n.nspname = p.schemaname \
    JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = p.tablename WHERE p.pubname = $1) \
SELECT EXISTS (SELECT FROM pg_catalog.pg_publication WHERE pubname = $1), ARRAY(SELECT t.position \
  FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3)) WITH ORDINALITY AS t(schema_name, table_name, position) \
  JOIN pg_catalog.pg_namespace AS n ON n.nspname = t.schema_name \
  JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = t.table_name AND c.relkind IN ('r', 'p', 'v', 'm', 'f') \
  WHERE NOT EXISTS (SELECT FROM listed WHERE listed.oid = c.oid \
      OR listed.oid IN (SELECT a.relid FROM pg_catalog.pg_partition_ancestors(c.oid) AS a)) \
    AND NOT (c.relkind = 'p' AND EXISTS (SELECT FROM pg_catalog.pg_partition_tree(c.oid) AS l WHERE l.isleaf) \
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_partition_tree(c.oid) AS l WHERE l.isleaf AND l.relid NOT IN (SELECT oid FROM listed))) \
  ORDER BY t.position)";

/// One row for each table, in order.
const TABLES: &str = "\
SELECT c.oid IS NOT NULL, coalesce(pg_catalog.has_schema_privilege(n.oid, 'USAGE'), false), \
  coalesce(pg_catalog.has_table_privilege(c.oid, 'SELECT') OR (SELECT pg_catalog.bool_and(pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT')) \
    FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), false) \
FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) WITH ORDINALITY AS t(schema_name, table_name, position) \
LEFT JOIN pg_catalog.pg_namespace AS n ON n.nspname = t.schema_name \
LEFT JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = t.table_name AND c.relkind IN ('r', 'p', 'v', 'm', 'f') \
ORDER BY t.position";

/// The tables that can be asked for, in columns as the queries take them.
#[derive(Default)]
struct Tables<'a> {
    asked: Vec<&'a str>,
    schemas: Vec<String>,
    names: Vec<String>,
}

impl Connection {
    /// Finds out what is missing; nothing, if the answer is empty. At most one round trip for each of the three questions, all under way
    /// at the same time, and `within` for the whole.
    ///
    /// # Errors
    ///
    /// [`ReadyError`] if the server does not answer. What is missing is not an error.
    pub async fn ready(&self, wanted: &Readiness, within: Duration) -> Result<Vec<Finding>, ReadyError> {
        let mut findings = Vec::new();
        let mut tables = Tables::default();
        for asked in &wanted.tables {
            match table_name::parse(asked) {
                Some(TableName { schema, table }) => {
                    tables.asked.push(asked);
                    tables.schemas.push(schema);
                    tables.names.push(table);
                }
                None => findings.push(Finding::MalformedTable { table: asked.clone() }),
            }
        }
        let replication = OptionFuture::from(wanted.replication.then(|| self.replication()));
        let publication = OptionFuture::from(wanted.publication.as_ref().map(|name| self.publication(name, &tables)));
        let privileges = OptionFuture::from((!tables.asked.is_empty()).then(|| self.privileges(&tables)));
        let all = try_join3(transposed(replication), transposed(publication), transposed(privileges));
        let (replication, publication, privileges) = timeout(within, all).await.map_err(|_| ReadyError::Silent)??;
        for found in [replication, publication, privileges].into_iter().flatten() {
            findings.extend(found);
        }
        Ok(findings)
    }

    /// Asks a session that was opened for [replication](super::Purpose::Replication) what it replicates from. Changes nothing.
    ///
    /// # Errors
    ///
    /// [`ReadyError`], also if what answers is no walsender.
    pub async fn identify_system(&self, within: Duration) -> Result<(), ReadyError> {
        let asked = timeout(within, self.client.simple_query("IDENTIFY_SYSTEM")).await.map_err(|_| ReadyError::Silent)?;
        asked.map(drop).map_err(|error| self.misread(&error))
    }

    async fn replication(&self) -> Result<Vec<Finding>, ReadyError> {
        let rows = self.client.query_typed(REPLICATION, &[]).await.map_err(|error| self.misread(&error))?;
        let row = rows.first().ok_or(ReadyError::Protocol)?;
        let (wal_level, role): (String, String) = (cell(row, 0)?, cell(row, 8)?);
        let (max_senders, senders): (i64, i64) = (cell(row, 1)?, cell(row, 2)?);
        let (max_slots, slots): (i64, i64) = (cell(row, 3)?, cell(row, 4)?);
        let (in_recovery, version, may_replicate): (bool, i32, bool) = (cell(row, 5)?, cell(row, 6)?, cell(row, 7)?);
        // server_version_num is major * 10000 + minor since version 10.
        let major = version.div_euclid(10_000);

        let mut findings = Vec::new();
        if wal_level != "logical" {
            let actual = quote(&wal_level, self.password.as_ref()).to_string();
            findings.push(Finding::WalLevel { actual });
        }
        if senders >= max_senders {
            findings.push(Finding::NoWalSenders { max: max_senders, used: senders });
        }
        if slots >= max_slots {
            findings.push(Finding::NoFreeSlots { max: max_slots, used: slots });
        }
        if !may_replicate {
            let role = quote(&role, self.password.as_ref()).to_string();
            findings.push(Finding::NoReplicationRole { role });
        }
        if in_recovery && major < DECODES_ON_STANDBY {
            findings.push(Finding::IsReplica { major });
        }
        Ok(findings)
    }

    async fn publication(&self, name: &str, tables: &Tables<'_>) -> Result<Vec<Finding>, ReadyError> {
        if name.contains('\0') {
            return Ok(vec![Finding::PublicationMissing { publication: name.to_owned() }]);
        }
        let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
            [(&name, Type::TEXT), (&tables.schemas, Type::TEXT_ARRAY), (&tables.names, Type::TEXT_ARRAY)];
        let rows = self.client.query_typed(PUBLICATION, &parameters).await.map_err(|error| self.misread(&error))?;
        let row = rows.first().ok_or(ReadyError::Protocol)?;
        if !cell::<bool>(row, 0)? {
            return Ok(vec![Finding::PublicationMissing { publication: name.to_owned() }]);
        }
        let outside: Vec<i64> = cell(row, 1)?;
        let asked = |position: i64| usize::try_from(position).ok().and_then(|p| p.checked_sub(1)).and_then(|p| tables.asked.get(p));
        let table = |position| asked(position).map(|table| Finding::TableNotInPublication { table: (*table).to_owned() });
        outside.into_iter().map(|position| table(position).ok_or(ReadyError::Protocol)).collect()
    }

    async fn privileges(&self, tables: &Tables<'_>) -> Result<Vec<Finding>, ReadyError> {
        let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
            [(&tables.schemas, Type::TEXT_ARRAY), (&tables.names, Type::TEXT_ARRAY)];
        let rows = self.client.query_typed(TABLES, &parameters).await.map_err(|error| self.misread(&error))?;
        if rows.len() != tables.asked.len() {
            return Err(ReadyError::Protocol);
        }
        let mut findings = Vec::new();
        for (row, asked) in rows.iter().zip(&tables.asked) {
            let table = (*asked).to_owned();
            let (exists, usage, select): (bool, bool, bool) = (cell(row, 0)?, cell(row, 1)?, cell(row, 2)?);
            match (exists, usage, select) {
                (false, ..) => findings.push(Finding::TableMissing { table }),
                (true, false, true) => findings.push(Finding::NoSchemaUsage { table }),
                (true, true, false) => findings.push(Finding::NoSelect { table }),
                (true, false, false) => {
                    findings.push(Finding::NoSchemaUsage { table: table.clone() });
                    findings.push(Finding::NoSelect { table });
                }
                (true, true, true) => {}
            }
        }
        Ok(findings)
    }

    fn misread(&self, error: &tokio_postgres::Error) -> ReadyError {
        match misread(error, self.password.as_ref()) {
            // The question only sees that the session is over; why, its driver knows.
            ReadyError::Closed => self.ended.get().cloned().unwrap_or(ReadyError::Closed),
            told => told,
        }
    }
}

async fn transposed<T>(question: OptionFuture<impl Future<Output = Result<T, ReadyError>>>) -> Result<Option<T>, ReadyError> {
    question.await.transpose()
}

fn cell<'a, T: FromSql<'a>>(row: &'a Row, column: usize) -> Result<T, ReadyError> {
    row.try_get(column).map_err(|_| ReadyError::Protocol)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;
    use crate::path::heard::Heard;
    use crate::postgres::login::{Role, login};
    use crate::postgres::secured::Secured;
    use crate::postgres::testing::{AUTHENTICATED, error_response, message, read_startup};
    use crate::tls::Bounded;

    const WITHIN: Duration = Duration::from_secs(5);
    const READY: &[u8] = b"Z\0\0\0\x05I";
    const PASSWORD: &str = "correct horse";

    /// A session with a server that is played by the test.
    async fn session() -> (Connection, DuplexStream) {
        let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
        theirs.write_all(&[AUTHENTICATED, READY].concat()).await.unwrap();
        let role = Role { user: "me".into(), password: Some(PASSWORD.into()), database: "orders".into() };
        let connection = login(Secured::plain(Bounded::new(ours)), &role, crate::postgres::Purpose::Queries, WITHIN).await.unwrap();
        read_startup(&mut theirs).await;
        (connection, theirs)
    }

    /// Reads one question, up to its Sync; the tags of its messages.
    async fn question(stream: &mut DuplexStream) -> String {
        let mut tags = String::new();
        while !tags.ends_with('S') {
            tags.push(char::from(stream.read_u8().await.unwrap()));
            read_startup(stream).await;
        }
        tags
    }

    /// An answer of boolean columns.
    fn booleans(rows: &[&[bool]]) -> Vec<u8> {
        let columns = rows.first().map_or(0, |row| row.len());
        let count = u16::try_from(columns).unwrap().to_be_bytes();
        let column = [&b"c\0"[..], &[0; 6], &16_u32.to_be_bytes(), &1_u16.to_be_bytes(), &[255; 4], &1_u16.to_be_bytes()].concat();
        let mut answer = [&b"1\0\0\0\x042\0\0\0\x04"[..], &message(b'T', &[&count[..], &column.repeat(columns)].concat())].concat();
        for row in rows {
            let cells: Vec<u8> = row.iter().flat_map(|cell| [0, 0, 0, 1, u8::from(*cell)]).collect();
            answer.extend(message(b'D', &[&count[..], &cells].concat()));
        }
        answer.extend(message(b'C', b"SELECT\0"));
        answer.extend(READY);
        answer
    }

    fn tables(names: &[&str]) -> Readiness {
        Readiness { tables: names.iter().map(|name| (*name).to_owned()).collect(), ..Readiness::default() }
    }

    async fn answered(wanted: Readiness, answer: &[u8]) -> Result<Vec<Finding>, ReadyError> {
        let (connection, mut server) = session().await;
        let serve = async {
            let asked = question(&mut server).await;
            assert_eq!(asked, "PBDES", "one round trip, nothing prepared before");
            // The client may hang up before the last byte, which is its right.
            let _sent = server.write_all(answer).await;
            drop(server);
        };
        tokio::join!(connection.ready(&wanted, WITHIN), serve).0
    }

    #[tokio::test]
    async fn each_table_has_its_findings() {
        let wanted = tables(&["good", "gone", "a.b.c", "hidden.t", "locked", "\"Both\".x"]);
        let rows: &[&[bool]] =
            &[&[true, true, true], &[false, false, false], &[true, false, true], &[true, true, false], &[true, false, false]];
        let table = |name: &str| name.to_owned();
        assert_eq!(
            answered(wanted, &booleans(rows)).await,
            Ok(vec![
                Finding::MalformedTable { table: table("a.b.c") },
                Finding::TableMissing { table: table("gone") },
                Finding::NoSchemaUsage { table: table("hidden.t") },
                Finding::NoSelect { table: table("locked") },
                Finding::NoSchemaUsage { table: table("\"Both\".x") },
                Finding::NoSelect { table: table("\"Both\".x") },
            ])
        );
    }

    #[tokio::test]
    async fn an_answer_to_something_else_is_no_finding() {
        for lie in
            [booleans(&[&[true, true]]), booleans(&[&[true; 3][..]; 2]), booleans(&[]), message(b'?', b"garbage"), message(b'N', b"x")]
        {
            assert_eq!(answered(tables(&["one"]), &lie).await, Err(ReadyError::Protocol), "{lie:?}");
        }
        let wanted = || Readiness { replication: true, ..Readiness::default() };
        assert_eq!(answered(wanted(), &booleans(&[&[true; 9]])).await, Err(ReadyError::Protocol));
        assert_eq!(answered(wanted(), &booleans(&[])).await, Err(ReadyError::Protocol));
    }

    #[tokio::test]
    async fn a_server_that_does_not_answer_is_an_error() {
        let refusal = [error_response("42501", "aclcheck_error", &format!("no, {PASSWORD}")), READY.to_vec()].concat();
        let heard = Heard::from_text("no, (secret)");
        assert_eq!(answered(tables(&["t"]), &refusal).await, Err(ReadyError::Refused { sqlstate: "42501".into(), heard }));
        assert_eq!(answered(tables(&["t"]), b"").await, Err(ReadyError::Closed));
        let stopped = error_response("57P01", "ProcessInterrupts", "terminating connection due to administrator command");
        assert_eq!(answered(tables(&["t"]), &stopped).await, Err(ReadyError::Closed));
        let endless = message(b'N', format!("SNOTICE\0C00000\0M{}\0\0", "x".repeat(64 * 1024)).as_bytes()).repeat(300);
        assert_eq!(answered(tables(&["t"]), &endless).await, Err(ReadyError::Flood));

        let (connection, _server) = session().await;
        assert_eq!(connection.ready(&tables(&["t"]), Duration::from_millis(50)).await, Err(ReadyError::Silent));
    }

    #[tokio::test]
    async fn what_can_be_told_without_the_server_is() {
        let (connection, mut server) = session().await;
        let malformed = Finding::MalformedTable { table: "no table".into() };
        assert_eq!(connection.ready(&tables(&["no table"]), WITHIN).await, Ok(vec![malformed]));
        assert_eq!(connection.ready(&Readiness::default(), WITHIN).await, Ok(vec![]));
        connection.close(super::super::GOODBYE).await;
        let mut said = Vec::new();
        server.read_to_end(&mut said).await.unwrap();
        assert_eq!(said, [b'X', 0, 0, 0, 4], "nothing but the goodbye");
    }
}
