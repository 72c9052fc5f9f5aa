//! HTTP resources, interpreted from the systems' tables.
