//! Instances of a store that processes share: numbers, leases, ids of their own, and heirs for what the dead have begun.

use std::collections::BTreeSet;

use ports::model::TableId;
use ports::{Commit, CommitError, EffectRow, RowRef, Store, StoreError};

use crate::SharedFixture;
use crate::crowd::{Crowd, Hand};
use crate::desk::parcel;

/// A commit of one parcel, with the number of its version as its id's place.
fn change(table: TableId, key: &str, id: u64, from: u64) -> Commit {
    Commit { rows: vec![parcel(table, key, id, from)], ..Commit::default() }
}

fn ended(number: u64) -> Commit {
    Commit { effects_done: vec![number], ..Commit::default() }
}

/// Asks for so many effects and returns their numbers.
fn ask(hand: &mut Hand, table: TableId, effects: u64) -> Vec<u64> {
    let effects: Vec<_> = (1..=effects).map(|place| hand.effect(place, table, "a")).collect();
    let numbers = effects.iter().map(|effect| effect.number).collect();
    hand.commit(Commit { effects, ..Commit::default() });
    numbers
}

fn numbers(effects: &[EffectRow]) -> Vec<u64> {
    effects.iter().map(|effect| effect.number).collect()
}

/// Commits are counted for each by itself, from 1.
pub fn each_instance_counts_its_own_commits<F: SharedFixture>() {
    let crowd = Crowd::<F>::new();
    let [mut one, mut other] = [crowd.join(), crowd.join()];
    assert_eq!((one.next(), other.next()), (1, 1), "a new instance has committed nothing");
    one.commit(Commit::default());
    one.commit(change(crowd.parcels, "a", 1, 0));
    other.commit(Commit::default());
    let last = |hand: &mut Hand| hand.store().last_commit().expect("it knows its commits");
    assert_eq!((last(&mut one), last(&mut other)), (2, 1));
    for (hand, numbers) in [(&mut one, [2, 4]), (&mut other, [1, 3])] {
        for number in numbers {
            let refused = hand.store().commit(&Commit { number, ..Commit::default() });
            assert!(matches!(refused, Err(CommitError::Refused(_))), "{number}: {refused:?}");
        }
    }
    one.begin();
    assert_eq!((one.next(), last(&mut one), last(&mut other)), (1, 0, 1), "it is another instance now");
}

/// However many each of them asks for, and whoever began first.
pub fn effect_numbers_of_instances_do_not_meet<F: SharedFixture>() {
    let crowd = Crowd::<F>::new();
    let [mut one, mut other] = [crowd.join(), crowd.join()];
    let mine = ask(&mut one, crowd.parcels, 700);
    let others = ask(&mut other, crowd.parcels, 700);
    let mut third = crowd.join();
    let thirds = ask(&mut third, crowd.parcels, 1);
    let all: BTreeSet<u64> = mine.iter().chain(&others).chain(&thirds).copied().collect();
    assert_eq!(all.len(), 1401);
    assert_eq!((numbers(&one.effects()), numbers(&other.effects()), numbers(&third.effects())), (mine, others, thirds));
}

/// After a number, at most so many, and nothing of anybody else's.
pub fn an_instance_reads_only_its_own_effects<F: SharedFixture>() {
    let crowd = Crowd::<F>::new();
    let [mut one, mut other] = [crowd.join(), crowd.join()];
    let mine = ask(&mut one, crowd.parcels, 3);
    let others = ask(&mut other, crowd.parcels, 2);
    let read = |hand: &mut Hand, after, limit| numbers(&hand.store().effects_after(after, limit).expect("effects are read"));
    assert_eq!(read(&mut one, 0, 2), mine[..2]);
    assert_eq!(read(&mut one, mine[0], 10), mine[1..]);
    assert_eq!(read(&mut other, 0, 10), others);
    assert_eq!(read(&mut crowd.join(), 0, 10), [0; 0]);
}

/// An effect ends once, by the instance that has it.
pub fn an_effect_that_is_not_its_own_is_a_conflict<F: SharedFixture>() {
    let crowd = Crowd::<F>::new();
    let [mut one, mut other] = [crowd.join(), crowd.join()];
    let asked = ask(&mut one, crowd.parcels, 2);
    other.conflict(ended(asked[0]));
    one.commit(ended(asked[0]));
    one.conflict(ended(asked[0]));
    one.conflict(Commit { effects_done: vec![asked[1], asked[1] + 1], ..Commit::default() });
    assert_eq!(numbers(&one.effects()), asked[1..]);
}

/// The decision is the aggregate's, wherever it is made.
pub fn another_may_withdraw_an_effect<F: SharedFixture>() {
    let crowd = Crowd::<F>::new();
    let [mut one, mut other] = [crowd.join(), crowd.join()];
    ask(&mut one, crowd.parcels, 2);
    let withdrawn = vec![RowRef { table: crowd.parcels, key: "a".into() }];
    other.commit(Commit { withdrawn, ..Commit::default() });
    assert!(one.effects().iter().all(|effect| effect.withdrawn));
}

/// Nothing of what it commits is applied. It recovers as another instance, and goes on.
pub fn who_was_taken_for_dead_is_fenced<F: SharedFixture>() {
    let crowd = Crowd::<F>::new();
    let [mut one, mut other] = [crowd.join(), crowd.join()];
    one.commit(change(crowd.parcels, "a", 1, 0));
    crowd.leases_run_out();
    other.begin();
    other.adopt(10);
    one.fenced(change(crowd.parcels, "a", 1, 1));
    one.fenced(Commit::default());
    let adopted = one.store().adopt(10);
    assert!(matches!(adopted, Err(StoreError::Fenced)), "it hears of it before it calls anybody: {adopted:?}");
    assert_eq!(crowd.version("a"), 1);
    assert_eq!(one.store().last_commit().expect("it knows its commits"), 1, "what it has committed before stays");
    one.begin();
    one.commit(change(crowd.parcels, "a", 1, 1));
    assert_eq!((crowd.version("a"), one.next()), (2, 2));
}

/// Who looks round in time is not taken for dead, and neither is who has just begun.
pub fn who_is_heard_of_in_time_is_not_fenced<F: SharedFixture>() {
    let crowd = Crowd::<F>::new();
    let [mut one, mut other] = [crowd.join(), crowd.join()];
    assert_eq!(other.adopt(10), []);
    let asked = ask(&mut one, crowd.parcels, 1);
    for _ in 0..3 {
        crowd.fixture.pass(crowd.fixture.lease() / 2);
        one.adopt(10);
        assert_eq!(other.adopt(10), [], "the living have no heirs");
    }
    one.commit(ended(asked[0]));
    other.commit(Commit::default());
}

/// Each has one heir, who has it as it was, and may end it.
pub fn effects_of_the_dead_are_adopted_once<F: SharedFixture>() {
    let crowd = Crowd::<F>::new();
    let mut dead = crowd.join();
    let asked = ask(&mut dead, crowd.parcels, 4);
    dead.commit(ended(asked[1]));
    let left = dead.effects();
    drop(dead);
    crowd.leases_run_out();
    let [mut one, mut other] = [crowd.join(), crowd.join()];
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

/// It knows them from then on: read with its own once more, they would be called twice.
pub fn what_was_adopted_is_handed_over_once<F: SharedFixture>() {
    let crowd = Crowd::<F>::new();
    let mut dead = crowd.join();
    ask(&mut dead, crowd.parcels, 2);
    crowd.leases_run_out();
    let mut heir = crowd.join();
    assert_eq!(heir.adopt(10).len(), 2);
    assert_eq!(heir.effects(), []);
    let mine = ask(&mut heir, crowd.parcels, 1);
    assert_eq!(numbers(&heir.effects()), mine);
}

/// And of the heir's heir.
pub fn what_a_dead_heir_has_left_is_adopted_again<F: SharedFixture>() {
    let crowd = Crowd::<F>::new();
    let mut first = crowd.join();
    let asked = ask(&mut first, crowd.parcels, 2);
    crowd.leases_run_out();
    let mut heir = crowd.join();
    assert_eq!(heir.adopt(10).len(), 2);
    heir.commit(ended(asked[0]));
    crowd.leases_run_out();
    let mut last = crowd.join();
    assert_eq!(numbers(&last.adopt(10)), asked[1..]);
    heir.fenced(ended(asked[1]));
    last.commit(ended(asked[1]));
}

/// Over connections, restarts and crashes; what was left of a range is not given again.
pub fn ids_are_given_once<F: SharedFixture>() {
    let crowd = Crowd::<F>::new();
    let mut given: Vec<u64> = Vec::new();
    let mut take = |store: &mut dyn Store, count: u64| {
        let ids = store.ids(crowd.parcels, count).expect("ids are given");
        assert_eq!(ids.end - ids.start, count);
        given.extend(ids);
    };
    let [mut one, mut other] = [crowd.join(), crowd.join()];
    take(one.store(), 3);
    take(other.store(), 500);
    take(one.store(), 1);
    other.begin();
    take(other.store(), 2);
    drop(one);
    take(crowd.join().store(), 2);
    let all: BTreeSet<u64> = given.iter().copied().collect();
    assert_eq!((all.len(), all.contains(&0)), (508, false));
    assert!(other.store().ids(crowd.lines, 10).expect("ids are given").start < 100, "each table has its own");
}

/// Clients may give ids, too; a commit with a lower one takes nothing back.
pub fn ids_stand_above_those_that_were_given<F: SharedFixture>() {
    let crowd = Crowd::<F>::new();
    let [mut one, mut other] = [crowd.join(), crowd.join()];
    let last = |id| Commit { last_ids: vec![(crowd.parcels, id)], ..Commit::default() };
    other.store().ids(crowd.parcels, 10).expect("ids are given");
    one.commit(last(5000));
    one.commit(last(30));
    let ids = other.store().ids(crowd.parcels, 10).expect("ids are given");
    assert!(ids.start > 5000, "{ids:?}");
    let recovered = crowd.join().store().recover().expect("a store recovers");
    assert!(recovered.last_ids[crowd.parcels.0] >= 5000);
}

/// Also at the same time.
pub fn ids_asked_for_at_once_are_given_once<F: SharedFixture>() {
    let crowd = Crowd::<F>::new();
    let table = crowd.parcels;
    let hands: Vec<Hand> = (0..4).map(|_| crowd.join()).collect();
    let given: Vec<u64> = std::thread::scope(|scope| {
        let take = |mut hand: Hand| {
            let ranges = (0..20).map(|_| hand.store().ids(table, 5).expect("ids are given"));
            ranges.flatten().collect::<Vec<_>>()
        };
        let taking: Vec<_> = hands.into_iter().map(|hand| scope.spawn(move || take(hand))).collect();
        taking.into_iter().flat_map(|taking| taking.join().expect("nobody fails")).collect()
    });
    assert_eq!(given.iter().collect::<BTreeSet<_>>().len(), 400);
}
