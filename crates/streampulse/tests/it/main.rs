//! The one integration binary: the product as users meet it, through its command line, its HTTP and a real browser.

mod browser;
mod cli;
mod http;
mod people;
mod reload;
mod secrets;
mod site;
mod support;
mod survive;
mod watch;
