//! What a process has used so far, from `/proc`.

use std::io;
use std::time::Duration;

/// Ticks of the clock in which the kernel counts CPU time; fixed for user space on Linux.
const TICKS_PER_SEC: u64 = 100;

/// A reading.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    pub cpu: Duration,
    /// Bytes handed to the disk.
    pub written_bytes: u64,
    pub resident_bytes: u64,
    pub peak_bytes: u64,
}

impl Usage {
    pub fn of(pid: u32) -> io::Result<Usage> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let io = std::fs::read_to_string(format!("/proc/{pid}/io"))?;
        Ok(Usage {
            cpu: cpu(&stat).ok_or_else(|| io::Error::other("no CPU times in /proc/pid/stat"))?,
            written_bytes: field(&io, "write_bytes:").unwrap_or(0),
            resident_bytes: field(&status, "VmRSS:").unwrap_or(0) * 1024,
            peak_bytes: field(&status, "VmHWM:").unwrap_or(0) * 1024,
        })
    }
}

/// User and system time; the name in parentheses may hold anything.
fn cpu(stat: &str) -> Option<Duration> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 1000 / TICKS_PER_SEC))
}

fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line[name.len()..].split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20";
        assert_eq!(cpu(stat), Some(Duration::from_secs(2)));
    }

    #[test]
    fn this_process_can_be_read() {
        let usage = Usage::of(std::process::id()).expect("readable");
        assert!(usage.resident_bytes > 0 && usage.peak_bytes >= usage.resident_bytes);
    }
}
