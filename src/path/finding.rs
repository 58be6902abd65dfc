//! What a database can lack for its use, and the words about it.

use super::heard::Heard;

/// One thing that is missing. Tables are named as they were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// Not `logical`.
    WalLevel {
        /// What it is.
        actual: String,
    },
    /// `max_wal_senders` are all in use, or none are allowed.
    NoWalSenders {
        /// The setting.
        max: i64,
        /// How many run.
        used: i64,
    },
    /// `max_replication_slots` are all taken, or none are allowed.
    NoFreeSlots {
        /// The setting.
        max: i64,
        /// How many exist.
        used: i64,
    },
    /// Neither `REPLICATION`, nor superuser, nor member of the cloud's replication role.
    NoReplicationRole {
        /// The role that is logged in.
        role: String,
    },
    /// A standby, of a version that decodes on the primary only.
    IsReplica {
        /// The server's major version.
        major: i32,
    },
    /// The catalogs allow it, and a replication connection is refused all the same.
    NoReplicationConnection {
        /// In what words.
        heard: Heard,
    },
    /// No publication of that name in this database.
    PublicationMissing {
        /// Its name.
        publication: String,
    },
    /// The table exists, and the publication does not have it.
    TableNotInPublication {
        /// As asked for.
        table: String,
    },
    /// No table, view or materialised view of that name.
    TableMissing {
        /// As asked for.
        table: String,
    },
    /// No `USAGE` on the table's schema.
    NoSchemaUsage {
        /// As asked for.
        table: String,
    },
    /// No `SELECT` on the table.
    NoSelect {
        /// As asked for.
        table: String,
    },
    /// Not the name of a table.
    MalformedTable {
        /// As asked for.
        table: String,
    },
}

impl Finding {
    /// What is so.
    #[must_use]
    pub fn means(&self) -> String {
        match self {
            Self::WalLevel { actual } => format!("wal_level is `{actual}`, not `logical`."),
            Self::NoWalSenders { max, used } => format!("All {max} WAL senders are in use ({used})."),
            Self::NoFreeSlots { max, used } => format!("All {max} replication slots are taken ({used})."),
            Self::NoReplicationRole { role } => format!("The role `{role}` may not replicate."),
            Self::IsReplica { major } => format!("The server is a standby, and Postgres {major} decodes changes on the primary only."),
            Self::NoReplicationConnection { heard } if heard.is_empty() => "A replication connection gets no answer.".to_owned(),
            Self::NoReplicationConnection { heard } => format!("A replication connection is refused: \"{heard}\"."),
            Self::PublicationMissing { publication } => format!("The database has no publication `{publication}`."),
            Self::TableNotInPublication { table } => format!("The publication does not contain `{table}`."),
            Self::TableMissing { table } => format!("The database has no table `{table}`."),
            Self::NoSchemaUsage { table } => format!("The role lacks USAGE on the schema of `{table}`."),
            Self::NoSelect { table } => format!("The role lacks SELECT on `{table}`."),
            Self::MalformedTable { table } => format!("`{table}` is not the name of a table."),
        }
    }

    /// What mends it.
    #[must_use]
    pub fn remedy(&self, role: &str, publication: Option<&str>) -> String {
        let role = quoted(role);
        match self {
            Self::WalLevel { .. } => {
                "ALTER SYSTEM SET wal_level = 'logical'; and restart (RDS: rds.logical_replication = 1 in the parameter group)".to_owned()
            }
            Self::NoWalSenders { .. } => "raise max_wal_senders and restart, or end a walsender (pg_stat_replication)".to_owned(),
            Self::NoFreeSlots { .. } => "raise max_replication_slots and restart, or drop a slot (pg_replication_slots)".to_owned(),
            Self::NoReplicationRole { .. } => format!("ALTER ROLE {role} REPLICATION; (RDS: GRANT rds_replication TO {role};)"),
            Self::IsReplica { .. } => "connect to the primary".to_owned(),
            Self::NoReplicationConnection { .. } => {
                "connect to Postgres itself: a pooler in front (pgbouncer, RDS Proxy) cannot replicate; else see pg_hba.conf".to_owned()
            }
            Self::PublicationMissing { publication } => format!("CREATE PUBLICATION {} FOR TABLE …;", quoted(publication)),
            Self::TableNotInPublication { table } => {
                format!("ALTER PUBLICATION {} ADD TABLE {table};", publication.map_or_else(String::new, quoted))
            }
            Self::TableMissing { .. } | Self::MalformedTable { .. } => {
                "correct the table's name: schema.table or table, quoted as SQL quotes it".to_owned()
            }
            Self::NoSchemaUsage { table } => format!("GRANT USAGE ON SCHEMA {} TO {role};", schema_of(table)),
            Self::NoSelect { table } => format!("GRANT SELECT ON {table} TO {role};"),
        }
    }
}

/// A name as SQL takes any name.
pub(in crate::path) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The schema as it was written before the table, else `public`.
fn schema_of(table: &str) -> &str {
    let mut quoted = false;
    let dot = table.char_indices().find(|(_, character)| {
        quoted ^= *character == '"';
        *character == '.' && !quoted
    });
    dot.and_then(|(position, _)| table.get(..position)).unwrap_or("public")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_and_schemas_are_found() {
        assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
        assert_eq!((schema_of("public.orders"), schema_of("orders"), schema_of("\"a.b\".c")), ("public", "public", "\"a.b\""));
    }
}
