//! The cells of a terminal as SVG: text that can be read, searched and scaled, without a font of its own. Of its 16
//! colours each has a tone for light and for dark pages.

use std::fmt::Write as _;

use vt100::{Cell, Color, Screen};

/// Of one cell.
const WIDTH: f32 = 8.4;
const HEIGHT: f32 = 18.0;
const MARGIN: f32 = 12.0;
/// Of the letters: so wide are they in a monospaced font of that size.
const SIZE: f32 = 14.0;

/// Classes, and their colours on light and on dark pages.
const COLOURS: [(&str, &str, &str); 6] = [
    ("t", "#1f2328", "#e6edf3"),
    ("c1", "#b3261e", "#ff8a80"),
    ("c2", "#1a7f37", "#7ee787"),
    ("c3", "#8a6100", "#e3b341"),
    ("c5", "#8250df", "#d2a8ff"),
    ("c6", "#0b6e75", "#76e3ea"),
];

/// How cells look that stand beside each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Look {
    class: &'static str,
    is_bold: bool,
    is_dim: bool,
    is_reversed: bool,
}

/// The picture of a screen; `title` says what it shows to whoever cannot see it.
#[must_use]
pub(super) fn of(screen: &Screen, title: &str) -> String {
    let (rows, columns) = screen.size();
    let width = f32::from(columns) * WIDTH + 2.0 * MARGIN;
    let height = f32::from(rows) * HEIGHT + 2.0 * MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         role=\"img\">\n<title>{}</title>\n<style>\n{}</style>\n<rect class=\"page\" width=\"100%\" height=\"100%\" \
         rx=\"8\"/>\n",
        escaped(title),
        style()
    );
    for row in 0..rows {
        for (column, look, text) in runs(screen, row, columns) {
            piece(&mut svg, row, column, look, &text);
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn style() -> String {
    let mut style = format!(
        "text {{ font: {SIZE}px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace; white-space: pre }}\n\
         .b {{ font-weight: bold }}\n.d {{ opacity: .6 }}\n.page {{ fill: #f6f8fa }}\n.r {{ fill: #d0d7de }}\n"
    );
    for (class, light, _) in COLOURS {
        let _ = writeln!(style, ".{class} {{ fill: {light} }}");
    }
    style.push_str(
        "@media (prefers-color-scheme: dark) {\n.page { fill: #0d1117 }\n.r { fill: #30363d }\n",
    );
    for (class, _, dark) in COLOURS {
        let _ = writeln!(style, ".{class} {{ fill: {dark} }}");
    }
    style.push_str("}\n");
    style
}

/// Texts of one look, with the columns that they begin at.
fn runs(screen: &Screen, row: u16, columns: u16) -> Vec<(u16, Look, String)> {
    let mut runs: Vec<(u16, Look, String)> = Vec::new();
    for column in 0..columns {
        let Some(cell) = screen.cell(row, column) else {
            continue;
        };
        let look = look(cell);
        let text = match cell.contents() {
            "" => " ",
            text => text,
        };
        match runs.last_mut() {
            Some((_, of, run)) if *of == look => run.push_str(text),
            Some(_) | None => runs.push((column, look, text.to_owned())),
        }
    }
    runs
}

fn look(cell: &Cell) -> Look {
    let class = match cell.fgcolor() {
        Color::Idx(1 | 9) => "c1",
        Color::Idx(2 | 10) => "c2",
        Color::Idx(3 | 11) => "c3",
        Color::Idx(5 | 13) => "c5",
        Color::Idx(6 | 14) => "c6",
        Color::Default | Color::Idx(_) | Color::Rgb(..) => "t",
    };
    Look {
        class,
        is_bold: cell.bold(),
        is_dim: cell.dim(),
        is_reversed: cell.inverse(),
    }
}

fn piece(svg: &mut String, row: u16, column: u16, look: Look, text: &str) {
    let x = MARGIN + f32::from(column) * WIDTH;
    let y = MARGIN + f32::from(row) * HEIGHT;
    let columns = text.chars().count() as f32;
    if look.is_reversed {
        let width = columns * WIDTH;
        let _ = writeln!(
            svg,
            "<rect class=\"r\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{HEIGHT}\"/>"
        );
    }
    let shown = text.trim_end();
    if shown.is_empty() {
        return;
    }
    let mut class = look.class.to_owned();
    if look.is_bold {
        class.push_str(" b");
    }
    if look.is_dim {
        class.push_str(" d");
    }
    // Whatever the font, a column stands where it stands.
    let length = shown.chars().count() as f32 * WIDTH;
    let _ = writeln!(
        svg,
        "<text class=\"{class}\" x=\"{x:.1}\" y=\"{:.1}\" textLength=\"{length:.1}\" lengthAdjust=\"spacingAndGlyphs\" \
         xml:space=\"preserve\">{}</text>",
        y + SIZE,
        escaped(shown)
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screen_becomes_text_with_its_colours_and_nothing_is_markup() {
        let mut parser = vt100::Parser::new(2, 20, 0);
        parser.process(b"a \x1b[31m<red>\x1b[0m & \x1b[7mback\x1b[0m");
        let svg = of(parser.screen(), "a \"title\"");
        assert!(
            svg.contains("<text class=\"c1\"") && svg.contains("&lt;red&gt;"),
            "{svg}"
        );
        assert!(svg.contains("<rect class=\"r\""), "{svg}");
        assert!(svg.contains("<title>a &quot;title&quot;</title>"), "{svg}");
        assert!(!svg.contains("<red>"));
        assert!(roughly_whole(&svg), "{svg}");
    }

    /// Every line is an element of its own, or part of the style.
    fn roughly_whole(svg: &str) -> bool {
        let opened = svg.matches("<text").count() + svg.matches("<title>").count();
        let closed = svg.matches("</text>").count() + svg.matches("</title>").count();
        opened == closed && svg.ends_with("</svg>\n")
    }
}
