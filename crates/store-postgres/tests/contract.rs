//! PostgreSQL keeps the contract of every store that processes share, and of its outbox.

mod support;

use support::shared::Shared;

contract_tests::shared_store_suite!(Shared);
contract_tests::outbox_suite!(Shared);

// Nobody rebuilds a view from a log that others publish, but tables that are emptied and change places are a store's matter.
contract_tests::tables_suite!(contract_tests::SingleSession<Shared>);
