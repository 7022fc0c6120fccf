//! Tables in boxes: their layout is checked, then their cells are normalised and laid out again.

use super::normalise::{Normaliser, Wishes};

/// What stands for the volatile cells under a header.
pub fn placeholder(header: &str) -> Option<&'static str> {
    Some(match header {
        "DB SIZE" | "IN USE" | "TOTAL SIZE" => "<SIZE>",
        "PERCENTAGE NOT IN USE" => "<PCT>",
        "RAFT TERM" => "<TERM>",
        "RAFT INDEX" | "RAFT APPLIED INDEX" => "<INDEX>",
        "TOOK" => "<DUR>",
        "HASH" => "<HASH>",
        _ => return None,
    })
}

/// The lines of one table.
pub fn normalised(normaliser: &mut Normaliser, lines: &[String], wishes: &Wishes) -> Vec<String> {
    let rows: Vec<Vec<String>> = lines
        .iter()
        .filter(|line| line.starts_with('│'))
        .map(|line| line.trim_matches('│').split('│').map(|cell| cell.trim().to_owned()).collect())
        .collect();
    let plain = |normaliser: &mut Normaliser| lines.iter().map(|line| normaliser.line(line, wishes)).collect();
    let Some(head) = rows.first().filter(|head| rows.iter().all(|row| row.len() == head.len())) else {
        return plain(normaliser);
    };
    if drawn(&rows) != lines {
        let plain: Vec<String> = plain(normaliser);
        return ["<TABLE WITH UNEXPECTED LAYOUT>".to_owned()].into_iter().chain(plain).collect();
    }
    let mut out = vec![head.clone()];
    for row in &rows[1..] {
        out.push(head.iter().zip(row).map(|(header, cell)| normaliser.cell(header, cell, wishes)).collect());
    }
    drawn(&out)
}

/// Headers are centred with the odd blank to the right, cells stand at the right, one blank of padding on both sides.
fn drawn(rows: &[Vec<String>]) -> Vec<String> {
    let len = |text: &str| text.chars().count();
    let widths: Vec<usize> =
        (0..rows[0].len()).map(|at| rows.iter().map(|row| len(&row[at])).max().unwrap_or(0)).collect();
    let bar = |left: &str, middle: &str, right: &str| {
        let parts: Vec<String> = widths.iter().map(|width| "─".repeat(width + 2)).collect();
        format!("{left}{}{right}", parts.join(middle))
    };
    let line = |cells: Vec<String>| format!("│{}│", cells.join("│"));
    let mut out = vec![bar("┌", "┬", "┐")];
    out.push(line(rows[0].iter().zip(&widths).map(|(cell, width)| format!(" {cell:^width$} ")).collect()));
    if rows.len() > 1 {
        out.push(bar("├", "┼", "┤"));
    }
    for row in &rows[1..] {
        out.push(line(row.iter().zip(&widths).map(|(cell, width)| format!(" {cell:>width$} ")).collect()));
    }
    out.push(bar("└", "┴", "┘"));
    out
}
