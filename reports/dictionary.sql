-- title: Data dictionary
-- description: Every column of every table: its type and what it means.
SELECT table_name AS name, column_name AS column, data_type AS type, comment AS meaning
FROM duckdb_columns() WHERE NOT internal AND schema_name = 'main'
ORDER BY table_name, column_index
