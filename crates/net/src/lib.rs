//! L1: the only code that opens sockets: dialling, TLS, the HTTP client, deadlines, byte caps.
