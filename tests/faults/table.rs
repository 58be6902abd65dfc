//! The sixty faults, in the order of the path.

use crate::fault::Class::{Forward, Hba, HungUp, Key, Password};
use crate::fault::Fault;
use crate::{database, reach, ssh, way};

const DENIED: &str = "Permission denied (publickey)";
const PROHIBITED: &str = "administratively prohibited";
const NO_ENTRY: &str = "no pg_hba.conf entry for host";
const NOT_TRUE: &str = "password authentication failed";

const fn fault(
    number: usize,
    name: &'static str,
    code: &'static str,
    heard: &'static str,
    remedy: (usize, &'static str),
    inject: fn(&mut crate::world::World),
) -> Fault {
    Fault::new(number, name, code, heard, remedy, inject)
}

/// In the order of their numbers, from 1.
#[rustfmt::skip]
pub static FAULTS: [Fault; 60] = [
    fault(1, "the name does not exist", "resolve/name-not-found", "Name or service not known", (1, "correct"), reach::no_such_name).apart(reach::own_resolver),
    fault(2, "the resolver is silent", "resolve/silent", "", (1, "check the DNS"), reach::name_in_the_network).apart(reach::silent_resolver),
    fault(3, "only IPv6 addresses, no route", "resolve/only-ipv6", "unreachable", (1, "publish an A record"), reach::name_in_the_network).apart(reach::ipv6_name),
    fault(4, "refused", "connect/refused", "Connection refused", (1, "start sshd"), reach::closed_port),
    fault(5, "dropped", "connect/silent", "", (1, "security group"), reach::dropped),
    fault(6, "reset", "connect/reset", "Connection reset by peer", (2, "resets the connection"), reach::reset).of(HungUp),
    fault(7, "no route", "connect/unreachable", "unreachable", (1, "routing"), reach::no_route).apart(reach::alone),
    fault(8, "a balancer without a target", "connect/reset", "", (1, "make its target healthy"), reach::closed).of(HungUp),
    fault(9, "silent after the accept", "handshake/silent", "", (1, "is sshd's"), ssh::silent),
    fault(10, "speaks HTTP", "handshake/not-ssh", "HTTP/1.1 400 Bad Request", (1, "at sshd"), ssh::http),
    fault(11, "SSH 1.5 only", "handshake/old-ssh", "SSH-1.5-1.2.33", (1, "upgrade sshd"), ssh::ssh_1),
    fault(12, "no common cipher", "handshake/no-common-algorithm", "", (1, "aes256-gcm"), ssh::no_cipher),
    fault(13, "no common key exchange", "handshake/no-common-algorithm", "", (1, "curve25519"), ssh::no_key_exchange),
    fault(14, "MaxStartups reached", "handshake/too-many-startups", "Exceeded MaxStartups", (2, "raise `MaxStartups`"), ssh::startups),
    fault(15, "the version drips", "handshake/silent", "S", (4, "stalls"), ssh::dripped),
    fault(16, "100,000 lines before the version", "handshake/not-ssh", "welcome to the jungle", (1, "at sshd"), ssh::lines),
    fault(17, "a bit flipped in the key exchange", "handshake/corrupt", "", (1, "distrust the path"), ssh::bit_flipped),
    fault(18, "no host key pinned", "configure/nothing-pinned", "", (1, "host_keys"), reach::nothing_pinned),
    fault(19, "the host key changed", "host_key/changed", "SHA256:", (2, "pin it"), ssh::host_key_changed),
    fault(20, "a host key of another type", "host_key/other-type", "rsa-sha2", (1, "pin one of them"), ssh::host_key_of_another_type),
    fault(21, "strict key exchange stripped", "host_key/strict-stripped", "", (1, "distrust the path"), ssh::strict_stripped),
    fault(22, "the key is not authorised", "authenticate/key-refused", DENIED, (1, "authorized_keys"), ssh::key_unknown).of(Key),
    fault(23, "the user is missing", "authenticate/key-refused", DENIED, (2, "does not exist"), ssh::user_missing).of(Key),
    fault(24, "AllowUsers leaves the user out", "authenticate/key-refused", DENIED, (3, "AllowUsers"), ssh::user_left_out).of(Key),
    fault(25, "authorized_keys open to all", "authenticate/key-refused", DENIED, (4, "chmod 600"), ssh::open_to_all).of(Key),
    fault(26, "from= mismatch", "authenticate/key-refused", DENIED, (5, "from="), ssh::from_elsewhere).of(Key),
    fault(27, "the key type is disabled", "authenticate/key-refused", DENIED, (6, "PubkeyAcceptedAlgorithms"), ssh::key_type_disabled).of(Key),
    fault(28, "too many tries", "authenticate/key-refused", "Too many authentication failures", (1, "authorized_keys"), ssh::too_many_tries),
    fault(29, "the key has not synced yet", "authenticate/key-refused", DENIED, (1, "or not yet"), ssh::not_synced_yet).heals(),
    fault(30, "AllowTcpForwarding no", "forward/prohibited", PROHIBITED, (4, "AllowTcpForwarding"), way::forwarding_off).of(Forward),
    fault(31, "DisableForwarding yes", "forward/prohibited", PROHIBITED, (5, "DisableForwarding"), way::forwarding_disabled).of(Forward),
    fault(32, "PermitOpen for another target", "forward/prohibited", PROHIBITED, (3, "PermitOpen"), way::permit_open_other).of(Forward),
    fault(33, "no-port-forwarding", "forward/prohibited", PROHIBITED, (1, "no-port-forwarding"), way::no_port_forwarding).of(Forward),
    fault(34, "permitopen for another target", "forward/prohibited", PROHIBITED, (2, "permitopen=\"db.internal:"), way::permitopen_other).of(Forward),
    fault(35, "a name unknown to the bastion", "dial/name-unknown", "connect failed: ", (1, "a name that the bastion's VPC resolves"), way::name_unknown),
    fault(36, "refused", "dial/refused", "connect failed: Connection refused", (1, "port"), way::refused),
    fault(37, "dropped", "dial/silent", "", (1, "security group"), way::dropped),
    fault(38, "reset after the open", "dial/closed", "", (1, "a proxy"), way::reset),
    fault(39, "unreachable from the bastion", "dial/failed", "connect failed", (1, "route the bastion's subnet"), way::unreachable).apart(reach::alone),
    fault(40, "TLS off, and required", "tls/not-offered", "N", (1, "turn TLS on"), database::no_tls),
    fault(41, "a certificate for another name", "tls/wrong-name", "", (1, "a name in the certificate"), database::wrong_name),
    fault(42, "an expired certificate", "tls/expired", "", (1, "renew"), database::expired),
    fault(43, "an unknown authority", "tls/unknown-issuer", "", (1, "sslrootcert"), database::unknown_authority),
    fault(44, "not Postgres", "tls/not-postgres", "HTTP/1.1 400 Bad Request", (1, "host and port"), database::not_postgres),
    fault(45, "silent after the request for TLS", "tls/silent", "", (2, "a proxy in front, or a hung server"), database::silent),
    fault(46, "a wrong password", "login/password-refused", NOT_TRUE, (1, "password_wo"), database::wrong_password).of(Password),
    fault(47, "a missing role", "login/password-refused", NOT_TRUE, (2, "CREATE ROLE"), database::no_role).of(Password),
    fault(48, "no line in pg_hba.conf", "login/no-hba-entry", NO_ENTRY, (2, "add to pg_hba.conf"), database::no_hba_line).of(Hba),
    fault(49, "a reject line", "login/hba-rejects", "pg_hba.conf rejects connection", (1, "reject line"), database::hba_rejects),
    fault(50, "hostssl demands TLS", "login/no-hba-entry", NO_ENTRY, (1, "`sslmode`"), database::hba_demands_tls).of(Hba),
    fault(51, "the database is missing", "open/database-missing", "does not exist", (2, "CREATE DATABASE"), database::no_database),
    fault(52, "no CONNECT", "open/no-connect-privilege", "permission denied for database", (1, "GRANT CONNECT"), database::no_connect),
    fault(53, "NOLOGIN", "open/login-forbidden", "is not permitted to log in", (1, "LOGIN"), database::no_login),
    fault(54, "no slot left", "open/too-many-connections", "connection", (2, "raise max_connections"), database::no_slot),
    fault(55, "shutting down", "open/not-accepting", "the database system is shutting down", (1, "apply again"), database::stopping),
    fault(56, "wal_level is not logical", "ready/not-ready", "", (1, "wal_level"), database::no_wal_level),
    fault(57, "the publication is missing", "ready/not-ready", "", (1, "CREATE PUBLICATION \"absent\""), database::no_publication),
    fault(58, "the role lacks REPLICATION", "ready/not-ready", "", (1, "REPLICATION"), database::no_replication),
    fault(59, "killed in use", "hold/lost", "onnection", (1, "open it again"), way::killed),
    fault(60, "silent in use", "hold/silent", "", (2, "idle limit"), way::silent),
];
