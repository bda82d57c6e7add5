//! What runs in the process of a node: connection, event stream, outputs, timers.
