"""Raw email in; clean, nested, threaded, searchable conversations out."""
