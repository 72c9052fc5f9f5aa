//! One business message from acceptance to handset.
