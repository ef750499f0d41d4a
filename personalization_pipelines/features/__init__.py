"""Stage 3: feature tables, computed by the SELECT statements of dbt_like_sql."""
