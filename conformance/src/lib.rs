//! The kit that certifies any backend of Larder.
