//! The story of one connection, stage by stage.
