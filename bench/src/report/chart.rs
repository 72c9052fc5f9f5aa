//! The results as one picture: rates, latencies, and what stored messages change. Plain SVG, readable in light and dark.

use std::fmt::Write;

use super::table::{label_of, rates};
use crate::numbers::{count, figure};
use crate::report::results::{GROWING, Results, Spread};

const WIDTH: f64 = 1000.0;
const LABELS: f64 = 390.0;
const ROOM: f64 = 510.0;
const LINE: f64 = 22.0;

/// One bar: its text, its value, and the range of its whisker.
struct Bar {
    label: String,
    spread: Spread,
    colour: &'static str,
}

/// A group of bars with one scale.
struct Panel {
    title: String,
    bars: Vec<Bar>,
    /// Each tenfold takes the same room.
    logarithmic: bool,
}

/// Draws it.
pub fn draw(results: &Results) -> String {
    let panels: Vec<Panel> = [throughput(results), commits(results), latencies(results), grown(results)]
        .into_iter()
        .filter(|panel| !panel.bars.is_empty())
        .collect();
    let lines: usize = panels.iter().map(|panel| panel.bars.len() + 3).sum();
    let height = 60.0 + LINE * crate::numbers::to_f64(lines as u64);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"system-ui, sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"20\" y=\"30\" font-size=\"17\" font-weight=\"600\">Pabal {} · {} cores, {} · {}</text>\n",
        escaped(&results.commit),
        results.machine.cores,
        escaped(&results.machine.processor),
        escaped(&results.began),
    );
    let mut y = 60.0;
    for panel in &panels {
        y = panel.draw(&mut svg, y);
    }
    svg.push_str("</svg>\n");
    svg
}

fn throughput(results: &Results) -> Panel {
    let first = results.levels.first().copied().unwrap_or(0);
    let names = [
        ("a.per_s", GREY),
        ("b.held.per_s", BLUE),
        ("b.keyed.per_s", BLUE),
        ("b.saga.per_s", BLUE),
        ("c.sustained.per_s", GREEN),
        ("e.one.per_s", ORANGE),
        ("e.page.per_s", ORANGE),
        ("e.person.per_s", ORANGE),
    ];
    let bars = names.iter().filter_map(|(name, colour)| {
        let spread = results.spread(first, name)?;
        Some(Bar { label: label_of(name).replace('`', ""), spread, colour })
    });
    Panel {
        title: format!("A second, {} stored (median and range of the rounds)", count(first)),
        bars: bars.collect(),
        logarithmic: false,
    }
}

fn commits(results: &Results) -> Panel {
    let mut bars = Vec::new();
    for (what, colour) in [("accept", BLUE), ("saga", GREEN), ("plain", GREY)] {
        for batch in [1, 16, 64, 256] {
            if let Some(spread) = results.spread(0, &format!("d.{what}.{batch}.per_s")) {
                let what = if what == "plain" { "SQLite alone, rows" } else { what };
                bars.push(Bar { label: format!("(d) {what}, {batch} in one commit"), spread, colour });
            }
        }
    }
    Panel { title: "Messages a second committed, logarithmic".to_owned(), bars, logarithmic: true }
}

fn latencies(results: &Results) -> Panel {
    let mut bars = Vec::new();
    for stored in &results.levels {
        for (variant, what, colour) in [("a", "(a) answer", GREY), ("b", "(b) answer", BLUE), ("c", "(c) final", GREEN)] {
            for rate in rates(results, *stored, variant) {
                let at = |percentile: &str| results.spread(*stored, &format!("{variant}.at{rate}.{percentile}_ms"));
                let (Some(low), Some(middle), Some(high)) = (at("p50"), at("p99"), at("p99_9")) else { continue };
                let spread = Spread { low: low.median, median: middle.median, high: high.median };
                bars.push(Bar { label: format!("{what} at {}/s, {} stored", count(rate), count(*stored)), spread, colour });
            }
        }
    }
    Panel { title: "Latency, ms, logarithmic (bar: p99; line: p50 to p99.9)".to_owned(), bars, logarithmic: true }
}

fn grown(results: &Results) -> Panel {
    let mut bars = Vec::new();
    for name in GROWING {
        for stored in results.levels.iter().skip(1) {
            if let Some(spread) = results.spread(*stored, &format!("grown.{name}")) {
                let label = format!("{name}, {} stored", count(*stored));
                bars.push(Bar { label, spread, colour: PURPLE });
            }
        }
    }
    let first = results.levels.first().copied().unwrap_or(0);
    Panel { title: format!("Compared with {} stored (1 = the same)", count(first)), bars, logarithmic: false }
}

impl Panel {
    fn draw(&self, svg: &mut String, top: f64) -> f64 {
        let largest = self.bars.iter().map(|bar| bar.spread.high).fold(f64::MIN_POSITIVE, f64::max);
        let smallest = self.bars.iter().map(|bar| bar.spread.low).fold(largest, f64::min).max(largest * 1e-6);
        let (from, upto) = if self.logarithmic { (smallest.log10().floor(), largest.log10()) } else { (0.0, largest) };
        let place = |value: f64| {
            let value = if self.logarithmic { value.max(smallest).log10() } else { value };
            ROOM * ((value - from) / (upto - from).max(f64::MIN_POSITIVE)).clamp(0.0, 1.0)
        };
        let _ = writeln!(svg, "<text x=\"20\" y=\"{:.1}\" font-weight=\"600\">{}</text>", top + LINE, escaped(&self.title));
        let mut y = top + 2.0 * LINE;
        for Bar { label, spread, colour } in &self.bars {
            let (low, middle, high) = (LABELS + place(spread.low), place(spread.median), LABELS + place(spread.high));
            let (base, centre) = (y + 5.0, y - 4.0);
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{y:.1}\" text-anchor=\"end\">{}</text>\n\
                 <rect x=\"{LABELS}\" y=\"{:.1}\" width=\"{:.1}\" height=\"16\" fill=\"{colour}\"/>\n\
                 <path d=\"M{low:.1} {centre:.1}H{high:.1}\" stroke=\"#222222\"/>\n\
                 <text x=\"{:.1}\" y=\"{y:.1}\">{}</text>",
                LABELS - 8.0,
                escaped(label),
                base - 17.0,
                middle.max(1.0),
                high.max(LABELS + middle) + 8.0,
                figure(spread.median),
            );
            y += LINE;
        }
        y
    }
}

const GREY: &str = "#9aa0a6";
const BLUE: &str = "#5b8def";
const GREEN: &str = "#3fa66b";
const ORANGE: &str = "#e39b3a";
const PURPLE: &str = "#9b72cf";

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn every_figure_has_its_bar() {
        let mut results = Results::new(&crate::args::Cli::parse_from(["bench"]).run);
        for (stored, value) in [(0, 100.0), (1_000_000, 90.0)] {
            results.record(1, stored, "b.held.per_s", value);
        }
        results.record(1, 0, "d.accept.16.per_s", 1_000.0);
        results.compare(&crate::report::results::RATIOS);
        let svg = draw(&results);
        assert!(svg.ends_with("</svg>\n") && svg.matches("<rect").count() == 4, "{svg}");
    }
}
