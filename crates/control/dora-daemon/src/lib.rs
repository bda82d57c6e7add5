//! What executes dataflows on one machine: resolves, starts keepers, forwards logs and results.
