//! Zero-copy channels between the processes of one machine.
