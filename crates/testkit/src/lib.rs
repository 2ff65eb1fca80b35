//! Development only: scripted good and bad peers, a clock under control, wait_for.
