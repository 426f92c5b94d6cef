//! The control socket: closed request set between the command line and the daemon.
