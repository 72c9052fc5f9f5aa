//! A service of somebody else's: loyalty points for delivered messages.
