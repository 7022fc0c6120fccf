//! One member as a pure machine.
