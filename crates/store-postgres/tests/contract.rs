//! PostgreSQL keeps the contract of every store that processes share, and of its outbox.

mod support;

use support::shared::Shared;

contract_tests::shared_store_suite!(Shared);
contract_tests::outbox_suite!(Shared);
