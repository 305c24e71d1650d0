"""Which test holds which fault: the catalogue of 114 faults, and where each is played.

A fault that does not concern this client says why in words instead of naming a test.
"""

import ast
from pathlib import Path

import pytest
from support.fault_lists import LASTING, ODD, PASSING

TESTS = {path.stem: path for path in Path(__file__).parents[1].rglob("test_*.py")}

# Number, the fault in a few words, then its tests ("file::name", .py and test_ left out), or a
# sentence beginning with "-" that says why there is none.
CATALOGUE = """
1 connection refused: faults::a_passing_fault_costs_nothing_but_time faults::a_lasting_fault_stops_the_run_and_resume_ends_it
2 name not found: network_faults::2_dns_does_not_resolve
3 name leads to a dead address in mid-run: network_faults::3_dns_flips_to_a_dead_address_in_mid_run
4 certificate not trusted: network_faults::4_tls_certificate_not_trusted network_faults::4_tls_certificate_not_trusted_in_mid_run network_faults::4_a_company_certificate_can_be_trusted
5 certificate expired or for another name: network_faults::5_certificate_expired network_faults::5_certificate_of_a_wrong_name
6 handshake cut: network_faults::6_tls_cut_in_the_handshake network_faults::6_tls_cut_in_the_handshake_for_ever
7 connect hangs: network_faults::7_connect_hangs
8 no connection free: client::every_exception_of_httpx_has_its_meaning (each try has a connection of its own, so there is no pool to wait for)
9 proxy wants a login, refuses, is down: network_faults::9_proxy_demands_login network_faults::9_proxy_refuses_connect network_faults::9_proxy_is_down network_faults::9_proxy_passes_the_run_on network_faults::9_proxy_is_named_without_its_login network_faults::9_proxy_address_is_unusable
10 NO_PROXY with odd entries: network_faults::10_no_proxy_that_httpx_cannot_parse
11 proxy set, service on this computer: network_faults::11_proxy_set_for_a_loopback_base_url
12 laptop asleep: kill::12_asleep_with_a_call_on_the_wire journal::old_keys_are_stale
13 read timeout after the commit: faults::a_passing_fault_costs_nothing_but_time
14 read timeout while the service works: faults::14_read_timeout_server_still_working
15 read timeout, never arrived: faults::a_passing_fault_costs_nothing_but_time
16 reset before a reply byte: faults::a_passing_fault_costs_nothing_but_time
17 reset in the reply: faults::a_passing_fault_costs_nothing_but_time
18 JSON cut, with a length: faults::a_passing_fault_costs_nothing_but_time
19 JSON cut, without a length: faults::a_passing_fault_costs_nothing_but_time
20 broken chunked coding: faults::a_passing_fault_costs_nothing_but_time
21 broken compression: faults::a_passing_fault_costs_nothing_but_time
22 a login page with 200: faults::a_passing_fault_costs_nothing_but_time faults::a_lasting_fault_stops_the_run_and_resume_ends_it
23 200 without a body, 204: faults::a_passing_fault_costs_nothing_but_time
24 gateway error before the commit: faults::a_passing_fault_costs_nothing_but_time
25 gateway error after the commit: faults::a_passing_fault_costs_nothing_but_time
26 500 kept under the key: faults::a_passing_fault_costs_nothing_but_time faults::a_lasting_fault_stops_the_run_and_resume_ends_it
27 500 not kept: faults::a_passing_fault_costs_nothing_but_time faults::a_lasting_fault_stops_the_run_and_resume_ends_it
28 an early hint, a reply too many: faults::a_passing_fault_costs_nothing_but_time client::a_second_reply_is_not_taken_for_the_next
29 body byte by byte: faults::a_passing_fault_costs_nothing_but_time
30 headers byte by byte: faults::a_passing_fault_costs_nothing_but_time client::a_trickling_reply_is_cut
31 huge reply, gzip bomb, huge header: faults::a_passing_fault_costs_nothing_but_time client::retries_are_the_same_request
32 the reply to another batch: faults::a_passing_fault_costs_nothing_but_time (counts above the batch are all that can be seen of it)
33 429 with seconds: faults::a_passing_fault_costs_nothing_but_time rate_faults::33_34_nobody_comes_sooner_than_asked
34 429 with a date: rate_faults::33_34_nobody_comes_sooner_than_asked
35 429 without Retry-After: faults::a_passing_fault_costs_nothing_but_time
36 Retry-After zero, negative, past: faults::a_passing_fault_costs_nothing_but_time retry::bad_retry_after_is_as_if_missing
37 Retry-After absurd: faults::a_lasting_fault_stops_the_run_and_resume_ends_it retry::429_that_asks_too_long_gives_up retry::37_a_long_wait_is_waited_and_named
38 a storm of 429s: faults::38_a_storm_of_429s_slows_and_never_stops retry::429_that_asks_too_long_gives_up
39 others drain the bucket: faults::39_others_drain_the_bucket pacing::others_drain_the_bucket
40 reset header skewed: faults::40_reset_skewed
41 reset header as a delta: faults::odd_headers_and_fields_do_no_harm
42 rate headers missing or senseless: faults::odd_headers_and_fields_do_no_harm pacing::nonsense_headers_are_dropped
43 the plan changes in mid-run: rate_faults::43_plan_changes_in_mid_run_both_ways pacing::plan_changes_midway
44 two kernels, one bucket: rate_faults::44_two_kernels_same_organisation
45 wall clock jumps: rate_faults::45_wall_clock_jumps
46 401 at the start: faults::46_401_at_the_start
47 401 in mid-run: faults::47_401_in_mid_run
48 resume with a foreign key: faults::48_resume_with_a_key_of_another_organisation resume::48_another_organisations_key_says_nothing_wrong resume::48_a_known_organisation_is_compared resume::48_the_organisation_is_not_asked_for
49 403: faults::a_lasting_fault_stops_the_run_and_resume_ends_it
50 no such label: faults::50_404_label_at_the_start
51 label deleted midway: faults::51_404_label_deleted_midway resume::51_a_deleted_label_is_called_deleted run::51_a_label_that_was_there_is_said_so
52 404 of another host: faults::a_lasting_fault_stops_the_run_and_resume_ends_it
53 400 at one id, and at too many: faults::53_54_one_bad_id_costs_its_row faults::53_a_wrong_column_stops_the_run resume::53_a_lost_call_that_is_refused resume::53_the_only_open_contact_is_refused
54 400 that points nowhere: faults::53_54_one_bad_id_costs_its_row
55 400 for the whole request: faults::55_400_for_the_whole_request
56 413: faults::56_413 resume::56_a_resumed_run_remembers_the_size run::56_a_size_once_refused_is_not_sent_again run::56_a_size_that_is_refused_in_other_words_is_found_out run::56_what_let_a_body_through_does_not_find_it_too_large run::56_what_refuses_everything_is_not_asked_down_to_one run::56_probes_that_are_too_large_are_asked_in_parts run::56_a_single_contact_too_large_ends_the_run run::56_a_413_does_not_undo_a_lost_try run::56_a_run_cut_small_goes_on_where_it_stood
57 409 in progress: faults::14_read_timeout_server_still_working retry::in_progress_is_waited_for
58 a key used for something else: faults::58_a_key_used_for_something_else
59 a 4xx nobody knows: faults::a_lasting_fault_stops_the_run_and_resume_ends_it
60 unknown fields, no request id: faults::odd_headers_and_fields_do_no_harm protocol::request_id_is_optional
61 counters that do not add up: faults::61_counters_that_do_not_add_up
62 counters that cannot be: faults::a_passing_fault_costs_nothing_but_time faults::a_lasting_fault_stops_the_run_and_resume_ends_it
63 redirect on the same host: faults::a_lasting_fault_stops_the_run_and_resume_ends_it
64 redirect to another host: security::no_redirect_carries_the_key_to_another_host
65 webhooks for each contact: - the service's own doing, which no client can see; the README says so
66 Ctrl-C at any instant: stop::at_random_instants stop::66_the_stop_button_of_a_real_kernel stop::in_a_phase
67 a second interrupt: stop::while_the_server_stalls stop::67_whoever_left_at_once_need_not_wait
68 interrupt while planning: stop::before_anything_is_sent
69 interrupt in a callback: stop::in_a_callback_that_hangs bulk_label::a_failing_callable_ends_nothing
70 not in the main thread: stop::other_threads_install_no_handler
71 SIGTERM, then SIGKILL: kill::71_sigterm_ends_a_script_in_order
72 SIGKILL at any step: kill::72_sigkill_at_random_instants kill::72_a_call_in_flight_goes_again_under_its_key
73 power loss: journal_faults::73_power_loss_at_each_request journal_faults::73_a_commit_is_synced
74 disk full when planning: journal_faults::74_disk_full_when_planning
75 disk full in mid-run: journal_faults::75_disk_full_in_mid_run
76 journal read-only or missing: journal::an_unusable_journal_sends_nothing
77 journal corrupt: journal::damaged_journals_are_refused_or_true journal_faults::a_journal_is_never_half_read
78 journal of a newer version: journal::an_unusable_journal_sends_nothing
79 two kernels, one run: journal_faults::79_a_run_at_work_is_not_resumed_by_another journal::two_processes_never_work_on_one_run
80 lock file deleted: journal_faults::80_lock_file_deleted_while_running
81 fork with an open run: journal_faults::81_fork_with_an_open_run
82 journal on a network disk: journal_faults::82_journal_on_a_network_file_system journal_faults::82_nothing_is_said_where_nothing_is_known
83 the same call while a run is unfinished: journal_faults::83_84_the_same_call_again (a new run; going on is asked for by name, with resume)
84 the same call after a run has finished: journal_faults::83_84_the_same_call_again
85 a run of another label, host, number: resume::another_host_is_refused (label and operation come from the journal, so none can be given wrongly)
86 upgrade between stop and resume: journal_faults::86_upgrade_between_stop_and_resume
87 attach, detach, attach: faults::87_attach_detach_attach
88 key older than a day: resume::88_a_lost_call_goes_again resume::a_stale_call_that_is_refused_stays_unknown
89 out of memory: kill::72_sigkill_at_random_instants (the system kills, as in 72)
90 frame changed during the run: journal_faults::90_frame_changed_during_the_run
91 frame changed before the resume: resume::a_frame_with_other_ids_is_told_how
92 rows in another order at the resume: resume::the_frame_may_stand_in_another_order
93 duplicate ids: bulk_label::every_row_is_right results::unusable_rows_and_duplicates
94 missing ids: bulk_label::every_row_is_right ids::missing_values_of_every_kind
95 blanks around ids: ids::every_dtype_gives_the_same_answer
96 invisible and odd characters: ids::every_dtype_gives_the_same_answer ids::nothing_odd_reaches_a_message
97 lower case: ids::no_column_found_lists_what_was_found ids::alphabet_is_strict
98 numbers: ids::a_named_wrong_column_is_refused
99 label ids, phone numbers: ids::a_named_wrong_column_is_refused ids::no_column_found_lists_what_was_found
100 every dtype: bulk_label::every_row_is_right ids::every_dtype_gives_the_same_answer
101 ids in the index: ids::series_index_and_level ids::names_that_do_not_fit
102 repeated column names: ids::names_that_do_not_fit
103 odd indexes and sizes: bulk_label::every_row_is_right results::one_outcome_per_row
104 strange objects: ids::strange_objects_are_malformed_never_an_exception
105 lone surrogates: ids::strange_objects_are_malformed_never_an_exception
106 markup in ids and in what a server says: ids::nothing_odd_reaches_a_message security::what_a_server_says_is_cleaned_before_it_is_shown
107 very many rows: journal_faults::107_a_million_rows_are_planned_in_little_memory
108 blanks in the key: protocol::where_the_key_is_looked_up protocol::unusable_keys_are_refused_unseen
109 the key in exceptions: security::the_key_is_nowhere_when_a_run_fails
110 the key in logs: security::the_key_is_nowhere_when_a_run_fails
111 the key in a notebook: security::a_saved_notebook_holds_no_key
112 the key in attrs, pickles, copies: security::the_key_is_not_reachable_as_text security::the_key_is_nowhere_when_a_run_fails
113 a server that echoes the key: security::the_key_is_nowhere_when_a_run_fails protocol::pieces_of_the_key_are_blotted_out
114 an address that shows the key: security::addresses_that_would_show_the_key_are_refused
"""  # noqa: E501 - a table

PLAYED = {
    "a_passing_fault_costs_nothing_but_time": PASSING,
    "a_lasting_fault_stops_the_run_and_resume_ends_it": LASTING,
    "odd_headers_and_fields_do_no_harm": ODD,
}

ROWS = [line.partition(": ") for line in CATALOGUE.strip().splitlines()]


def test_every_fault_is_in_the_table():
    """The table has the numbers 1 to 114, each once and in order."""
    assert [int(head.split()[0]) for head, _, _ in ROWS] == list(range(1, 115))


@pytest.mark.parametrize(("fault", "held"), [(head, held) for head, _, held in ROWS])
def test_the_tests_of_a_fault_exist(fault, held):
    """Each fault names tests that there are, or says why it has none."""
    if held.startswith("- "):
        return
    named = [word for word in held.partition(" (")[0].split() if "::" in word]
    assert named
    for file, _, name in (word.partition("::") for word in named):
        tree = ast.parse(TESTS[f"test_{file}"].read_text())
        assert f"test_{name}" in {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}


def test_numbers_in_names_are_those_of_the_table():
    """A test that is named after a fault stands in the table under that fault."""
    for path in TESTS.values():
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef):
                name = f"{path.stem}::{node.name}".replace("test_", "")
                numbers = node.name.split("_")[1:3]  # "test_53_54_…" is named after two
                for number in (int(word) for word in numbers if word.isdigit()):
                    if number <= len(ROWS):  # else it is an HTTP status
                        assert name in ROWS[number - 1][2].split()


@pytest.mark.parametrize("played", PLAYED)
def test_cases_are_those_of_the_table(played):
    """A test that plays many faults plays those that the table says, and no others."""
    said = {
        number for number, row in enumerate(ROWS, start=1) if f"faults::{played}" in row[2].split()
    }
    cases = {int(name.split()[0]) for name in PLAYED[played]}
    assert said - {32} == cases - {408}  # 32 looks as 62 does; 408 is a status of no fault
