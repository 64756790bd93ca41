//! Simulations of processes that create machines, with the buckets of the test EC2 and a simulated clock.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, SystemTime};

use ec2_lab::ec2::{self, Throttling};

use super::bucket::{Limit, TokenBucket, Turn};

/// The calls of a create, in order.
const CREATE: [&str; 2] = ["ImportKeyPair", "RunInstances"];

/// A set of processes that make the same calls.
#[derive(Clone)]
struct Simulation {
    processes: usize,
    calls: Vec<&'static str>,
    /// The buckets of EC2, one for each call.
    buckets: Vec<ec2::Bucket>,
    /// Duration of a served call in milliseconds. A refusal is faster.
    round_trip: u64,
    /// Interval between the starts of the processes, in milliseconds.
    stagger: u64,
    /// Number of processes, from the first, that are killed as soon as they wait.
    killed: usize,
    /// Another program that uses the last call's bucket: calls per second, and its end in milliseconds.
    other: (f64, u64),
}

#[derive(Debug)]
struct Outcome {
    took: f64,
    /// The minimum time from the buckets and the round trips.
    floor: f64,
    /// Refused calls for each process.
    refused: f64,
    /// Number of reads of the record.
    looks: usize,
}

/// A simulated event: milliseconds, order, process, call, kind, and the time at which the call was sent.
type Event = Reverse<(u64, usize, usize, usize, What, u64)>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Look,
    Arrive,
    Served,
    Refused,
}

impl Simulation {
    fn of_creates(processes: usize, factor: f64) -> Self {
        let documented = Throttling::documented().times(factor);
        Self {
            processes,
            calls: CREATE.to_vec(),
            buckets: vec![documented.mutating, documented.launch],
            round_trip: 300,
            stagger: 10,
            killed: 0,
            other: (0.0, 0),
        }
    }

    fn run(&self) -> Outcome {
        let epoch = SystemTime::UNIX_EPOCH;
        let limits: Vec<Limit> = self.calls.iter().map(|c| Limit::of(c).unwrap()).collect();
        let mut ours: Vec<_> = limits.iter().map(|l| TokenBucket::new(*l, 0)).collect();
        let mut theirs: Vec<_> = self
            .buckets
            .iter()
            .map(|bucket| ec2::TokenBucket::full(*bucket, epoch))
            .collect();
        let mut events: BinaryHeap<Event> = BinaryHeap::new();
        let mut order = 0;
        let mut push = |events: &mut BinaryHeap<Event>, at, process, call, what, sent| {
            order += 1;
            events.push(Reverse((at, order, process, call, what, sent)));
        };
        // A ticket is the time of a process's arrival and a number that makes it unique.
        let mut tickets = vec![0; self.processes];
        for (process, ticket) in tickets.iter_mut().enumerate() {
            let at = 1 + self.stagger * process as u64;
            *ticket = at << 20 | process as u64;
            push(&mut events, at, process, 0, What::Look, 0);
        }
        let (mut refused, mut looks, mut done, mut ended, mut others) = (0, 0, 0, 0, 0);
        while let Some(Reverse((now, seed, process, call, what, sent))) = events.pop() {
            // Latency varies by a third.
            let varied = |of: u64| of * (100 + (seed as u64 * 7_919) % 34) / 117;
            let (limit, bucket) = (limits[call], &mut ours[call]);
            match what {
                What::Look => {
                    looks += 1;
                    let queued = bucket.queued(limit, tickets[process], now);
                    let turn = queued
                        .map_or_else(|| bucket.take(limit, tickets[process], now), Turn::Later);
                    match turn {
                        Turn::Later(_) if process < self.killed => {}
                        Turn::Later(queued) => {
                            let pause = queued.pause.as_millis() as u64;
                            push(&mut events, now + pause, process, call, What::Look, 0);
                        }
                        Turn::Now => {
                            let at = now + varied(self.round_trip / 2);
                            push(&mut events, at, process, call, What::Arrive, now);
                        }
                    }
                }
                What::Arrive => {
                    let (rate, until) = self.other;
                    while call + 1 == self.calls.len()
                        && (others as f64) < now.min(until) as f64 * rate / 1000.0
                    {
                        others += 1;
                        let at = Duration::from_secs_f64(others as f64 / rate);
                        theirs[call].take(epoch + at.min(Duration::from_millis(now)));
                    }
                    let served = theirs[call].take(epoch + Duration::from_millis(now));
                    let (what, back) = match served {
                        true => (What::Served, self.round_trip / 2),
                        false => (What::Refused, self.round_trip / 6),
                    };
                    let at = now + varied(back);
                    push(&mut events, at, process, call, what, sent);
                }
                What::Refused => {
                    refused += 1;
                    bucket.refused(limit, sent, now);
                    push(&mut events, now, process, call, What::Look, 0);
                }
                What::Served => {
                    bucket.served(limit, sent, now);
                    if call + 1 < self.calls.len() {
                        tickets[process] = now << 20 | process as u64;
                        push(&mut events, now, process, call + 1, What::Look, 0);
                    } else {
                        (done, ended) = (done + 1, now);
                    }
                }
            }
        }
        let living = self.processes - self.killed;
        assert!(done >= living, "{done} of {living}");
        let others = self.other.0 * self.other.1 as f64 / 1000.0;
        let alone = self.buckets.iter().enumerate().map(|(call, bucket)| {
            let other = if call + 1 == self.calls.len() {
                others
            } else {
                0.0
            };
            let queued = living as f64 + other - bucket.size;
            (queued / bucket.rate).max(0.0)
        });
        Outcome {
            took: ended as f64 / 1000.0,
            floor: alone.fold(0.0, f64::max)
                + (self.calls.len() as u64 * self.round_trip) as f64 / 1000.0,
            refused: refused as f64 / self.processes as f64,
            looks,
        }
    }
}

/// Runs simulations and checks that each is nearly as fast as the buckets allow, up to the end of the last process.
fn assert_fast(simulations: impl IntoIterator<Item = (String, Simulation)>) {
    let mut slow = Vec::new();
    for (what, simulation) in simulations {
        let outcome = simulation.run();
        println!("{what}: {outcome:.2?} {:.2}", outcome.took / outcome.floor);
        let looks = 2.0 * outcome.took * simulation.processes as f64;
        let is_cheap = outcome.refused <= 0.5 && outcome.looks as f64 <= looks;
        if outcome.took > 1.15 * outcome.floor || !is_cheap {
            slow.push(format!("{what}: {outcome:.2?}"));
        }
    }
    assert!(slow.is_empty(), "{}", slow.join("\n"));
}

#[test]
fn creates_at_once_are_as_fast_as_the_buckets_allow() {
    let mut all = Vec::new();
    for (processes, factor, round_trip, stagger) in [
        (100, 0.1, 1, 0),
        (100, 0.1, 300, 10),
        (200, 0.1, 30, 10),
        (200, 0.3, 30, 10),
        (100, 1.0, 300, 10),
        (200, 1.0, 1, 0),
        (200, 1.0, 30, 10),
        (200, 1.0, 300, 10),
        (500, 1.0, 30, 10),
        (200, 3.0, 300, 10),
        (200, 10.0, 1, 0),
        (200, 10.0, 300, 10),
        (500, 10.0, 30, 10),
    ] {
        let what = format!("{processes} x{factor} {round_trip} ms, {stagger} ms apart");
        let simulation = Simulation {
            round_trip,
            stagger,
            ..Simulation::of_creates(processes, factor)
        };
        all.push((what, simulation));
    }
    assert_fast(all);
}

#[test]
fn removals_at_once_are_as_fast_as_the_buckets_allow() {
    let documented = Throttling::documented();
    let removals = Simulation {
        calls: vec!["DeleteKeyPair", "TerminateInstances"],
        buckets: vec![documented.mutating, documented.large],
        ..Simulation::of_creates(200, 1.0)
    };
    assert_fast([("rm".to_owned(), removals)]);
}

#[test]
fn a_rate_or_a_size_alone_may_be_another() {
    let documented = Throttling::documented();
    let with = |size: f64, rate: f64| Simulation {
        buckets: vec![documented.mutating, ec2::Bucket { size, rate }],
        ..Simulation::of_creates(200, 1.0)
    };
    assert_fast([
        ("rate x5".to_owned(), with(5.0, 10.0)),
        ("size x10".to_owned(), with(50.0, 2.0)),
        ("rate x0.25".to_owned(), with(5.0, 0.5)),
    ]);
}

/// Another program takes three launches of four for a minute, then stops.
#[test]
fn the_rate_comes_back_when_others_stop() {
    let shared = Simulation {
        other: (1.5, 60_000),
        ..Simulation::of_creates(200, 1.0)
    };
    assert_fast([("others".to_owned(), shared)]);
}

#[test]
fn killed_processes_hold_nobody_up() {
    let killed = Simulation {
        killed: 60,
        ..Simulation::of_creates(260, 1.0)
    };
    assert_fast([("killed".to_owned(), killed)]);
}

/// Runs calls of one process in sequence against an EC2 that refuses none; returns the total wait.
fn in_a_row(bucket: &mut TokenBucket, calls: usize, begin: u64) -> u64 {
    let limit = Limit::of("DeleteKeyPair").unwrap();
    let mut now = begin;
    for ticket in 0..calls as u64 {
        while let Turn::Later(queued) = bucket.take(limit, ticket, now) {
            now += queued.due.as_millis() as u64 + 1;
        }
        bucket.served(limit, now, now);
    }
    now - begin
}

#[test]
fn a_process_alone_has_the_documented_burst_and_rate() {
    let limit = Limit::of("DeleteKeyPair").unwrap();
    let mut bucket = TokenBucket::new(limit, 0);
    assert_eq!(in_a_row(&mut bucket, 50, 0), 0);
    let waited = in_a_row(&mut bucket, 10, 1);
    assert!(waited <= 2_100, "{waited}");
    // The bucket is full again ten seconds later.
    assert_eq!(in_a_row(&mut bucket, 50, 20_000), 0);
}

#[test]
fn a_bunch_of_refusals_is_one_correction() {
    let limit = Limit::of("RunInstances").unwrap();
    let refused = |calls: u64| {
        let mut bucket = TokenBucket::new(limit, 0);
        for ticket in 0..5 {
            assert_eq!(bucket.take(limit, ticket, 1), Turn::Now);
        }
        for ticket in 0..calls {
            bucket.refused(limit, 1, 50 + ticket);
        }
        // A refused call keeps its place before all later callers.
        assert!(matches!(bucket.take(limit, 9, 60), Turn::Later(_)));
        let Turn::Later(first) = bucket.take(limit, 0, 60) else {
            panic!("the bucket is empty")
        };
        assert_eq!(first.ahead, 0);
        first.due.as_secs_f64()
    };
    // All five refusals of a burst halve the rate, the same as the last one alone.
    assert!(refused(1) <= 1.05 / (0.8 * limit.rate), "{}", refused(1));
    assert!(refused(5) <= 1.05 / (0.5 * limit.rate), "{}", refused(5));
}
