//! A group member that runs the tasks of the partitions it owns.
