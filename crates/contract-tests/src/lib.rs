//! One suite for every store, one for every store that processes share and for its outbox, and one for each side of topics.
//!
//! What a port's documentation promises stands here as checks. An implementation writes a fixture and one line:
//!
//! ```ignore
//! contract_tests::store_suite!(MyFixture);
//! ```
//!
//! and gets one `#[test]` for each check, in modules named after the parts of the contract. A promise that no check
//! holds an implementation to is one that the in-memory store and the real one may keep differently.
#![allow(clippy::expect_used, reason = "a check fails by panicking; the message says what was asked")]
#![allow(clippy::missing_panics_doc, reason = "a check is there to panic")]

pub mod broker;
pub mod crowd;
pub mod desk;
pub mod fixtures;
pub mod instances;
pub mod log;
pub mod outbox;
pub mod outside;
pub mod paging;
pub mod publisher;
pub mod reader;
pub mod sample;
pub mod shared;
pub mod store;
pub mod tables;
pub mod totals;
pub mod work;

pub use fixtures::{BrokerFixture, OutboxFixture, PublisherFixture, SharedFixture, StoreFixture};

/// One `#[test]` for each check of [`StoreFixture`].
#[macro_export]
macro_rules! store_suite {
    ($fixture:ty) => {
        $crate::each_check! { $fixture, store:
            a_commit_is_seen_whole_by_store_and_reader,
            a_commit_with_a_wrong_number_is_refused,
            a_commit_is_not_applied_twice,
            a_row_with_a_wrong_version_refuses_the_commit,
            a_new_row_where_one_is_refuses_the_commit,
            a_change_of_a_missing_row_refuses_the_commit,
            a_taken_id_refuses_the_commit,
            the_same_id_in_two_tables_is_no_conflict,
            a_removed_rows_id_may_be_given_again,
            a_refused_commit_changes_nothing_at_all,
            a_commit_may_follow_a_refused_one,
            an_empty_commit_counts,
            rows_are_loaded_in_the_order_asked_for,
            rows_are_kept_byte_by_byte,
            many_rows_are_loaded_at_once,
            an_empty_store_recovers_to_nothing,
            everything_is_there_after_a_crash,
            a_crash_forgets_no_number_that_was_given,
        }
        $crate::each_check! { $fixture, tables:
            a_cleared_table_is_empty_before_the_commits_own_rows,
            a_cleared_table_has_no_counters_left,
            clearing_one_table_leaves_the_others,
            swapped_tables_change_rows_and_counters,
            a_swap_comes_after_the_commits_own_rows,
            a_swap_survives_a_crash,
            swapped_tables_can_be_written_and_swapped_back,
            a_rebuild_is_swapped_in_and_its_old_rows_cleared,
        }
        $crate::each_check! { $fixture, work:
            timers_come_earliest_first_and_only_when_due,
            a_timer_set_again_is_moved,
            timers_of_one_name_belong_to_their_aggregates,
            a_cleared_timer_is_gone_and_clearing_none_is_nothing,
            timer_changes_of_one_commit_happen_in_order,
            the_next_timer_is_the_earliest,
            effects_come_in_order_until_they_are_done,
            a_withdrawal_flags_earlier_effects_of_its_target_only,
            an_effect_asked_for_beside_a_withdrawal_carries_its_own_flag,
            withdrawn_effects_stay_until_they_are_done,
            parked_events_come_in_order_of_place,
            parked_events_belong_to_their_partitions,
            a_follower_stands_in_each_partition_by_itself,
            the_last_numbers_of_outboxes_are_kept_beside_the_position,
            the_head_of_each_parked_key_is_recovered,
            the_next_parked_event_becomes_the_head,
            a_parked_event_put_again_is_changed,
            all_parked_events_come_oldest_first,
            an_answer_is_remembered_by_scope_and_key,
            an_answer_given_again_replaces_the_first,
        }
        $crate::each_check! { $fixture, log:
            records_come_back_as_they_were_written,
            records_come_in_order_after_a_position,
            records_are_found_by_each_filter,
            filters_of_the_log_hold_together,
            a_filtered_log_goes_on_behind_its_last_record,
            pruning_takes_only_what_is_old_and_read,
            pruning_takes_no_more_than_its_limit_and_the_first_first,
            a_pruned_log_still_knows_its_end,
            pruning_forgets_expired_answers_only,
        }
        $crate::each_check! { $fixture, reader:
            a_row_is_found_by_key_and_by_id,
            an_unlisted_row_is_found_by_key_only,
            a_row_is_listed_once_it_has_an_id,
            a_removed_row_is_not_found,
            positions_are_read_as_written,
            the_log_of_an_empty_store_begins_at_one,
            a_reader_never_sees_half_a_commit,
        }
        $crate::each_check! { $fixture, paging:
            pages_by_number_give_every_row_once,
            pages_by_cursor_give_every_row_once,
            rows_sort_by_id_both_ways,
            rows_sort_by_each_field_both_ways,
            an_absent_value_comes_before_all_others,
            text_sorts_by_its_bytes,
            one_filter_finds_its_rows,
            a_key_finds_its_row,
            an_absent_value_can_be_asked_for,
            filters_hold_together,
            a_period_begins_with_its_first_instant_and_ends_before_its_last,
            the_last_page_has_no_next,
            a_page_beyond_the_end_is_empty,
            a_cursor_outlives_its_row,
            changed_values_are_found_and_old_ones_are_not,
        }
        $crate::each_check! { $fixture, totals:
            counters_follow_inserts_changes_and_removals,
            counters_come_in_order_of_value,
            a_counter_without_rows_is_not_there,
            all_rows_are_counted_by_their_counter,
            one_counted_field_is_counted_by_its_counter,
            a_crossed_pair_is_counted_by_its_counter_in_either_order,
            a_filter_without_counter_is_counted_exactly_up_to_the_limit,
            a_total_beyond_the_limit_says_so,
            a_total_of_nothing_is_exact,
            unlisted_rows_are_not_counted,
        }
    };
}

/// One `#[test]` for each check of [`SharedFixture`], and for what every store promises to a process that is alone with it.
/// What is left out is about the numbers of an exclusive store, about rebuilding from its log, and about pruning a log that
/// nobody relays.
#[macro_export]
macro_rules! shared_store_suite {
    ($fixture:ty) => {
        $crate::each_check! { $fixture, shared:
            it_says_that_it_is_shared,
            a_row_that_another_has_changed_is_a_conflict,
            a_row_that_another_has_made_is_a_conflict,
            a_row_that_another_has_removed_is_a_conflict,
            a_conflict_changes_nothing_at_all,
            counters_add_up,
            a_position_that_another_has_moved_is_a_conflict,
            an_event_that_another_has_parked_is_a_conflict,
            a_parked_event_that_another_has_tried_is_a_conflict,
            a_parked_event_that_another_has_released_is_a_conflict,
            a_timer_that_another_has_fired_or_moved_is_a_conflict,
            a_timer_is_cleared_whoever_has_moved_it,
            a_key_that_another_has_answered_is_a_conflict,
            a_key_whose_answer_has_expired_is_answered_anew,
            of_those_who_come_at_once_one_succeeds,
        }
        $crate::each_check! { $fixture, instances:
            each_instance_counts_its_own_commits,
            effect_numbers_of_instances_do_not_meet,
            an_instance_reads_only_its_own_effects,
            an_effect_that_is_not_its_own_is_a_conflict,
            another_may_withdraw_an_effect,
            who_was_taken_for_dead_is_fenced,
            who_is_heard_of_in_time_is_not_fenced,
            effects_of_the_dead_are_adopted_once,
            what_was_adopted_is_handed_over_once,
            what_a_dead_heir_has_left_is_adopted_again,
            ids_are_given_once,
            ids_stand_above_those_that_were_given,
            ids_asked_for_at_once_are_given_once,
        }
        $crate::each_check! { $crate::crowd::Alone<$fixture>, store:
            a_commit_is_seen_whole_by_store_and_reader,
            a_commit_with_a_wrong_number_is_refused,
            a_commit_is_not_applied_twice,
            a_row_with_a_wrong_version_refuses_the_commit,
            a_new_row_where_one_is_refuses_the_commit,
            a_change_of_a_missing_row_refuses_the_commit,
            a_taken_id_refuses_the_commit,
            the_same_id_in_two_tables_is_no_conflict,
            a_removed_rows_id_may_be_given_again,
            a_refused_commit_changes_nothing_at_all,
            a_commit_may_follow_a_refused_one,
            rows_are_loaded_in_the_order_asked_for,
            rows_are_kept_byte_by_byte,
            many_rows_are_loaded_at_once,
        }
        $crate::each_check! { $crate::crowd::Alone<$fixture>, work:
            timers_come_earliest_first_and_only_when_due,
            a_timer_set_again_is_moved,
            timers_of_one_name_belong_to_their_aggregates,
            a_cleared_timer_is_gone_and_clearing_none_is_nothing,
            timer_changes_of_one_commit_happen_in_order,
            the_next_timer_is_the_earliest,
            effects_come_in_order_until_they_are_done,
            a_withdrawal_flags_earlier_effects_of_its_target_only,
            an_effect_asked_for_beside_a_withdrawal_carries_its_own_flag,
            withdrawn_effects_stay_until_they_are_done,
            parked_events_come_in_order_of_place,
            parked_events_belong_to_their_partitions,
            a_follower_stands_in_each_partition_by_itself,
            the_last_numbers_of_outboxes_are_kept_beside_the_position,
            the_head_of_each_parked_key_is_recovered,
            the_next_parked_event_becomes_the_head,
            a_parked_event_put_again_is_changed,
            all_parked_events_come_oldest_first,
            an_answer_is_remembered_by_scope_and_key,
            an_answer_given_again_replaces_the_first,
        }
        $crate::each_check! { $crate::crowd::Alone<$fixture>, log:
            records_come_back_as_they_were_written,
            records_are_found_by_each_filter,
            filters_of_the_log_hold_together,
            a_filtered_log_goes_on_behind_its_last_record,
            pruning_forgets_expired_answers_only,
        }
        $crate::each_check! { $crate::crowd::Alone<$fixture>, reader:
            a_row_is_found_by_key_and_by_id,
            an_unlisted_row_is_found_by_key_only,
            a_row_is_listed_once_it_has_an_id,
            a_removed_row_is_not_found,
            positions_are_read_as_written,
            the_log_of_an_empty_store_begins_at_one,
            a_reader_never_sees_half_a_commit,
        }
        $crate::each_check! { $crate::crowd::Alone<$fixture>, paging:
            pages_by_number_give_every_row_once,
            pages_by_cursor_give_every_row_once,
            rows_sort_by_id_both_ways,
            rows_sort_by_each_field_both_ways,
            an_absent_value_comes_before_all_others,
            text_sorts_by_its_bytes,
            one_filter_finds_its_rows,
            an_absent_value_can_be_asked_for,
            filters_hold_together,
            a_period_begins_with_its_first_instant_and_ends_before_its_last,
            the_last_page_has_no_next,
            a_page_beyond_the_end_is_empty,
            a_cursor_outlives_its_row,
            changed_values_are_found_and_old_ones_are_not,
        }
        $crate::each_check! { $crate::crowd::Alone<$fixture>, totals:
            counters_follow_inserts_changes_and_removals,
            counters_come_in_order_of_value,
            a_counter_without_rows_is_not_there,
            all_rows_are_counted_by_their_counter,
            one_counted_field_is_counted_by_its_counter,
            a_crossed_pair_is_counted_by_its_counter_in_either_order,
            a_filter_without_counter_is_counted_exactly_up_to_the_limit,
            a_total_beyond_the_limit_says_so,
            a_total_of_nothing_is_exact,
            unlisted_rows_are_not_counted,
        }
    };
}

/// One `#[test]` for each check of [`OutboxFixture`].
#[macro_export]
macro_rules! outbox_suite {
    ($fixture:ty) => {
        $crate::each_check! { $fixture, outbox:
            an_outbox_has_a_name_of_its_own,
            an_empty_outbox_begins_before_one,
            numbers_follow_the_commits_without_gaps,
            a_conflict_leaves_no_gap,
            what_is_unsent_is_read_on_behind_a_number,
            a_record_leaves_as_it_was_committed,
            one_relay_has_the_lease,
            a_lease_that_is_prolonged_stays,
            who_takes_a_lease_over_fences_the_one_before,
            numbers_and_the_mark_survive_the_relay,
            pruning_keeps_what_is_not_sent,
            numbers_go_on_behind_what_was_pruned,
            pruning_keeps_what_is_young,
            a_commit_that_comes_late_is_not_skipped,
        }
    };
}

/// One `#[test]` for each check of [`BrokerFixture`].
#[macro_export]
macro_rules! broker_suite {
    ($fixture:ty) => {
        $crate::each_check! { $fixture, broker:
            an_unknown_topic_is_empty,
            an_unknown_partition_is_empty,
            records_are_fetched_in_order,
            a_fetch_goes_on_behind_a_position,
            the_end_is_the_last_records_position,
            topics_do_not_mix,
            a_key_stays_in_one_partition,
            a_record_arrives_as_it_was_published,
            who_watches_is_woken,
            who_watches_before_there_is_a_topic_is_woken,
            who_joins_alone_is_given_every_partition,
        }
    };
}

/// One `#[test]` for each check of [`PublisherFixture`].
#[macro_export]
macro_rules! publisher_suite {
    ($fixture:ty) => {
        $crate::each_check! { $fixture, publisher:
            a_record_arrives_with_its_stamp,
            records_of_a_key_come_in_the_order_of_their_numbers,
            published_finds_the_numbers_behind_a_number,
            published_finds_nothing_where_nothing_is_numbered,
            a_record_published_again_keeps_its_number,
            publishing_nothing_is_nothing,
            topics_are_published_to_by_themselves,
        }
    };
}

/// The tests of one part of a contract.
#[doc(hidden)]
#[macro_export]
macro_rules! each_check {
    ($fixture:ty, $part:ident: $($check:ident,)+) => {
        mod $part {
            use super::*;
            $(
                #[test]
                fn $check() {
                    $crate::$part::$check::<$fixture>();
                }
            )+
        }
    };
}
