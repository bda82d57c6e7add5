//! One small process per dataflow and machine: spawns, reaps, brokers channels, ends everything.
