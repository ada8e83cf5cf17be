//! The embedded warehouse: Parquet files and SQL over them.
