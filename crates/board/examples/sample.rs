//! Draws the sample board of the tests: `cargo run -p board --example sample > board.svg`.

#[path = "../tests/sample/mod.rs"]
mod sample;

fn main() {
    print!("{}", board::svg::draw(&board::Board::new(&[sample::bakery()])));
}
