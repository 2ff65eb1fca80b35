//! Configuration as values with places: the tree a file becomes, the fields it is checked against, and problems.
//! Reads no file and knows no YAML.

pub mod field;
pub mod node;
pub mod problem;
pub mod section;
pub mod words;

pub use field::{Field, Type, join_fields};
pub use node::{Node, Value};
pub use problem::{Place, Problem};
pub use section::Section;
