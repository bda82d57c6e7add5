//! What decides how soon a node runs: processors, their clock, their speed, the scheduler.

use rustix::{
    process::{Resource, getrlimit},
    thread::{CpuSet, sched_getaffinity},
};

use super::{finding::Finding, host::Host};

/// Clocks that are read without a system call.
const QUICK_CLOCKS: [&str; 4] = ["tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page"];

pub(super) fn probe(host: &Host) -> Vec<Finding> {
    let allowed = sched_getaffinity(None).map_or(0, |set| count(&set));
    let mut findings = vec![processors(host, allowed)];
    findings.extend(quota(host));
    findings.extend(clock(host));
    findings.extend(governor(host));
    findings.push(real_time(getrlimit(Resource::Rtprio).current));
    findings
}

fn count(set: &CpuSet) -> usize {
    (0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).count()
}

fn processors(host: &Host, allowed: usize) -> Finding {
    const WHAT: &str = "processors";
    let online = host.text("/sys/devices/system/cpu/online").unwrap_or_else(|| "?".to_owned());
    let detail = format!("{allowed} allowed for dora and its nodes; online are {online}");
    match allowed {
        1 => {
            Finding::warning(WHAT, detail, "nodes take turns on one processor; `taskset` or the container allows more")
        }
        _ => Finding::ok(WHAT, detail),
    }
}

fn quota(host: &Host) -> Option<Finding> {
    let text = host.control_group("cpu.max")?;
    let (quota, period) = text.split_once(' ')?;
    let share = quota.parse::<f64>().ok()? / period.parse::<f64>().ok()?;
    Some(Finding::warning(
        "processor quota",
        format!("{share:.1} processors in this container or service"),
        "when it is used up all nodes stand still for up to 100 ms; `--cpuset-cpus` of the container has no such gaps",
    ))
}

fn clock(host: &Host) -> Option<Finding> {
    const WHAT: &str = "clock";
    let directory = "/sys/devices/system/clocksource/clocksource0";
    let source = host.text(&format!("{directory}/current_clocksource"))?;
    Some(match QUICK_CLOCKS.contains(&source.as_str()) {
        true => Finding::ok(WHAT, source),
        false => Finding::warning(
            WHAT,
            format!("{source}, which is slow to read"),
            format!("each message reads it; `cat {directory}/available_clocksource` shows others"),
        ),
    })
}

fn governor(host: &Host) -> Option<Finding> {
    const WHAT: &str = "processor speed";
    let governor = host.text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")?;
    Some(match governor.as_str() {
        "powersave" | "conservative" => Finding::warning(
            WHAT,
            format!("governor `{governor}`"),
            "idle processors wake up slowly: `cpupower frequency-set -g performance` as administrator",
        ),
        _ => Finding::ok(WHAT, format!("governor `{governor}`")),
    })
}

/// dora asks for no priority; nodes may do so themselves.
fn real_time(limit: Option<u64>) -> Finding {
    let detail = match limit {
        Some(0) => "not allowed for this user; dora asks for none".to_owned(),
        Some(limit) => format!("up to {limit} for this user"),
        None => "allowed for this user".to_owned(),
    };
    Finding::ok("real-time priority", detail)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{finding::Status, host::FakeHost},
        *,
    };

    #[test]
    fn clocks() {
        let file = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
        let fake = FakeHost::new(&[(file, "tsc\n")]);
        assert_eq!(clock(&fake.host()).map(|finding| finding.status), Some(Status::Ok));
        fake.set(file, "hpet\n");
        assert_eq!(clock(&fake.host()).map(|finding| finding.status), Some(Status::Warning));
    }

    #[test]
    fn quotas_and_governors() {
        let fake = FakeHost::new(&[
            ("/proc/self/cgroup", "0::/\n"),
            ("/sys/fs/cgroup/cpu.max", "150000 100000\n"),
            ("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n"),
        ]);
        assert!(quota(&fake.host()).is_some_and(|finding| finding.detail.starts_with("1.5 processors")));
        assert_eq!(governor(&fake.host()).map(|finding| finding.status), Some(Status::Warning));
        fake.set("/sys/fs/cgroup/cpu.max", "max 100000\n");
        assert_eq!(quota(&fake.host()), None);
    }

    #[test]
    fn one_processor_is_few() {
        let fake = FakeHost::new(&[]);
        assert_eq!(processors(&fake.host(), 1).status, Status::Warning);
        assert_eq!(processors(&fake.host(), 8).status, Status::Ok);
    }
}
