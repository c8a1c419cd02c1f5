-- What an earlier try found is looked for with every further one of the same telegram.
CREATE INDEX parse_differences_telegram ON parse_differences (ingest_id);
