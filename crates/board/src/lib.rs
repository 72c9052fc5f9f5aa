#![doc = include_str!("../README.md")]

mod declared;
pub mod html;
mod layout;
pub mod mermaid;
pub mod model;
mod route;
pub mod svg;
mod text;

pub use model::{Arrow, Band, Board, Kind, Lane, Node, NodeId, What};
