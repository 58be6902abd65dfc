//! One test for each of the sixty.

use crate::fault::Fault;
use crate::table::FAULTS;
use crate::verdict;
use crate::world::Distance;

/// Makes a fault; it has to be named.
pub fn made(fault: &'static Fault) {
    match verdict::of(fault, Distance::Near) {
        Ok(verdict) => assert!(verdict.wrong.is_empty(), "{}: {}\n\n{}", fault.name, verdict.wrong.join("\n"), verdict.text),
        Err(why) => eprintln!("{why}"),
    }
}

macro_rules! faults {
    ($($name:ident $number:literal)*) => {
        $(#[test]
        fn $name() {
            made(&FAULTS[$number - 1]);
        })*

        #[test]
        fn every_fault_has_its_test() {
            let numbers: Vec<_> = FAULTS.iter().map(|fault| fault.number).collect();
            assert_eq!(numbers, [$($number),*]);
            assert_eq!(numbers, (1..=60).collect::<Vec<_>>());
        }
    };
}

faults! {
    fault_01_resolve_the_name_does_not_exist 1
    fault_02_resolve_the_resolver_is_silent 2
    fault_03_resolve_only_ipv6_addresses_no_route 3
    fault_04_connect_refused 4
    fault_05_connect_dropped 5
    fault_06_connect_reset 6
    fault_07_connect_no_route 7
    fault_08_connect_a_balancer_without_a_target 8
    fault_09_handshake_silent_after_the_accept 9
    fault_10_handshake_speaks_http 10
    fault_11_handshake_ssh_1_5_only 11
    fault_12_handshake_no_common_cipher 12
    fault_13_handshake_no_common_key_exchange 13
    fault_14_handshake_maxstartups_reached 14
    fault_15_handshake_the_version_drips 15
    fault_16_handshake_100_000_lines_before_the_version 16
    fault_17_handshake_a_bit_flipped_in_the_key_exchange 17
    fault_18_configure_no_host_key_pinned 18
    fault_19_host_key_the_host_key_changed 19
    fault_20_host_key_a_host_key_of_another_type 20
    fault_21_host_key_strict_key_exchange_stripped 21
    fault_22_authenticate_the_key_is_not_authorised 22
    fault_23_authenticate_the_user_is_missing 23
    fault_24_authenticate_allowusers_leaves_the_user_out 24
    fault_25_authenticate_authorized_keys_open_to_all 25
    fault_26_authenticate_from_mismatch 26
    fault_27_authenticate_the_key_type_is_disabled 27
    fault_28_authenticate_too_many_tries 28
    fault_29_authenticate_the_key_has_not_synced_yet 29
    fault_30_forward_allowtcpforwarding_no 30
    fault_31_forward_disableforwarding_yes 31
    fault_32_forward_permitopen_for_another_target 32
    fault_33_forward_no_port_forwarding 33
    fault_34_forward_permitopen_for_another_target 34
    fault_35_dial_a_name_unknown_to_the_bastion 35
    fault_36_dial_refused 36
    fault_37_dial_dropped 37
    fault_38_dial_reset_after_the_open 38
    fault_39_dial_unreachable_from_the_bastion 39
    fault_40_tls_tls_off_and_required 40
    fault_41_tls_a_certificate_for_another_name 41
    fault_42_tls_an_expired_certificate 42
    fault_43_tls_an_unknown_authority 43
    fault_44_tls_not_postgres 44
    fault_45_tls_silent_after_the_request_for_tls 45
    fault_46_login_a_wrong_password 46
    fault_47_login_a_missing_role 47
    fault_48_login_no_line_in_pg_hba_conf 48
    fault_49_login_a_reject_line 49
    fault_50_login_hostssl_demands_tls 50
    fault_51_open_the_database_is_missing 51
    fault_52_open_no_connect 52
    fault_53_open_nologin 53
    fault_54_open_no_slot_left 54
    fault_55_open_shutting_down 55
    fault_56_ready_wal_level_is_not_logical 56
    fault_57_ready_the_publication_is_missing 57
    fault_58_ready_the_role_lacks_replication 58
    fault_59_hold_killed_in_use 59
    fault_60_hold_silent_in_use 60
}
