//! Where a path leads: the one table of declared resources and views, and the routes of the admin API.
//!
//! A process that serves them and a gateway that forwards to them build the same table from the declarations, with targets of
//! their own; what a name, a host or a header means is therefore decided in one place.

mod admin;
mod path;
mod table;

pub use admin::AdminRoute;
pub use path::{PathForm, Templates};
pub use table::{Match, Route, RouteTable, SystemSelection};
