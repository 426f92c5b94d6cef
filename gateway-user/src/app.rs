//! Composition root: builds every part in a safe order, owns tasks, drains.
