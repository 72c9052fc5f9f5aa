//! Instances of a shared store: commit numbers, leases, ids, and the adoption of orphaned effects.

use std::collections::BTreeSet;

use macro_rules_attribute::apply;
use ports::model::TableId;
use ports::{Commit, CommitError, EffectRow, RowRef, Store, StoreError};

use crate::SharedStoreHarness;
use crate::rows::change;
use crate::shared_store::{Session, SharedStore};

fn ended(number: u64) -> Commit {
    Commit { effects_done: vec![number], ..Commit::default() }
}

/// Asks for so many effects and returns their numbers.
fn ask(session: &mut Session, table: TableId, effects: u64) -> Vec<u64> {
    let effects: Vec<_> = (1..=effects).map(|place| session.effect(place, table, "a")).collect();
    let numbers = effects.iter().map(|effect| effect.number).collect();
    session.commit(Commit { effects, ..Commit::default() });
    numbers
}

fn numbers(effects: &[EffectRow]) -> Vec<u64> {
    effects.iter().map(|effect| effect.number).collect()
}

/// Instances, their leases, their effects and their ids.
#[apply(checks!)]
impl<H: SharedStoreHarness> InstanceChecks<H> {
    /// Commits are counted for each by itself, from 1.
    pub fn each_instance_counts_its_own_commits() {
        let shared = SharedStore::<H>::new();
        let [mut one, mut other] = [shared.join(), shared.join()];
        assert_eq!((one.next(), other.next()), (1, 1), "a new instance has committed nothing");
        one.commit(Commit::default());
        one.commit(change(shared.parcels, "a", 1, 0));
        other.commit(Commit::default());
        let last = |session: &mut Session| session.store().last_commit().expect("it knows its commits");
        assert_eq!((last(&mut one), last(&mut other)), (2, 1));
        for (session, numbers) in [(&mut one, [2, 4]), (&mut other, [1, 3])] {
            for number in numbers {
                let refused = session.store().commit(&Commit { number, ..Commit::default() });
                assert!(matches!(refused, Err(CommitError::Refused(_))), "{number}: {refused:?}");
            }
        }
        one.begin();
        assert_eq!((one.next(), last(&mut one), last(&mut other)), (1, 0, 1), "it is another instance now");
    }

    /// However many each of them asks for, and whichever began first.
    pub fn effect_numbers_of_instances_do_not_meet() {
        let shared = SharedStore::<H>::new();
        let [mut one, mut other] = [shared.join(), shared.join()];
        let mine = ask(&mut one, shared.parcels, 700);
        let others = ask(&mut other, shared.parcels, 700);
        let mut third = shared.join();
        let thirds = ask(&mut third, shared.parcels, 1);
        let all: BTreeSet<u64> = mine.iter().chain(&others).chain(&thirds).copied().collect();
        assert_eq!(all.len(), 1401);
        assert_eq!((numbers(&one.effects()), numbers(&other.effects()), numbers(&third.effects())), (mine, others, thirds));
    }

    /// Behind a number, at most `limit`, and none of another instance.
    pub fn an_instance_reads_only_its_own_effects() {
        let shared = SharedStore::<H>::new();
        let [mut one, mut other] = [shared.join(), shared.join()];
        let mine = ask(&mut one, shared.parcels, 3);
        let others = ask(&mut other, shared.parcels, 2);
        let read = |session: &mut Session, after, limit| {
            numbers(&session.store().effects_after(after, limit).expect("effects are read"))
        };
        assert_eq!(read(&mut one, 0, 2), mine[..2]);
        assert_eq!(read(&mut one, mine[0], 10), mine[1..]);
        assert_eq!(read(&mut other, 0, 10), others);
        assert_eq!(read(&mut shared.join(), 0, 10), [0; 0]);
    }

    /// An effect ends once, by the instance that has it.
    pub fn an_effect_that_is_not_its_own_is_a_conflict() {
        let shared = SharedStore::<H>::new();
        let [mut one, mut other] = [shared.join(), shared.join()];
        let asked = ask(&mut one, shared.parcels, 2);
        other.conflict(ended(asked[0]));
        one.commit(ended(asked[0]));
        one.conflict(ended(asked[0]));
        one.conflict(Commit { effects_done: vec![asked[1], asked[1] + 1], ..Commit::default() });
        assert_eq!(numbers(&one.effects()), asked[1..]);
    }

    /// The decision is the aggregate's, wherever it is made.
    pub fn an_effect_may_be_withdrawn_by_another_instance() {
        let shared = SharedStore::<H>::new();
        let [mut one, mut other] = [shared.join(), shared.join()];
        ask(&mut one, shared.parcels, 2);
        let withdrawn = vec![RowRef { table: shared.parcels, key: "a".into() }];
        other.commit(Commit { withdrawn, ..Commit::default() });
        assert!(one.effects().iter().all(|effect| effect.withdrawn));
    }

    /// Nothing of what it commits is applied. It recovers as another instance, and goes on.
    pub fn an_instance_whose_lease_has_expired_is_fenced() {
        let shared = SharedStore::<H>::new();
        let [mut one, mut other] = [shared.join(), shared.join()];
        one.commit(change(shared.parcels, "a", 1, 0));
        shared.leases_run_out();
        other.begin();
        other.adopt(10);
        one.fenced(change(shared.parcels, "a", 1, 1));
        one.fenced(Commit::default());
        let adopted = one.store().adopt(10);
        assert!(matches!(adopted, Err(StoreError::Fenced)), "it learns of it before it calls an effect handler: {adopted:?}");
        assert_eq!(shared.version("a"), 1);
        assert_eq!(one.store().last_commit().expect("it knows its commits"), 1, "what it has committed before stays");
        one.begin();
        one.commit(change(shared.parcels, "a", 1, 1));
        assert_eq!((shared.version("a"), one.next()), (2, 2));
    }

    /// `adopt` renews the lease; a new instance has one.
    pub fn an_instance_that_renews_its_lease_is_not_fenced() {
        let shared = SharedStore::<H>::new();
        let [mut one, mut other] = [shared.join(), shared.join()];
        assert_eq!(other.adopt(10), []);
        let asked = ask(&mut one, shared.parcels, 1);
        for _ in 0..3 {
            shared.harness.pass(shared.harness.lease() / 2);
            one.adopt(10);
            assert_eq!(other.adopt(10), [], "effects of a live instance are not adopted");
        }
        one.commit(ended(asked[0]));
        other.commit(Commit::default());
    }

    /// Each by one instance, which gets it unchanged and may end it.
    pub fn effects_of_a_dead_instance_are_adopted_once() {
        let shared = SharedStore::<H>::new();
        let mut dead = shared.join();
        let asked = ask(&mut dead, shared.parcels, 4);
        dead.commit(ended(asked[1]));
        let left = dead.effects();
        drop(dead);
        shared.leases_run_out();
        let [mut one, mut other] = [shared.join(), shared.join()];
        let (mine, others) = (one.adopt(2), other.adopt(10));
        assert_eq!((mine.len(), others.len()), (2, 1), "no more than asked for, and then what is left");
        let mut all = [mine.clone(), others.clone()].concat();
        all.sort_by_key(|effect| effect.number);
        assert_eq!(all, left);
        assert_eq!((one.adopt(10), other.adopt(10)), (vec![], vec![]));
        one.conflict(ended(others[0].number));
        one.commit(ended(mine[0].number));
        one.conflict(ended(mine[0].number));
        other.commit(ended(others[0].number));
    }

    /// The adopter keeps it in memory: read with its own effects once more, it would be called twice.
    pub fn an_adopted_effect_is_handed_over_once() {
        let shared = SharedStore::<H>::new();
        let mut dead = shared.join();
        ask(&mut dead, shared.parcels, 2);
        shared.leases_run_out();
        let mut adopter = shared.join();
        assert_eq!(adopter.adopt(10).len(), 2);
        assert_eq!(adopter.effects(), []);
        let mine = ask(&mut adopter, shared.parcels, 1);
        assert_eq!(numbers(&adopter.effects()), mine);
    }

    /// Also effects that it had adopted itself.
    pub fn orphaned_effects_are_adopted_again_when_the_adopter_dies() {
        let shared = SharedStore::<H>::new();
        let mut first = shared.join();
        let asked = ask(&mut first, shared.parcels, 2);
        shared.leases_run_out();
        let mut adopter = shared.join();
        assert_eq!(adopter.adopt(10).len(), 2);
        adopter.commit(ended(asked[0]));
        shared.leases_run_out();
        let mut last = shared.join();
        assert_eq!(numbers(&last.adopt(10)), asked[1..]);
        adopter.fenced(ended(asked[1]));
        last.commit(ended(asked[1]));
    }

    /// Over connections, restarts and crashes; the rest of a range is not given again.
    pub fn ids_are_given_once() {
        let shared = SharedStore::<H>::new();
        let mut given: Vec<u64> = Vec::new();
        let mut take = |store: &mut dyn Store, count: u64| {
            let ids = store.ids(shared.parcels, count).expect("ids are given");
            assert_eq!(ids.end - ids.start, count);
            given.extend(ids);
        };
        let [mut one, mut other] = [shared.join(), shared.join()];
        take(one.store(), 3);
        take(other.store(), 500);
        take(one.store(), 1);
        other.begin();
        take(other.store(), 2);
        drop(one);
        take(shared.join().store(), 2);
        let all: BTreeSet<u64> = given.iter().copied().collect();
        assert_eq!((all.len(), all.contains(&0)), (508, false));
        assert!(other.store().ids(shared.lines, 10).expect("ids are given").start < 100, "each table has its own");
    }

    /// Clients may give ids, too; a commit with a lower one takes nothing back.
    pub fn ids_stand_above_those_that_were_given() {
        let shared = SharedStore::<H>::new();
        let [mut one, mut other] = [shared.join(), shared.join()];
        let last = |id| Commit { last_ids: vec![(shared.parcels, id)], ..Commit::default() };
        other.store().ids(shared.parcels, 10).expect("ids are given");
        one.commit(last(5000));
        one.commit(last(30));
        let ids = other.store().ids(shared.parcels, 10).expect("ids are given");
        assert!(ids.start > 5000, "{ids:?}");
        let recovered = shared.join().store().recover().expect("a store recovers");
        assert!(recovered.last_ids[shared.parcels.0] >= 5000);
    }

    /// Also at the same time.
    pub fn ids_asked_for_at_once_are_given_once() {
        let shared = SharedStore::<H>::new();
        let table = shared.parcels;
        let sessions: Vec<Session> = (0..4).map(|_| shared.join()).collect();
        let given: Vec<u64> = std::thread::scope(|scope| {
            let take = |mut session: Session| {
                let ranges = (0..20).map(|_| session.store().ids(table, 5).expect("ids are given"));
                ranges.flatten().collect::<Vec<_>>()
            };
            let taking: Vec<_> = sessions.into_iter().map(|session| scope.spawn(move || take(session))).collect();
            taking.into_iter().flat_map(|taking| taking.join().expect("no thread fails")).collect()
        });
        assert_eq!(given.iter().collect::<BTreeSet<_>>().len(), 400);
    }
}
