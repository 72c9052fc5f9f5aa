//! The picture on a page, to be zoomed without a script.

use std::fmt::Write;

use crate::model::Board;
use crate::svg;
use crate::text::escape;

const STYLE: &str = "\
:root{color-scheme:light dark;--paper:#fbfaf7;--ink:#24272b;--edge:#d8d4ca}
@media (prefers-color-scheme:dark){:root{--paper:#17191c;--ink:#eceae5;--edge:#353a42}}
body{margin:0;background:var(--paper);color:var(--ink);font-family:system-ui,-apple-system,'Segoe UI','Noto Sans','Noto Sans KR',sans-serif}
header{display:flex;flex-wrap:wrap;gap:.5rem 1.5rem;align-items:baseline;padding:.75rem 1.25rem;border-bottom:1px solid var(--edge);position:sticky;top:0;left:0;background:var(--paper)}
h1{font-size:1.15rem;margin:0}
fieldset{border:0;margin:0;padding:0;display:flex;gap:.75rem;font-size:.9rem}
legend{float:left;margin-right:.75rem}
main{overflow:auto}
main svg{display:block;height:auto}
body:has(#fit:checked) main svg{width:100%}
body:has(#half:checked) main svg{zoom:.5}
body:has(#double:checked) main svg{zoom:1.5}
@media print{header{display:none}main svg{width:100%}}";

/// A page with the board.
pub fn page(board: &Board) -> String {
    let title = escape(&format!("Event-storming board: {}", board.title()));
    let zooms = [("fit", "fit"), ("half", "50 %"), ("whole", "100 %"), ("double", "150 %")];
    let mut choices = String::new();
    for (id, label) in zooms {
        let checked = if id == "whole" { " checked" } else { "" };
        // Writing to a string cannot fail.
        let _ = write!(choices, "<label><input type=\"radio\" name=\"zoom\" id=\"{id}\"{checked}> {label}</label>");
    }
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<header><h1>{title}</h1>\
         <fieldset><legend>Size</legend>{choices}</fieldset></header>\n<main>\n{}</main>\n</body>\n</html>\n",
        svg::draw(board)
    )
}
