//! PostgreSQL keeps the contract of every store that processes share, and of its outbox.

mod support;

use support::shared::Shared;

contract_tests::shared_store_suite!(Shared);
contract_tests::outbox_suite!(Shared);

// Nobody rebuilds a view from a log that others publish, but tables that are emptied and change places are a store's matter.
contract_tests::each_check! { contract_tests::crowd::Alone<Shared>, tables:
    a_cleared_table_is_empty_before_the_commits_own_rows,
    a_cleared_table_has_no_counters_left,
    clearing_one_table_leaves_the_others,
    swapped_tables_change_rows_and_counters,
    a_swap_comes_after_the_commits_own_rows,
    a_swap_survives_a_crash,
    swapped_tables_can_be_written_and_swapped_back,
    a_rebuild_is_swapped_in_and_its_old_rows_cleared,
}
