//! t
use rusqlite::*;
use std::time::Instant;
fn main() {
    let c = Connection::open("/dev/shm/zz.db").unwrap();
    c.execute_batch("pragma journal_mode=wal; pragma synchronous=off; drop table if exists t; create table t(id integer primary key, key text not null unique, version int, schema int, listed int, f_a any, data blob) strict; begin").unwrap();
    let key = |i: u64| format!("{:016x}", i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    for i in 1..200_000u64 { c.prepare_cached("insert into t values(?1,?2,1,1,1,'x',zeroblob(400))").unwrap().execute(params![i as i64, key(i)]).unwrap(); }
    c.execute_batch("commit; pragma cache_size=-32000").unwrap();
    let get = |r: &Row| -> Result<(i64, String, Vec<u8>)> { Ok((r.get(0)?, r.get(1)?, r.get(2)?)) };
    let wanted: Vec<String> = (0..25600u64).map(|i| key(1 + i * 7919 % 199_000)).collect();
    for size in [1, 8, 64, 256] { for tx in [false, true, false, true] {
        let t = Instant::now();
        for some in wanted.chunks(size) { let w = tx.then(|| c.unchecked_transaction().unwrap()); let mut s = c.prepare_cached("select id,key,data from t where key=?1").unwrap(); for k in some { std::hint::black_box(s.query_row([k], get).unwrap()); } drop(s); if let Some(w) = w { w.commit().unwrap(); } }
        let one = t.elapsed();
        let sql = format!("select id,key,data from t where key in ({})", vec!["?"; size].join(","));
        let t = Instant::now();
        for some in wanted.chunks(size) { let mut s = c.prepare_cached(&sql).unwrap(); let m: std::collections::HashMap<String, (i64, String, Vec<u8>)> = s.query_map(params_from_iter(some), get).unwrap().map(|r| { let r = r.unwrap(); (r.1.clone(), r) }).collect(); for k in some { std::hint::black_box(m.get(k).unwrap()); } }
        println!("{size} tx {tx} one {:?} in {:?}", one / 25600, t.elapsed() / 25600);
    } }
}
