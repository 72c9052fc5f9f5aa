//! PostgreSQL keeps the contract of every store that processes share, and of its outbox.

mod support;

use support::shared::Shared;

contract_tests::shared_store_suite!(
    #[ignore = "needs PostgreSQL: scripts/test-distributed"]
    Shared
);
contract_tests::outbox_suite!(
    #[ignore = "needs PostgreSQL: scripts/test-distributed"]
    Shared
);

// Views are not rebuilt from a log that a relay publishes, but clearing and swapping tables is part of every store.
contract_tests::tables_suite!(
    #[ignore = "needs PostgreSQL: scripts/test-distributed"]
    contract_tests::SingleSession<Shared>
);
