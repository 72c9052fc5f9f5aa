//! Text on notes: how wide it is, where it breaks, and how it is written into markup.

/// Escapes text for XML and HTML, in attributes as well.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // XML has no way to say these at all.
            letter if letter.is_control() && !matches!(letter, '\n' | '\t') => out.push(' '),
            letter => out.push(letter),
        }
    }
    out
}

/// How wide a line is at most, in pixels; the fonts of readers differ, so this leans to the wide side.
pub fn width(line: &str, size_px: f64) -> f64 {
    line.chars().map(|letter| factor(letter) * size_px).sum()
}

fn factor(letter: char) -> f64 {
    match letter {
        letter if letter >= '\u{1100}' => 1.0,
        'm' | 'w' | 'M' | 'W' | '@' | '%' => 0.98,
        letter if letter.is_uppercase() => 0.74,
        'i' | 'j' | 'l' | 't' | 'f' | 'r' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' | '/' | '(' | ')' | ' ' | '{' | '}' => 0.42,
        _ => 0.63,
    }
}

/// Breaks text into lines of that width; what does not fit into `most` lines ends with an ellipsis.
pub fn wrap(text: &str, width_px: f64, size_px: f64, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for paragraph in text.lines().filter(|line| !line.trim().is_empty()) {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            for (first, piece) in pieces(word, width_px, size_px).into_iter().enumerate().map(|(at, piece)| (at == 0, piece)) {
                let gap = if line.is_empty() || !first { "" } else { " " };
                let longer = format!("{line}{gap}{piece}");
                if line.is_empty() || width(&longer, size_px) <= width_px {
                    line = longer;
                } else {
                    lines.push(std::mem::replace(&mut line, piece));
                }
            }
        }
        lines.push(line);
    }
    cut(lines, width_px, size_px, most)
}

fn cut(mut lines: Vec<String>, width_px: f64, size_px: f64, most: usize) -> Vec<String> {
    if lines.len() <= most {
        return lines;
    }
    lines.truncate(most);
    if let Some(last) = lines.last_mut() {
        while !last.is_empty() && width(&format!("{last}…"), size_px) > width_px {
            last.pop();
        }
        *last = format!("{}…", last.trim_end_matches([' ', ',', '.', ';', ':']));
    }
    lines
}

/// The parts in which a word may stand on lines of that width: whole if it fits, else broken at its joints.
fn pieces(word: &str, width_px: f64, size_px: f64) -> Vec<String> {
    if width(word, size_px) <= width_px {
        return vec![word.to_owned()];
    }
    let mut pieces = vec![String::new()];
    let mut before = ' ';
    for letter in word.chars() {
        let joint = (letter.is_uppercase() && before.is_lowercase()) || matches!(before, '-' | '_' | '.') || letter == '/';
        let here = pieces.last().map_or(0.0, |piece| width(piece, size_px));
        if (joint && here > 0.0) || here + width(&letter.to_string(), size_px) > width_px {
            pieces.push(String::new());
        }
        if let Some(piece) = pieces.last_mut() {
            piece.push(letter);
        }
        before = letter;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_a_name_stays_text() {
        assert_eq!(escape("<b a='\"'>&\u{7}"), "&lt;b a=&#39;&quot;&#39;&gt;&amp; ");
    }

    #[test]
    fn a_long_name_breaks_at_its_humps() {
        assert_eq!(wrap("ValidationStoppedForGood", 110.0, 12.0, 9), ["Validation", "StoppedForGood"]);
    }

    #[test]
    fn no_line_is_wider_than_its_note() {
        let text = "Whenever a message is accepted, 발송된 메시지를 검증한다 averyverylongwordwithoutanyjointinit.";
        assert!(wrap(text, 80.0, 11.0, 99).iter().all(|line| width(line, 11.0) <= 80.0));
    }

    #[test]
    fn what_does_not_fit_ends_with_an_ellipsis() {
        let lines = wrap("one two three four five six seven", 50.0, 11.0, 2);
        assert_eq!(lines.len(), 2);
        assert!(lines[1].ends_with('…'), "{lines:?}");
    }
}
