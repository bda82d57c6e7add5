//! What this user's processes may use: descriptors, processes, addresses, file sizes.

use rustix::process::{Resource, Rlimit, getrlimit};

use super::{finding::Finding, host::Host};
use crate::units::show_size;

/// Below this, a dataflow of a few dozen nodes fails: the keeper holds about ten descriptors for each node and edge.
const FEW_FILES: u64 = 1024;
/// Below this, the smallest dataflow fails.
const TOO_FEW_FILES: u64 = 64;
/// Processes and threads that a dataflow of a few dozen nodes needs.
const FEW_PROCESSES: u64 = 512;
/// What Linux allows if nobody says otherwise; each edge is three mappings in each of its nodes.
const USUAL_MAPPINGS: u64 = 65530;
/// The smallest shared memory of one node, by its addresses; pages are used only as messages need them.
const SMALLEST_ARENA: u64 = 1 << 30;

pub(super) fn probe(host: &Host) -> Vec<Finding> {
    let mut findings = vec![
        open_files(getrlimit(Resource::Nofile)),
        addresses(getrlimit(Resource::As).current),
        file_size(getrlimit(Resource::Fsize).current),
    ];
    findings.extend(processes(host, getrlimit(Resource::Nproc).current));
    findings.extend(mappings(host));
    findings
}

fn open_files(limit: Rlimit) -> Finding {
    const WHAT: &str = "open files";
    let words = |limit: Option<u64>| limit.map_or("unlimited".to_owned(), |limit| limit.to_string());
    let detail = format!("{} for a node, {} for the keeper", words(limit.current), words(limit.maximum));
    match (limit.current.unwrap_or(u64::MAX), limit.maximum.unwrap_or(u64::MAX)) {
        (_, hard) if hard < TOO_FEW_FILES => Finding::error(WHAT, detail, raise("-Hn", FEW_FILES)),
        (_, hard) if hard < FEW_FILES => Finding::warning(WHAT, detail, raise("-Hn", FEW_FILES)),
        (soft, _) if soft < TOO_FEW_FILES => Finding::warning(WHAT, detail, raise("-Sn", FEW_FILES)),
        _ => Finding::ok(WHAT, detail),
    }
}

fn raise(flag: &str, number: u64) -> String {
    format!("`ulimit {flag} {number}` before starting dora, or LimitNOFILE= of the service, raises it")
}

fn addresses(limit: Option<u64>) -> Finding {
    const WHAT: &str = "address space";
    let advice = "`ulimit -v unlimited` lifts it; dora reserves addresses, which cost no memory";
    match limit {
        None => Finding::ok(WHAT, "unlimited"),
        Some(bytes) if bytes < 2 * SMALLEST_ARENA => Finding::error(WHAT, show_size(bytes), advice),
        Some(bytes) => Finding::warning(WHAT, show_size(bytes), advice),
    }
}

fn file_size(limit: Option<u64>) -> Finding {
    const WHAT: &str = "file size";
    match limit {
        None => Finding::ok(WHAT, "unlimited"),
        // The kernel counts unnamed memory as a file, and kills the keeper that makes it larger than this.
        Some(bytes) => Finding::error(
            WHAT,
            format!("{}, which counts for shared memory too", show_size(bytes)),
            "`ulimit -f unlimited` before starting dora, or LimitFSIZE=infinity of the service",
        ),
    }
}

fn processes(host: &Host, own_limit: Option<u64>) -> Vec<Finding> {
    const WHAT: &str = "processes and threads";
    let advice = |how: &str| format!("a node is a process with a few threads; {how} allows more");
    let mut findings = vec![match own_limit {
        Some(limit) if limit < FEW_PROCESSES => {
            Finding::warning(WHAT, format!("{limit} for this user"), advice(&format!("`ulimit -u {FEW_PROCESSES}`")))
        }
        Some(limit) => Finding::ok(WHAT, format!("{limit} for this user")),
        None => Finding::ok(WHAT, "unlimited"),
    }];
    let limit = host.control_group("pids.max").and_then(|text| text.parse::<u64>().ok());
    if let Some(limit) = limit {
        let detail = format!("{limit} in this container or service");
        findings.push(match limit < FEW_PROCESSES {
            true => Finding::warning(WHAT, detail, advice("`--pids-limit` of the container, TasksMax= of the service")),
            false => Finding::ok(WHAT, detail),
        });
    }
    findings
}

fn mappings(host: &Host) -> Option<Finding> {
    const WHAT: &str = "memory mappings";
    let limit = host.number("/proc/sys/vm/max_map_count")?;
    let detail = format!("{limit} for a process");
    Some(match limit < USUAL_MAPPINGS {
        true => Finding::warning(WHAT, detail, format!("`sysctl vm.max_map_count={USUAL_MAPPINGS}` as administrator")),
        false => Finding::ok(WHAT, detail),
    })
}

#[cfg(test)]
mod tests {
    use super::{
        super::{finding::Status, host::FakeHost},
        *,
    };

    #[test]
    fn descriptors() {
        let status = |soft, hard| open_files(Rlimit { current: soft, maximum: hard }).status;
        assert_eq!(status(Some(1024), Some(1 << 19)), Status::Ok);
        assert_eq!(status(None, None), Status::Ok);
        assert_eq!(status(Some(256), Some(256)), Status::Warning);
        assert_eq!(status(Some(32), Some(4096)), Status::Warning);
        assert_eq!(status(Some(32), Some(32)), Status::Error);
    }

    #[test]
    fn addresses_and_file_sizes() {
        assert_eq!((addresses(None).status, file_size(None).status), (Status::Ok, Status::Ok));
        assert_eq!(addresses(Some(1 << 40)).status, Status::Warning);
        assert_eq!((addresses(Some(1 << 20)).status, file_size(Some(1 << 40)).status), (Status::Error, Status::Error));
    }

    #[test]
    fn limits_of_a_container_count() {
        let fake = FakeHost::new(&[
            ("/proc/self/cgroup", "0::/a\n"),
            ("/sys/fs/cgroup/a/pids.max", "100\n"),
            ("/proc/sys/vm/max_map_count", "1000\n"),
        ]);
        let statuses = |findings: Vec<Finding>| findings.iter().map(|finding| finding.status).collect::<Vec<_>>();
        assert_eq!(statuses(processes(&fake.host(), Some(4000))), [Status::Ok, Status::Warning]);
        assert_eq!(mappings(&fake.host()).map(|finding| finding.status), Some(Status::Warning));
    }
}
