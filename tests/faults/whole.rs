//! The table as a whole: far away, repeated, shown.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::fault::Fault;
use crate::table::FAULTS;
use crate::verdict::{self, Verdict};
use crate::world::Distance;

/// How many faults are made at a time. Most of their time is waiting, but each starts servers, and two cores bear this many.
const AT_A_TIME: usize = 10;

/// How long each fault may take far away, servers included, if ten share two cores.
const FAR_LIMIT: Duration = Duration::from_secs(120);

type Judged = (&'static Fault, Result<Verdict, String>);

/// All faults once, those that wait longest first.
fn all(distance: Distance) -> Vec<Judged> {
    let mut queue: Vec<&'static Fault> = FAULTS.iter().collect();
    queue.sort_by_key(|fault| !fault.code.ends_with("/silent"));
    let (queue, judged) = (Mutex::new(VecDeque::from(queue)), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let Some(fault) = queue.lock().unwrap().pop_front() else { break };
                    let verdict = verdict::of(fault, distance);
                    judged.lock().unwrap().push((fault, verdict));
                }
            });
        }
    });
    let mut judged = judged.into_inner().unwrap();
    judged.sort_by_key(|(fault, _)| fault.number);
    judged
}

/// What is wrong; faults that could not be made here are said, and not counted.
fn wrong(judged: &[Judged]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (fault, verdict) in judged {
        match verdict {
            Ok(verdict) if verdict.is_right() => {}
            Ok(verdict) => {
                wrong.push(format!(
                    "{} {}: {} instead of {}: {}",
                    fault.number,
                    fault.name,
                    verdict.code,
                    fault.code,
                    verdict.wrong.join("; ")
                ));
            }
            Err(why) => eprintln!("{why}"),
        }
    }
    wrong
}

#[test]
fn two_hundred_milliseconds_on_both_legs_change_no_answer() {
    for _ in lab::Soak::of("sixty faults, far away") {
        let began = Instant::now();
        let judged = all(Distance::Far);
        let wrong = wrong(&judged);
        assert_eq!(judged.len(), FAULTS.len());
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert!(began.elapsed() < FAR_LIMIT, "{:?}", began.elapsed());
    }
}

/// `make faults`: near, as often as `REPEAT` says, then once from far away.
#[test]
#[ignore = "make faults: it prints the table"]
fn the_table() {
    let repeat: usize = std::env::var("REPEAT").ok().map_or(1, |times| times.parse().expect("REPEAT is a number"));
    let rounds: Vec<_> = (0..repeat).map(|_| all(Distance::Near)).collect();
    let far = all(Distance::Far);
    println!("{:>2}  {:<34} {:<12} {:<12} {:<30} {:>16}  summary", "", "fault", "expected", "reported", "code", "time / limit");
    for (fault, verdict) in &rounds[0] {
        show(fault, verdict);
    }
    let mut bad = Vec::new();
    for (number, round) in rounds.iter().enumerate() {
        let right = round.iter().filter(|(_, verdict)| verdict.as_ref().is_ok_and(Verdict::is_right)).count();
        println!("round {}: {right} of {}", number + 1, FAULTS.len());
        bad.extend(wrong(round));
    }
    let right = far.iter().filter(|(_, verdict)| verdict.as_ref().is_ok_and(Verdict::is_right)).count();
    println!("200 ms ± 100 ms away: {right} of {}", FAULTS.len());
    bad.extend(wrong(&far));
    let longest = rounds.iter().flatten().filter_map(|(fault, verdict)| Some((fault, verdict.as_ref().ok()?)));
    if let Some((fault, verdict)) =
        longest.max_by(|(_, one), (_, two)| (one.took / one.limit.max(1.0)).total_cmp(&(two.took / two.limit.max(1.0))))
    {
        println!("longest wait against its limit: {:.2} s of {:.2} s, {} {}", verdict.took, verdict.limit, fault.number, fault.name);
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

fn show(fault: &Fault, verdict: &Result<Verdict, String>) {
    match verdict {
        Ok(verdict) => println!(
            "{:>2}  {:<34} {:<12} {:<12} {:<30} {:>6.2} / {:<5.2} s  {}",
            fault.number,
            fault.name,
            fault.stage(),
            verdict.stage(),
            verdict.code,
            verdict.took,
            verdict.limit,
            verdict.summary
        ),
        Err(why) => println!("{:>2}  {:<34} {:<12} {why}", fault.number, fault.name, fault.stage()),
    }
}
