//! PostgreSQL keeps the contract of every store that processes share, and of its outbox.

mod support;

use support::shared::Shared;

contract_tests::shared_store_suite!(Shared);
contract_tests::outbox_suite!(Shared);

// Views are not rebuilt from a log that a relay publishes, but clearing and swapping tables is part of every store.
contract_tests::tables_suite!(contract_tests::SingleSession<Shared>);
