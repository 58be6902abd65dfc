//! The proof that a Postgres can be used: TLS as `sslmode` asks, login, readiness; and once more where `sslmode` allows two encryptions.

use super::Proof;
use crate::check::Postgres;
use crate::check::failure::{of_known_postgres, of_postgres, of_two};
use crate::check::walk::Walk;
use crate::path::cause::Cause;
use crate::path::finding::Finding;
use crate::path::heard::Heard;
use crate::path::position::Position;
use crate::path::route::{Address, Login};
use crate::path::stage::Stage;
use crate::path::walked::Status;
use crate::postgres::{self, Encryption, GOODBYE, Purpose, Readiness, Role, answers, falls_back, login, negotiate};
use crate::way::{Failure, Stream};

/// Where a try broke: on the way, or in talk with Postgres, where another encryption may help.
enum Broken {
    Way(Failure),
    Database(Box<postgres::Error>),
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self::Way(failure)
    }
}

impl<E: Into<postgres::Error>> From<E> for Broken {
    fn from(error: E) -> Self {
        Self::Database(Box::new(error.into()))
    }
}

/// Proves as much of it as the walk is to reach.
pub(in crate::check) async fn prove(walk: &Walk<'_>, leg: usize, at: &Address, login: Option<&Login>) -> Result<Option<Proof>, Failure> {
    let (prover, mode) = (Prover { walk, leg, at, login, asked: &walk.request.postgres }, walk.request.postgres.tls.mode());
    let mut encryption = mode.encryptions().first().copied().unwrap_or(Encryption::Tls);
    let mut first: Option<Failure> = None;
    loop {
        let error = match prover.attempt(encryption).await {
            Ok(proof) => return Ok(proof),
            // What breaks on the way to a second try says nothing of the first.
            Err(Broken::Way(failure)) => return Err(failure),
            Err(Broken::Database(error)) => error,
        };
        let next = falls_back(mode, encryption, &error);
        let told = if first.is_some() { of_known_postgres(*error) } else { of_postgres(*error) };
        let failure = Failure::new(leg, told);
        let failure = match first.take() {
            Some(first) => of_two(first, failure),
            None => failure,
        };
        let Some(next) = next else { return Err(prover.told(failure)) };
        (first, encryption) = (Some(failure), next);
    }
}

struct Prover<'a> {
    walk: &'a Walk<'a>,
    leg: usize,
    at: &'a Address,
    login: Option<&'a Login>,
    asked: &'a Postgres,
}

impl Prover<'_> {
    fn reaches(&self, stage: Stage) -> bool {
        self.walk.reaches(Position::new(self.leg, stage))
    }

    fn begin(&self, stage: Stage) {
        self.walk.steps.begin(self.leg, stage);
    }

    /// On a direct path it was not a hop that reached what hangs up.
    fn told(&self, failure: Failure) -> Failure {
        match failure.cause {
            Cause::DialClosed if self.leg == 0 => Failure::new(self.leg, (Cause::PostgresClosed, failure.heard)),
            _ => failure,
        }
    }

    /// Once, with one encryption.
    async fn attempt(&self, encryption: Encryption) -> Result<Option<Proof>, Broken> {
        let stream = self.walk.dialer().dial(self.leg, self.at).await?;
        if !self.reaches(Stage::Tls) {
            return Ok(None);
        }
        let link = stream.link();
        match self.converse(stream, encryption).await {
            // To Postgres's room the end of the tunnel looks like the end of the database.
            Err(Broken::Database(error)) => match link.lost() {
                Some(heard) => Err(Broken::Way(Failure::new(self.leg, (Cause::SessionLost, heard)))),
                None => Err(Broken::Database(error)),
            },
            walked => walked,
        }
    }

    async fn converse(&self, stream: Stream, encryption: Encryption) -> Result<Option<Proof>, Broken> {
        let (steps, patience) = (&self.walk.steps, self.walk.patience);
        let Postgres { password, tls, readiness } = self.asked;
        self.begin(Stage::Tls);
        if encryption == Encryption::Plain && !self.reaches(Stage::Login) {
            answers(stream, patience.tls).await?;
            steps.end(Status::Skipped, format!("not encrypted, sslmode {}; Postgres answers", tls.mode()));
            return Ok(None);
        }
        let secured = negotiate(stream, tls, encryption, &self.at.host, patience.tls).await?;
        let note = secured.encrypted().map_or_else(|| format!("not encrypted, sslmode {}", tls.mode()), ToString::to_string);
        steps.end(if secured.encrypted().is_some() { Status::Passed } else { Status::Skipped }, note);
        let Some(Login { user, database }) = self.login.filter(|_| self.reaches(Stage::Login)) else { return Ok(None) };
        self.begin(Stage::Login);
        let role = Role { user: user.clone(), password: password.clone(), database: database.clone() };
        let connection = login(secured, &role, Purpose::Queries, patience.login).await?;
        steps.pass(format!("role {user}"));
        self.begin(Stage::Open);
        let server_version = connection.server_version().to_owned();
        steps.pass(format!("database {database}, PostgreSQL {server_version}"));
        if self.reaches(Stage::Ready) {
            self.begin(Stage::Ready);
            let mut findings = connection.ready(readiness, patience.ready).await?;
            if readiness.replication && findings.is_empty() {
                findings.extend(self.replicates(encryption, &role).await?);
            }
            if !findings.is_empty() {
                let cause = Cause::NotReady { findings, publication: readiness.publication.clone() };
                return Err(Failure::new(self.leg, (cause, Heard::default())).into());
            }
            let (status, note) = asked(readiness);
            steps.end(status, note);
        }
        connection.close(self.walk.left(GOODBYE)).await;
        Ok(Some(Proof::Postgres { server_version }))
    }
}

impl Prover<'_> {
    /// Whether a replication connection is let through, which no catalog says: a pooler passes queries alone.
    async fn replicates(&self, encryption: Encryption, role: &Role) -> Result<Option<Finding>, Failure> {
        let patience = self.walk.patience;
        let stream = self.walk.dialer().dial(self.leg, self.at).await?;
        self.begin(Stage::Ready);
        let identified = async {
            let secured = negotiate(stream, &self.asked.tls, encryption, &self.at.host, patience.tls).await?;
            let connection = login(secured, role, Purpose::Replication, patience.login).await?;
            connection.identify_system(patience.ready).await?;
            connection.close(self.walk.left(GOODBYE)).await;
            Ok::<_, postgres::Error>(())
        };
        let refused = identified.await.err();
        Ok(refused.map(|error| Finding::NoReplicationConnection { heard: of_postgres(error).1 }))
    }
}

/// What readiness was asked for.
fn asked(readiness: &Readiness) -> (Status, String) {
    let mut asked = Vec::new();
    if readiness.replication {
        asked.push("replication".to_owned());
    }
    asked.extend(readiness.publication.as_ref().map(|publication| format!("publication {publication}")));
    asked.extend(readiness.tables.iter().map(|table| format!("table {table}")));
    if asked.is_empty() { (Status::Skipped, "nothing asked for".to_owned()) } else { (Status::Passed, asked.join(", ")) }
}
