//! What the system knows of this process, from `/proc`. What cannot be read is left out.

use std::fs;

use super::text::Kind;

/// One number of the process: name, help, kind, value.
pub type Sample = (&'static str, &'static str, Kind, f64);

/// Everything that can be read now.
pub fn samples() -> Vec<Sample> {
    let mut samples = Vec::new();
    stat(&mut samples);
    limits(&mut samples);
    if let Ok(fds) = fs::read_dir("/proc/self/fd") {
        // The directory that is being read is open itself.
        let open = fds.count().saturating_sub(1) as f64;
        samples.push(("process_open_fds", "Open file descriptors.", Kind::Gauge, open));
        samples.push(("os_fd_used", "Open file descriptors.", Kind::Gauge, open));
    }
    samples
}

/// Fields of `/proc/self/stat` after the name, counted from the state on.
const UTIME: usize = 11;
const STIME: usize = 12;
const START: usize = 19;
const VSIZE: usize = 20;
const RSS: usize = 21;

fn stat(samples: &mut Vec<Sample>) {
    let Ok(text) = fs::read_to_string("/proc/self/stat") else { return };
    let Some((_, fields)) = text.rsplit_once(')') else { return };
    let fields: Vec<f64> = fields.split_whitespace().map(|field| field.parse().unwrap_or(0.0)).collect();
    if fields.len() <= RSS {
        return;
    }
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    let page = rustix::param::page_size() as f64;
    let cpu = (fields[UTIME] + fields[STIME]) / ticks;
    samples.push(("process_cpu_seconds_total", "User and system CPU time, in seconds.", Kind::Counter, cpu));
    samples.push(("process_virtual_memory_bytes", "Size of the address space.", Kind::Gauge, fields[VSIZE]));
    samples.push(("process_resident_memory_bytes", "Memory that is resident.", Kind::Gauge, fields[RSS] * page));
    if let Some(boot) = boot_time() {
        let start = boot + fields[START] / ticks;
        let help = "When the process started, in seconds since 1970.";
        samples.push(("process_start_time_seconds", help, Kind::Gauge, start));
    }
}

fn boot_time() -> Option<f64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    text.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok())
}

fn limits(samples: &mut Vec<Sample>) {
    let Ok(text) = fs::read_to_string("/proc/self/limits") else { return };
    let soft = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?;
        if value == "unlimited" { Some(u64::MAX as f64) } else { value.parse().ok() }
    };
    if let Some(limit) = soft("Max open files") {
        samples.push(("process_max_fds", "Most file descriptors that may be open.", Kind::Gauge, limit));
        samples.push(("os_fd_limit", "Most file descriptors that may be open.", Kind::Gauge, limit));
    }
    if let Some(limit) = soft("Max address space") {
        samples.push(("process_virtual_memory_max_bytes", "Largest address space allowed.", Kind::Gauge, limit));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_this_process() {
        let samples = samples();
        for name in
            ["process_resident_memory_bytes", "process_open_fds", "process_max_fds", "process_start_time_seconds"]
        {
            let value = samples.iter().find(|sample| sample.0 == name).map(|sample| sample.3);
            assert!(value.is_some_and(|value| value > 0.0), "{name}: {value:?}");
        }
    }
}
